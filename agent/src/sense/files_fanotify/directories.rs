//! Which directory a handle means: asked once, as most notices are of the same few directories.

use super::file_systems::FileSystems;
use crate::sense::files::{Place, Scope};
use crate::sys::fanotify::{Fid, FileNotices};
use hashlink::LruCache;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// So many directories are known at once, at some 200 bytes each.
const KNOWN: usize = 16_384;
/// So many are passed over at once. What a user may mark is limited, and others of root's need marks too.
const PASSED: usize = 4096;

/// Where the directories are that were asked for last. What it knows holds until a directory is moved or something is mounted:
/// the kernel tells of a move in the order in which it happened, so what is known is as old as the notice that asks for it.
///
/// In which nothing matters the kernel is asked to pass over, so that whoever writes there pays for no notices.
#[derive(Debug)]
pub(super) struct Directories {
    known: LruCache<Box<[u8]>, Directory>,
    /// Directories in which nothing matters, found out since the last batch.
    outside: Vec<OwnedFd>,
    passed: usize,
    /// What the kernel passes over may matter by now.
    stale: bool,
    /// The kernel does as it is asked, as far as is known.
    asks: bool,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) enum Directory {
    /// It is watched, or leads to what is.
    At(Arc<Path>, Place),
    /// Nothing in it matters, or nobody knows where it is.
    Outside,
}

impl Directories {
    pub(super) fn new() -> Self {
        Self {
            known: LruCache::new(KNOWN),
            outside: Vec::new(),
            passed: 0,
            stale: false,
            asks: true,
        }
    }

    pub(super) fn find(&mut self, fid: Fid<'_>, scope: &Scope, systems: &mut FileSystems) -> Directory {
        if let Some(known) = self.known.get(fid.key()) {
            return known.clone();
        }
        // One that cannot be reached may be tomorrow.
        let Some((path, place)) = systems.directory(fid) else {
            return Directory::Outside;
        };
        let found = match scope.place(&path) {
            Place::Outside => {
                if self.asks {
                    self.outside.push(place);
                }
                Directory::Outside
            }
            place => Directory::At(path.into(), place),
        };
        self.known.insert(fid.key().into(), found.clone());
        found
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.stale = true;
    }

    /// After a batch of notices: tells the kernel what to pass over, and closes it. What lands in a directory after it was moved to
    /// where it matters, and before this, is found when it is looked through.
    pub(super) fn settle(&mut self, notices: &FileNotices) {
        if self.passed + self.outside.len() > PASSED {
            self.clear();
        }
        if self.stale {
            // What was found in this batch may have been found before the move.
            self.outside.clear();
            self.known.clear();
            if self.passed > 0 && notices.heed_all().is_err() {
                // It is tried again after the next batch.
                return;
            }
            (self.stale, self.passed) = (false, 0);
        }
        for place in self.outside.drain(..) {
            match notices.pass_over(place.as_fd()) {
                Ok(()) => self.passed += 1,
                // It is gone again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // An older kernel, or others have taken all marks there are: all notices are read.
                Err(_) => self.asks = false,
            }
        }
    }
}
