//! Sees files land folder by folder, by the kernel's inotify, where fanotify is refused.
//!
//! It does not see who wrote. A new folder is watched once it is there, so it is looked through right after, and a file in it may be
//! told of twice. A system has room for so many watches (`fs.inotify.max_user_watches`), and a host for so many folders.
//!
//! By inotify itself as elsewhere in the agent, and not through a crate that keeps its own account of the tree: what was missed
//! must be looked for in the order in which it is watched, first the watch, then the look.

use super::files::{
    Home, Landed, Missed, Modes, Mounted, Observer, Place, Scope, cursor, home, now, time_of,
};
use super::{Notice, SenseError, Sensor};
use crate::config::Files;
use crate::observation::{Cursor, Observation, Subject};
use crate::queue::Sender;
use crate::sys::Stop;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use picket_common::event::FileAction;
use rustix::fs::{CWD, Mode, ResolveFlags};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

const WATCHED: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_ONLYDIR)
    .union(AddWatchFlags::IN_DONT_FOLLOW);

/// See the module.
pub struct FilesInotify {
    scope: Scope,
    notices: mpsc::Sender<Notice>,
    observer: Observer,
    modes: Modes,
    missed: Missed,
    folders: HashMap<WatchDescriptor, PathBuf>,
    /// Where something is mounted in which files are watched.
    points: HashSet<PathBuf>,
    /// How many folders could not be watched, and why the last of them could not.
    unwatched: Option<(u64, Errno)>,
    watch: Option<Watch>,
    /// What is watched may lie somewhere else now.
    stale: bool,
}

/// What the sensor waits for.
struct Watch {
    inotify: Inotify,
    mounted: Mounted,
}

