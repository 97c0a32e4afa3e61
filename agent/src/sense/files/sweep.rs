//! Looks for files that landed while nobody saw it.

use super::landed::Landed;
use super::scope::{Place, Scope};
use picket_common::event::FileAction;
use picket_common::time::Timestamp;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// So many names are looked at before whoever sweeps does something else.
const STEP: usize = 256;
/// So many directories wait to be listed; more are counted and passed over.
const WAITING: usize = 100_000;

/// One walk through some directories, a step at a time.
#[derive(Debug)]
pub(in crate::sense) struct Sweep {
    waiting: Vec<PathBuf>,
    listed: Option<Listed>,
    /// Files that have not changed since are passed over. A file's time of change cannot be set as its other times can.
    since: Option<Timestamp>,
    action: FileAction,
    /// How many files it has found.
    pub(in crate::sense) found: u64,
    /// How many directories it could not list.
    pub(in crate::sense) unlisted: u64,
}

struct Listed {
    path: PathBuf,
    device: u64,
    place: OwnedFd,
    entries: Dir,
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listed")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Sweep {
    /// Below `places`, of files that changed since then, or of all.
    pub(in crate::sense) fn new(places: Vec<PathBuf>, since: Option<Timestamp>, action: FileAction) -> Self {
        Self {
            waiting: places,
            listed: None,
            since,
            action,
            found: 0,
            unlisted: 0,
        }
    }

    pub(in crate::sense) fn action(&self) -> FileAction {
        self.action
    }

    /// Since when files are looked for; `None` when it looks for all.
    pub(in crate::sense) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Goes on for a step and hands on what it finds. Whether there is more to do. It goes into no file system that is mounted
    /// below its beginnings, unless `enter` says so.
    pub(in crate::sense) fn step(
        &mut self,
        scope: &Scope,
        enter: &HashSet<PathBuf>,
        mut found: impl FnMut(&Path, Landed),
        mut directory: impl FnMut(&Path),
    ) -> bool {
        for _ in 0..STEP {
            let Some(listed) = &mut self.listed else {
                let Some(next) = self.waiting.pop() else {
                    return false;
                };
                match Listed::begin(&next) {
                    Ok(listed) => {
                        directory(&next);
                        self.listed = Some(listed);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                        self.found += u64::from(self.single(&next, scope, &mut found));
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(_) => self.unlisted += 1,
                }
                continue;
            };
            let entry = match listed.entries.next() {
                Some(Ok(entry)) => entry,
                Some(Err(_)) => {
                    self.unlisted += 1;
                    self.listed = None;
                    continue;
                }
                None => {
                    self.listed = None;
                    continue;
                }
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(&listed.place, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let path = listed.path.join(OsStr::from_bytes(name.to_bytes()));
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let mounted = stat.st_dev != listed.device;
                let enters = !mounted || enter.contains(&path);
                if enters && scope.place(&path) != Place::Outside {
                    if self.waiting.len() < WAITING {
                        self.waiting.push(path);
                    } else {
                        self.unlisted += 1;
                    }
                }
            } else if changed_since(&stat, self.since) && scope.holds(&path) {
                let place = rustix::fs::openat(&listed.place, name, Landed::FLAGS, Mode::empty());
                if let Some(landed) = place.ok().and_then(|place| Landed::of(place).ok().flatten()) {
                    self.found += 1;
                    found(&path, landed);
                }
            }
        }
        true
    }

    fn single(&self, path: &Path, scope: &Scope, found: &mut impl FnMut(&Path, Landed)) -> bool {
        let place = rustix::fs::openat2(CWD, path, Landed::FLAGS, Mode::empty(), ResolveFlags::NO_SYMLINKS);
        let landed = place.ok().and_then(|place| Landed::of(place).ok().flatten());
        let landed = landed.filter(|landed| changed_since(landed.stat(), self.since) && scope.holds(path));
        let is_there = landed.is_some();
        if let Some(landed) = landed {
            found(path, landed);
        }
        is_there
    }
}

impl Listed {
    fn begin(path: &Path) -> io::Result<Self> {
        // No part of it may have become a link that leads elsewhere.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
        let device = rustix::fs::fstat(&place)?.st_dev;
        let entries = Dir::read_from(&place)?;
        Ok(Self {
            path: path.to_owned(),
            device,
            place,
            entries,
        })
    }
}

fn changed_since(stat: &Stat, since: Option<Timestamp>) -> bool {
    let Some(since) = since else { return true };
    let nanoseconds = i64::try_from(stat.st_ctime_nsec).unwrap_or(0);
    let changed = stat
        .st_ctime
        .saturating_mul(1_000_000)
        .saturating_add(nanoseconds / 1000);
    Timestamp::from_micros(changed) >= since
}
