//! SHA-256 of the files that are run, known for each content of each.

use crate::observation::{FileKey, Hashed};
use crate::sys::version;
use compact_str::CompactString;
use hashlink::LruCache;
use nix::sys::stat::fstat;
use picket_common::event::Event;
use picket_common::process::ProcessId;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// So many contents are known.
const MOST: usize = 8192;
/// A larger file is left alone: half a second of a processor each time that it changes.
pub(super) const LARGEST: u64 = 512 << 20;
/// So many files may be waited for.
const AWAITED: usize = 128;
/// So many events wait for one file; more have its hash by the next.
const WAITING: usize = 8;

/// What is known, and what waits to be.
pub(super) struct Hashes {
    known: LruCache<FileKey, Option<CompactString>>,
    awaited: HashMap<FileKey, Vec<Event>>,
}

/// What is known of the hash of a file.
pub(super) enum Hash {
    /// What there is to know.
    Known(Option<CompactString>),
    /// Nothing yet, and somebody has been asked.
    Awaited,
    /// Nothing: somebody should be asked.
    Unknown,
}

impl Default for Hashes {
    fn default() -> Self {
        Self {
            known: LruCache::new(MOST),
            awaited: HashMap::new(),
        }
    }
}

impl Hashes {
    pub(super) fn of(&mut self, file: &FileKey) -> Hash {
        match self.known.get(file) {
            Some(known) => Hash::Known(known.clone()),
            None if self.awaited.contains_key(file) => Hash::Awaited,
            None if file.version.size > LARGEST => Hash::Known(None),
            None => Hash::Unknown,
        }
    }

    /// Whether there is room to wait for one file more.
    pub(super) fn has_room(&self) -> bool {
        self.awaited.len() < AWAITED
    }

    /// Keeps an event until the hash of its file is known.
    pub(super) fn wait(&mut self, file: FileKey, event: &Event) {
        let waiting = self.awaited.entry(file).or_default();
        if waiting.len() < WAITING {
            waiting.push(event.clone());
        }
    }

    /// Takes what was found out. Gives the events that waited for it.
    pub(super) fn learn(&mut self, hashed: Hashed) -> Vec<Event> {
        let waited = self.awaited.remove(&hashed.file).unwrap_or_default();
        self.known.insert(hashed.file, hashed.sha256);
        waited
    }
}

/// Takes the hash of what a process runs: of that very file with that very content, or of none.
pub(super) fn take(process: ProcessId, path: &str, file: &FileKey) -> Option<CompactString> {
    let running = format!("/proc/{}/exe", process.pid);
    // Of one that has ended the path may still lead to the file.
    let paths = [Path::new(&running), Path::new(path)];
    paths.into_iter().find_map(|path| hash(path, file).ok().flatten())
}

fn hash(path: &Path, wanted: &FileKey) -> io::Result<Option<CompactString>> {
    // What lies there now may be anything: nothing is waited for, and nothing is read before it is known to be the file.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)?;
    if key(&file)? != Some(*wanted) {
        return Ok(None);
    }
    let (mut hasher, mut buffer, mut left) = (Sha256::new(), vec![0; 128 << 10], LARGEST);
    while left > 0 {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(buffer.get(..read).unwrap_or_default());
                left = left.saturating_sub(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // It may have been written to meanwhile.
    if key(&file)? != Some(*wanted) {
        return Ok(None);
    }
    let mut text = CompactString::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Some(text))
}

/// Which file it is; `None` for what is no file.
fn key(file: &File) -> io::Result<Option<FileKey>> {
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let data = fstat(file)?;
    Ok(Some(FileKey {
        device: data.st_dev,
        inode: data.st_ino,
        version: version(&data),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_that_file_with_that_content_is_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "abc").unwrap();
        let name = path.to_str().unwrap();
        let wanted = key(&File::open(&path).unwrap()).unwrap().unwrap();
        let nobody = ProcessId { pid: 0, start: 1 };
        // FIPS 180-4's own example.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(take(nobody, name, &wanted).as_deref(), Some(abc));
        assert_eq!(take(nobody, "/nowhere", &wanted), None);
        assert_eq!(take(nobody, folder.path().to_str().unwrap(), &wanted), None);
        // Another file by that name, and another content of the same.
        fs::write(folder.path().join("b"), "abc").unwrap();
        assert_eq!(
            take(nobody, folder.path().join("b").to_str().unwrap(), &wanted),
            None
        );
        fs::write(&path, "abcd").unwrap();
        assert_eq!(take(nobody, name, &wanted), None);
    }
}
