//! Results that are known already, by what the file is.

use hashlink::LruCache;
use picket_common::event::{FileContent, FileIdentity};
use rustix::fs::fstat;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// As many are kept.
const MOST: usize = 16_384;
/// The kernel's clock of files has ticks of up to 10 ms: what changed just now may change again and look the same.
const SETTLED: Duration = Duration::from_secs(1);

/// A state of a file, under a path: rules may ask for its name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    identity: FileIdentity,
    size: i64,
    changed: (i64, i64),
    path: String,
}

impl Key {
    /// Of a file that has not changed within the last second.
    pub(super) fn of(file: impl AsFd, path: &str) -> Option<Self> {
        let stat = fstat(file).ok()?;
        let nanoseconds = i64::try_from(stat.st_ctime_nsec).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let changed = Duration::new(stat.st_ctime.try_into().ok()?, nanoseconds.try_into().ok()?);
        // Also one from the future, for which a clock was set.
        now.checked_sub(changed).filter(|age| *age > SETTLED)?;
        Some(Self {
            identity: FileIdentity {
                device: stat.st_dev,
                inode: stat.st_ino,
            },
            size: stat.st_size,
            changed: (stat.st_ctime, nanoseconds),
            path: path.to_owned(),
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Cache(LruCache<Key, FileContent>);

impl Cache {
    pub(super) fn new() -> Self {
        Self(LruCache::new(MOST))
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<&FileContent> {
        self.0.get(key)
    }

    /// Keeps a result, if it is whole.
    pub(super) fn keep(&mut self, key: Key, content: &FileContent) {
        if content.unscanned.is_none() {
            self.0.insert(key, content.clone());
        }
    }

    /// Other rules give other results.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