impl FilesInotify {
    /// What its source is called.
    pub const SOURCE: &str = "inotify";

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
            observer: Observer::new(Self::SOURCE),
            modes: Modes::new(),
            missed: Missed::new(Self::SOURCE, cursors.get(Self::SOURCE).and_then(time_of)),
            folders: HashMap::new(),
            points: HashSet::new(),
            unwatched: None,
            watch: None,
            stale: false,
        }
    }

    fn watch(&mut self) -> Result<Watch, SenseError> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let watch = Watch {
            inotify: Inotify::init(flags).map_err(|error| SenseError::System("inotify", error.into()))?,
            mounted: Mounted::open()?,
        };
        self.folders.clear();
        self.points = self.mounted_here()?;
        // All folders are gone through, to be watched; of the files those are told of that are new.
        if self.missed.good().is_none() {
            self.missed.seen_until(now());
        }
        self.missed.look_for(self.scope.roots().to_vec());
        Ok(watch)
    }

    fn mounted_here(&self) -> Result<HashSet<PathBuf>, SenseError> {
        let local = Mounted::now()?.into_iter().filter(|mount| {
            let around = self.scope.place(&mount.point) != Place::Outside;
            around && home(&mount.kind) == Home::Local
        });
        Ok(local.map(|mount| mount.point).collect())
    }

    /// What is watched lies somewhere else, or something else is mounted there.
    fn renew(&mut self) -> Result<(), SenseError> {
        self.stale = false;
        if self.scope.renew() {
            self.missed.look_for(self.scope.roots().to_vec());
        }
        let before = std::mem::take(&mut self.points);
        self.points = self.mounted_here()?;
        self.missed
            .look_for(self.points.difference(&before).cloned().collect());
        Ok(())
    }

    fn tell(&self, notice: Notice) {
        // Nobody listens once the agent is ending.
        drop(self.notices.send(notice));
    }

    /// Handles one event. Gives what to tell of it.
    fn handle(&mut self, inotify: &Inotify, event: InotifyEvent, stop: &Stop) -> Option<Observation> {
        let has = |flag| event.mask.contains(flag);
        if has(AddWatchFlags::IN_Q_OVERFLOW) {
            self.missed.look_everywhere(&self.scope);
            self.tell(Notice::Lost {
                place: Self::SOURCE.to_owned(),
                lost: 0,
                reason: "more happened than the kernel's queue holds; what landed since is looked for"
                    .to_owned(),
            });
            return None;
        }
        if has(AddWatchFlags::IN_IGNORED) {
            self.folders.remove(&event.wd);
            return None;
        }
        let path = self.folders.get(&event.wd)?.join(event.name?);
        let appeared = has(AddWatchFlags::IN_MOVED_TO) || has(AddWatchFlags::IN_CREATE);
        self.stale |= appeared && self.scope.leads_down(&path);
        if has(AddWatchFlags::IN_ISDIR) {
            if has(AddWatchFlags::IN_MOVED_FROM) {
                self.leave(inotify, &path);
            } else if appeared && self.scope.place(&path) != Place::Outside {
                let moved = has(AddWatchFlags::IN_MOVED_TO);
                let action = if moved {
                    FileAction::Moved
                } else {
                    FileAction::Found
                };
                self.missed.look_through(path, action);
            }
            return None;
        }
        if has(AddWatchFlags::IN_MOVED_FROM) || !self.scope.holds(&path) {
            return None;
        }
        let written = has(AddWatchFlags::IN_CLOSE_WRITE);
        let place = rustix::fs::openat2(
            CWD,
            &path,
            Landed::FLAGS,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS,
        );
        let landed = match place.map(Landed::of) {
            Ok(Ok(Some(landed))) => landed,
            Ok(_) => return None,
            Err(_) => {
                // It is gone; that something was written there is told all the same.
                let resume_at = self.missed.resume_at();
                let told = self
                    .observer
                    .observe(&path, FileAction::Written, None, None, resume_at, stop);
                return written.then_some(told);
            }
        };
        let runs = self.modes.became_runnable(&landed);
        let further = landed.is_link() || landed.stat().st_nlink > 1;
        let action = if written {
            FileAction::Written
        } else if has(AddWatchFlags::IN_MOVED_TO) || has(AddWatchFlags::IN_CREATE) && further {
            FileAction::Moved
        } else if has(AddWatchFlags::IN_ATTRIB) && runs {
            FileAction::Attributes
        } else {
            return None;
        };
        let resume_at = self.missed.resume_at();
        Some(
            self.observer
                .observe(&path, action, Some(&landed), None, resume_at, stop),
        )
    }

    /// Watches nothing of a folder that was moved away; where it is moved to, it is watched anew.
    fn leave(&mut self, inotify: &Inotify, folder: &Path) {
        self.folders.retain(|watch, path| {
            let stays = !path.starts_with(folder);
            if !stays {
                // It may be gone already.
                let _ = inotify.rm_watch(*watch);
            }
            stays
        });
    }

    /// Goes on with looking for what was missed; each folder is watched before it is listed. Whether somebody still reads the queue.
    fn look_further(&mut self, inotify: &Inotify, queue: &Sender<Observation>, stop: &Stop) -> bool {
        if self.missed.is_found() {
            return true;
        }
        let mut read = true;
        let (folders, unwatched) = (&mut self.folders, &mut self.unwatched);
        let notices = self.missed.step(
            &self.scope,
            &self.points,
            |path, landed, action| {
                let seen = self
                    .observer
                    .observe(path, action, Some(&landed), None, None, stop);
                read = read && queue.wait(seen).is_ok();
            },
            |folder| match inotify.add_watch(folder, WATCHED) {
                Ok(watch) => drop(folders.insert(watch, folder.to_owned())),
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(error) => {
                    let count = unwatched.map_or(0, |(count, _)| count);
                    *unwatched = Some((count + 1, error));
                }
            },
        );
        notices.into_iter().for_each(|notice| self.tell(notice));
        // A large tree is gone through without keeping a processor busy.
        stop.wait(Missed::REST);
        if self.missed.is_found()
            && let Some((count, error)) = self.unwatched.take()
        {
            let advice = match error {
                Errno::ENOSPC => ": raise fs.inotify.max_user_watches".to_owned(),
                other => format!(": {}", other.desc()),
            };
            self.tell(Notice::Warning(format!(
                "{count} folders are not watched{advice}"
            )));
        }
        read
    }

    /// Takes what happened, and when there is nothing goes on with looking. Whether somebody still reads the queue.
    fn take(&mut self, inotify: &Inotify, queue: &Sender<Observation>, stop: &Stop) -> io::Result<bool> {
        let before = now();
        let mut read = true;
        match inotify.read_events() {
            Ok(events) => {
                for event in events {
                    if read && let Some(seen) = self.handle(inotify, event, stop) {
                        read = queue.wait(seen).is_ok();
                    }
                }
            }
            Err(Errno::EAGAIN) => {
                self.missed.seen_until(before);
                read = self.look_further(inotify, queue, stop);
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(notice) = self.observer.unopened() {
            self.tell(notice);
        }
        Ok(read)
    }
}

impl Sensor for FilesInotify {
    fn name(&self) -> &'static str {
        "files_inotify"
    }

    fn describe(&self) -> String {
        format!("{}, without knowing who wrote them", self.scope.describe())
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
        let from = self.missed.good().filter(|_| !resumed);
        from.map(|from| (Self::SOURCE.into(), cursor(from)))
            .into_iter()
            .collect()
    }

    fn run(&mut self, queue: &Sender<Observation>, stop: &Stop) -> Result<(), SenseError> {
        let watch = match self.watch.take() {
            Some(watch) => watch,
            None => self.watch()?,
        };
        let system = |what| move |error| SenseError::System(what, error);
        // It is looked at once before it is waited for.
        let mut idle = false;
        loop {
            let events = PollFd::new(watch.inotify.as_fd(), PollFlags::POLLIN);
            let waited = stop.wait_for_any([events, watch.mounted.changes()], idle);
            let Some([_, mounts]) = waited.map_err(system("poll"))? else {
                break;
            };
            if mounts || self.stale {
                self.renew()?;
            }
            if !self
                .take(&watch.inotify, queue, stop)
                .map_err(system("inotify"))?
            {
                break;
            }
            idle = self.missed.is_found() && !self.stale;
        }
        Ok(())
    }
}
