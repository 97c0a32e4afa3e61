//! Reading what is kept, also while it grows.

use super::StoreError;
use picket_common::record::Record;
use picket_common::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One record as it is kept.
#[derive(Clone, Debug)]
pub struct Row {
    /// Who sent it.
    pub agent: String,
    /// When it was committed.
    pub received: Timestamp,
    /// The record.
    pub record: Record,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Everything that is no event.
    Findings,
    /// Records that are no events with these words: FTS5's query language, or else all of the words as they are.
    Words(String),
    /// Records of any kind whose text holds this.
    Text(String),
}

/// A place in the store: it gives each record once, in the order in which they arrived, day by day.
pub struct Query {
    folder: PathBuf,
    filter: Filter,
    after: BTreeMap<PathBuf, i64>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(flatten)]
    record: Record,
}

impl Query {
    /// A query over all days in `folder`.
    pub fn new(folder: &Path, filter: Filter) -> Self {
        Self {
            folder: folder.to_owned(),
            filter,
            after: BTreeMap::new(),
        }
    }

    /// What has arrived since this was last asked. A day that cannot be read is an error once the others have been read.
    pub fn more(&mut self, mut give: impl FnMut(Row)) -> Result<(), StoreError> {
        let sought = match &self.filter {
            Filter::Words(words) => quoted(words),
            _ => return self.look(&mut give),
        };
        // Nothing was given before SQLite complains of the words.
        match self.look(&mut give) {
            Err(StoreError::Search(_)) => {
                self.filter = Filter::Words(sought);
                self.look(&mut give)
            }
            read => read,
        }
    }

    fn look(&mut self, mut give: impl FnMut(Row)) -> Result<(), StoreError> {
        let mut read = Ok(());
        for path in days(&self.folder)? {
            let after = self.after.get(&path).copied().unwrap_or(0);
            match self.day(&path, after, &mut give) {
                Ok(last) => drop(self.after.insert(path, last)),
                Err(rusqlite::Error::SqliteFailure(code, Some(reason)))
                    if matches!(self.filter, Filter::Words(_)) && code.code == ErrorCode::Unknown =>
                {
                    return Err(StoreError::Search(reason));
                }
                Err(error) => read = Err(StoreError::Day { path, error }),
            }
        }
        read
    }

    fn day(&self, path: &Path, after: i64, give: &mut impl FnMut(Row)) -> rusqlite::Result<i64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(path, flags)?;
        database.busy_timeout(Duration::from_secs(10))?;
        // The day has just begun: its file is there, and nothing in it yet.
        let begun = "SELECT count(*) FROM sqlite_schema WHERE name = 'words'";
        if database.query_row(begun, [], |row| row.get::<_, u32>(0))? == 0 {
            return Ok(after);
        }
        let (condition, value) = match &self.filter {
            Filter::Findings => ("kind <> 0 AND ?2 = ''", String::new()),
            Filter::Words(words) => (
                "arrival IN (SELECT rowid FROM words WHERE words MATCH ?2)",
                words.clone(),
            ),
            Filter::Text(text) => ("instr(body, ?2) > 0", text.clone()),
        };
        let sql = format!(
            "SELECT arrival, agent, received, body FROM records WHERE arrival > ?1 AND {condition} ORDER BY arrival"
        );
        let mut query = database.prepare(&sql)?;
        let mut rows = query.query(params![after, value])?;
        let mut last = after;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            let body: String = row.get(3)?;
            // What was kept was read before; a line that cannot be read now is of a newer collector.
            if let Ok(Body { record }) = serde_json::from_str(&body) {
                give(Row {
                    agent: row.get(1)?,
                    received: Timestamp::from_micros(row.get(2)?),
                    record,
                });
            }
        }
        Ok(last)
    }
}

/// Each word as FTS5 takes it literally: an address is no expression.
fn quoted(words: &str) -> String {
    let quote = |word: &str| format!("\"{}\"", word.replace('"', "\"\""));
    let words: Vec<String> = words.split_whitespace().map(quote).collect();
    words.join(" ")
}

fn days(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let wrong = |error| StoreError::Folder {
        path: folder.to_owned(),
        error,
    };
    let mut days = Vec::new();
    for entry in folder.read_dir().map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|extension| extension == "db") {
            days.push(path);
        }
    }
    days.sort();
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::super::day::{Day, Entry};
    use super::*;
    use picket_common::ids::RecordId;
    use picket_common::record::Gap;

    /// How many of three records these words find.
    fn found(words: &str) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let day = Day::open(&folder.path().join("2026-01-01.db")).unwrap();
        let reasons = [
            "root from 198.51.100.9",
            "root from 198.51.100.10",
            "a \"b\" from 2001:db8::9",
        ];
        for (reason, sequence) in reasons.into_iter().zip(1..) {
            let time = Timestamp::from_micros(sequence);
            let record = Record::Gap(Gap {
                id: RecordId::derived(time, &[reason.as_bytes()]),
                time,
                place: String::new(),
                lost: 1,
                reason: reason.to_owned(),
            });
            let entry = Entry {
                agent: "a",
                sequence: 1,
                record: &record,
                line: &serde_json::to_string(&record).unwrap(),
                received: time,
            };
            assert!(day.keep(&entry).unwrap());
        }
        let mut count = 0;
        let mut query = Query::new(folder.path(), Filter::Words(words.to_owned()));
        query.more(|_| count += 1).map_err(|error| error.to_string())?;
        Ok(count)
    }

    #[test]
    fn words_are_an_expression_where_they_can_be_and_else_taken_as_they_are() {
        for (words, count) in [
            ("root", 2),
            ("198 OR db8", 3),
            ("\"198.51.100.9\"", 1),
            ("198.51.100.9", 1),
            ("root 198.51.100.9", 1),
            ("198.51.100.9 2001:db8::9", 0),
            ("2001:db8::9", 1),
            ("from-2001", 1),
            ("\"b\" 2001:db8::9", 1),
            ("(\"", 0),
            ("place:198.51.100.9'; --", 0),
        ] {
            assert_eq!(found(words), Ok(count), "{words}");
        }
    }

    #[test]
    fn what_makes_no_sense_at_all_names_the_other_way() {
        let told = found("(\0").unwrap_err();
        assert!(
            told.contains("makes no sense") && told.contains("--text"),
            "{told}"
        );
    }
}
