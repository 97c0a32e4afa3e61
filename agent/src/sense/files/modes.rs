//! Which files can be run, to tell a change of that from one of a file's times.

use super::landed::Landed;
use hashlink::LruCache;

/// So many files that can be run are known at once.
const KNOWN: usize = 16_384;
/// The bits of a mode that let a file be run, and be run as another.
const RUNS: u32 = 0o6111;

/// See the module.
#[derive(Debug)]
pub(in crate::sense) struct Modes(LruCache<(u64, u64), u32>);

impl Modes {
    pub(in crate::sense) fn new() -> Self {
        Self(LruCache::new(KNOWN))
    }

    /// Whether a file can be run, or run as another, that could not when it was last seen. One that was never seen could not.
    pub(in crate::sense) fn became_runnable(&mut self, landed: &Landed) -> bool {
        let stat = landed.stat();
        let (file, runs) = ((stat.st_dev, stat.st_ino), stat.st_mode & RUNS);
        if landed.is_link() {
            return false;
        }
        let ran = match runs {
            0 => self.0.remove(&file),
            _ => self.0.insert(file, runs),
        };
        runs & !ran.unwrap_or(0) != 0
    }
}
