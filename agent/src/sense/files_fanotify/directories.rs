//! Which directory a handle means: asked once, as most notices are of the same few directories.

use super::file_systems::FileSystems;
use crate::sense::files::{Place, Scope};
use crate::sys::fanotify::Fid;
use hashlink::LruCache;
use std::path::Path;
use std::sync::Arc;

/// So many directories are known at once, at some 200 bytes each.
const KNOWN: usize = 16_384;

/// Where the directories are that were asked for last. What it knows holds until a directory is moved or something is mounted:
/// the kernel tells of a move in the order in which it happened, so what is known is as old as the notice that asks for it.
#[derive(Debug)]
pub(super) struct Directories(LruCache<Box<[u8]>, Directory>);

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
        Self(LruCache::new(KNOWN))
    }

    pub(super) fn find(&mut self, fid: Fid<'_>, scope: &Scope, systems: &mut FileSystems) -> Directory {
        if let Some(known) = self.0.get(fid.key()) {
            return known.clone();
        }
        let found = match systems.directory(fid) {
            Some(path) => match scope.place(&path) {
                Place::Outside => Directory::Outside,
                place => Directory::At(path.into(), place),
            },
            // It may be reached again tomorrow.
            None => return Directory::Outside,
        };
        self.0.insert(fid.key().into(), found.clone());
        found
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
