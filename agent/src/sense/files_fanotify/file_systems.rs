//! The file systems that are watched, and opening what a notice names.

use crate::parse::mount_info::Mount;
use crate::sense::files::{Home, Scope, home, leads_to, path_of};
use crate::sys::fanotify::{Fid, FileNotices, is_nameable};
use rustix::fs::{CWD, Mode, OFlags};
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// The file systems that are marked.
#[derive(Debug, Default)]
pub(super) struct FileSystems {
    marked: Vec<FileSystem>,
    refused: HashSet<PathBuf>,
}

#[derive(Debug)]
struct FileSystem {
    id: [u8; 8],
    /// Where it is mounted. Nothing of it stays open: that would keep it from being unmounted.
    points: Vec<PathBuf>,
    /// Some of these, open while a batch of notices is handled.
    open: Vec<Option<OwnedFd>>,
}

/// Why a file system is not watched.
#[derive(Debug)]
pub struct Refused {
    /// Where it is mounted.
    pub point: PathBuf,
    kind: String,
    why: Why,
    /// What of it would be watched.
    watched: Vec<PathBuf>,
}

/// What is wrong with it.
#[derive(Debug)]
enum Why {
    /// It lies on another machine, or may.
    Remote,
    /// It cannot find a file again by its handle.
    Nameless,
    /// The kernel says no.
    System(io::Error),
}

impl Refused {
    /// What of it would be watched.
    pub fn into_watched(self) -> Vec<PathBuf> {
        self.watched
    }

    /// Whether it lies on another machine, so that no other sensor would see more.
    pub fn is_remote(&self) -> bool {
        matches!(self.why, Why::Remote)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}) is not watched by fanotify: ",
            self.point.display(),
            self.kind
        )?;
        match &self.why {
            Why::Remote => f.write_str("what is written to it elsewhere is not told here"),
            Why::Nameless => f.write_str("it cannot find a file again by its handle"),
            Why::System(error) => write!(f, "{error}"),
        }
    }
}

impl FileSystems {
    /// Marks all file systems that hold something that is watched. Gives where those that were not marked before are mounted, and
    /// what is refused, once each.
    pub(super) fn renew(
        &mut self,
        notices: &FileNotices,
        scope: &Scope,
        mounts: &[Mount],
    ) -> (Vec<PathBuf>, Vec<Refused>) {
        let before = std::mem::take(&mut self.marked);
        let (mut fresh, mut refused, mut still) = (Vec::new(), Vec::new(), HashSet::new());
        for mount in concerned(scope, mounts) {
            match self.mark(notices, mount) {
                Ok(Some(id)) => {
                    let known = before
                        .iter()
                        .any(|system| system.id == id && system.points.contains(&mount.point));
                    if !known {
                        fresh.push(mount.point.clone());
                    }
                }
                Ok(None) => {}
                Err(why) => {
                    if !self.refused.contains(&mount.point) {
                        refused.push(Refused {
                            point: mount.point.clone(),
                            kind: mount.kind.clone(),
                            why,
                            watched: watched_of(scope, &mount.point, mounts),
                        });
                    }
                    still.insert(mount.point.clone());
                }
            }
        }
        self.refused = still;
        (fresh, refused)
    }

