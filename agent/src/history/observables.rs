//! What this host has seen, in an SQLite file of the state folder: each digest, address, domain and path once, with when it was seen
//! first and last, how often, in which kinds of event and with whom.
//!
//! Writes are batches in its write-ahead log, which is synced when it is carried over: a power cut takes the last of them and
//! breaks nothing. What was not seen for as long as the settings say goes; when the file reaches its bound, what was seen longest ago
//! of the kind that there is most of: whoever floods a host with files makes it forget files, and no address. A file that is damaged is
//! set aside, and another begun.

use super::question::{Question, Seen};
use super::sighting::{DIGEST, Key, PATH, Sighting, Sightings, V4, V6, observable};
use super::{Observable, question};
use picket_common::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `seen.key` is a byte for the kind and the bytes of the thing; `shown` has a bit for each kind of event; `told` says that a finding
/// has told that it is listed. `about.since` is how far back the history is whole.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS seen(
        key BLOB PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, shown INTEGER NOT NULL,
        told INTEGER NOT NULL, subject TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS about(one INTEGER PRIMARY KEY CHECK (one = 1), since INTEGER NOT NULL) STRICT;";
const SEE: &str = "
    INSERT INTO seen VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(key) DO UPDATE SET
        first = min(first, excluded.first), last = max(last, excluded.last), count = count + excluded.count,
        shown = shown | excluded.shown, told = told | excluded.told,
        subject = CASE WHEN excluded.last >= last AND excluded.subject <> '' THEN excluded.subject ELSE subject END";
/// So many are written in one transaction, each of which may touch a page of its own.
const TOGETHER: usize = 1024;
/// Of so many is looked at when they were last seen, to find those that were seen longest ago.
const SAMPLE: usize = 10_000;

/// See the module.
pub struct Observables {
    path: PathBuf,
    database: Connection,
    keep: Duration,
    quota: u64,
}

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ObservablesError {
    /// The file system says no.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The database says no.
    #[error("{0}: {1}")]
    Database(PathBuf, rusqlite::Error),
}

impl ObservablesError {
    /// Whether what is in the file is no such history.
    pub fn is_damage(&self) -> bool {
        let Self::Database(_, error) = self else {
            return false;
        };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ) || matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)
        )
    }
}

