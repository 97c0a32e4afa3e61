//! Pure parsers of text and archives: no files, no clock, and no state but what is named and bounded (`stamp::Calendar`,
//! `auditd::Joiner`).
//!
//! All text here may have been written by an attacker. Each parser is anchored at the ends that the attacker does not
//! control, looks at every byte a bounded number of times, and answers `None` for what it does not know.

pub mod auditd;
pub mod auth;
pub mod cgroup;
pub mod ecs;
pub mod eml;
pub mod journal_json;
pub mod magic;
pub mod mount_info;
pub mod scan;
pub mod sockets;
pub mod stamp;
pub mod syslog;
pub mod tar;
pub mod zip;