    /// Marks what is mounted there. `None` for what needs no watch.
    fn mark(&mut self, notices: &FileNotices, mount: &Mount) -> Result<Option<[u8; 8]>, Why> {
        match home(&mount.kind) {
            Home::Kernel => return Ok(None),
            Home::Remote => return Err(Why::Remote),
            Home::Local => {}
        }
        let place = match open(&mount.point) {
            Ok(place) => place,
            // It is gone again, and its going has been told.
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Why::System(error.into())),
        };
        if !is_nameable(place.as_fd()) {
            return Err(Why::Nameless);
        }
        notices.mark_file_system(place.as_fd()).map_err(Why::System)?;
        let id = id_of(&place).map_err(Why::System)?;
        match self.marked.iter_mut().find(|system| system.id == id) {
            Some(known) => {
                known.points.push(mount.point.clone());
                known.open.push(None);
            }
            None => self.marked.push(FileSystem {
                id,
                points: vec![mount.point.clone()],
                open: vec![None],
            }),
        }
        Ok(Some(id))
    }

    /// Where all of them are mounted.
    pub(super) fn points(&self) -> impl Iterator<Item = &PathBuf> {
        self.marked.iter().flat_map(|system| &system.points)
    }

    /// Opens what a notice names.
    pub(super) fn open(&mut self, fid: Fid<'_>, flags: OFlags) -> io::Result<OwnedFd> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let Some(system) = self
            .marked
            .iter_mut()
            .find(|system| system.id == fid.file_system())
        else {
            return Err(last);
        };
        for at in 0..system.points.len() {
            match system.mount(at).map(|mount| fid.open(mount.as_fd(), flags)) {
                Some(Ok(opened)) => return Ok(opened),
                Some(Err(error)) => last = error,
                None => {}
            }
        }
        Err(last)
    }

    /// Opens a directory that a notice names as a place, and finds the path by which it is reached here. Of one that was removed that is the
    /// last that it had, if anybody knows; of one that lies where no mount leads there is none.
    pub(super) fn directory(&mut self, fid: Fid<'_>) -> Option<(PathBuf, OwnedFd)> {
        let system = self
            .marked
            .iter_mut()
            .find(|system| system.id == fid.file_system())?;
        for at in 0..system.points.len() {
            let Some(mount) = system.mount(at) else { continue };
            let Ok(place) = fid.open(mount.as_fd(), OFlags::PATH | OFlags::DIRECTORY) else {
                continue;
            };
            // Outside of what is mounted, the kernel's account is no path of this host: so it is tried.
            if let Ok(path) = path_of(&place)
                && leads_to(&path, &place)
            {
                return Some((path, place));
            }
        }
        None
    }

    /// Closes what was opened for a batch of notices.
    pub(super) fn close(&mut self) {
        for open in self.marked.iter_mut().flat_map(|system| &mut system.open) {
            *open = None;
        }
    }
}

impl FileSystem {
    fn mount(&mut self, at: usize) -> Option<&OwnedFd> {
        let (point, open) = (self.points.get(at)?, self.open.get_mut(at)?);
        if open.is_none() {
            // Something else may be mounted over it by now.
            *open = self::open(point)
                .ok()
                .filter(|place| id_of(place).is_ok_and(|id| id == self.id));
        }
        open.as_ref()
    }
}

/// What is watched of what is mounted there.
pub(super) fn watched_of(scope: &Scope, point: &Path, mounts: &[Mount]) -> Vec<PathBuf> {
    let roots = scope.roots();
    if roots.iter().any(|root| point.starts_with(root)) {
        return vec![point.to_owned()];
    }
    let within = roots.iter().filter(|root| around(root, mounts) == Some(point));
    within.cloned().collect()
}

/// Where that is mounted in which a path lies.
fn around<'a>(path: &Path, mounts: &'a [Mount]) -> Option<&'a Path> {
    let points = mounts.iter().map(|mount| mount.point.as_path());
    points
        .filter(|point| path.starts_with(point))
        .max_by_key(|point| point.as_os_str().len())
}

/// The mounts in which something is watched: those below what is watched, and that in which it lies.
fn concerned<'a>(scope: &Scope, mounts: &'a [Mount]) -> Vec<&'a Mount> {
    let mut concerned: Vec<&Mount> = Vec::new();
    for root in scope.roots() {
        let around = around(root, mounts);
        let below = |mount: &&Mount| mount.point.starts_with(root) || Some(mount.point.as_path()) == around;
        for mount in mounts.iter().filter(below) {
            // What is mounted later over the same place hides what was there.
            concerned.retain(|other| other.point != mount.point);
            concerned.push(mount);
        }
    }
    concerned
}

fn open(point: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, point, flags | OFlags::DIRECTORY, Mode::empty());
    match directory {
        // A single file may be mounted over another.
        Err(rustix::io::Errno::NOTDIR) => {
            rustix::fs::openat(CWD, point, flags | OFlags::NOFOLLOW, Mode::empty())
        }
        other => other,
    }
}

/// The two numbers that `statfs` gives, the first of them lower.
fn id_of(place: &OwnedFd) -> io::Result<[u8; 8]> {
    let both = rustix::fs::fstatvfs(place)?.f_fsid;
    let [a, b, c, d, e, f, g, h] = both.to_le_bytes();
    let [low, high] = [[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes);
    let mut id = [0; 8];
    let bytes = low.to_ne_bytes().into_iter().chain(high.to_ne_bytes());
    id.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    Ok(id)
}
