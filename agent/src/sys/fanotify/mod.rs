//! The kernel's fanotify: notices of files that land, with which file, in which directory, under which name, and who did it; and
//! the gate before programs that start.
//!
//! `record` takes apart what the kernel writes, `handle` opens what a record names, `notify` is the group that is read;
//! `permission` is the group that is asked.

mod handle;
mod notify;
mod permission;
mod record;

pub use handle::{Fid, is_nameable};
pub use notify::{FileNotices, Grants};
pub use permission::{ExecGate, Start};
pub use record::{Happened, Notice};
