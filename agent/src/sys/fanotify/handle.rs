//! File handles: names of files that hold whatever happens to their paths.

use super::record::array;
use nix::errno::Errno;
use nix::libc;
use rustix::fs::OFlags;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// Longer handles there are none: `MAX_HANDLE_SZ` of the kernel.
const LONGEST: usize = 128;
/// The file system's id, the handle's length, its type.
const BEFORE: usize = 16;

/// One file on one file system, as a notice names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fid<'a>(&'a [u8]);

/// `struct file_handle` with room for the longest.
#[repr(C)]
struct Handle {
    length: libc::c_uint,
    kind: libc::c_int,
    bytes: [u8; LONGEST],
}

impl<'a> Fid<'a> {
    /// Takes one off the beginning of some bytes.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = usize::try_from(u32::from_ne_bytes(array(bytes, 8)?)).ok()?;
        let whole = BEFORE + Some(length).filter(|length| *length <= LONGEST)?;
        let (fid, rest) = bytes.split_at_checked(whole)?;
        Some((Self(fid), rest))
    }

    /// What tells it from all others.
    pub fn key(self) -> &'a [u8] {
        self.0
    }

    /// The id of its file system, as `statfs` gives it.
    pub fn file_system(self) -> [u8; 8] {
        array(self.0, 0).unwrap_or_default()
    }

    /// Opens it. `mount` is any open file or directory of its file system, and no `O_PATH`. No path is walked, so nobody can put
    /// another file in its place; `ESTALE` when it is gone. Takes `CAP_DAC_READ_SEARCH`.
    pub fn open(self, mount: BorrowedFd<'_>, flags: OFlags) -> io::Result<OwnedFd> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let kind = array(self.0, 12).ok_or_else(invalid)?;
        let named = self.0.get(BEFORE..).ok_or_else(invalid)?;
        let mut handle = Handle {
            length: libc::c_uint::try_from(named.len()).map_err(|_| invalid())?,
            kind: libc::c_int::from_ne_bytes(kind),
            bytes: [0; LONGEST],
        };
        handle
            .bytes
            .get_mut(..named.len())
            .ok_or_else(invalid)?
            .copy_from_slice(named);
        let flags = libc::c_int::from_ne_bytes((flags | OFlags::CLOEXEC).bits().to_ne_bytes());
        #[expect(unsafe_code, reason = "no crate at hand wraps it")]
        // SAFETY: `handle` is laid out as `struct file_handle` and lives until after the call, which reads `length` bytes of
        // what follows the two numbers: as many as were just copied, and no more than there are. It writes nothing.
        let opened = unsafe {
            libc::open_by_handle_at(mount.as_raw_fd(), std::ptr::from_mut(&mut handle).cast(), flags)
        };
        let opened = Errno::result(opened)?;
        #[expect(unsafe_code, reason = "the kernel hands over a number")]
        // SAFETY: the call succeeded, so this is a descriptor that was just opened and that nobody else knows of.
        let opened = unsafe { OwnedFd::from_raw_fd(opened) };
        Ok(opened)
    }
}

/// Whether the file system of an open directory can find a file again by its handle.
pub fn is_nameable(of: BorrowedFd<'_>) -> bool {
    let mut handle = Handle {
        length: libc::c_uint::try_from(LONGEST).unwrap_or(0),
        kind: 0,
        bytes: [0; LONGEST],
    };
    let mut mount = 0;
    #[expect(unsafe_code, reason = "no crate at hand wraps it")]
    // SAFETY: `handle` is laid out as `struct file_handle` and says how much room it has, `mount` is the number that the call
    // writes, the path is empty and ends in a zero byte; all of them live until after the call.
    let done = unsafe {
        libc::name_to_handle_at(
            of.as_raw_fd(),
            c"".as_ptr(),
            std::ptr::from_mut(&mut handle).cast(),
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    done == 0
}
