//! How files were when they were last seen: their size, mode, owner, and where a link led.

use hashlink::LruCache;
use picket_common::event::{FileBefore, FileEvent};
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

/// So many files are known, at about a hundred bytes each.
const KNOWN: usize = 16_384;

/// See the module. Files are known by a hash of their path: what counts is what lay there, whichever file it was.
#[derive(Debug)]
pub(super) struct Before {
    known: LruCache<u64, FileBefore>,
    hasher: RandomState,
}

impl Before {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self {
            known: LruCache::new(KNOWN),
            hasher: RandomState::new(),
        }
    }

    /// Takes a file as it is.
    pub(super) fn note(&mut self, path: &str, file: &OwnedFd) {
        let data = file.as_fd().try_clone_to_owned().map(File::from);
        let Ok(data) = data.and_then(|file| file.metadata()) else {
            return;
        };
        let now = FileBefore {
            size: Some(data.len()),
            uid: Some(data.uid()),
            gid: Some(data.gid()),
            mode: Some(data.mode() & 0o7777),
            target: None,
        };
        self.known.insert(self.hasher.hash_one(path), now);
    }

    /// What was otherwise when a file was last seen at that path; it is known as it is now from then on.
    pub(super) fn otherwise(&mut self, event: &FileEvent) -> Option<FileBefore> {
        // One that is gone already tells nothing.
        event.identity?;
        let now = FileBefore {
            size: event.size,
            uid: event.uid,
            gid: event.gid,
            mode: event.mode,
            target: event.target.clone(),
        };
        let mut before = self
            .known
            .insert(self.hasher.hash_one(event.path.as_str()), now.clone())?;
        fn differs<T: PartialEq>(before: &mut Option<T>, now: &Option<T>) {
            if before == now {
                *before = None;
            }
        }
        differs(&mut before.size, &now.size);
        differs(&mut before.uid, &now.uid);
        differs(&mut before.gid, &now.gid);
        differs(&mut before.mode, &now.mode);
        differs(&mut before.target, &now.target);
        (before != FileBefore::default()).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{FileAction, FileIdentity};

    fn seen(path: &str, mode: u32, uid: u32) -> FileEvent {
        let mut event = FileEvent::new(path, FileAction::Attributes);
        event.identity = Some(FileIdentity { device: 1, inode: 2 });
        (event.mode, event.uid, event.size) = (Some(mode), Some(uid), Some(3));
        event
    }

    #[test]
    fn only_what_was_otherwise_is_told() {
        let mut before = Before::new();
        assert_eq!(before.otherwise(&seen("/a", 0o644, 0)), None);
        assert_eq!(before.otherwise(&seen("/a", 0o644, 0)), None);
        let told = before.otherwise(&seen("/a", 0o4755, 0));
        assert_eq!(
            told.map(|told| (told.mode, told.uid, told.size)),
            Some((Some(0o644), None, None))
        );
        let told = before.otherwise(&seen("/a", 0o4755, 33));
        assert_eq!(told.map(|told| (told.mode, told.uid)), Some((None, Some(0))));
        assert_eq!(before.otherwise(&seen("/b", 0o4755, 0)), None);
        let mut link = seen("/a", 0o4755, 33);
        (link.mode, link.size, link.target) = (None, None, Some("/tmp/x".into()));
        let told = before.otherwise(&link).unwrap();
        assert_eq!((told.mode, told.size, told.target), (Some(0o4755), Some(3), None));
    }

    #[test]
    fn a_file_is_taken_as_it_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut before = Before::new();
        before.note("/a", &OwnedFd::from(file.reopen().unwrap()));
        let told = before.otherwise(&seen("/a", 0o4755, u32::MAX)).unwrap();
        assert_eq!((told.mode, told.size), (Some(0o600), Some(0)));
    }
}
