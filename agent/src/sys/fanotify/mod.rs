//! Notices of files that land, by the kernel's fanotify: which file, in which directory, under which name, and who did it.
//!
//! `record` takes apart what the kernel writes, `handle` opens what a record names, `notify` is the group that is read.

mod handle;
mod notify;
mod record;

pub use handle::{Fid, is_nameable};
pub use notify::{FileNotices, Grants};
pub use record::{Happened, Notice};
