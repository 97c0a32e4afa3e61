//! Sees files land on whole file systems, by the kernel's fanotify.
//!
//! A whole file system is marked, so a new directory in it is watched before it is there. Each notice names its directory by a
//! handle; [`directories`] knows those in which nothing is watched, and has the kernel pass over them. What is watched is opened
//! by its handle, never by its path, while it is handled. What happened when the kernel's queue was full, before a file system
//! was marked, or in a directory that was moved here as a whole, is looked for between the notices.

mod directories;
mod file_systems;

pub use file_systems::Refused;

use super::files::{
    Landed, Missed, Modes, Mounted, Observer, Pace, Place, Scope, Writers, cursor, now, time_of,
};
use super::{Notice, SenseError, Sensor};
use crate::config::Files;
use crate::observation::{Cursor, Observation, Subject};
use crate::queue::Sender;
use crate::sys::Stop;
use crate::sys::fanotify::{self, FileNotices, Grants, Happened};
use directories::{Directories, Directory};
use file_systems::{FileSystems, watched_of};
use nix::poll::{PollFd, PollFlags};
use picket_common::event::FileAction;
use rustix::fs::{Mode, OFlags};
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

/// See the module.
pub struct FilesFanotify {
    scope: Scope,
    notices: mpsc::Sender<Notice>,
    systems: FileSystems,
    directories: Directories,
    writers: Writers,
    observer: Observer,
    modes: Modes,
    missed: Missed,
    watch: Option<Watch>,
    /// What is watched may lie somewhere else now.
    stale: bool,
    /// What the kernel is to tell with each notice; `None` for all that it can.
    grants: Option<Grants>,
    own: u32,
}

impl FilesFanotify {
    /// What its source is called.
    pub const SOURCE: &str = "fanotify";

    /// Watches as `files` says, but for the agent's `own` folders. Where `cursors` tells until when an earlier run saw all, what
    /// landed since is looked for.
    pub fn new(
        files: &Files,
        own: &[PathBuf],
        cursors: &BTreeMap<Arc<str>, Cursor>,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        Self {
            scope: Scope::new(files, own),
            notices,
            systems: FileSystems::default(),
            directories: Directories::new(),
            writers: Writers::default(),
            observer: Observer::new(Self::SOURCE),
            modes: Modes::new(),
            missed: Missed::new(Self::SOURCE, cursors.get(Self::SOURCE).and_then(time_of)),
            watch: None,
            stale: false,
            grants: None,
            own: std::process::id(),
        }
    }

    /// Takes no more from the kernel than this, as an older one would give.
    #[must_use]
    pub fn granted(mut self, grants: Grants) -> Self {
        self.grants = Some(grants);
        self
    }

    /// Tries whether it works here: what this kernel tells with each notice, and which of the file systems it refuses.
    pub fn probe(files: &Files) -> Result<(Grants, Vec<Refused>), SenseError> {
        let watch = Watch::open(None)?;
        let scope = Scope::new(files, &[]);
        let (_, refused) = FileSystems::default().renew(&watch.group, &scope, &Mounted::now()?);
        Ok((watch.group.grants(), refused))
    }

    /// Begins to watch.
    fn watch(&mut self) -> Result<Watch, SenseError> {
        let watch = Watch::open(self.grants)?;
        self.systems = FileSystems::default();
        self.renew(&watch.group)?;
        Ok(watch)
    }

    /// Marks what is mounted by now. What was written to it before is looked for.
    fn renew(&mut self, group: &FileNotices) -> Result<(), SenseError> {
        self.stale = false;
        if self.scope.renew() {
            self.missed.look_for(self.scope.roots().to_vec());
        }
        let mounts = Mounted::now()?;
        let (fresh, refused) = self.systems.renew(group, &self.scope, &mounts);
        self.directories.clear();
        for refused in refused {
            self.tell(Notice::Warning(refused.to_string()));
        }
        let watched = fresh
            .iter()
            .flat_map(|point| watched_of(&self.scope, point, &mounts));
        self.missed.look_for(watched.collect());
        Ok(())
    }

    fn tell(&self, notice: Notice) {
        // Nobody listens once the agent is ending.
        drop(self.notices.send(notice));
    }

