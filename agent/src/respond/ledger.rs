//! What was done, written down before it is done: NDJSON, one numbered entry a line, only ever appended to.
//!
//! Behind the last entry lie empty lines, room for the next ones: an entry that is written into a file that does not grow
//! is on disk without the file system's journal, which others keep busy, having to be written first.

use picket_common::action::{Action, Decision};
use picket_common::record::Outcome;
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A file longer than this, most of it over and done with, is written anew.
const LONG: u64 = 4 << 20;
/// So many of the last outcomes are kept when the file is written anew while the agent runs: some of them may not have
/// reached the spool yet, which takes far fewer at once.
const RECENT: u64 = 10_000;
/// How much room is made at once.
const ROOM: usize = 64 << 10;

/// The ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("ledger {}: {error}", path.display())]
pub struct LedgerError {
    path: PathBuf,
    error: io::Error,
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    number: u64,
    #[serde(flatten)]
    body: Body,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "entry", content = "body")]
enum Body {
    /// It is about to be done; how to take it back follows from the action.
    Claim { action: Action, time: Timestamp },
    /// What became of it.
    Outcome(Outcome),
}

/// See the module.
pub struct Ledger {
    /// `None` keeps nothing, for a replay.
    file: Option<(PathBuf, File)>,
    next: u64,
    /// What holds on the host, or may hold.
    live: BTreeMap<String, (Action, Timestamp)>,
    /// Outcomes that the spool may not have.
    unspooled: Vec<(u64, Outcome)>,
    /// Where the next entry goes.
    end: u64,
    /// Where the file ends.
    room: u64,
    /// Once entries go this far, the file is written anew.
    long: u64,
}

impl Ledger {
    /// One that is forgotten.
    pub fn in_memory() -> Self {
        Self {
            file: None,
            next: 1,
            live: BTreeMap::new(),
            unspooled: Vec::new(),
            end: 0,
            room: 0,
            long: LONG,
        }
    }

