//! A gate before every program that starts: the kernel asks, and whoever starts it waits for the answer.
//!
//! When the group is closed, also by the end of its process, the kernel lets all go on that still wait.

use nix::sys::fanotify::{
    EventFFlags, Fanotify, FanotifyEvent, FanotifyResponse, InitFlags, MarkFlags, MaskFlags, Response,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// See the module.
pub struct ExecGate(Fanotify);

/// A program that somebody wants to start, and that waits.
pub struct Start(FanotifyEvent);

impl Start {
    /// Its file, open to be read. Reading it asks nobody.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.0.fd()
    }

    /// Who wants to start it.
    pub fn pid(&self) -> u32 {
        u32::try_from(self.0.pid()).unwrap_or(0)
    }
}

impl ExecGate {
    /// A gate before no file system yet. It takes `CAP_SYS_ADMIN` and Linux 5.0.
    pub fn open() -> io::Result<Self> {
        let flags = InitFlags::FAN_CLASS_CONTENT
            | InitFlags::FAN_CLOEXEC
            | InitFlags::FAN_NONBLOCK
            | InitFlags::FAN_UNLIMITED_QUEUE
            | InitFlags::FAN_UNLIMITED_MARKS;
        let files = EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC | EventFFlags::O_LARGEFILE;
        Ok(Self(Fanotify::init(flags, files)?))
    }

    /// Stands before all programs of the file system that a path lies in.
    pub fn watch(&self, path: &Path) -> io::Result<()> {
        let flags = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM;
        let at = nix::fcntl::AT_FDCWD;
        Ok(self
            .0
            .mark(flags, MaskFlags::FAN_OPEN_EXEC_PERM, at, Some(path))?)
    }

    /// What waits now.
    pub fn starts(&self) -> io::Result<Vec<Start>> {
        match self.0.read_events() {
            Ok(events) => Ok(events.into_iter().map(Start).collect()),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets it start, or not: then whoever wanted to start it is told that it is not permitted.
    pub fn answer(&self, start: &Start, allow: bool) -> io::Result<()> {
        let Some(file) = start.0.fd() else {
            return Ok(());
        };
        let response = match allow {
            true => Response::FAN_ALLOW,
            false => Response::FAN_DENY,
        };
        match self.0.write_response(FanotifyResponse::new(file, response)) {
            // Whoever waited was killed meanwhile.
            Ok(()) | Err(nix::errno::Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Does not ask about this file again until somebody writes into it, or [`ExecGate::forget_all`]. A file that is mapped
    /// and written through the map is not asked about either: that the kernel does not see.
    pub fn remember(&self, start: &Start) -> io::Result<()> {
        let Some(file) = start.0.fd() else {
            return Ok(());
        };
        let none: Option<&Path> = None;
        let flags = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_IGNORED_MASK;
        let mask = MaskFlags::FAN_OPEN_EXEC_PERM;
        // Since 5.19 the mark does not keep the file in memory.
        let evictable = self
            .0
            .mark(flags | MarkFlags::FAN_MARK_EVICTABLE, mask, file, none);
        Ok(evictable.or_else(|_| self.0.mark(flags, mask, file, none))?)
    }

    /// Asks about each file again.
    pub fn forget_all(&self) -> io::Result<()> {
        let none: Option<&Path> = None;
        let at = nix::fcntl::AT_FDCWD;
        Ok(self
            .0
            .mark(MarkFlags::FAN_MARK_FLUSH, MaskFlags::empty(), at, none)?)
    }
}

impl AsFd for ExecGate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
