//! The names of users, as `/etc/passwd` has them.

use compact_str::CompactString;
use picket_common::time::Timestamp;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// So much of the file is read: some hundred thousand accounts.
const LONGEST: u64 = 16 << 20;
/// How often it is looked whether the file has changed, while anything happens at all.
const BETWEEN: Duration = Duration::from_secs(1);

/// The accounts of this host.
pub(super) struct Users {
    file: PathBuf,
    names: HashMap<u32, CompactString>,
    /// Of the file that was read: when it was changed, and its length.
    version: Option<(SystemTime, u64)>,
    looked: Option<Timestamp>,
}

impl Users {
    /// Those of a file like `/etc/passwd`; it is read when it is first looked at.
    pub(super) fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            names: HashMap::new(),
            version: None,
            looked: None,
        }
    }

    /// Looks whether the file has changed, unless it did so just before.
    pub(super) fn look(&mut self, now: Timestamp) {
        // Also when the clock was set back.
        if self
            .looked
            .is_some_and(|looked| now >= looked && now.since(looked) < BETWEEN)
        {
            return;
        }
        self.looked = Some(now);
        let version = fs::metadata(&self.file)
            .and_then(|data| Ok((data.modified()?, data.len())))
            .ok();
        if version != self.version {
            let mut text = Vec::new();
            let read = File::open(&self.file).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
            if read.is_ok() {
                self.names = names(&String::from_utf8_lossy(&text));
                self.version = version;
            }
        }
    }

    /// The name of a user, if the file has it.
    pub(super) fn name(&self, uid: u32) -> Option<CompactString> {
        self.names.get(&uid).cloned()
    }
}

/// The first name of each number, which is the one that the system shows.
fn names(text: &str) -> HashMap<u32, CompactString> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next(), fields.nth(1).and_then(|uid| uid.parse().ok()));
        if let Some((name, uid)) = name.filter(|name| !name.is_empty()).zip(uid) {
            names.entry(uid).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_again_when_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        fs::write(
            &file,
            "root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\nbroken\n:x:5:\nbob:x:no:0",
        )
        .unwrap();
        let second = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let mut users = Users::new(&file);
        users.look(second(10));
        assert_eq!((users.name(0).as_deref(), users.name(5)), (Some("root"), None));
        fs::write(&file, "root:x:0:0::/:/bin/sh\nalice:x:7:7::/:/bin/sh\n").unwrap();
        users.look(second(10));
        assert_eq!(users.name(7), None, "it was looked just before");
        users.look(second(11));
        assert_eq!(users.name(7).as_deref(), Some("alice"));
        // A file that is away for a moment is no reason to forget.
        fs::remove_file(&file).unwrap();
        users.look(second(12));
        assert_eq!(users.name(7).as_deref(), Some("alice"));
    }
}
