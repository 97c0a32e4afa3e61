//! The group of notices that is read.

use super::record::{self, Notice};
use nix::errno::Errno;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use nix::{libc, unistd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};

/// What is read at once: some hundred notices, so that their descriptors of processes are few.
const AT_ONCE: usize = 16 << 10;

/// A file was written and closed, moved, got a name, or had its attributes changed; a directory was moved.
const WATCHED: MaskFlags = MaskFlags::FAN_CLOSE_WRITE
    .union(MaskFlags::FAN_MOVED_TO)
    .union(MaskFlags::FAN_CREATE)
    .union(MaskFlags::FAN_ATTRIB)
    .union(MaskFlags::FAN_ONDIR);

/// `FAN_MARK_ADD`, with `FAN_MARK_IGNORE_SURV`, which a change of what is ignored does not undo, and `FAN_MARK_EVICTABLE`, which
/// keeps nothing in memory.
const IGNORE_EVICTABLY: libc::c_uint = 0x1 | 0x440 | 0x200;

/// What this kernel tells with each notice, and what it can be asked not to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grants {
    /// The file itself also where it is moved or named, from Linux 5.17 on. Without it, it is found by its name in its directory.
    pub target: bool,
    /// A descriptor of the process, from Linux 5.15 on. Without it, its pid may have become another's.
    pub pidfd: bool,
    /// Single directories can be passed over, from Linux 6.0 on. Without it, all notices of a file system are read.
    pub passing: bool,
}

/// Notices of what happens on the file systems that are marked.
#[derive(Debug)]
pub struct FileNotices {
    group: Fanotify,
    grants: Grants,
    buffer: Box<[u8]>,
}

impl FileNotices {
    /// Makes the group, with as much of [`Grants`] as this kernel has. Takes `CAP_SYS_ADMIN`.
    pub fn open() -> io::Result<Self> {
        let refused = |error: &io::Error| error.raw_os_error() == Some(libc::EINVAL);
        let mut opened = Self::open_with(Grants::ALL);
        for less in [
            Grants {
                target: false,
                ..Grants::ALL
            },
            Grants::NONE,
        ] {
            if !opened.as_ref().is_err_and(refused) {
                break;
            }
            opened = Self::open_with(less);
        }
        opened
    }

    /// Makes the group with these, as an older kernel would. An error is `EINVAL` where this kernel does not have them.
    pub fn open_with(grants: Grants) -> io::Result<Self> {
        Ok(Self {
            group: Fanotify::init(grants.flags(), EventFFlags::empty())?,
            grants,
            buffer: vec![0; AT_ONCE].into_boxed_slice(),
        })
    }

    /// What is told with each notice.
    pub fn grants(&self) -> Grants {
        self.grants
    }

    /// Asks for notices of all that happens on the file system of an open file or directory. Asking twice is as good as once.
    pub fn mark_file_system(&self, of: BorrowedFd<'_>) -> io::Result<()> {
        let flags = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM;
        Ok(self.group.mark(flags, WATCHED, of, None::<&[u8]>)?)
    }

    /// Lets files come, go and change in an open directory without a notice, until [`heed_all`](Self::heed_all) or until the kernel
    /// forgets it. What happens to directories in it is told on. An error is `EINVAL` before Linux 6.0.
    pub fn pass_over(&self, directory: BorrowedFd<'_>) -> io::Result<()> {
        if !self.grants.passing {
            return Err(Errno::EINVAL.into());
        }
        let flags = MarkFlags::from_bits_retain(IGNORE_EVICTABLY) | MarkFlags::FAN_MARK_ONLYDIR;
        let what = WATCHED.difference(MaskFlags::FAN_ONDIR) | MaskFlags::FAN_EVENT_ON_CHILD;
        // As its own entry: a directory that is open as a place alone is taken by name only.
        Ok(self.group.mark(flags, what, directory, Some("."))?)
    }

    /// Tells again of all directories.
    pub fn heed_all(&self) -> io::Result<()> {
        let root = rustix::fs::CWD;
        Ok(self
            .group
            .mark(MarkFlags::FAN_MARK_FLUSH, MaskFlags::empty(), root, Some("/"))?)
    }

    /// Reads what there is, without waiting, and hands each notice on with the descriptor of its process. Gives how many.
    pub fn take(&mut self, mut each: impl FnMut(Notice<'_>, Option<OwnedFd>)) -> io::Result<usize> {
        let length = loop {
            match unistd::read(self.group.as_fd(), &mut self.buffer) {
                Ok(length) => break length,
                Err(Errno::EAGAIN) => return Ok(0),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let mut rest = self.buffer.get(..length).unwrap_or_default();
        let mut count = 0;
        while let Some(mut notice) = record::next(&mut rest) {
            let pidfd = notice.pidfd.take().map(|number| {
                #[expect(unsafe_code, reason = "the kernel hands over a number")]
                // SAFETY: the kernel opened it for whoever reads this notice, which is read once; nobody else knows of it.
                let pidfd = unsafe { OwnedFd::from_raw_fd(number) };
                pidfd
            });
            each(notice, pidfd);
            count += 1;
        }
        Ok(count)
    }
}

impl AsFd for FileNotices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

impl Grants {
    /// What a kernel of today has.
    pub const ALL: Self = Self {
        target: true,
        pidfd: true,
        passing: true,
    };
    /// What Linux 5.10 has.
    pub const NONE: Self = Self {
        target: false,
        pidfd: false,
        passing: false,
    };

    fn flags(self) -> InitFlags {
        let mut bits = libc::FAN_CLASS_NOTIF
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK
            | libc::FAN_REPORT_FID
            | libc::FAN_REPORT_DFID_NAME;
        if self.target {
            bits |= libc::FAN_REPORT_TARGET_FID;
        }
        if self.pidfd {
            bits |= libc::FAN_REPORT_PIDFD;
        }
        InitFlags::from_bits_retain(bits)
    }
}
