//! What a lane's folder still holds when the agent starts: read in full, checked, and cut where it was torn.

use super::error::SpoolError;
use super::frame::{Broken, Frame};
use super::segments::{Dropped, Segment, numbers, path};
use crate::observation::Cursor;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

/// A lane as it was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) segments: VecDeque<Segment>,
    /// The next free number of a file.
    pub(super) number: u64,
    /// The greatest number of a record that was seen.
    pub(super) last: u64,
    /// The greatest batch that was seen.
    pub(super) batch: u64,
    /// For each source its newest cursor, and the batch that it is of.
    pub(super) cursors: BTreeMap<Arc<str>, (u64, Cursor)>,
    /// Bytes cut off the end of files: written by a batch that was never finished.
    pub(super) cut: u64,
    /// Records whose frames are damaged, file by file.
    pub(super) damaged: u64,
    /// The number of the next record if nothing is missing; `None` where that cannot be known.
    expected: Option<u64>,
}

/// Reads all segments of a folder.
pub(super) fn recover(folder: &Path) -> Result<Found, SpoolError> {
    let mut found = Found::default();
    let all = numbers(folder).map_err(SpoolError::at(folder))?;
    let dropped = Dropped::all(folder)?;
    let used = all
        .iter()
        .copied()
        .chain(dropped.iter().map(|dropped| dropped.number));
    found.number = used.max().map_or(1, |last| last + 1);
    for number in all {
        let segment = found.read(&path(folder, number), number)?;
        if segment.bytes == 0 {
            let path = path(folder, number);
            fs::remove_file(&path).map_err(SpoolError::at(&path))?;
        } else {
            found.segments.push_back(segment);
        }
    }
    Ok(found)
}

impl Found {
    fn read(&mut self, path: &Path, number: u64) -> Result<Segment, SpoolError> {
        let bytes = fs::read(path).map_err(SpoolError::at(path))?;
        let mut segment = Segment::new(number);
        let (mut at, mut sound) = (0, 0);
        while at < bytes.len() {
            match Frame::read(bytes.get(at..).unwrap_or_default()) {
                Ok(frame) => {
                    if sound == 0 && at > 0 {
                        // The damage took the frame that tells how far the file before this one went.
                        self.expected = None;
                    }
                    self.take(&frame, &mut segment);
                    at += frame.header.length();
                    sound = at;
                }
                Err(Broken::Short | Broken::Damaged) => match Frame::find(&bytes, at + 1) {
                    Some(next) => at = next,
                    None => break,
                },
            }
        }
        segment.bytes = sound as u64;
        let torn = bytes.len() - sound;
        if torn > 0 {
            self.cut += torn as u64;
            let file = OpenOptions::new().write(true).open(path);
            file.and_then(|file: File| {
                file.set_len(sound as u64)?;
                file.sync_data()
            })
            .map_err(SpoolError::at(path))?;
        }
        Ok(segment)
    }

    fn take(&mut self, frame: &Frame<'_>, segment: &mut Segment) {
        let header = &frame.header;
        // An empty frame names the number before it, as numbers jump where the agent was started again.
        let first = if header.count == 0 {
            header.last + 1
        } else {
            header.first
        };
        if let Some(expected) = self.expected
            && first > expected
        {
            self.damaged += first - expected;
            if header.count > 0 {
                segment.holes.push(expected..first);
                segment.cover(expected, first - 1);
            }
        }
        if header.count > 0 {
            segment.cover(first, header.last);
            segment.tells_of(header.last, header.lost);
        }
        let next = if header.count == 0 {
            header.first
        } else {
            header.last + 1
        };
        self.expected = Some(next);
        self.last = self.last.max(next - 1);
        self.batch = self.batch.max(header.batch);
        let cursors: BTreeMap<Arc<str>, Cursor> = serde_json::from_slice(frame.cursors).unwrap_or_default();
        for (source, cursor) in cursors {
            let newer = self
                .cursors
                .get(&source)
                .is_none_or(|(batch, _)| *batch <= header.batch);
            if newer {
                self.cursors.insert(source, (header.batch, cursor));
            }
        }
    }
}