impl Observables {
    /// Goes on with a file, or begins one. One that is damaged is set aside: then its new name is given as well.
    pub fn open(
        path: &Path,
        (keep, quota): (Duration, u64),
        now: Timestamp,
    ) -> Result<(Self, Option<PathBuf>), ObservablesError> {
        let file = |error| ObservablesError::File(path.to_owned(), error);
        if let Some(folder) = path.parent() {
            let mut folders = DirBuilder::new();
            folders.recursive(true).mode(0o700).create(folder).map_err(file)?;
        }
        let begin = || -> Result<Self, ObservablesError> {
            // Nobody else needs to know what this host has seen.
            let mut options = OpenOptions::new();
            options
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)
                .map_err(file)?;
            let database = connect(path, quota, now);
            Ok(Self {
                path: path.to_owned(),
                database: database.map_err(|error| ObservablesError::Database(path.to_owned(), error))?,
                keep,
                quota,
            })
        };
        match begin() {
            Err(error) if error.is_damage() => {
                let aside = with(path, ".damaged");
                fs::rename(path, &aside).map_err(file)?;
                for part in ["-wal", "-shm"] {
                    // There may be none; without the file that it belongs to it means nothing.
                    let _ = fs::remove_file(with(path, part));
                }
                Ok((begin()?, Some(aside)))
            }
            other => Ok((other?, None)),
        }
    }

    /// Writes what was seen, and takes away what was written; where it fails, the rest stays.
    pub fn write(&mut self, sightings: &mut Sightings) -> Result<(), ObservablesError> {
        while !sightings.is_empty() {
            let some: Vec<Key> = sightings.seen.keys().take(TOGETHER).cloned().collect();
            self.write_some(sightings, &some)
                .map_err(|error| self.wrong(error))?;
            for key in &some {
                sightings.seen.remove(key);
            }
        }
        Ok(())
    }

    fn write_some(&mut self, sightings: &Sightings, some: &[Key]) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        {
            let mut see = transaction.prepare_cached(SEE)?;
            for (key, one) in some.iter().filter_map(|key| sightings.seen.get_key_value(key)) {
                see.execute(params![
                    key,
                    one.first.as_micros(),
                    one.last.as_micros(),
                    i64::try_from(one.count).unwrap_or(i64::MAX),
                    one.shown,
                    one.told,
                    one.subject.as_str()
                ])?;
            }
        }
        transaction.commit()
    }

    /// Gives each thing that no finding has told of to `look`, with its key.
    pub fn each_untold(
        &self,
        mut look: impl FnMut(&[u8], &Observable<'_>, &Sighting),
    ) -> Result<(), ObservablesError> {
        let mut scan = || -> rusqlite::Result<()> {
            let query = "SELECT key, first, last, count, shown, told, subject FROM seen WHERE told = 0";
            let mut statement = self.database.prepare_cached(query)?;
            let mut rows = statement.query([])?;
            let mut text = String::new();
            while let Some(row) = rows.next()? {
                let key = row.get_ref(0)?.as_blob()?;
                if let Some(observable) = observable(key, &mut text) {
                    look(key, &observable, &question::sighting(row)?);
                }
            }
            Ok(())
        };
        scan().map_err(|error| self.wrong(error))
    }

    /// Notes that a finding has told of these.
    pub fn tell(&mut self, keys: &[Vec<u8>]) -> Result<(), ObservablesError> {
        let mut tell = || -> rusqlite::Result<()> {
            let transaction = self.database.transaction()?;
            {
                let mut told = transaction.prepare_cached("UPDATE seen SET told = 1 WHERE key = ?1")?;
                for key in keys {
                    told.execute([key])?;
                }
            }
            transaction.commit()
        };
        tell().map_err(|error| self.wrong(error))
    }

    /// What was seen of what is asked for, bounded, the last seen first; and since when the history is whole.
    pub fn find(&self, question: &Question) -> Result<(Vec<Seen>, Timestamp), ObservablesError> {
        let find = || -> rusqlite::Result<_> { Ok((question.find(&self.database)?, self.since()?)) };
        find().map_err(|error| self.wrong(error))
    }

    /// How many things it holds.
    pub fn count(&self) -> Result<u64, ObservablesError> {
        let count = self
            .database
            .query_row("SELECT count(*) FROM seen", [], |row| row.get(0));
        count.map_err(|error| self.wrong(error))
    }

    /// How many bytes of its file are in use.
    pub fn bytes(&self) -> Result<u64, ObservablesError> {
        self.used().map_err(|error| self.wrong(error))
    }

    /// Forgets what was not seen for long, and more where there is too much. Whether there was anything.
    pub fn prune(&mut self, now: Timestamp) -> Result<bool, ObservablesError> {
        let prune = || -> rusqlite::Result<bool> {
            let keep = i64::try_from(self.keep.as_micros()).unwrap_or(i64::MAX);
            let oldest = now.as_micros().saturating_sub(keep);
            let mut gone = self
                .database
                .execute("DELETE FROM seen WHERE last < ?1", [oldest])?;
            // Each time a tenth of the largest kind goes; that this comes to an end is bounded all the same.
            for _ in 0..100 {
                if self.used()? <= self.quota {
                    break;
                }
                gone += self.forget_some()?;
            }
            Ok(gone > 0)
        };
        prune().map_err(|error| self.wrong(error))
    }

    /// Whether it holds more than it may.
    pub fn is_full(&self) -> bool {
        self.used().is_ok_and(|used| used > self.quota)
    }

    /// Forgets the tenth that was seen longest ago, of the kind that there is most of; files and digests are one.
    fn forget_some(&self) -> rusqlite::Result<usize> {
        let kinds: [&[u8]; 3] = [&[DIGEST, PATH], &[V4, V6], &[super::sighting::DOMAIN]];
        let mut most: Option<(i64, &[u8])> = None;
        for kind in kinds {
            let mut count = 0;
            for first in kind {
                let query = "SELECT count(*) FROM seen WHERE key >= ?1 AND key < ?2";
                let range = params![[*first], [first + 1]];
                count += self
                    .database
                    .query_row(query, range, |row| row.get::<_, i64>(0))?;
            }
            if most.is_none_or(|(other, _)| count > other) {
                most = Some((count, kind));
            }
        }
        let Some((count, kind)) = most.filter(|(count, _)| *count > 0) else {
            return Ok(0);
        };
        let (mut step, mut last) = (0_usize, Vec::new());
        let each = usize::try_from(count).unwrap_or(usize::MAX) / SAMPLE + 1;
        for first in kind {
            let mut statement = self
                .database
                .prepare_cached("SELECT last FROM seen WHERE key >= ?1 AND key < ?2")?;
            let mut rows = statement.query(params![[*first], [first + 1]])?;
            while let Some(row) = rows.next()? {
                if step % each == 0 {
                    last.push(row.get::<_, i64>(0)?);
                }
                step += 1;
            }
        }
        last.sort_unstable();
        let Some(oldest) = last.get(last.len() / 10) else {
            return Ok(0);
        };
        let mut gone = 0;
        for first in kind {
            let query = "DELETE FROM seen WHERE key >= ?1 AND key < ?2 AND last <= ?3";
            gone += self
                .database
                .execute(query, params![[*first], [first + 1], oldest])?;
        }
        let since = "UPDATE about SET since = max(since, ?1)";
        self.database.execute(since, [oldest])?;
        Ok(gone)
    }

    fn since(&self) -> rusqlite::Result<Timestamp> {
        let since = self
            .database
            .query_row("SELECT since FROM about", [], |row| row.get(0));
        Ok(Timestamp::from_micros(since.optional()?.unwrap_or_default()))
    }

    fn used(&self) -> rusqlite::Result<u64> {
        let number = |name: &str| {
            self.database
                .pragma_query_value(None, name, |row| row.get::<_, u64>(0))
        };
        let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
        Ok(pages.saturating_mul(number("page_size")?))
    }

    fn wrong(&self, error: rusqlite::Error) -> ObservablesError {
        ObservablesError::Database(self.path.clone(), error)
    }
}

