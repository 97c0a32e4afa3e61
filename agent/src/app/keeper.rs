//! The thread that writes the spool.

use crate::observation::Cursor;
use crate::send::Watch;
use crate::spool::Spool;
use crate::sys::Stop;
use picket_common::ids::RecordId;
use picket_common::record::{Gap, Record};
use picket_common::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many judgements go into one batch.
const TOGETHER: usize = 1000;
/// How long events may wait to be synced.
const UNSYNCED: Duration = Duration::from_secs(1);
/// How long the news that lines were read which tell of nothing may wait to be written.
const CURSORS: Duration = Duration::from_secs(5);
/// How long to wait before a spool that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What one observation came to.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) records: Vec<Record>,
    /// True once the records are on disk.
    pub(super) cursor: Option<(Arc<str>, Cursor)>,
}

impl Kept {
    /// A loss that a sensor noticed.
    pub(super) fn lost(place: String, lost: u64, reason: String) -> Self {
        let time: Timestamp = jiff::Timestamp::now().into();
        let mut random = [0; 10];
        fastrand::fill(&mut random);
        let gap = Gap {
            id: RecordId::random(time, random),
            time,
            place,
            lost,
            reason,
        };
        Self {
            records: vec![Record::Gap(gap)],
            cursor: None,
        }
    }
}

pub(super) struct Keeper {
    pub(super) spool: Arc<Mutex<Spool>>,
    pub(super) courier: Arc<Watch>,
    pub(super) stop: Stop,
}

/// What is to be written next.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    cursors: BTreeMap<Arc<str>, Cursor>,
    /// When the oldest of the cursors came.
    since: Option<Instant>,
}

impl Batch {
    fn add(&mut self, kept: Kept) {
        self.records.extend(kept.records);
        if let Some((source, cursor)) = kept.cursor {
            self.cursors.insert(source, cursor);
            self.since.get_or_insert_with(Instant::now);
        }
    }
}

impl Keeper {
    /// Writes what comes until nothing can come any more.
    pub(super) fn keep(&self, to_keep: &Receiver<Kept>) {
        let mut batch = Batch::default();
        let mut dirty: Option<Instant> = None;
        loop {
            let due = [
                dirty.map(|since| since + UNSYNCED),
                batch.since.map(|since| since + CURSORS),
            ];
            let due = due.into_iter().flatten().min();
            let first = match due {
                Some(due) => to_keep.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => to_keep.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let ended = matches!(first, Err(RecvTimeoutError::Disconnected));
            if let Ok(first) = first {
                batch.add(first);
                to_keep
                    .try_iter()
                    .take(TOGETHER - 1)
                    .for_each(|kept| batch.add(kept));
            }
            let stale = batch.since.is_some_and(|since| since.elapsed() >= CURSORS);
            if !batch.records.is_empty() || stale || ended {
                if !self.write(std::mem::take(&mut batch)) {
                    // A later batch must not say that its sources were read past what this one held.
                    return;
                }
                dirty = dirty.or_else(|| self.is_dirty().then(Instant::now));
            }
            if ended || dirty.is_some_and(|since| since.elapsed() >= UNSYNCED) {
                dirty = None;
                if let Err(error) = self.spool.lock().unwrap_or_else(PoisonError::into_inner).sync() {
                    tracing::warn!("{error}; events of the last second are not safe from a power cut");
                }
            }
            if ended {
                return;
            }
        }
    }

    /// Writes a batch, trying again for as long as it takes: meanwhile the queues fill, and the logs keep what is not read.
    /// Gives up, and says so by `false`, only when the agent ends.
    fn write(&self, batch: Batch) -> bool {
        let cursors: Vec<(Arc<str>, Cursor)> = batch.cursors.into_iter().collect();
        let (mut told, mut ending) = (false, false);
        loop {
            let done = self
                .spool
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(&batch.records, &cursors);
            match done {
                Ok(()) => {
                    if told {
                        tracing::info!("the spool can be written again");
                    }
                    if !batch.records.is_empty() {
                        self.courier.spooled();
                    }
                    return true;
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!("{error}; nothing is read until the spool can be written again");
                    }
                    if ending {
                        tracing::warn!(
                            "ending without it: what was not written is read again at the next start"
                        );
                        return false;
                    }
                    // There may be room by now.
                    ending = self.stop.wait(AGAIN);
                }
            }
        }
    }

    fn is_dirty(&self) -> bool {
        self.spool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_dirty()
    }
}
