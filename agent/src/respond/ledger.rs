//! What was done, written down before it is done: NDJSON, one numbered entry a line, only ever appended to.

use picket_common::action::{Action, Decision};
use picket_common::record::Outcome;
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A file longer than this, most of it over and done with, is written anew.
const LONG: u64 = 4 << 20;

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
    bytes: u64,
}

impl Ledger {
    /// One that is forgotten.
    pub fn in_memory() -> Self {
        Self {
            file: None,
            next: 1,
            live: BTreeMap::new(),
            unspooled: Vec::new(),
            bytes: 0,
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
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(wrong)?;
        let mut ledger = Self::in_memory();
        let mut problems = Vec::new();
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        let mut sound = 0;
        for at in 1.. {
            sound += line.len() as u64;
            line.clear();
            if (&mut reader)
                .take(1 << 20)
                .read_until(b'\n', &mut line)
                .map_err(wrong)?
                == 0
            {
                break;
            }
            match serde_json::from_slice::<Entry>(&line) {
                Ok(entry) => ledger.take(entry, spooled),
                Err(error) if line.ends_with(b"\n") => {
                    problems.push(format!(
                        "{}:{at}: {error}; the line is passed over",
                        path.display()
                    ));
                }
                // The end that a crash left.
                Err(_) => file.set_len(sound).map_err(wrong)?,
            }
        }
        ledger.bytes = file.metadata().map_err(wrong)?.len();
        ledger.next = ledger.next.max(spooled + 1);
        ledger.file = Some((path.to_owned(), file));
        if ledger.bytes > LONG {
            ledger.compact()?;
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
        if outcome.decision != Decision::Applied {
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
        let number = self.next;
        if let Some((path, file)) = &mut self.file {
            let line = line(&Entry { number, body });
            // One write, at the end: a line is there or it is torn, and then nothing was done.
            file.write_all(&line).map_err(|error| LedgerError {
                path: path.clone(),
                error,
            })?;
            self.bytes += line.len() as u64;
        }
        self.next += 1;
        Ok(number)
    }

    /// Writes a file with nothing but what counts, and puts it in the place of the old one.
    fn compact(&mut self) -> Result<(), LedgerError> {
        let Some((path, _)) = self.file.take() else {
            return Ok(());
        };
        let write = || -> io::Result<File> {
            let fresh = path.with_extension("new");
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            let mut text = Vec::new();
            for (action, time) in self.live.values() {
                let body = Body::Claim {
                    action: action.clone(),
                    time: *time,
                };
                text.extend(line(&Entry { number: 0, body }));
            }
            for (number, outcome) in &self.unspooled {
                let body = Body::Outcome(outcome.clone());
                text.extend(line(&Entry {
                    number: *number,
                    body,
                }));
            }
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
            OpenOptions::new().append(true).read(true).open(&path)
        };
        match write() {
            Ok(file) => {
                self.file = Some((path, file));
                Ok(())
            }
            Err(error) => Err(LedgerError { path, error }),
        }
    }
}

/// Entries are plain structures with text keys: they always have a JSON form.
fn line(entry: &Entry) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).unwrap_or_default();
    line.push(b'\n');
    line
}
