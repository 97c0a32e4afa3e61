//! One lane's folder: the files that its frames lie in, the oldest first.

use super::error::SpoolError;
use super::frame;
use picket_common::record::Lane;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const ACKNOWLEDGED: &str = "acknowledged";

/// One file, as far as its owner must know it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// The numbers of the records in it, `holes` and all.
    pub(super) records: Range<u64>,
    /// Those whose frames are damaged.
    pub(super) holes: Vec<Range<u64>>,
    /// What its records of losses tell of, beside themselves, each with the number of the last record beside it.
    losses: Vec<(u64, u64)>,
}

impl Segment {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            bytes: 0,
            records: 0..0,
            holes: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// How many of its records come after `sequence`.
    pub(super) fn after(&self, sequence: u64) -> u64 {
        let holes: u64 = self.holes.iter().map(|hole| count(hole, sequence)).sum();
        count(&self.records, sequence) - holes
    }

    /// How many records nobody would know of any more if it were dropped.
    fn lost_after(&self, sequence: u64) -> u64 {
        let told = self.losses.iter().filter(|(number, _)| *number > sequence);
        self.after(sequence) + told.map(|(_, lost)| lost).sum::<u64>()
    }

    /// Notes that a frame that ends with record `number` tells of losses.
    pub(super) fn tells_of(&mut self, number: u64, lost: u64) {
        if lost > 0 {
            self.losses.push((number, lost));
        }
    }

    pub(super) fn cover(&mut self, first: u64, last: u64) {
        self.records = if self.records.is_empty() {
            first..last + 1
        } else {
            self.records.start..last + 1
        };
    }
}

fn count(range: &Range<u64>, after: u64) -> u64 {
    range.end.saturating_sub(range.start.max(after.saturating_add(1)))
}

/// A file that is being dropped. All that must be known of it is in its name: the file itself is emptied first, as there
/// may be no room left even for the record of its loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Dropped {
    /// The file's number.
    pub(super) number: u64,
    /// How many records are lost with it.
    pub(super) lost: u64,
    /// When, in milliseconds since the epoch.
    pub(super) millis: u64,
}

impl Dropped {
    fn path(&self, folder: &Path) -> PathBuf {
        let Self { number, lost, millis } = self;
        folder.join(format!("{number:016}-{lost}-{millis}.dropped"))
    }

    fn read(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".dropped")?;
        let mut parts = name.split('-').map(|part| part.parse().ok());
        Some(Self {
            number: parts.next()??,
            lost: parts.next()??,
            millis: parts.next()??,
        })
    }

    /// Removes it for good, once its loss is recorded.
    pub(super) fn remove(&self, folder: &Path) -> Result<(), SpoolError> {
        let path = self.path(folder);
        fs::remove_file(&path).map_err(SpoolError::at(&path))
    }

    /// All that a folder holds, oldest first.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>, SpoolError> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder).map_err(SpoolError::at(folder))? {
            all.extend(Self::read(&entry.map_err(SpoolError::at(folder))?.path()));
        }
        all.sort_unstable_by_key(|dropped| dropped.number);
        Ok(all)
    }
}

/// What a lane holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Pending {
    /// Records that the collector has not acknowledged.
    pub records: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The last number that the collector acknowledged.
    pub acknowledged: u64,
}

/// A place in the open file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    bytes: u64,
    written: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) folder: PathBuf,
    /// Those that are not written any more.
    pub(super) closed: VecDeque<Segment>,
    open: Segment,
    file: File,
    /// Whether something was written and not yet synced.
    pub(super) dirty: u64,
    /// The next record's number.
    pub(super) next: u64,
    /// The last record's number that is in a file.
    pub(super) written: u64,
    /// Numbers that somebody may have read were taken back: the next frame must go into another file.
    spoiled: bool,
    acknowledged: u64,
    acknowledged_file: File,
}

impl Segments {
    /// Goes on behind `closed`, in a new file.
    pub(super) fn start(
        folder: PathBuf,
        closed: VecDeque<Segment>,
        number: u64,
        (written, next): (u64, u64),
    ) -> Result<Self, SpoolError> {
        let path = folder.join(ACKNOWLEDGED);
        let acknowledged_file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(&path)
            .map_err(SpoolError::at(&path))?;
        let acknowledged = read_acknowledged(&acknowledged_file).unwrap_or(0);
        let file = create(&folder, number)?;
        Ok(Self {
            folder,
            closed,
            open: Segment::new(number),
            file,
            dirty: 0,
            next: next.max(acknowledged + 1),
            written,
            spoiled: false,
            acknowledged,
            acknowledged_file,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.open.bytes + self.closed.iter().map(|segment| segment.bytes).sum::<u64>()
    }

    pub(super) fn open_bytes(&self) -> u64 {
        self.open.bytes
    }

    pub(super) fn pending(&self) -> Pending {
        let after = self.acknowledged;
        let closed: u64 = self.closed.iter().map(|segment| segment.after(after)).sum();
        Pending {
            records: closed + self.open.after(after),
            bytes: self.bytes(),
            acknowledged: after,
        }
    }

    /// Writes whole frames that hold the records from `self.next` to `last`. What could not be written whole is cut off
    /// again.
    pub(super) fn write(&mut self, frames: &[u8], last: u64, lost: u64) -> Result<(), SpoolError> {
        let before = self.mark();
        let done = self.file.write_all_at(frames, before.bytes);
        let length = frames.len() as u64;
        self.open.bytes += length;
        self.dirty += length;
        if last >= self.next {
            self.open.cover(self.next, last);
            self.next = last + 1;
            self.written = last;
            self.open.tells_of(last, lost);
        }
        done.map_err(|error| {
            self.take_back(before);
            SpoolError::at(&self.path())(error)
        })
    }

    /// The place that [`Segments::take_back`] can go back to.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            bytes: self.open.bytes,
            written: self.written,
        }
    }

