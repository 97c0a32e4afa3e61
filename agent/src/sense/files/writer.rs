//! Who wrote a file.

use compact_str::CompactString;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use picket_common::event::Program;
use picket_common::process::ProcessId;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

/// So many processes that wrote are remembered: one that unpacks an archive writes thousands of files.
const REMEMBERED: usize = 16;
/// Of a command line so much is kept.
const LONGEST: u64 = 1024;

/// Who writes, and the last of those who wrote.
#[derive(Debug, Default)]
pub(in crate::sense) struct Writers(Vec<Writer>);

#[derive(Debug)]
struct Writer {
    pidfd: OwnedFd,
    program: Program,
}

impl Writers {
    /// The process with this pid, `pidfd` being a descriptor of it from the notice of what it did. Only what is read while the
    /// descriptor holds the pid is the same process's for certain; of one that is gone, the pid alone is known.
    pub(in crate::sense) fn find(&mut self, pid: u32, pidfd: Option<OwnedFd>) -> Option<Program> {
        if pid == 0 {
            return None;
        }
        let uncertain = Program::unknown(ProcessId::uncertain(pid));
        let Some(pidfd) = pidfd else {
            return Some(uncertain);
        };
        let executable = executable(pid);
        let known =
            |writer: &Writer| writer.program.process.pid == pid && writer.program.executable == executable;
        if let Some(at) = self.0.iter().position(known) {
            // While the old one lives, nobody else can have its pid.
            if let Some(writer) = self.0.get(at).filter(|writer| lives(&writer.pidfd)) {
                return Some(writer.program.clone());
            }
            self.0.remove(at);
        }
        let Some(program) = program(pid, executable).filter(|_| holds(&pidfd)) else {
            return Some(uncertain);
        };
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(Writer {
            pidfd,
            program: program.clone(),
        });
        Some(program)
    }
}

fn program(pid: u32, executable: Option<CompactString>) -> Option<Program> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let start = start(&stat)?;
    let mut program = Program::unknown(ProcessId { pid, start });
    program.executable = executable;
    program.command_line = command_line(pid);
    program.effective_uid = fs::metadata(format!("/proc/{pid}")).ok().map(|data| data.uid());
    Some(program)
}

fn executable(pid: u32) -> Option<CompactString> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(path.to_string_lossy().into())
}

fn command_line(pid: u32) -> Option<CompactString> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let arguments = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    let line: Vec<u8> = arguments
        .iter()
        .map(|byte| if *byte == 0 { b' ' } else { *byte })
        .collect();
    (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into())
}

/// Field 22; the name before it may hold anything and ends with the last bracket.
fn start(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Whether a process has not ended.
fn lives(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ended| ended == 0)
}

/// Whether a process still has its pid, be it that it has ended and nobody has heard of it yet.
fn holds(pidfd: &OwnedFd) -> bool {
    lives(pidfd) || {
        let told = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
        let pid = told.ok().and_then(|told| {
            let pid = told.lines().find_map(|line| line.strip_prefix("Pid:"))?;
            pid.trim().parse::<i64>().ok()
        });
        pid.is_some_and(|pid| pid > 0)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_start_is_read_past_a_name_that_looks_like_more_fields() {
        let stat = b"42 (a) R 1 1) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1 1\n";
        assert_eq!(super::start(stat), Some(987_654));
        assert_eq!(super::start(b"42 (a"), None);
        assert!(super::start(&std::fs::read("/proc/self/stat").unwrap()).is_some_and(|start| start > 0));
    }
}