    /// The kernel's queue was full. How many notices did not fit into it is not known.
    fn overflowed(&mut self) {
        self.missed.look_everywhere(&self.scope);
        self.tell(Notice::Lost {
            place: Self::SOURCE.to_owned(),
            lost: 0,
            reason: "more happened than the kernel's queue of notices holds; what landed since is looked for"
                .to_owned(),
        });
    }

    /// Handles one notice. Gives what to tell of it.
    fn handle(
        &mut self,
        notice: &fanotify::Notice<'_>,
        pidfd: Option<OwnedFd>,
        stop: &Stop,
    ) -> Option<Observation> {
        let happened = notice.happened;
        if happened.has(Happened::OVERFLOW) {
            self.overflowed();
            return None;
        }
        let is_directory = happened.has(Happened::DIRECTORY);
        let moved = happened.has(Happened::MOVED);
        if is_directory && moved {
            // Everything below it is somewhere else now.
            self.directories.clear();
        }
        if notice.pid == self.own {
            return None;
        }
        let (fid, name) = (notice.directory?, notice.name.filter(|name| *name != b".")?);
        let found = self.directories.find(fid, &self.scope, &mut self.systems);
        let Directory::At(directory, place) = found else {
            return None;
        };
        let path = directory.join(OsStr::from_bytes(name));
        let appeared = moved || happened.has(Happened::NAMED);
        self.stale |= appeared && self.scope.leads_down(&path);
        if is_directory {
            if moved && (place == Place::Watched || self.scope.leads_down(&path)) {
                self.missed.look_through(path, FileAction::Moved);
            }
            return None;
        }
        if !self.scope.holds(&path) {
            return None;
        }
        let landed = match self.open(notice) {
            Ok(Some(landed)) => Some(landed),
            Ok(None) => return None,
            Err(_) => None,
        };
        let (action, path) = self.judge(happened, landed.as_ref(), path)?;
        let writer = self.writers.find(notice.pid, pidfd);
        let resume_at = self.missed.resume_at();
        Some(
            self.observer
                .observe(&path, action, landed.as_ref(), writer, resume_at, stop),
        )
    }

    /// Opens the file of a notice. `None` for what is none.
    fn open(&mut self, notice: &fanotify::Notice<'_>) -> io::Result<Option<Landed>> {
        let place = match (notice.target, notice.directory, notice.name) {
            (Some(target), _, _) => self.systems.open(target, Landed::FLAGS)?,
            // Before Linux 5.17 the directory is known, and the name in it.
            (None, Some(directory), Some(name)) => {
                let directory = self.systems.open(directory, OFlags::PATH | OFlags::DIRECTORY)?;
                rustix::fs::openat(&directory, name, Landed::FLAGS, Mode::empty())?
            }
            _ => return Ok(None),
        };
        Landed::of(place)
    }

    /// Whether what happened matters, as what it counts, and where.
    fn judge(
        &mut self,
        happened: Happened,
        landed: Option<&Landed>,
        path: PathBuf,
    ) -> Option<(FileAction, PathBuf)> {
        let written = happened.has(Happened::WRITTEN);
        let Some(landed) = landed else {
            // It is gone; that something was written there is told all the same.
            return written.then_some((FileAction::Written, path));
        };
        let stat = landed.stat();
        let runs = self.modes.became_runnable(landed);
        if written {
            // A file that was made without a name, and got one later, is told of under none.
            let nameless = path
                .file_name()
                .is_some_and(|name| name.as_bytes().starts_with(b"#"));
            let path = if nameless { landed.path()? } else { path };
            return self.scope.holds(&path).then_some((FileAction::Written, path));
        }
        if happened.has(Happened::MOVED) {
            return Some((FileAction::Moved, path));
        }
        // What is new is told of once it is closed; a link is never open, and a further name is for a file that is there.
        let further = landed.is_link() || stat.st_nlink > 1;
        if happened.has(Happened::NAMED) {
            return further.then_some((FileAction::Moved, path));
        }
        let attributes = happened.has(Happened::ATTRIBUTES) && stat.st_nlink > 0;
        (attributes && runs).then_some((FileAction::Attributes, path))
    }

