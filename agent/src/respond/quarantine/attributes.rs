//! What a file has beside its content: owner, mode, times, extended attributes (ACLs and labels are some), and inode flags.

use picket_common::raw_text::RawText;
use rustix::fs::{
    Gid, IFlags, Mode, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr,
    fremovexattr, fsetxattr, fstat, futimens, ioctl_getflags, ioctl_setflags,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

/// As much as the kernel lets an attribute hold, and the names of all together.
const LONGEST: usize = 64 << 10;
/// What keeps root from moving a file.
const LOCKS: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);
/// What is put back of the inode's flags; the others are of the file system's own business.
const KEPT: IFlags = LOCKS
    .union(IFlags::NODUMP)
    .union(IFlags::NOATIME)
    .union(IFlags::SYNC);
/// A label that a new file has by itself and that nobody can take away.
const LABEL: &[u8] = b"security.selinux";

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attributes {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The lower twelve bits of `st_mode`.
    pub mode: u32,
    /// When it was last read.
    pub accessed: Moment,
    /// When it was last written.
    pub modified: Moment,
    /// The extended attributes.
    pub xattrs: Vec<Xattr>,
    /// Its flags, as `lsattr` shows them.
    pub flags: u32,
}

/// A time as the file system keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds after them.
    pub nanoseconds: i64,
}

/// An extended attribute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Xattr {
    /// Its name.
    pub name: RawText,
    /// Its value, which is a text where it reads as one.
    pub value: RawText,
}

impl Attributes {
    /// Takes them of a file before anybody reads it.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let stat = fstat(file)?;
        Ok(Self {
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            accessed: Moment {
                seconds: stat.st_atime,
                nanoseconds: i64::try_from(stat.st_atime_nsec).unwrap_or_default(),
            },
            modified: Moment {
                seconds: stat.st_mtime,
                nanoseconds: i64::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            },
            xattrs: xattrs(file)?,
            flags: flags(file)?.bits(),
        })
    }

    /// Gives them to a file, all but the flags: with some of those nobody could move it any more.
    pub(super) fn give(&self, file: &File) -> io::Result<()> {
        // A folder's default ACL gave it attributes that it never had.
        for Xattr { name, .. } in xattrs(file)? {
            let kept = self.xattrs.iter().any(|own| own.name == name);
            if !kept && name.as_bytes() != LABEL {
                fremovexattr(file, OsStr::from_bytes(name.as_bytes()))?;
            }
        }
        // First, as it takes rights away that the next ones give.
        fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        for Xattr { name, value } in &self.xattrs {
            let set = fsetxattr(
                file,
                OsStr::from_bytes(name.as_bytes()),
                value.as_bytes(),
                XattrFlags::empty(),
            );
            set.map_err(|error| {
                io::Error::other(format!(
                    "it had the attribute {name}, which cannot be set here: {error}"
                ))
            })?;
        }
        fchmod(file, Mode::from_raw_mode(self.mode))?;
        let time = |moment: Moment| Timespec {
            tv_sec: moment.seconds,
            tv_nsec: moment.nanoseconds,
        };
        futimens(
            file,
            &Timestamps {
                last_access: time(self.accessed),
                last_modification: time(self.modified),
            },
        )?;
        Ok(())
    }

    /// Gives a file its flags.
    pub(super) fn lock(&self, file: &File) -> io::Result<()> {
        let wanted = IFlags::from_bits_retain(self.flags) & KEPT;
        let now = flags(file)?;
        if now & KEPT != wanted {
            ioctl_setflags(file, (now - KEPT) | wanted)?;
        }
        Ok(())
    }

    /// Takes the flags from a file that keep root from moving it.
    pub(super) fn unlock(&self, file: &File) -> io::Result<()> {
        let own = IFlags::from_bits_retain(self.flags);
        if own.intersects(LOCKS) {
            ioctl_setflags(file, own - LOCKS)?;
        }
        Ok(())
    }
}

fn flags(file: &File) -> io::Result<IFlags> {
    match ioctl_getflags(file) {
        // A file system that has none.
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => Ok(IFlags::empty()),
        other => Ok(other?),
    }
}

fn xattrs(file: &File) -> io::Result<Vec<Xattr>> {
    let mut names = vec![0; LONGEST];
    let length = match flistxattr(file, names.as_mut_slice()) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => 0,
        other => other?,
    };
    let names = names.get(..length).unwrap_or_default();
    let mut xattrs = Vec::new();
    let mut value = vec![0; LONGEST];
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let length = match fgetxattr(file, OsStr::from_bytes(name), value.as_mut_slice()) {
            // Gone since.
            Err(Errno::NODATA) => continue,
            other => other?,
        };
        xattrs.push(Xattr {
            name: name.into(),
            value: value.get(..length).unwrap_or_default().into(),
        });
    }
    Ok(xattrs)
}
