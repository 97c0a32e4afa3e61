//! One day's file.

use super::StoreError;
use picket_common::record::{Lane, Record};
use picket_common::time::Timestamp;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `kind`: 0 event or what became known of one later, 1 finding, 2 outcome, 3 gap. `arrival` orders what was received; followers go on from there.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS records(
        arrival INTEGER PRIMARY KEY, agent TEXT NOT NULL, id BLOB NOT NULL, kind INTEGER NOT NULL, lane INTEGER NOT NULL,
        sequence INTEGER NOT NULL, time INTEGER NOT NULL, received INTEGER NOT NULL, body TEXT NOT NULL,
        UNIQUE(id, agent)) STRICT;
    CREATE INDEX IF NOT EXISTS findings ON records(time) WHERE kind <> 0;
    CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(body, content='records', content_rowid='arrival');";

/// What a day keeps of a record, beside the line that it came in.
pub(super) struct Entry<'a> {
    pub(super) agent: &'a str,
    pub(super) sequence: u64,
    pub(super) record: &'a Record,
    pub(super) line: &'a str,
    pub(super) received: Timestamp,
}

pub(super) struct Day {
    pub(super) path: PathBuf,
    pub(super) database: Connection,
}

impl Day {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || -> rusqlite::Result<Connection> {
            let database = Connection::open(path)?;
            database.busy_timeout(Duration::from_secs(10))?;
            database.pragma_update(None, "journal_mode", "wal")?;
            // An acknowledgement is a promise: each commit is on disk.
            database.pragma_update(None, "synchronous", "full")?;
            database.pragma_update(None, "wal_autocheckpoint", 4000)?;
            database.pragma_update(None, "cache_size", -8192)?;
            database.execute_batch(SCHEMA)?;
            Ok(database)
        };
        let wrong = |error| StoreError::Day {
            path: path.to_owned(),
            error,
        };
        Ok(Self {
            path: path.to_owned(),
            database: open().map_err(wrong)?,
        })
    }

    /// Keeps a record. Whether it was new.
    pub(super) fn keep(&self, entry: &Entry<'_>) -> rusqlite::Result<bool> {
        let (kind, time) = match entry.record {
            Record::Event(event) => (0, event.time),
            Record::Finding(finding) => (1, finding.time),
            Record::Outcome(outcome) => (2, outcome.time),
            Record::Gap(gap) => (3, gap.time),
            Record::Amend(amend) => (0, amend.time),
        };
        let lane = match entry.record.lane() {
            Lane::Findings => 0,
            Lane::Events => 1,
        };
        let inserted = self
            .database
            .prepare_cached("INSERT OR IGNORE INTO records VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                entry.agent,
                entry.record.id().to_bytes(),
                kind,
                lane,
                i64::try_from(entry.sequence).unwrap_or(i64::MAX),
                time.as_micros(),
                entry.received.as_micros(),
                entry.line
            ])?;
        if inserted > 0 && kind != 0 {
            self.database
                .prepare_cached("INSERT INTO words(rowid, body) VALUES (?1, ?2)")?
                .execute(params![self.database.last_insert_rowid(), entry.line])?;
        }
        Ok(inserted > 0)
    }
}
