//! A file that landed: what is taken of it at once.

use crate::observation::FileSeen;
use crate::sys::Stop;
use picket_common::event::{FileAction, FileEvent, FileIdentity, Program};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So many files are open at once. The kernel gives a new descriptor the lowest number that is free, so its number tells how
/// many there are; what holds the others are those who look into the files.
const OPEN: i32 = 512;
/// How long it is waited for others to be closed, once there are as many.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// A file, open as a place and not for reading: that has no side effects, whatever the file is.
#[derive(Debug)]
pub(in crate::sense) struct Landed {
    place: OwnedFd,
    stat: Stat,
}

impl Landed {
    /// How a place is opened.
    pub(in crate::sense) const FLAGS: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

    /// A file that was opened with [`Landed::FLAGS`]. `None` for what is no file or link, such as a directory, a FIFO, a device.
    pub(in crate::sense) fn of(place: OwnedFd) -> io::Result<Option<Self>> {
        let stat = rustix::fs::fstat(&place)?;
        let matters = matches!(
            FileType::from_raw_mode(stat.st_mode),
            FileType::RegularFile | FileType::Symlink
        );
        Ok(matters.then_some(Self { place, stat }))
    }

    pub(in crate::sense) fn stat(&self) -> &Stat {
        &self.stat
    }

    pub(in crate::sense) fn is_link(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Symlink
    }

    /// Where it is, by the kernel's account. `None` when it has no name any more.
    pub(in crate::sense) fn path(&self) -> Option<PathBuf> {
        path_of(&self.place).ok().filter(|_| self.stat.st_nlink > 0)
    }

    /// Opens it for reading. `None` for a link, and for what does not open, be it that it is too many.
    fn open(&self, opener: &mut Opener, stop: &Stop) -> Option<OwnedFd> {
        if self.is_link() {
            return None;
        }
        // Through the place itself: whatever happened to its names, it is this file.
        let own = format!("/proc/self/fd/{}", self.place.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || {
            let without_trace = rustix::fs::open(&own, flags | OFlags::NOATIME, Mode::empty());
            without_trace.or_else(|error| match error {
                rustix::io::Errno::PERM => rustix::fs::open(&own, flags, Mode::empty()),
                _ => Err(error),
            })
        };
        opener.open(open, stop)
    }
}

/// Opens files, as long as not too many are open.
#[derive(Debug, Default)]
pub(in crate::sense) struct Opener {
    /// How many files were told of without being opened, because too many were open.
    pub(in crate::sense) unopened: u64,
    /// They were too many, and it was waited in vain.
    impatient: bool,
}

impl Opener {
    fn open(&mut self, open: impl Fn() -> rustix::io::Result<OwnedFd>, stop: &Stop) -> Option<OwnedFd> {
        let begun = std::time::Instant::now();
        loop {
            let too_many = match open() {
                Ok(file) if file.as_raw_fd() < OPEN => {
                    self.impatient = false;
                    return Some(file);
                }
                Ok(_) | Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => true,
                Err(_) => false,
            };
            if !too_many {
                return None;
            }
            // The kernel's own queue holds meanwhile what happens.
            if self.impatient || begun.elapsed() >= PATIENCE || stop.wait(PAUSE) {
                self.impatient = true;
                self.unopened += 1;
                return None;
            }
        }
    }

    /// What is told of a file: from here on it travels with its descriptor. Of one that is gone already only the path is known.
    pub(in crate::sense) fn seen(
        &mut self,
        path: &Path,
        action: FileAction,
        landed: Option<&Landed>,
        writer: Option<Box<Program>>,
        stop: &Stop,
    ) -> FileSeen {
        let mut event = FileEvent::new(path.to_string_lossy(), action);
        event.writer = writer;
        let Some(landed) = landed else {
            return FileSeen { event, file: None };
        };
        let stat = &landed.stat;
        event.identity = Some(FileIdentity {
            device: stat.st_dev,
            inode: stat.st_ino,
        });
        event.uid = Some(stat.st_uid);
        event.gid = Some(stat.st_gid);
        if landed.is_link() {
            let target = rustix::fs::readlinkat(&landed.place, "", Vec::new()).ok();
            event.target = target.map(|target| target.to_string_lossy().into());
        } else {
            event.size = u64::try_from(stat.st_size).ok();
            event.mode = Some(stat.st_mode & 0o7777);
        }
        let file = landed.open(self, stop);
        FileSeen { event, file }
    }
}

/// The path of an open file or directory, by the kernel's account.
pub(in crate::sense) fn path_of(place: &OwnedFd) -> io::Result<PathBuf> {
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new())?;
    Ok(std::ffi::OsStr::from_bytes(path.as_bytes()).into())
}

/// Whether a path leads to an open directory, so that it is its path indeed.
pub(in crate::sense) fn leads_to(path: &Path, place: &OwnedFd) -> bool {
    let there = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW);
    let open = rustix::fs::fstat(place);
    matches!((there, open), (Ok(there), Ok(open)) if (there.st_dev, there.st_ino) == (open.st_dev, open.st_ino))
}