    /// Goes on with looking for what was missed. Whether somebody still reads the queue.
    fn look_further(&mut self, queue: &Sender<Observation>, stop: &Stop) -> bool {
        if self.missed.is_found() {
            return true;
        }
        let enter: HashSet<PathBuf> = self.systems.points().cloned().collect();
        let mut read = true;
        let notices = self.missed.step(
            &self.scope,
            &enter,
            |path, landed, action| {
                let seen = self
                    .observer
                    .observe(path, action, Some(&landed), None, None, stop);
                read = read && queue.wait(seen).is_ok();
            },
            |_| {},
        );
        notices.into_iter().for_each(|notice| self.tell(notice));
        // A large tree is gone through without keeping a processor busy.
        stop.wait(Missed::REST);
        read
    }

    /// Reads one batch of notices, and when there is none goes on with looking. Whether somebody still reads the queue.
    fn take(
        &mut self,
        group: &mut FileNotices,
        queue: &Sender<Observation>,
        stop: &Stop,
    ) -> io::Result<bool> {
        let before = now();
        let mut read = true;
        self.writers.begin();
        let count = group.take(|notice, pidfd| {
            if read && let Some(seen) = self.handle(&notice, pidfd, stop) {
                read = queue.wait(seen).is_ok();
            }
        })?;
        self.directories.settle(group);
        self.systems.close();
        if count == 0 {
            // The kernel's queue is empty: nothing of what was before waits any more.
            self.missed.seen_until(before);
            read = self.look_further(queue, stop);
        }
        if let Some(notice) = self.observer.unopened() {
            self.tell(notice);
        }
        Ok(read)
    }
}

/// What the sensor waits for.
struct Watch {
    group: FileNotices,
    mounted: Mounted,
}

impl Watch {
    fn open(grants: Option<Grants>) -> Result<Self, SenseError> {
        let group = grants.map_or_else(FileNotices::open, FileNotices::open_with);
        Ok(Self {
            group: group.map_err(|error| SenseError::System("fanotify", error))?,
            mounted: Mounted::open()?,
        })
    }

    /// Waits, or with `wait` false only looks, for notices and for something that was mounted, or is mounted no more. Tells which
    /// of both; `None` once `stop` is raised.
    fn wait(&self, stop: &Stop, wait: bool) -> io::Result<Option<[bool; 2]>> {
        let notices = PollFd::new(self.group.as_fd(), PollFlags::POLLIN);
        stop.wait_for_any([notices, self.mounted.changes()], wait)
    }
}

impl Sensor for FilesFanotify {
    fn name(&self) -> &'static str {
        "files_fanotify"
    }

    fn describe(&self) -> String {
        self.scope.describe()
    }

    fn sees(&self) -> Vec<Subject> {
        vec![Subject::Files]
    }

    fn begin(&mut self) -> Vec<(Arc<str>, Cursor)> {
        let resumed = self.missed.good().is_some();
        // What is wrong is said when it is tried again.
        let Ok(watch) = self.watch() else {
            return Vec::new();
        };
        self.watch = Some(watch);
        if resumed {
            return Vec::new();
        }
        let from = now();
        self.missed.seen_until(from);
        vec![(Self::SOURCE.into(), cursor(from))]
    }

    fn run(&mut self, queue: &Sender<Observation>, stop: &Stop) -> Result<(), SenseError> {
        let mut watch = match self.watch.take() {
            Some(watch) => watch,
            None => self.watch()?,
        };
        let system = |what| move |error| SenseError::System(what, error);
        // It is looked at once before it is waited for.
        let (mut idle, mut pace) = (false, Pace::new());
        while let Some([_, mounts]) = watch.wait(stop, idle).map_err(system("poll"))? {
            let pause = if idle { pace.woken(Instant::now()) } else { None };
            if pause.is_some_and(|pause| stop.wait(pause)) {
                break;
            }
            if mounts || self.stale {
                self.renew(&watch.group)?;
            }
            if !self
                .take(&mut watch.group, queue, stop)
                .map_err(system("fanotify"))?
            {
                break;
            }
            idle = self.missed.is_found() && !self.stale;
        }
        Ok(())
    }
}