    /// Takes back what was written since `mark`. The numbers are not used again: the courier may have
    /// sent the first of these frames already, and its acknowledgement must not be taken for that of other records.
    pub(super) fn take_back(&mut self, mark: Mark) {
        if self.open.bytes <= mark.bytes {
            return;
        }
        if let Err(error) = self.file.set_len(mark.bytes) {
            tracing::warn!("{}: {error}", self.path().display());
        }
        self.open.bytes = mark.bytes;
        self.open.records.end = self.open.records.end.min(mark.written + 1);
        self.open.losses.retain(|(number, _)| *number <= mark.written);
        self.written = mark.written;
        self.spoiled = true;
    }

    /// Whether [`Segments::rotate`] must come before the next [`Segments::write`].
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    /// Makes what was written safe from a power cut.
    pub(super) fn sync(&mut self) -> Result<(), SpoolError> {
        if self.dirty > 0 {
            self.file.sync_data().map_err(SpoolError::at(&self.path()))?;
            self.dirty = 0;
        }
        Ok(())
    }

    /// Closes the open file and begins another with `first_frame`.
    pub(super) fn rotate(&mut self, first_frame: &[u8]) -> Result<(), SpoolError> {
        self.sync()?;
        let number = self.open.number + 1;
        let file = create(&self.folder, number)?;
        let done = file
            .write_all_at(first_frame, 0)
            .and_then(|()| file.sync_data())
            .and_then(|()| File::open(&self.folder)?.sync_all());
        if let Err(error) = done {
            let path = path(&self.folder, number);
            drop(fs::remove_file(&path));
            return Err(SpoolError::at(&path)(error));
        }
        self.file = file;
        self.spoiled = false;
        let closed = std::mem::replace(&mut self.open, Segment::new(number));
        self.open.bytes = first_frame.len() as u64;
        self.closed.push_back(closed);
        Ok(())
    }

    /// The collector keeps everything up to `sequence`: frees the files that hold nothing else.
    pub(super) fn acknowledge(&mut self, sequence: u64) -> Result<(), SpoolError> {
        let sequence = sequence.min(self.next - 1);
        if sequence <= self.acknowledged {
            return Ok(());
        }
        self.acknowledged = sequence;
        let mut text = [0_u8; 12];
        let (number, check) = text.split_at_mut(8);
        number.copy_from_slice(&sequence.to_le_bytes());
        check.copy_from_slice(&crc32fast::hash(number).to_le_bytes());
        // Not synced: what a power cut takes back is sent once more, and the collector knows it.
        let path = self.folder.join(ACKNOWLEDGED);
        self.acknowledged_file
            .write_all_at(&text, 0)
            .map_err(SpoolError::at(&path))?;
        while self
            .closed
            .front()
            .is_some_and(|oldest| oldest.after(sequence) == 0)
        {
            if let Some(oldest) = self.closed.pop_front() {
                remove(&self.folder, oldest.number)?;
            }
        }
        Ok(())
    }

    /// Empties the oldest closed file and sets it aside.
    pub(super) fn drop_oldest(&mut self, millis: u64) -> Result<Option<Dropped>, SpoolError> {
        let Some(oldest) = self.closed.front() else {
            return Ok(None);
        };
        let dropped = Dropped {
            number: oldest.number,
            lost: oldest.lost_after(self.acknowledged),
            millis,
        };
        let (from, to) = (path(&self.folder, oldest.number), dropped.path(&self.folder));
        fs::rename(&from, &to).map_err(SpoolError::at(&from))?;
        self.closed.pop_front();
        let emptied = OpenOptions::new().write(true).truncate(true).open(&to);
        emptied.map_err(SpoolError::at(&to))?;
        Ok(Some(dropped))
    }

    fn path(&self) -> PathBuf {
        path(&self.folder, self.open.number)
    }
}

/// The folder of a lane.
pub(super) fn folder(directory: &Path, lane: Lane) -> PathBuf {
    directory.join(lane.as_str())
}

/// The numbers of the files in a lane's folder, in order.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == "seg")
            && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016}.seg"))
}

fn remove(folder: &Path, number: u64) -> Result<(), SpoolError> {
    let path = path(folder, number);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SpoolError::at(&path)(error)),
        _ => Ok(()),
    }
}

fn create(folder: &Path, number: u64) -> Result<File, SpoolError> {
    let path = path(folder, number);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(&path)
        .map_err(SpoolError::at(&path))
}

fn read_acknowledged(file: &File) -> Option<u64> {
    let mut text = [0_u8; 12];
    file.read_exact_at(&mut text, 0).ok()?;
    let (number, check) = text.split_first_chunk::<8>()?;
    (crc32fast::hash(number).to_le_bytes() == *check).then(|| u64::from_le_bytes(*number))
}

/// Builds the frame that a new file begins with: no records, all cursors.
pub(super) fn first_frame(batch: u64, next: u64, before: u64, cursors: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frame::HEADER + cursors.len());
    frame::write(&mut bytes, [batch, next, before, 0], 0, 0, cursors, &[]);
    bytes
}
