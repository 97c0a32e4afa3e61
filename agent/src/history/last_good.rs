//! The last version of each file of rules and exceptions in which nothing was wrong.
//!
//! One file, a JSON line for each version, written anew as a whole and moved into place: a crash leaves the old or the new
//! one. It is read when rules are loaded and not kept in memory in between.

use picket_common::ndjson;
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// All texts together are kept up to this many bytes.
const MOST: usize = 32 << 20;
/// The file is longer than its texts by what JSON adds to them; one that is longer still is not ours.
const LONGEST: u64 = 256 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct LastGood {
    path: PathBuf,
    kept: BTreeMap<PathBuf, Good>,
    bytes: usize,
    changed: bool,
}

/// A version of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Good {
    /// Its text.
    pub text: String,
    /// When it was first loaded.
    pub since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    file: std::borrow::Cow<'a, str>,
    since: Timestamp,
    text: std::borrow::Cow<'a, str>,
}

impl LastGood {
    /// What was kept in the file `path`; nothing when it is not there or cannot be read.
    pub fn read(path: &Path) -> Self {
        let mut all = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("{}: the last good rules cannot be read: {error}", path.display());
            }
            _ => {}
        }
        for line in text.lines() {
            // A line that means nothing is one version less.
            if let Ok(line) = serde_json::from_str::<Line<'_>>(line) {
                let file = PathBuf::from(line.file.into_owned());
                all.put(file, line.text.into_owned(), line.since);
            }
        }
        all.changed = false;
        all
    }

    /// The last good version of a file.
    pub fn get(&self, file: &Path) -> Option<&Good> {
        self.kept.get(file)
    }

    /// All files that have one.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.kept.keys().map(PathBuf::as_path)
    }

    /// Keeps a version of a file in which nothing is wrong. Whether there was room.
    pub fn keep(&mut self, file: &Path, text: &str, now: Timestamp) -> bool {
        let same = self.kept.get(file).is_some_and(|good| good.text == text);
        // A name that is no text could not be written.
        same || (file.to_str().is_some() && self.put(file.to_owned(), text.to_owned(), now))
    }

    fn put(&mut self, file: PathBuf, text: String, since: Timestamp) -> bool {
        self.forget(&file);
        if self.bytes + text.len() > MOST {
            return false;
        }
        self.bytes += text.len();
        self.changed = true;
        self.kept.insert(file, Good { text, since });
        true
    }

    /// Forgets a file that is gone.
    pub fn forget(&mut self, file: &Path) {
        if let Some(good) = self.kept.remove(file) {
            self.bytes = self.bytes.saturating_sub(good.text.len());
            self.changed = true;
        }
    }

    /// Writes it down, if anything has changed.
    pub fn save(&mut self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let fresh = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        let mut output = io::BufWriter::new(&mut file);
        for (path, good) in &self.kept {
            let line = Line {
                file: path.to_string_lossy(),
                since: good.since,
                text: good.text.as_str().into(),
            };
            ndjson::write(&mut output, &line)?;
        }
        output.flush()?;
        drop(output);
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        File::open(folder)?.sync_all()?;
        self.changed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn versions_are_kept_replaced_and_forgotten_across_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.ndjson");
        let (a, b) = (Path::new("/etc/a.yml"), Path::new("/etc/b.yml"));
        let mut kept = LastGood::read(&path);
        assert!(kept.keep(a, "one\n\u{9b}", at(1)) && kept.keep(b, "two", at(1)));
        kept.save().unwrap();
        let mut kept = LastGood::read(&path);
        assert_eq!(
            kept.get(a).unwrap(),
            &Good {
                text: "one\n\u{9b}".to_owned(),
                since: at(1)
            }
        );
        assert!(kept.keep(a, "one\n\u{9b}", at(2)));
        assert_eq!(kept.get(a).unwrap().since, at(1), "the same version");
        assert!(kept.keep(a, "new", at(3)));
        kept.forget(b);
        kept.save().unwrap();
        let kept = LastGood::read(&path);
        assert_eq!(kept.files().collect::<Vec<_>>(), [a]);
        assert_eq!(kept.get(a).unwrap().since, at(3));
    }

    #[test]
    fn what_has_no_room_is_not_kept_and_what_is_broken_is_one_version_less() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.ndjson");
        let mut kept = LastGood::read(&path);
        let long = "x".repeat(MOST / 2);
        assert!(kept.keep(Path::new("a"), &long, at(1)) && kept.keep(Path::new("b"), &long, at(1)));
        assert!(!kept.keep(Path::new("c"), "x", at(1)));
        assert!(kept.keep(Path::new("a"), "short", at(1)) && kept.keep(Path::new("c"), "x", at(1)));
        kept.forget(Path::new("b"));
        kept.save().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{{\"file\":\n\n{text}")).unwrap();
        assert_eq!(LastGood::read(&path).files().count(), 2);
    }
}
