//! The one thread that writes: it gathers what came meanwhile, commits, and only then answers.

use super::StoreError;
use super::day::{Day, Entry};
use picket_common::record::Record;
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use picket_common::wire::{Item, Receipt, Refused};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many batches wait for the thread; beyond that, senders wait.
const WAITING: usize = 64;
/// How many batches share one commit.
const TOGETHER: usize = 32;
/// How many days' files stay open.
const OPEN_DAYS: usize = 8;
/// The file in the folder whose changes tell that something was committed.
pub const DOORBELL: &str = "committed";
/// Whose clock is further ahead than this is not believed.
const AHEAD: Duration = Duration::from_secs(2 * 86_400);
/// Nothing is older: ten years of logs, a file a day, is what one folder holds well.
const BEHIND: Duration = Duration::from_secs(3660 * 86_400);

/// What one agent sent at once: its lines, read.
pub struct Batch {
    /// Who sent it.
    pub agent: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One line of a batch.
pub struct Line {
    /// As it came.
    pub text: String,
    /// What it says, or why it says nothing.
    pub item: Result<Item, String>,
}

type Work = (Batch, oneshot::Sender<Result<Receipt, String>>);

/// The hand to the thread.
pub struct Writer {
    work: SyncSender<Work>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread; it writes into `folder`.
    pub fn start(folder: &Path) -> Result<Self, StoreError> {
        let wrong = |error| StoreError::Folder {
            path: folder.to_owned(),
            error,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(wrong)?;
        let (send, receive) = sync_channel(WAITING);
        let doorbell = File::create(folder.join(DOORBELL)).map_err(wrong)?;
        let mut store = Store {
            folder: folder.to_owned(),
            doorbell,
            days: BTreeMap::new(),
            trouble: None,
        };
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || store.work(&receive))
            .map_err(wrong)?;
        Ok(Self { work: send, thread })
    }

    /// Keeps a batch. Answers once it is on disk. Blocks while too many others wait.
    pub fn keep(&self, batch: Batch) -> oneshot::Receiver<Result<Receipt, String>> {
        let (send, receive) = oneshot::channel();
        // A thread that has ended drops the sender, which the receiver sees.
        drop(self.work.send((batch, send)));
        receive
    }

    /// Ends the thread after what it has been given.
    pub fn finish(self) {
        drop(self.work);
        drop(self.thread.join());
    }
}

struct Store {
    folder: PathBuf,
    /// Written to after each commit. SQLite's own files change last before a commit can be seen, not after.
    doorbell: File,
    /// By day, as `2026-11-24`.
    days: BTreeMap<String, Day>,
    /// Why nothing can be kept now.
    trouble: Option<String>,
}

impl Store {
    fn work(&mut self, work: &Receiver<Work>) {
        while let Ok(first) = work.recv() {
            let mut batches = vec![first];
            batches.extend(work.try_iter().take(TOGETHER - 1));
            let now: Timestamp = jiff::Timestamp::now().into();
            match self.commit(&batches, now) {
                Ok(receipts) => {
                    self.ring();
                    if self.trouble.take().is_some() {
                        say("what comes is kept again");
                    }
                    for ((_, reply), receipt) in batches.into_iter().zip(receipts) {
                        // Whoever hung up asks again.
                        drop(reply.send(Ok(receipt)));
                    }
                }
                Err(error) => {
                    // The connections may be what is broken.
                    self.days.clear();
                    let reason = error.to_string();
                    for (_, reply) in batches {
                        drop(reply.send(Err(reason.clone())));
                    }
                    // Agents come again and again with the same.
                    if self.trouble.as_ref() != Some(&reason) {
                        say(&format!(
                            "{reason}; nothing is kept, and agents keep what they have"
                        ));
                        self.trouble = Some(reason);
                    }
                }
            }
        }
    }

    fn ring(&self) {
        // Followers hear of the next commit; the records are safe.
        drop(self.doorbell.write_at(b"!", 0));
    }

    fn commit(&mut self, batches: &[Work], now: Timestamp) -> Result<Vec<Receipt>, StoreError> {
        let mut receipts = Vec::with_capacity(batches.len());
        let mut begun: Vec<String> = Vec::new();
        for (batch, _) in batches {
            let mut receipt = Receipt::default();
            for line in &batch.lines {
                let item = match &line.item {
                    Ok(item) => item,
                    Err(reason) => {
                        refuse(&mut receipt, None, reason.clone());
                        continue;
                    }
                };
                receipt.acknowledged = receipt.acknowledged.max(Some(item.sequence));
                match day_of(&item.record, now) {
                    Ok(day) => {
                        let new = self.keep(&mut begun, &day, batch, item, &line.text, now)?;
                        receipt.duplicates += u64::from(!new);
                    }
                    Err(reason) => refuse(&mut receipt, Some(item.sequence), reason),
                }
            }
            receipts.push(receipt);
        }
        for day in begun {
            if let Some(day) = self.days.get(&day) {
                day.database
                    .execute_batch("COMMIT")
                    .map_err(|error| StoreError::Day {
                        path: day.path.clone(),
                        error,
                    })?;
            }
        }
        while self.days.len() > OPEN_DAYS {
            self.days.pop_first();
        }
        Ok(receipts)
    }

    fn keep(
        &mut self,
        begun: &mut Vec<String>,
        name: &str,
        batch: &Batch,
        item: &Item,
        line: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if !self.days.contains_key(name) {
            let day = Day::open(&self.folder.join(format!("{name}.db")))?;
            self.days.insert(name.to_owned(), day);
        }
        let Some(day) = self.days.get(name) else {
            return Err(StoreError::Ending);
        };
        let wrong = |error| StoreError::Day {
            path: day.path.clone(),
            error,
        };
        if !begun.iter().any(|other| other == name) {
            day.database.execute_batch("BEGIN IMMEDIATE").map_err(wrong)?;
            begun.push(name.to_owned());
        }
        day.keep(&Entry {
            agent: &batch.agent,
            sequence: item.sequence,
            record: &item.record,
            line,
            received: now,
        })
        .map_err(wrong)
    }
}

fn say(text: &str) {
    // Nothing is left to tell if standard error is gone.
    drop(writeln!(io::stderr(), "picket-collector: {}", Plain(text)));
}

fn refuse(receipt: &mut Receipt, sequence: Option<u64>, reason: String) {
    receipt.refused.push(Refused { sequence, reason });
}

/// The day that a record's id carries, as `2026-11-24`.
fn day_of(record: &Record, now: Timestamp) -> Result<String, String> {
    let millis = i64::try_from(record.id().unix_millis()).unwrap_or(i64::MAX);
    let time = Timestamp::from_micros(millis.saturating_mul(1000));
    if time.since(now) > AHEAD || now.since(time) > BEHIND {
        return Err(format!(
            "its time, {time}, is out of bounds: is the host's clock right?"
        ));
    }
    Ok(time.to_string().chars().take(10).collect())
}
