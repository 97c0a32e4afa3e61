//! Opening a file to be looked into, by its path, once.

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

/// Opens a regular file for reading. Links are not followed, and what is no file is not even touched: opening a device can do
/// things, and opening a FIFO wait for ever.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(CWD, path, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&place)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    // The same file, whatever the path leads to by now. Without the wait for a lease that somebody may hold on it.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let same = format!("/proc/self/fd/{}", place.as_raw_fd());
    Ok(openat(CWD, same, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_opened_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(open(&file).is_ok());
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for other in [&link, &fifo, folder.path(), Path::new("/dev/zero")] {
            assert_eq!(
                open(other).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{other:?}"
            );
        }
        assert_eq!(
            open(&folder.path().join("no")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