fn connect(path: &Path, quota: u64, now: Timestamp) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    // Nobody else reads it while an agent runs: so there is no memory that is shared through a file, which a full disk could break.
    database.pragma_update(None, "locking_mode", "exclusive")?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "normal")?;
    database.pragma_update(None, "cache_size", -1024)?;
    database.pragma_update(None, "journal_size_limit", 4 << 20)?;
    let well: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if well != "ok" {
        let damage = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(damage, Some(well)));
    }
    database.execute_batch(SCHEMA)?;
    database.execute("INSERT OR IGNORE INTO about VALUES(1, ?1)", [now.as_micros()])?;
    // Should it grow faster than it is pruned.
    let page: u64 = database.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let most = i64::try_from((quota + quota / 4) / page.max(512)).unwrap_or(i64::MAX);
    database.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
    Ok(database)
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::sighting;
    use std::process::Command;

    const DAY: i64 = 86_400_000_000;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn open(path: &Path) -> Observables {
        let bounds = (Duration::from_secs(90 * 86_400), 1 << 20);
        let (history, aside) = Observables::open(path, bounds, at(0)).unwrap();
        assert_eq!(aside, None);
        history
    }

    fn seen(things: &[(Observable<'_>, i64)]) -> Sightings {
        let mut sightings = Sightings::default();
        for (thing, time) in things {
            let mut key = Key::new();
            assert!(sighting::key(thing, &mut key));
            let one = Sighting {
                first: at(*time),
                last: at(*time),
                count: 1,
                subject: "sshd".into(),
                shown: 1,
                told: false,
            };
            sightings.seen.insert(key, one);
        }
        sightings
    }

    fn address(text: &str) -> Observable<'static> {
        Observable::Address(text.parse().unwrap())
    }

    fn asked(history: &Observables, text: &str) -> Vec<(String, u64)> {
        let (found, _) = history.find(&Question::parse(text).unwrap()).unwrap();
        found.into_iter().map(|seen| (seen.value, seen.count)).collect()
    }

    #[test]
    fn what_was_seen_is_joined_over_restarts_and_found_in_every_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/seen.sqlite");
        let digest = "ab".repeat(32);
        let things = [
            (address("198.51.100.7"), 5),
            (address("198.51.100.255"), 6),
            (address("198.51.101.0"), 6),
            (address("2001:db8::7"), 6),
            (Observable::Domain("cdn.evil.example".into()), 6),
            (Observable::Domain("notevil.example".into()), 6),
            (Observable::Path("/tmp/update.sh"), 7),
            (Observable::Path("/tmp/no-update.sh"), 7),
            (Observable::Digest(&digest), 7),
        ];
        open(&path).write(&mut seen(&things)).unwrap();
        let mut history = open(&path);
        history
            .write(&mut seen(&[
                (address("198.51.100.7"), 3),
                (address("198.51.100.7"), 9),
            ]))
            .unwrap();
        history.write(&mut seen(&[(address("198.51.100.7"), 4)])).unwrap();
        let (found, since) = history.find(&Question::parse("198.51.100.7").unwrap()).unwrap();
        let [one] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((one.first, one.last, one.count, since), (at(4), at(9), 3, at(0)));
        assert_eq!(
            (one.with.as_deref(), one.events.as_slice()),
            (Some("sshd"), &[crate::history::Shown::Login][..])
        );
        let values = |text: &str| {
            asked(&history, text)
                .into_iter()
                .map(|(value, _)| value)
                .collect::<Vec<_>>()
        };
        assert_eq!(values("198.51.100.0/24"), ["198.51.100.7", "198.51.100.255"]);
        assert_eq!(values("2001:db8::/32"), ["2001:db8::7"]);
        assert_eq!(values("Evil.Example."), ["cdn.evil.example"]);
        assert_eq!(values("update.sh"), ["/tmp/update.sh"]);
        assert_eq!(values("/tmp/update.sh"), ["/tmp/update.sh"]);
        assert_eq!(values(&digest.to_uppercase()), [digest.as_str()]);
        assert_eq!(values("/tmp/update"), [] as [&str; 0]);
        for none in ["", "127.0.0.1", "a/b"] {
            assert!(Question::parse(none).is_err(), "{none}");
        }
    }

    #[test]
    fn what_a_finding_has_told_of_is_not_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = open(&folder.path().join("seen.sqlite"));
        history
            .write(&mut seen(&[
                (address("198.51.100.7"), 5),
                (address("198.51.100.8"), 6),
            ]))
            .unwrap();
        let untold = |history: &Observables| {
            let mut keys = Vec::new();
            history.each_untold(|key, _, _| keys.push(key.to_vec())).unwrap();
            keys
        };
        let keys = untold(&history);
        assert_eq!(keys.len(), 2);
        history.tell(&keys[..1]).unwrap();
        history.write(&mut seen(&[(address("198.51.100.7"), 9)])).unwrap();
        assert_eq!(untold(&history), keys[1..]);
    }

    #[test]
    fn what_is_old_goes_and_a_flood_of_files_makes_it_forget_files_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = open(&folder.path().join("seen.sqlite"));
        history
            .write(&mut seen(&[
                (address("198.51.100.7"), 0),
                (address("198.51.100.8"), DAY),
            ]))
            .unwrap();
        assert!(!history.prune(at(90 * DAY)).unwrap());
        assert!(history.prune(at(90 * DAY + 1)).unwrap());
        assert_eq!(asked(&history, "198.51.100.0/24").len(), 1);
        for round in 0..20 {
            let paths: Vec<String> = (0..1000)
                .map(|number| format!("/srv/{round}/{number}/{}", "x".repeat(40)))
                .collect();
            let things: Vec<_> = paths
                .iter()
                .map(|path| (Observable::Path(path), DAY + round))
                .collect();
            history.write(&mut seen(&things)).unwrap();
            if history.is_full() {
                assert!(history.prune(at(2 * DAY)).unwrap());
            }
            assert!(history.bytes().unwrap() <= 1 << 20);
        }
        assert_eq!(
            asked(&history, "198.51.100.8").len(),
            1,
            "it is older than all of the files"
        );
        let last = format!("/srv/19/7/{}", "x".repeat(40));
        assert_eq!(asked(&history, &last).len(), 1);
        let (none, since) = history.find(&Question::parse("/srv/0/7").unwrap()).unwrap();
        assert!(
            none.is_empty() && since > at(DAY),
            "how far back it reaches is said: {since}"
        );
        assert!(history.count().unwrap() > 1000);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_another_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen.sqlite");
        let bounds = (Duration::from_secs(1), 1 << 20);
        let paths: Vec<String> = (0..2000).map(|number| format!("/srv/{number}")).collect();
        let things: Vec<_> = paths.iter().map(|path| (Observable::Path(path), 1)).collect();
        let mut whole = Vec::new();
        for (name, damage) in [
            (
                "no database at all",
                (|bytes: &mut Vec<u8>| bytes.fill(b'x')) as fn(&mut Vec<u8>),
            ),
            ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
            ("overwritten in the middle", |bytes| {
                bytes[9000..30_000].fill(0xff)
            }),
        ] {
            if whole.is_empty() {
                open(&path).write(&mut seen(&things)).unwrap();
                whole = fs::read(&path).unwrap();
            }
            let mut bytes = whole.clone();
            damage(&mut bytes);
            for part in ["-wal", "-shm"] {
                drop(fs::remove_file(with(&path, part)));
            }
            fs::write(&path, bytes).unwrap();
            let (mut history, aside) = Observables::open(&path, bounds, at(0)).unwrap();
            assert_eq!(aside, Some(with(&path, ".damaged")), "{name}");
            history.write(&mut seen(&[(address("198.51.100.7"), 5)])).unwrap();
            assert_eq!(history.count().unwrap(), 1, "{name}");
        }
        let folder_in_its_place = folder.path().join("folder");
        fs::create_dir(&folder_in_its_place).unwrap();
        let error = Observables::open(&folder_in_its_place, bounds, at(0))
            .err()
            .unwrap();
        assert!(error.to_string().contains("folder: Is a directory"), "{error}");
    }

    #[test]
    fn what_was_written_is_there_after_a_kill_in_the_middle_of_the_next_write() {
        const CHILD: &str = "PICKET_TEST_OBSERVABLES";
        if let Some(path) = std::env::var_os(CHILD) {
            let mut history = open(Path::new(&path));
            history.write(&mut seen(&[(address("198.51.100.7"), 5)])).unwrap();
            let _open = history.database.transaction().unwrap();
            _open.execute("DELETE FROM seen", []).unwrap();
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen.sqlite");
        let name = "history::observables::tests::what_was_written_is_there_after_a_kill_in_the_middle_of_the_next_write";
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, &path)
            .output()
            .unwrap()
            .status;
        assert!(!status.success());
        assert_eq!(asked(&open(&path), "198.51.100.7").len(), 1);
    }
}
