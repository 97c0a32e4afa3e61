//! The side of the spool that the agent writes.

use super::LANES;
use super::encode::{Encoder, Frames, json};
use super::error::SpoolError;
use super::recover::{Found, recover};
use super::segments::{Dropped, Pending, Segments, first_frame, folder};
use crate::observation::Cursor;
use nix::fcntl::{Flock, FlockArg};
use picket_common::ids::RecordId;
use picket_common::record::{Gap, Lane, Record};
use picket_common::time::Timestamp;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// How long another process may take to let go of the spool.
const LOCK: Duration = Duration::from_secs(2);
const LARGEST_SEGMENT: u64 = 4 << 20;
const SMALLEST_SEGMENT: u64 = 64 << 10;
/// Numbers jump to the next multiple when the spool is opened: what was sent and then lost in a power cut keeps its numbers.
const STRETCH: u64 = 1 << 20;
const NO_ROOM: &str = "there was no room in the spool, or on its disk, before the collector had it";

/// What opening the spool found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Bytes of a batch that was never finished; what it held is read again from its sources.
    pub cut: u64,
    /// Losses, which are in the findings' lane already.
    pub gaps: Vec<Gap>,
}

/// See the module of the spool.
pub struct Spool {
    directory: PathBuf,
    quota: u64,
    events: Segments,
    findings: Segments,
    batch: u64,
    cursors: BTreeMap<Arc<str>, Cursor>,
    lost: u64,
    encoder: Encoder,
    _lock: Flock<File>,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool")
            .field("directory", &self.directory)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

impl Spool {
    /// Opens the spool in `directory`, which is made if need be, and puts right what a crash left.
    pub fn open(directory: &Path, quota: u64) -> Result<(Self, Recovery), SpoolError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o750);
        for lane in LANES {
            let folder = folder(directory, lane);
            builder.create(&folder).map_err(SpoolError::at(&folder))?;
        }
        let lock = lock(directory)?;
        let [events, findings] = LANES.map(|lane| recover(&folder(directory, lane)));
        let (events, findings) = (events?, findings?);
        let batch = events.batch.max(findings.batch) + 1;
        let mut recovery = Recovery {
            cut: events.cut + findings.cut,
            gaps: Vec::new(),
        };
        let mut losses = Vec::new();
        let mut newest: BTreeMap<Arc<str>, (u64, Cursor)> = BTreeMap::new();
        for (lane, found) in [(Lane::Events, &events), (Lane::Findings, &findings)] {
            if found.damaged > 0 {
                losses.push(gap(lane, found.damaged, "damaged on disk", now(), &[]));
            }
            for (source, (batch, cursor)) in &found.cursors {
                if newest.get(source).is_none_or(|(other, _)| other <= batch) {
                    newest.insert(Arc::clone(source), (*batch, cursor.clone()));
                }
            }
        }
        let cursors = newest
            .into_iter()
            .map(|(source, (_, cursor))| (source, cursor))
            .collect();
        let encoder = Encoder::new().map_err(SpoolError::at(directory))?;
        let mut spool = Self {
            directory: directory.to_owned(),
            quota,
            events: start(directory, Lane::Events, events)?,
            findings: start(directory, Lane::Findings, findings)?,
            batch,
            cursors,
            lost: 0,
            encoder,
            _lock: lock,
        };
        spool.begin(Lane::Events)?;
        spool.begin(Lane::Findings)?;
        for lane in LANES {
            for dropped in Dropped::all(&folder(directory, lane))? {
                recovery.gaps.extend(spool.record_drop(lane, dropped, NO_ROOM)?);
            }
        }
        for gap in losses {
            spool.append(&[Record::Gap(gap.clone())], &[])?;
            recovery.gaps.push(gap);
        }
        Ok((spool, recovery))
    }

    /// How far each source has been read, as far as that is on disk.
    pub fn cursors(&self) -> &BTreeMap<Arc<str>, Cursor> {
        &self.cursors
    }

    /// Keeps records together with how far their sources have been read. After an error nothing of it is kept, and the same
    /// can be tried again.
    ///
    /// Findings are safe from a power cut when this returns; events at the next [`Spool::sync`]. Events are written first
    /// and synced before a finding's frame carries their cursor: no cut can keep the cursor and lose an event before it.
    pub fn append(&mut self, records: &[Record], cursors: &[(Arc<str>, Cursor)]) -> Result<(), SpoolError> {
        if records.is_empty() && cursors.is_empty() {
            return Ok(());
        }
        self.make_room()?;
        let too_long = loop {
            match self.append_once(records, cursors) {
                // Events make room for findings.
                Err(error)
                    if error.is_full() && has(records, Lane::Findings) && !self.events.closed.is_empty() =>
                {
                    self.drop_oldest(Lane::Events, NO_ROOM)?;
                }
                done => break done?,
            }
        };
        for (source, cursor) in cursors {
            self.cursors.insert(Arc::clone(source), cursor.clone());
        }
        if too_long > 0 {
            let reason = "a record is longer than the wire allows";
            let gap = gap(Lane::Events, too_long, reason, now(), &[]);
            self.append_once(&[Record::Gap(gap)], &[])?;
        }
        Ok(())
    }

    /// Gives the number of records that are too long for the wire.
    fn append_once(&mut self, records: &[Record], cursors: &[(Arc<str>, Cursor)]) -> Result<u64, SpoolError> {
        for lane in LANES {
            if self.lane(lane).is_spoiled() {
                self.rotate(lane)?;
            }
        }
        self.batch += 1;
        let text = if cursors.is_empty() {
            Vec::new()
        } else {
            let map: BTreeMap<&str, &Cursor> = cursors
                .iter()
                .map(|(source, cursor)| (source.as_ref(), cursor))
                .collect();
            json(&map)
        };
        let findings = has(records, Lane::Findings);
        let (first_text, last_text): (&[u8], &[u8]) = if findings { (&[], &text) } else { (&text, &[]) };
        let next = (self.events.next, self.findings.next);
        let encoder = &mut self.encoder;
        let events_frames = encoder.frames(Lane::Events, (self.batch, next.0), records, first_text);
        let findings_frames = encoder.frames(Lane::Findings, (self.batch, next.1), records, last_text);
        let (events_frames, findings_frames) = (
            events_frames.map_err(SpoolError::at(&self.directory))?,
            findings_frames.map_err(SpoolError::at(&self.directory))?,
        );
        let mark = self.events.mark();
        self.write(&events_frames, &findings_frames)
            .inspect_err(|_| self.events.take_back(mark))?;
        let lost = records.iter().map(|record| match record {
            Record::Gap(gap) => gap.lost,
            _ => 0,
        });
        self.lost += lost.sum::<u64>();
        Ok(events_frames.too_long + findings_frames.too_long)
    }

    fn write(&mut self, events: &Frames, findings: &Frames) -> Result<(), SpoolError> {
        if !events.bytes.is_empty() {
            self.events.write(&events.bytes, events.last, events.lost)?;
        }
        if !findings.bytes.is_empty() {
            self.sync()?;
            self.write_findings(findings)?;
        }
        Ok(())
    }

    fn write_findings(&mut self, frames: &Frames) -> Result<(), SpoolError> {
        let mark = self.findings.mark();
        self.findings.write(&frames.bytes, frames.last, frames.lost)?;
        // The kernel may throw away what it could not write, and says so once: then it has to be written anew.
        self.findings
            .sync()
            .inspect_err(|_| self.findings.take_back(mark))
    }

    /// Whether events wait for [`Spool::sync`].
    pub fn is_dirty(&self) -> bool {
        self.events.dirty > 0
    }

    /// Makes all events safe from a power cut.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        self.events.sync()
    }

    /// The collector keeps everything of a lane up to `sequence`.
    pub fn acknowledge(&mut self, lane: Lane, sequence: u64) -> Result<(), SpoolError> {
        self.lane(lane).acknowledge(sequence)
    }

    /// How many records the gaps tell of that were kept since it was opened.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What a lane holds.
    pub fn pending(&self, lane: Lane) -> Pending {
        match lane {
            Lane::Events => self.events.pending(),
            Lane::Findings => self.findings.pending(),
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Segments {
        match lane {
            Lane::Events => &mut self.events,
            Lane::Findings => &mut self.findings,
        }
    }

    /// The first file of this run, or the next one, begins with all cursors, so that older files can be freed.
    fn begin(&mut self, lane: Lane) -> Result<(), SpoolError> {
        let (cursors, batch) = (json(&self.cursors), self.batch);
        let segments = self.lane(lane);
        let frame = first_frame(batch, segments.next, segments.written, &cursors);
        segments.write(&frame, 0, 0)?;
        segments.sync()
    }

    /// Begins new files where the open ones are full, and drops the oldest when one more would exceed the quota.
    fn make_room(&mut self) -> Result<(), SpoolError> {
        let largest = (self.quota / 16).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT);
        for lane in LANES {
            if self.lane(lane).open_bytes() >= largest {
                self.rotate(lane)?;
            }
        }
        while self.events.bytes() + self.findings.bytes() + largest > self.quota {
            let lane = if self.events.closed.is_empty() {
                Lane::Findings
            } else {
                Lane::Events
            };
            if self.lane(lane).closed.is_empty() {
                break;
            }
            self.drop_oldest(lane, NO_ROOM)?;
        }
        Ok(())
    }

    fn rotate(&mut self, lane: Lane) -> Result<(), SpoolError> {
        let (cursors, batch) = (json(&self.cursors), self.batch);
        let segments = self.lane(lane);
        let frame = first_frame(batch, segments.next, segments.written, &cursors);
        segments.rotate(&frame)
    }

    /// Drops the oldest file of a lane. It is set aside first and removed last, so that a crash in between neither hides the
    /// loss nor counts it twice.
    fn drop_oldest(&mut self, lane: Lane, reason: &str) -> Result<(), SpoolError> {
        if let Some(dropped) = self.lane(lane).drop_oldest(now().unix_millis())? {
            self.record_drop(lane, dropped, reason)?;
        }
        Ok(())
    }

    fn record_drop(&mut self, lane: Lane, dropped: Dropped, reason: &str) -> Result<Option<Gap>, SpoolError> {
        let gap = (dropped.lost > 0).then(|| {
            let micros = i64::try_from(dropped.millis).unwrap_or(0).saturating_mul(1000);
            let time = Timestamp::from_micros(micros);
            // The same file gives the same id, should it be recorded a second time.
            gap(lane, dropped.lost, reason, time, &dropped.number.to_le_bytes())
        });
        if let Some(gap) = &gap {
            self.append_once(&[Record::Gap(gap.clone())], &[])?;
        }
        dropped.remove(&folder(&self.directory, lane))?;
        Ok(gap)
    }
}

