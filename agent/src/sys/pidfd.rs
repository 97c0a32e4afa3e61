//! Processes that are signalled by what they are, never by their number alone.

use super::proc::Stat;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use picket_common::process::ProcessId;
pub use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

/// Why a process cannot be signalled.
#[derive(Debug, thiserror::Error)]
pub enum PidfdError {
    /// It has ended.
    #[error("process {0} has ended already")]
    Gone(u32),
    /// Its pid is another's.
    #[error(
        "{wanted} has ended already: its number is that of another process now, which was started at tick {found}"
    )]
    Another {
        /// The one that is meant.
        wanted: ProcessId,
        /// The start of the one that is there.
        found: u64,
    },
    /// Nobody can tell.
    #[error("it is not certain which process {0} is, as nobody knows when it was started")]
    Uncertain(u32),
    /// The kernel says no.
    #[error("process {0} cannot be signalled: {1}")]
    System(u32, io::Error),
}

/// One process, as it was proven to be.
#[derive(Debug)]
pub struct Pidfd {
    pid: u32,
    fd: OwnedFd,
    /// What was read of it when it was proven.
    pub stat: Stat,
}

impl Pidfd {
    /// Takes hold of a process, if it is still the one that is meant.
    ///
    /// The descriptor is had first and the start time read then. As the process had not ended after that, its number was its
    /// own all the while, and what was read is of the process behind the descriptor.
    pub fn open(process: ProcessId) -> Result<Self, PidfdError> {
        if !process.is_certain() {
            return Err(PidfdError::Uncertain(process.pid));
        }
        let held = Self::hold(process.pid)?;
        match held.stat.process.start {
            start if start == process.start => Ok(held),
            found => Err(PidfdError::Another {
                wanted: process,
                found,
            }),
        }
    }

    /// Takes hold of whichever process has a number now.
    pub fn hold(pid: u32) -> Result<Self, PidfdError> {
        let system = |error: rustix::io::Errno| match error {
            rustix::io::Errno::SRCH => PidfdError::Gone(pid),
            error => PidfdError::System(pid, error.into()),
        };
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let fd = pidfd_open(number.ok_or(PidfdError::Gone(pid))?, PidfdFlags::empty()).map_err(system)?;
        let stat = Stat::read(pid).map_err(|error| match error.raw_os_error() {
            Some(code) if code == nix::errno::Errno::ESRCH as i32 => PidfdError::Gone(pid),
            _ if error.kind() == io::ErrorKind::NotFound => PidfdError::Gone(pid),
            _ => PidfdError::System(pid, error),
        })?;
        let held = Self { pid, fd, stat };
        if held.has_ended() {
            return Err(PidfdError::Gone(pid));
        }
        Ok(held)
    }

    /// Which one it is.
    pub fn process(&self) -> ProcessId {
        self.stat.process
    }

    /// Whether all of its threads have ended.
    pub fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<(), PidfdError> {
        pidfd_send_signal(&self.fd, signal).map_err(|error| match error {
            rustix::io::Errno::SRCH => PidfdError::Gone(self.pid),
            error => PidfdError::System(self.pid, error.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn only_the_one_that_is_meant_is_signalled() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Pidfd::hold(child.id()).unwrap().process();
        let other = ProcessId {
            start: process.start + 1,
            ..process
        };
        let refused = Pidfd::open(other).unwrap_err();
        assert!(matches!(refused, PidfdError::Another { .. }), "{refused}");
        let refused = Pidfd::open(ProcessId::uncertain(child.id())).unwrap_err();
        assert!(matches!(refused, PidfdError::Uncertain(_)), "{refused}");
        let held = Pidfd::open(process).unwrap();
        held.signal(Signal::KILL).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(matches!(held.signal(Signal::KILL), Err(PidfdError::Gone(_))));
        assert!(matches!(Pidfd::open(process), Err(PidfdError::Gone(_))));
    }

    #[test]
    fn what_has_ended_and_was_not_waited_for_is_gone() {
        let child = Command::new("true").spawn().unwrap();
        let process = ProcessId {
            pid: child.id(),
            start: Stat::read(child.id()).unwrap().process.start,
        };
        crate::sys::ended_within(&child, std::time::Duration::from_secs(30));
        assert!(matches!(Pidfd::open(process), Err(PidfdError::Gone(_))));
        let mut child = child;
        child.wait().unwrap();
    }
}
