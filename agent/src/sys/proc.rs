//! What `/proc` tells of a process that lives.
//!
//! Nothing here knows whether a pid still names the process that is meant: that is for [`super::Pidfd`].

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// `PF_KTHREAD` of the kernel's `sched.h`.
const KERNEL_THREAD: u32 = 0x0020_0000;
/// What an audit session is where there is none, as in `/proc/PID/sessionid`.
const NO_SESSION: u32 = u32::MAX;

/// What `/proc/PID/stat` has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// One letter, as `R` or `T`.
    pub state: u8,
    /// The parent's pid.
    pub parent: u32,
    /// The process group.
    pub group: u32,
    /// The session in the sense of `setsid`, which is none of the audit's.
    pub session: u32,
    /// Whether it is a thread of the kernel.
    pub is_kernel: bool,
    /// When it was started: ticks of `USER_HZ` since the boot.
    pub start: u64,
}

impl Stat {
    /// Reads that of a process, or of a thread by `PID/task/TID`.
    pub fn read(of: impl std::fmt::Display) -> io::Result<Self> {
        let text = fs::read(format!("/proc/{of}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// The name, which may hold anything, ends with the last bracket.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let fields = std::str::from_utf8(text.get(end + 1..)?).ok()?;
        let mut fields = fields.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        let flags: u32 = fields.nth(2)?.parse().ok()?;
        Some(Self {
            state,
            parent,
            group,
            session,
            is_kernel: flags & KERNEL_THREAD != 0,
            start: fields.nth(12)?.parse().ok()?,
        })
    }
}

/// All pids there are.
pub fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

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
    threads(pid).all(|thread| {
        let stat = Stat::read(format_args!("{pid}/task/{thread}"));
        stat.map_or(true, |stat| matches!(stat.state, b'T' | b't' | b'Z' | b'X'))
    })
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
    fn a_name_steers_nothing() {
        let text = b"42 (a) R 1 1 (\xff) T 7 42 40 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 5000 0 0\n";
        let stat = Stat {
            state: b'T',
            parent: 7,
            group: 42,
            session: 40,
            is_kernel: false,
            start: 5000,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse(b"42 (a"), None);
        assert_eq!(Stat::parse(b"42 (a) R 1 1"), None);
    }

    #[test]
    fn this_process_is_known() {
        let own = std::process::id();
        let stat = Stat::read(own).unwrap();
        assert!(!stat.is_kernel && stat.start > 0);
        assert!(!stands_still(own));
        assert!(pids().any(|pid| pid == own));
        assert_eq!(executable(own), std::env::current_exe().ok());
        assert!(children(stat.parent).is_none_or(|all| all.contains(&own)));
        assert!(control_group(own).is_some_and(|group| group.starts_with('/')));
    }
}
