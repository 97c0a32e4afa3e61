//! What `/proc` tells of a process that lives.
//!
//! Nothing here knows whether a pid still names the process that is meant: that is for [`super::Pidfd`].

mod process;
mod stat;

pub use process::{Process, chosen, is_unified, version};
pub use stat::{Stat, pids};

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// What an audit session is where there is none, as in `/proc/PID/sessionid`.
const NO_SESSION: u32 = u32::MAX;

/// The pids of the processes that a process started and that it is still the parent of. `None` where this kernel keeps no
/// such list. It is complete when the process stands still.
pub fn children(pid: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for thread in threads(pid) {
        match fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")) {
            Ok(text) => found.extend(
                text.split_ascii_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let ended = !fs::exists(format!("/proc/{pid}/task/{thread}")).unwrap_or(false);
                if !ended {
                    return None;
                }
            }
            Err(_) => {}
        }
    }
    Some(found)
}

/// Whether no thread of a process can run any more: it is stopped, or it has ended.
pub fn stands_still(pid: u32) -> bool {
    threads(pid).all(|thread| Stat::of_thread(pid, thread).map_or(true, |stat| stat.stands_still()))
}

fn threads(pid: u32) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The path of the program that a process runs, in its own view of the file system. `None` for threads of the kernel and
/// what has ended.
pub fn executable(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The program that a process runs, by device and inode, also where its path names another file by now.
pub fn executable_file(pid: u32) -> Option<(u64, u64)> {
    let data = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((data.dev(), data.ino()))
}

/// What tells one view of the file system from another.
pub fn mount_namespace(pid: u32) -> Option<u64> {
    Some(fs::metadata(format!("/proc/{pid}/ns/mnt")).ok()?.ino())
}

/// The arguments that a process was started with, or what it has written in their place.
pub fn arguments(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_suffix('\0').unwrap_or(&text);
    text.split('\0').map(str::to_owned).collect()
}

/// Whose rights a process acts with.
pub fn effective_uid(pid: u32) -> Option<u32> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The login session that the kernel's audit counts a process to; `None` for one that belongs to no login.
pub fn login_session(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/sessionid")).ok()?;
    text.trim().parse().ok().filter(|session| *session != NO_SESSION)
}

/// The control group that systemd put a process into, as `/system.slice/ssh.service`.
pub fn control_group(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let of = |hierarchy: &str| {
        let line = |line: &str| {
            let (_, rest) = line.split_once(':')?;
            Some(rest.strip_prefix(hierarchy)?.strip_prefix(':')?.to_owned())
        };
        text.lines().find_map(line)
    };
    of("name=systemd").or_else(|| of(""))
}

/// How long ago the host was started.
pub fn uptime() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known() {
        let own = std::process::id();
        let stat = Stat::read(own).unwrap();
        assert!(!stat.is_kernel && stat.process.start > 0);
        assert!(!stands_still(own));
        assert!(pids().unwrap().contains(&own));
        assert_eq!(executable(own), std::env::current_exe().ok());
        assert!(children(stat.parent).is_none_or(|all| all.contains(&own)));
        assert!(control_group(own).is_some_and(|group| group.starts_with('/')));
    }
}
