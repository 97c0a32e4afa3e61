//! What changed in the files that decide who may do what, and what is run.
//!
//! Of each such file a hash of every line is kept, so a change is told by its lines without a copy of the file; of a small one what may
//! be kept of its lines as well, to tell which are gone.
//! `kinds` knows which files they are, `lines` what of a line may be told, `baseline` how they are before anything changes.

mod baseline;
mod kinds;
mod lines;

pub use lines::kept;

use crate::observation::FileSeen;
use compact_str::CompactString;
use hashlink::LruCache;
use kinds::Kinds;
use lines::told;
use picket_common::event::{ChangeKind, FileChange};
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// Longer files are none that a person writes.
const LONGEST: usize = 256 << 10;
/// So many files are known.
const FILES: usize = 4096;
/// So many lines of all of them, at 8 bytes each.
const LINES: usize = 500_000;
/// So many new lines are shown to rules, of so many bytes.
const TOLD: usize = 512;
const BYTES: usize = 64 << 10;
/// Of a file with no more lines, of so many bytes, their text is kept.
const SMALL: (usize, usize) = (128, 8 << 10);
/// So much of all files together.
const TEXTS: usize = 2 << 20;
/// So many lines that are gone are told.
const GONE: usize = 16;

/// How the files were when they were last looked at.
#[derive(Debug)]
pub(super) struct Changes {
    kinds: Kinds,
    known: LruCache<String, Known>,
    lines: usize,
    texts: usize,
    hasher: RandomState,
}

/// What is kept of a file.
#[derive(Debug, Default)]
struct Known {
    /// Of each line.
    hashes: Vec<u64>,
    /// The lines, of a small file; else none.
    texts: Vec<CompactString>,
}

impl Known {
    fn bytes(&self) -> usize {
        self.texts.iter().map(CompactString::len).sum()
    }
}

impl Changes {
    /// Nothing is known: all lines of all files are new.
    pub(super) fn new() -> Self {
        Self {
            kinds: Kinds::new(),
            known: LruCache::new(FILES),
            lines: 0,
            texts: 0,
            hasher: RandomState::new(),
        }
    }

    /// Takes the files of this host as they are, and shows each to whoever wants to know more of it. `root` is where its file
    /// systems begin.
    pub(super) fn of_host(root: &Path, mut seen: impl FnMut(&str, &OwnedFd)) -> Self {
        let mut changes = Self::new();
        baseline::each(root, &mut |path, file| {
            seen(path, file);
            if let Some(kind) = changes.kinds.of(path)
                && let Ok(Ok(content)) = read(file)
            {
                let known = changes.known(kind, &content);
                changes.keep(path, known);
            }
        });
        changes
    }

    /// What changed in a file that was seen, if it is one of those. To be asked once, as it is known afterwards.
    pub(super) fn find(&mut self, seen: &FileSeen) -> Option<FileChange> {
        let event = &seen.event;
        let set_uid = event.mode.is_some_and(|mode| mode & 0o6000 != 0);
        let kind = self
            .kinds
            .of(&event.path)
            .or(set_uid.then_some(ChangeKind::SetUid))?;
        let mut change = FileChange::new(kind);
        if kind == ChangeKind::SetUid || event.target.is_some() {
            return Some(change);
        }
        match seen.file.as_ref().map(read) {
            Some(Ok(Ok(content))) => {
                self.compare(&event.path, &content, &mut change);
                // It was written, and says what it said before.
                return (change.added_count > 0 || change.removed_count > 0).then_some(change);
            }
            Some(Ok(Err(why))) => change.unknown = Some(why.into()),
            Some(Err(error)) => change.unknown = Some(error.to_string().into()),
            None => change.unknown = Some("the file could not be opened".into()),
        }
        Some(change)
    }

    fn compare(&mut self, path: &str, content: &[u8], change: &mut FileChange) {
        let mut gone: HashMap<u64, u32> = HashMap::new();
        let before = self.forget(path);
        for line in &before.hashes {
            *gone.entry(*line).or_default() += 1;
        }
        let now = self.known(change.kind, content);
        let mut bytes = 0;
        for (line, hash) in lines::of(content).zip(&now.hashes) {
            match gone.get_mut(hash) {
                Some(count) if *count > 0 => *count -= 1,
                _ => {
                    change.added_count = change.added_count.saturating_add(1);
                    if change.added.len() < TOLD && bytes < BYTES {
                        let line = told(change.kind, line);
                        bytes += line.len();
                        change.added.push(line);
                    }
                }
            }
        }
        change.removed_count = gone.values().fold(0, |sum, count| sum.saturating_add(*count));
        for (text, hash) in before.texts.into_iter().zip(&before.hashes) {
            if let Some(count) = gone.get_mut(hash).filter(|count| **count > 0)
                && change.removed.len() < GONE
            {
                *count -= 1;
                change.removed.push(text);
            }
        }
        self.keep(path, now);
    }

    fn known(&self, kind: ChangeKind, content: &[u8]) -> Known {
        let hashes: Vec<u64> = lines::of(content)
            .map(|line| self.hasher.hash_one(line))
            .collect();
        let is_small = hashes.len() <= SMALL.0 && content.len() <= SMALL.1;
        let texts = lines::of(content).filter(|_| is_small);
        let texts = texts.map(|line| kept(&told(kind, line))).collect();
        Known { hashes, texts }
    }

    fn keep(&mut self, path: &str, known: Known) {
        self.forget(path);
        self.lines += known.hashes.len();
        self.texts += known.bytes();
        self.known.insert(path.to_owned(), known);
        while (self.lines > LINES || self.texts > TEXTS)
            && let Some((_, oldest)) = self.known.remove_lru()
        {
            self.lines -= oldest.hashes.len();
            self.texts -= oldest.bytes();
        }
    }

    fn forget(&mut self, path: &str) -> Known {
        let known = self.known.remove(path).unwrap_or_default();
        self.lines -= known.hashes.len();
        self.texts -= known.bytes();
        known
    }
}

/// Reads a file from its beginning, wherever its descriptor stands; or says why its lines mean nothing.
fn read(file: &OwnedFd) -> io::Result<Result<Vec<u8>, &'static str>> {
    use std::os::unix::fs::FileExt as _;
    let file = File::from(file.as_fd().try_clone_to_owned()?);
    let mut content = vec![0; LONGEST + 1];
    let mut length = 0;
    while let Some(rest) = content.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, u64::try_from(length).unwrap_or(u64::MAX)) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(length);
    if length > LONGEST {
        return Ok(Err("the file is longer than 256 KiB"));
    }
    if content.contains(&0) {
        return Ok(Err("the file is no text"));
    }
    Ok(Ok(content))
}

#[cfg(test)]
mod tests;
