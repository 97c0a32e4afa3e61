//! Records as the frames that go to disk, and from there over the wire.

use super::frame;
use picket_common::record::{Lane, Record};
use picket_common::wire::LONGEST_ITEM;
use serde::Serialize;
use std::io;

/// A frame is closed once it holds so much text: large enough to compress well, small enough to hold twice.
const FRAME: usize = 1 << 20;
/// Compression costs more than it saves above this level.
const LEVEL: i32 = 1;

/// Frames that are not written yet.
#[derive(Default)]
pub(super) struct Frames {
    pub(super) bytes: Vec<u8>,
    /// The last record's number; 0 when there is none.
    pub(super) last: u64,
    /// See [`frame::Header::lost`].
    pub(super) lost: u64,
    /// Records left out, as no batch could hold them.
    pub(super) too_long: u64,
}

/// Keeps the compressor's memory from one batch to the next.
pub(super) struct Encoder {
    compressor: zstd::bulk::Compressor<'static>,
}

/// [`picket_common::wire::Item`] as it is written, without a copy of the record.
#[derive(Serialize)]
struct Item<'a> {
    sequence: u64,
    #[serde(flatten)]
    record: &'a Record,
}

impl Encoder {
    pub(super) fn new() -> io::Result<Self> {
        let compressor = zstd::bulk::Compressor::new(LEVEL)?;
        Ok(Self { compressor })
    }

    /// The records of one lane, numbered from `next`, and the cursors in the last of the frames.
    pub(super) fn frames(
        &mut self,
        lane: Lane,
        (batch, mut next): (u64, u64),
        records: &[Record],
        cursors: &[u8],
    ) -> io::Result<Frames> {
        let mut frames = Frames::default();
        let (mut raw, mut first, mut lost) = (Vec::new(), next, 0);
        for record in records.iter().filter(|record| record.lane() == lane) {
            let before = raw.len();
            raw.extend_from_slice(&json(&Item {
                sequence: next,
                record,
            }));
            raw.push(b'\n');
            if raw.len() - before > LONGEST_ITEM {
                raw.truncate(before);
                frames.too_long += 1;
                continue;
            }
            next += 1;
            if let Record::Gap(gap) = record {
                lost += gap.lost.saturating_sub(1);
            }
            if raw.len() >= FRAME {
                self.close(&mut frames, &mut raw, [batch, first, next - 1, lost], &[])?;
                (first, lost) = (next, 0);
            }
        }
        if next > first {
            self.close(&mut frames, &mut raw, [batch, first, next - 1, lost], cursors)?;
        } else if !cursors.is_empty() {
            frame::write(&mut frames.bytes, [batch, next, next - 1, 0], 0, 0, cursors, &[]);
        }
        Ok(frames)
    }

    fn close(
        &mut self,
        frames: &mut Frames,
        raw: &mut Vec<u8>,
        numbers: [u64; 4],
        cursors: &[u8],
    ) -> io::Result<()> {
        let [_, first, last, lost] = numbers;
        let payload = self.compressor.compress(raw)?;
        let count = usize::try_from(last + 1 - first).unwrap_or(usize::MAX);
        frame::write(&mut frames.bytes, numbers, count, raw.len(), cursors, &payload);
        frames.last = last;
        frames.lost += lost;
        raw.clear();
        Ok(())
    }
}

/// Records and cursors are plain structures with text keys: they always have a JSON form.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