    /// Opens the ledger at `path`. Outcomes up to number `spooled` are in the spool. Also gives what could not be read: a line
    /// that a crash cut is none.
    pub fn open(path: &Path, spooled: u64) -> Result<(Self, Vec<String>), LedgerError> {
        let wrong = |error| LedgerError {
            path: path.to_owned(),
            error,
        };
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o750)
                .create(folder)
                .map_err(wrong)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(wrong)?;
        let mut ledger = Self::in_memory();
        let mut problems = Vec::new();
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        for at in 1.. {
            line.clear();
            let read = (&mut reader)
                .take(1 << 20)
                .read_until(b'\n', &mut line)
                .map_err(wrong)?;
            if read == 0 {
                break;
            }
            let start = ledger.room;
            ledger.room += read as u64;
            if line == b"\n" {
                continue;
            }
            let whole = line.ends_with(b"\n");
            match serde_json::from_slice::<Entry>(&line) {
                Ok(entry) if whole => ledger.take(entry, spooled),
                Err(error) if whole => {
                    problems.push(format!(
                        "{}:{at}: {error}; the line is passed over",
                        path.display()
                    ));
                }
                // The end that a crash left.
                _ => {
                    file.set_len(start).map_err(wrong)?;
                    ledger.room = start;
                    break;
                }
            }
            ledger.end = ledger.room;
        }
        ledger.next = ledger.next.max(spooled + 1);
        ledger.file = Some((path.to_owned(), file));
        if ledger.end > ledger.long {
            ledger.compact(spooled)?;
        }
        Ok((ledger, problems))
    }

    fn take(&mut self, entry: Entry, spooled: u64) {
        self.next = self.next.max(entry.number + 1);
        match entry.body {
            Body::Claim { action, time } => {
                self.live.insert(action.id.to_string(), (action, time));
            }
            Body::Outcome(outcome) => {
                self.settle(&outcome);
                if entry.number > spooled {
                    self.unspooled.push((entry.number, outcome));
                }
            }
        }
    }

    fn settle(&mut self, outcome: &Outcome) {
        if outcome.decision != Decision::Applied || !outcome.action.target.kind().lasts() {
            self.live.remove(&outcome.action.id.to_string());
        }
    }

    /// Writes down that an action is about to be done, and makes that safe from a power cut.
    pub fn claim(&mut self, action: &Action, now: Timestamp) -> Result<(), LedgerError> {
        let body = Body::Claim {
            action: action.clone(),
            time: now,
        };
        self.append(body)?;
        if let Some((path, file)) = &self.file {
            file.sync_data().map_err(|error| LedgerError {
                path: path.clone(),
                error,
            })?;
        }
        self.live.insert(action.id.to_string(), (action.clone(), now));
        Ok(())
    }

    /// Writes down what became of it. Gives the entry's number, with which it can be spooled.
    pub fn record(&mut self, outcome: &Outcome) -> Result<u64, LedgerError> {
        let number = self.append(Body::Outcome(outcome.clone()))?;
        self.settle(outcome);
        Ok(number)
    }

    /// The number of the last entry.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// What holds, or may hold, on the host: each action with the time of its claim.
    pub fn live(&self) -> Vec<(Action, Timestamp)> {
        self.live.values().cloned().collect()
    }

    /// Outcomes that were not in the spool when the ledger was opened.
    pub fn take_unspooled(&mut self) -> Vec<(u64, Outcome)> {
        std::mem::take(&mut self.unspooled)
    }

    fn append(&mut self, body: Body) -> Result<u64, LedgerError> {
        if self.end > self.long
            && let Err(error) = self.compact(self.last().saturating_sub(RECENT))
        {
            tracing::warn!("{error}; it goes on growing");
            self.long = self.end.saturating_mul(2);
        }
        let number = self.next;
        if let Some((path, file)) = &self.file {
            let line = line(&Entry { number, body });
            let wrong = |error| LedgerError {
                path: path.clone(),
                error,
            };
            let end = self.end + line.len() as u64;
            if end > self.room {
                let room = vec![b'\n'; ROOM.max(line.len())];
                file.write_all_at(&room, self.end).map_err(wrong)?;
                file.sync_data().map_err(wrong)?;
                self.room = self.end + room.len() as u64;
            }
            file.write_all_at(&line, self.end).map_err(wrong)?;
            self.end = end;
        }
        self.next += 1;
        Ok(number)
    }

    /// Writes a file with nothing but what counts, and puts it in the place of the old one: claims of what holds, and the
    /// outcomes after number `spooled`. After an error the old one is still there.
    fn compact(&mut self, spooled: u64) -> Result<(), LedgerError> {
        let Some((path, _)) = &self.file else {
            return Ok(());
        };
        let counts = |line: &[u8]| {
            let entry = serde_json::from_slice::<Entry>(line);
            entry.is_ok_and(|entry| match entry.body {
                Body::Claim { action, .. } => self.live.contains_key(&action.id.to_string()),
                Body::Outcome(_) => entry.number > spooled,
            })
        };
        let write = || -> io::Result<(File, u64)> {
            let fresh = path.with_extension("new");
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            let mut output = BufWriter::new(&file);
            let mut reader = BufReader::new(File::open(path)?);
            let (mut line, mut end) = (Vec::new(), 0);
            while (&mut reader).take(1 << 20).read_until(b'\n', &mut line)? > 0 {
                if counts(&line) {
                    output.write_all(&line)?;
                    end += line.len() as u64;
                }
                line.clear();
            }
            output.flush()?;
            drop(output);
            file.sync_all()?;
            fs::rename(&fresh, path)?;
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
            Ok((file, end))
        };
        match write() {
            Ok((file, end)) => {
                (self.end, self.room) = (end, end);
                self.long = LONG.max(end.saturating_mul(2));
                self.file = Some((path.clone(), file));
                Ok(())
            }
            Err(error) => Err(LedgerError {
                path: path.clone(),
                error,
            }),
        }
    }
}

/// Entries are plain structures with text keys: they always have a JSON form.
fn line(entry: &Entry) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).unwrap_or_default();
    line.push(b'\n');
    line
}
