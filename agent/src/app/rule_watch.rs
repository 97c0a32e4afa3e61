//! Notices changes in the folders of rules and exceptions, also of folders that are not there yet.

use crate::sys::Stop;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Once something has changed, how long nothing may change before it is looked at: an editor and a package manager touch
/// files many times.
const QUIET: Duration = Duration::from_millis(250);
/// How long changes may go on before they are looked at all the same.
const LONGEST: Duration = Duration::from_secs(5);
/// More folders are not watched; no operator has them.
const MOST: usize = 4096;

/// What is written counts once it is closed, not with each piece.
const CHANGES: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

pub(super) struct RuleWatch {
    inotify: Inotify,
    folders: Vec<PathBuf>,
    watched: HashMap<WatchDescriptor, Watched>,
}

/// What matters of what happens in a folder.
#[derive(Default)]
struct Watched {
    /// It holds rules or exceptions.
    holds: bool,
    /// Names of folders that are waited for in it.
    awaited: HashSet<OsString>,
}

impl RuleWatch {
    pub(super) fn new(folders: Vec<PathBuf>) -> io::Result<Self> {
        let mut watch = Self {
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?,
            folders,
            watched: HashMap::new(),
        };
        watch.renew();
        Ok(watch)
    }

    /// Waits until something has changed and has been quiet for a moment. Whether to go on.
    pub(super) fn wait(&mut self, stop: &Stop) -> io::Result<bool> {
        let changed = loop {
            if !stop.wait_for(self.inotify.as_fd())? {
                return Ok(false);
            }
            if self.take()? {
                break Instant::now();
            }
        };
        let mut last = changed;
        while last.elapsed() < QUIET && changed.elapsed() < LONGEST {
            stop.wait_for_at_most(self.inotify.as_fd(), QUIET.saturating_sub(last.elapsed()))?;
            if stop.is_raised() {
                return Ok(false);
            }
            if self.take()? {
                last = Instant::now();
            }
        }
        // Before the files are read, so that nothing changes unseen in between.
        self.renew();
        Ok(true)
    }

