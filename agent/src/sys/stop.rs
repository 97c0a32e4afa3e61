//! A flag that threads can wait for beside their own descriptors.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// Once raised it stays raised. Its clones are one flag.
#[derive(Clone, Debug)]
pub struct Stop(Arc<EventFd>);

impl Stop {
    /// A flag that is not raised.
    pub fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self(Arc::new(event)))
    }

    /// Raises it.
    pub fn raise(&self) {
        // A counter that is full is raised as well.
        let _ = self.0.write(1);
    }

    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Waits for at most `span`. Whether it is raised.
    pub fn wait(&self, span: Duration) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let span = PollTimeout::try_from(span).unwrap_or(PollTimeout::MAX);
        // An interruption only makes the wait shorter.
        let _ = poll(&mut fds, span);
        self.is_raised()
    }

    /// Waits for at most `span` until `other` can be read or has been hung up, or the flag is raised.
    pub fn wait_for_at_most(&self, other: BorrowedFd<'_>, span: Duration) -> io::Result<()> {
        let mut fds = [
            PollFd::new(self.0.as_fd(), PollFlags::POLLIN),
            PollFd::new(other, PollFlags::POLLIN),
        ];
        let span = PollTimeout::try_from(span).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, span) {
            // An interruption only makes the wait shorter.
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until something happens to one of `others`, or the flag is raised; with `wait` false it only looks. Gives to which of
    /// them; `None` once the flag is raised.
    pub fn wait_for_any<const N: usize>(
        &self,
        others: [PollFd<'_>; N],
        wait: bool,
    ) -> io::Result<Option<[bool; N]>> {
        let mut fds: Vec<PollFd<'_>> = others.to_vec();
        fds.push(PollFd::new(self.0.as_fd(), PollFlags::POLLIN));
        let span = if wait {
            PollTimeout::NONE
        } else {
            PollTimeout::ZERO
        };
        loop {
            match poll(&mut fds, span) {
                Ok(_) => break,
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let happened = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        if fds.pop().is_some_and(|own| happened(&own)) {
            return Ok(None);
        }
        let mut all = [false; N];
        all.iter_mut().zip(&fds).for_each(|(to, fd)| *to = happened(fd));
        Ok(Some(all))
    }

    /// Waits until `other` can be read or has been hung up, or the flag is raised. Whether to go on.
    pub fn wait_for(&self, other: BorrowedFd<'_>) -> io::Result<bool> {
        let mut fds = [
            PollFd::new(self.0.as_fd(), PollFlags::POLLIN),
            PollFd::new(other, PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => return Ok(!self.is_raised()),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