fn start(directory: &Path, lane: Lane, found: Found) -> Result<Segments, SpoolError> {
    let next = (found.last / STRETCH + 1) * STRETCH;
    Segments::start(
        folder(directory, lane),
        found.segments,
        found.number,
        (found.last, next),
    )
}

/// Takes the spool for this process alone.
///
/// An agent that was killed while it started its courier leaves a child behind that shares the lock until it has become the
/// courier: a moment, which is waited for.
fn lock(directory: &Path) -> Result<Flock<File>, SpoolError> {
    let path = directory.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(&path)
        .map_err(SpoolError::at(&path))?;
    let (send, locked) = mpsc::channel();
    // Only this call of the kernel's wakes up when the lock is free, and it knows no time limit.
    let wait = move || {
        // Nobody waits any more when it takes too long; then the lock is let go at once.
        drop(send.send(Flock::lock(file, FlockArg::LockExclusive)));
    };
    thread::Builder::new()
        .name("lock".to_owned())
        .spawn(wait)
        .map_err(SpoolError::at(&path))?;
    match locked.recv_timeout(LOCK) {
        Ok(Ok(lock)) => {
            // For whoever finds it locked: it is of no use to anything else, so it may fail.
            let _ = fs::write(&path, std::process::id().to_string());
            Ok(lock)
        }
        Ok(Err((_, error))) => Err(SpoolError::at(&path)(io::Error::from(error))),
        Err(_) => Err(SpoolError::InUse {
            path: directory.to_owned(),
            holder: holder(&path),
        }),
    }
}

/// The process that wrote its number into the lock.
fn holder(lock: &Path) -> String {
    let pid: Option<u32> = fs::read_to_string(lock).ok().and_then(|pid| pid.parse().ok());
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn gap(lane: Lane, lost: u64, reason: &str, time: Timestamp, part: &[u8]) -> Gap {
    let id = if part.is_empty() {
        let mut random = [0; 10];
        fastrand::fill(&mut random);
        RecordId::random(time, random)
    } else {
        RecordId::derived(time, &[b"spool", lane.as_str().as_bytes(), part])
    };
    Gap {
        id,
        time,
        place: format!("spool.{}", lane.as_str()),
        lost,
        reason: reason.to_owned(),
    }
}

fn has(records: &[Record], lane: Lane) -> bool {
    records.iter().any(|record| record.lane() == lane)
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}