    /// Takes what happened. Whether any of it matters.
    fn take(&self) -> io::Result<bool> {
        let mut matters = false;
        loop {
            match self.inotify.read_events() {
                Ok(events) => matters |= events.iter().any(|event| self.matters(event)),
                Err(Errno::EAGAIN) => return Ok(matters),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn matters(&self, event: &InotifyEvent) -> bool {
        let Some(watched) = self.watched.get(&event.wd) else {
            // So much happened that the kernel lost some of it; or it is the last word of a watch that was given up.
            return event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
        };
        let Some(name) = &event.name else {
            return !event.mask.contains(AddWatchFlags::IN_IGNORED);
        };
        let is_folder = event.mask.contains(AddWatchFlags::IN_ISDIR);
        let is_rule = Path::new(name)
            .extension()
            .and_then(|kind| kind.to_str())
            .is_some_and(|kind| ["yml", "yaml", "toml", "yar", "yara"].contains(&kind));
        watched.awaited.contains(name) || (watched.holds && (is_folder || is_rule))
    }

    /// Watches the folders that there are now, and nothing else.
    fn renew(&mut self) {
        let before: HashSet<WatchDescriptor> = self.watched.drain().map(|(watch, _)| watch).collect();
        for folder in self.folders.clone() {
            self.follow(&folder);
        }
        for watch in before {
            if !self.watched.contains_key(&watch) {
                // A folder that was removed has taken its watch along.
                let _ = self.inotify.rm_watch(watch);
            }
        }
    }

    /// Watches a folder, and where it comes from: it may be a link that is put in another's place.
    fn follow(&mut self, folder: &Path) {
        // Each folder that appears while this is done asks for another look; one that cannot be watched must not ask for ever.
        for _ in folder.ancestors() {
            let is_there = self.hold(folder);
            let mut below = folder;
            for above in folder.ancestors().skip(1) {
                let name = below.file_name().map(OsString::from);
                if let Ok(watch) = self.inotify.add_watch(above, CHANGES) {
                    self.watched.entry(watch).or_default().awaited.extend(name);
                    break;
                }
                below = above;
            }
            if is_there || !below.is_dir() {
                return;
            }
        }
    }

    /// Watches a folder and all below it. Whether it is there.
    fn hold(&mut self, folder: &Path) -> bool {
        let mut open = vec![folder.to_owned()];
        let mut found = false;
        while let Some(folder) = open.pop() {
            if self.watched.len() >= MOST {
                tracing::warn!(
                    "{}: too many folders of rules to watch them all",
                    folder.display()
                );
                break;
            }
            let Ok(watch) = self.inotify.add_watch(&folder, CHANGES) else {
                continue;
            };
            found = true;
            self.watched.entry(watch).or_default().holds = true;
            let entries = folder.read_dir().into_iter().flatten().flatten();
            open.extend(
                entries
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_burst_of_changes_is_one_and_what_is_no_rule_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut watch = RuleWatch::new(vec![folder.path().to_owned()]).unwrap();
        let stop = Stop::new().unwrap();
        for name in [".a.yml.swp", "a.yml~", "4913", "notes.txt"] {
            fs::write(path(name), "x").unwrap();
        }
        fs::remove_file(path("4913")).unwrap();
        assert!(!watch.take().unwrap());
        for number in 0..50 {
            fs::write(path("new"), "x").unwrap();
            fs::rename(path("new"), path(&format!("{number}.yml"))).unwrap();
        }
        assert!(watch.wait(&stop).unwrap());
        assert!(!watch.take().unwrap());
        stop.raise();
        assert!(!watch.wait(&stop).unwrap());
    }

    #[test]
    fn a_file_of_another_kind_is_noticed_by_its_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let watch = RuleWatch::new(vec![path("bad.txt")]).unwrap();
        fs::write(path("other.txt"), "x").unwrap();
        assert!(!watch.take().unwrap());
        fs::write(path("bad.txt"), "x").unwrap();
        assert!(watch.take().unwrap());
        fs::rename(path("other.txt"), path("bad.txt")).unwrap();
        assert!(watch.take().unwrap());
        fs::remove_file(path("bad.txt")).unwrap();
        assert!(watch.take().unwrap());
    }

    #[test]
    fn folders_that_come_and_go_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut watch = RuleWatch::new(vec![path("etc/rules")]).unwrap();
        let mut changed = |change: &dyn Fn()| {
            change();
            let matters = watch.take().unwrap();
            watch.renew();
            matters
        };
        assert!(!changed(&|| fs::create_dir(path("var")).unwrap()));
        assert!(changed(&|| fs::create_dir(path("etc")).unwrap()));
        assert!(changed(&|| fs::create_dir_all(path("etc/rules/below")).unwrap()));
        assert!(changed(
            &|| fs::write(path("etc/rules/below/a.yaml"), "x").unwrap()
        ));
        assert!(changed(
            &|| fs::rename(path("etc/rules"), path("etc/old")).unwrap()
        ));
        assert!(!changed(&|| fs::write(path("etc/old/below/a.yaml"), "y").unwrap()));
        assert!(changed(
            &|| fs::rename(path("etc/old"), path("etc/rules")).unwrap()
        ));
        assert!(changed(&|| fs::remove_dir_all(path("etc/rules")).unwrap()));
        let link = |to: &str| {
            std::os::unix::fs::symlink(path(to), path("etc/link")).unwrap();
            fs::rename(path("etc/link"), path("etc/rules")).unwrap();
        };
        assert!(changed(&|| link("var")));
        assert!(changed(&|| fs::write(path("var/a.yml"), "x").unwrap()));
        fs::create_dir(path("opt")).unwrap();
        assert!(changed(&|| link("opt")));
        assert!(changed(&|| fs::write(path("opt/a.yml"), "x").unwrap()));
        assert!(!changed(&|| fs::write(path("var/a.yml"), "y").unwrap()));
    }
}
