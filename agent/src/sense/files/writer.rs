//! Who wrote a file.

use crate::sys::{Process, proc};
use compact_str::CompactString;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use picket_common::event::Program;
use picket_common::process::ProcessId;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

/// So many processes that wrote are remembered: one that unpacks an archive writes thousands of files.
const REMEMBERED: usize = 16;
/// Of a command line so much is kept.
const LONGEST: usize = 1024;

/// Who writes, and the last of those who wrote.
#[derive(Debug, Default)]
pub(in crate::sense) struct Writers {
    known: Vec<Writer>,
    /// The last that was asked for in this batch of notices.
    last: Option<(u32, Program)>,
}

#[derive(Debug)]
struct Writer {
    pidfd: OwnedFd,
    program: Program,
}

impl Writers {
    /// A batch of notices begins. In one, what a process runs is asked but once in a row: no number of a process comes round as
    /// quickly, and all of it was done before it is asked.
    pub(in crate::sense) fn begin(&mut self) {
        self.last = None;
    }

    /// The process with this pid, `pidfd` being a descriptor of it from the notice of what it did. Only what is read while the
    /// descriptor holds the pid is the same process's for certain; of one that is gone, the pid alone is known.
    pub(in crate::sense) fn find(&mut self, pid: u32, pidfd: Option<OwnedFd>) -> Option<Program> {
        if pid == 0 {
            return None;
        }
        if let Some((last, program)) = &self.last
            && *last == pid
        {
            return Some(program.clone());
        }
        let program = self.look(pid, pidfd);
        self.last = Some((pid, program.clone()));
        Some(program)
    }

    fn look(&mut self, pid: u32, pidfd: Option<OwnedFd>) -> Program {
        let uncertain = Program::unknown(ProcessId::uncertain(pid));
        let Some(pidfd) = pidfd else {
            return uncertain;
        };
        let executable = executable(pid);
        let known =
            |writer: &Writer| writer.program.process.pid == pid && writer.program.executable == executable;
        if let Some(at) = self.known.iter().position(known) {
            // While the old one lives, nobody else can have its pid.
            if let Some(writer) = self.known.get(at).filter(|writer| lives(&writer.pidfd)) {
                return writer.program.clone();
            }
            self.known.remove(at);
        }
        let Some(program) = program(pid, executable).filter(|_| holds(&pidfd)) else {
            return uncertain;
        };
        if self.known.len() >= REMEMBERED {
            self.known.remove(0);
        }
        self.known.push(Writer {
            pidfd,
            program: program.clone(),
        });
        program
    }
}

fn program(pid: u32, executable: Option<CompactString>) -> Option<Program> {
    let process = Process::open(pid).ok()?;
    let mut program = Program::unknown(process.stat().ok()?.process);
    program.executable = executable;
    program.command_line = process.arguments(LONGEST).ok().and_then(|bytes| line(&bytes));
    program.effective_uid = proc::effective_uid(pid);
    Some(program)
}

fn executable(pid: u32) -> Option<CompactString> {
    Some(proc::executable(pid)?.to_string_lossy().into())
}

/// Arguments with a zero behind each as one line.
fn line(arguments: &[u8]) -> Option<CompactString> {
    let arguments = arguments.strip_suffix(b"\0").unwrap_or(arguments);
    let text = String::from_utf8_lossy(arguments).replace('\0', " ");
    (!text.is_empty()).then(|| text.into())
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
    fn arguments_are_one_line() {
        assert_eq!(super::line(b"cp\0a b\0c\0").as_deref(), Some("cp a b c"));
        assert_eq!(super::line(b""), None);
    }
}
