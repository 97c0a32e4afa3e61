//! A place in the file system, held by its folder: no link is followed to it, and whatever is renamed or swapped on the way
//! there meanwhile changes nothing.

use picket_common::event::FileIdentity;
use picket_common::raw_text::RawText;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, fchmod, fstat, fsync, linkat,
    mkdirat, openat, openat2, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// So many names of a folder are looked at.
const MOST_NAMES: usize = 100_000;

/// A name in a folder.
pub(super) struct Place {
    folder: OwnedFd,
    name: OsString,
}

impl Place {
    /// A folder that only this process's user can enter; it is made if there is none.
    pub(super) fn own_folder(path: &Path) -> io::Result<OwnedFd> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)?;
        let folder = openat(CWD, path, FOLDER, Mode::empty())?;
        let stat = fstat(&folder)?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("it belongs to another user"));
        }
        if !is_own(&stat) {
            fchmod(&folder, Mode::RWXU)?;
        }
        Ok(folder)
    }

    /// The place that a path names. The path is absolute and has no links in it.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let (folder, name) = path
            .parent()
            .filter(|folder| folder.is_absolute())
            .zip(path.file_name())
            .ok_or_else(|| io::Error::other("it is no absolute path of a file"))?;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let folder = match openat2(CWD, folder, FOLDER, Mode::empty(), resolve) {
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(io::Error::other(
                    "a symbolic link, or what is no folder, is in its path",
                ));
            }
            other => other?,
        };
        Ok(Self {
            folder,
            name: name.to_owned(),
        })
    }

    /// A name in a folder that is open already.
    pub(super) fn in_folder(folder: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<Self> {
        Ok(Self {
            folder: folder.as_fd().try_clone_to_owned()?,
            name: name.as_ref().to_owned(),
        })
    }

    /// Opens the file that lies there, if it is one: opening anything else may do something, or take forever.
    pub(super) fn open(&self) -> io::Result<File> {
        let held = openat(
            &self.folder,
            &self.name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        match FileType::from_raw_mode(fstat(&held)?.st_mode) {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(io::Error::other("it is a symbolic link")),
            FileType::Directory => return Err(io::Error::other("it is a folder")),
            _ => return Err(io::Error::other("it is no regular file")),
        }
        // The same file, by the handle and not by its name.
        let path = format!("/proc/self/fd/{}", held.as_raw_fd());
        let open = |flags: OFlags| {
            let flags = i32::try_from((flags | OFlags::NONBLOCK | OFlags::NOCTTY).bits());
            OpenOptions::new()
                .read(true)
                .custom_flags(flags.unwrap_or_default())
                .open(&path)
        };
        match open(OFlags::NOATIME) {
            // For a file of somebody else's, asked by who is not root.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open(OFlags::empty()),
            other => other,
        }
    }

    /// Makes a file that only this process's user can read, where nothing lies yet.
    pub(super) fn create(&self) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.folder, &self.name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// What lies there; `None` when nothing does.
    pub(super) fn look(&self) -> io::Result<Option<Stat>> {
        match statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves what lies here to where nothing lies, for good. Both are in one file system.
    pub(super) fn rename(&self, to: &Self) -> io::Result<()> {
        let moved = renameat_with(
            &self.folder,
            &self.name,
            &to.folder,
            &to.name,
            RenameFlags::NOREPLACE,
        );
        match moved {
            // A file system that does not know this; a link does not replace anything either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(&self.folder, &self.name, &to.folder, &to.name, AtFlags::empty())?;
                unlinkat(&self.folder, &self.name, AtFlags::empty())?;
            }
            other => other?,
        }
        self.sync()?;
        to.sync()
    }

    /// Moves what lies here to where something may lie, in the same folder.
    pub(super) fn replace(&self, to: &Self) -> io::Result<()> {
        renameat(&self.folder, &self.name, &to.folder, &to.name)?;
        to.sync()
    }

    /// Takes the name away, if it is there.
    pub(super) fn remove(&self) -> io::Result<()> {
        match unlinkat(&self.folder, &self.name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Makes what was done to the folder's names safe from a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.folder)?)
    }

    /// Beside it, under another name.
    pub(super) fn beside(&self, name: &str) -> io::Result<Self> {
        Self::in_folder(&self.folder, name)
    }

    /// The name with something behind it, in the same folder; `None` when it would be too long.
    pub(super) fn with_ending(&self, ending: &str) -> io::Result<Self> {
        let mut bytes = self.name.as_bytes().to_vec();
        bytes.truncate(255_usize.saturating_sub(ending.len()));
        bytes.extend_from_slice(ending.as_bytes());
        Self::in_folder(&self.folder, OsStr::from_bytes(&bytes))
    }

    /// The same once more.
    pub(super) fn beside_itself(&self) -> io::Result<Self> {
        Self::in_folder(&self.folder, &self.name)
    }

    /// Its own name.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// The other names in its folder that are the same file.
    pub(super) fn other_names(&self, identity: FileIdentity) -> io::Result<Vec<RawText>> {
        let mut names = Vec::new();
        for name in names_in(&self.folder)? {
            let same = statat(&self.folder, &name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| self::identity(&stat) == identity);
            if same && name != self.name {
                names.push(name.as_bytes().into());
            }
        }
        Ok(names)
    }
}

/// A folder of the agent's own beside a file, in which nobody else can reach anything.
pub(super) struct Aside {
    place: Place,
    folder: OwnedFd,
}

impl Aside {
    /// Makes it. Whoever may write to the folder around it can rename it, and no more.
    pub(super) fn make(beside: &Place, name: &str) -> io::Result<Self> {
        let place = beside.beside(name)?;
        mkdirat(&place.folder, &place.name, Mode::RWXU)?;
        let opened = Self::open(place)?;
        if !names_in(&opened.folder)?.is_empty() {
            return Err(io::Error::other("somebody has put another folder in its place"));
        }
        Ok(opened)
    }

    /// Finds one that an earlier run has made and that has something of this name in it, whatever it is called by now.
    pub(super) fn find(beside: &Place, name: &str, inside: &str) -> io::Result<Option<Self>> {
        let mut names = vec![OsString::from(name)];
        names.extend(names_in(&beside.folder)?);
        for name in names {
            let place = Place::in_folder(&beside.folder, &name)?;
            if let Some(stat) = place.look()?
                && is_own(&stat)
                && let Ok(found) = Self::open(place)
                && found.inside(inside)?.look()?.is_some()
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn open(place: Place) -> io::Result<Self> {
        let folder = openat(&place.folder, &place.name, FOLDER, Mode::empty())?;
        match is_own(&fstat(&folder)?) {
            true => Ok(Self { place, folder }),
            false => Err(io::Error::other("somebody has put another folder in its place")),
        }
    }

    /// A name in it.
    pub(super) fn inside(&self, name: &str) -> io::Result<Place> {
        Place::in_folder(&self.folder, name)
    }

    /// Takes away one of that name that is empty, if there is one: an earlier run may have left it.
    pub(super) fn sweep(beside: &Place, name: &str) -> io::Result<()> {
        let place = beside.beside(name)?;
        match place.look()? {
            Some(stat) if is_own(&stat) => Self::open(place)?.remove(),
            _ => Ok(()),
        }
    }

    /// Takes it away once it is empty.
    pub(super) fn remove(&self) -> io::Result<()> {
        unlinkat(&self.place.folder, &self.place.name, AtFlags::REMOVEDIR)?;
        self.place.sync()
    }
}

/// Whether it is a folder that nobody but this process's user can enter.
fn is_own(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_mode & 0o777 == 0o700
}

pub(super) fn names_in(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)?.take(MOST_NAMES) {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// Whether it is a file, and no link, folder or device.
pub(super) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Which file it is.
pub(super) fn identity(stat: &Stat) -> FileIdentity {
    FileIdentity {
        device: stat.st_dev,
        inode: stat.st_ino,
    }
}

/// Which file is open.
pub(super) fn identity_of(file: &File) -> io::Result<FileIdentity> {
    let data = file.metadata()?;
    Ok(FileIdentity {
        device: data.dev(),
        inode: data.ino(),
    })
}
