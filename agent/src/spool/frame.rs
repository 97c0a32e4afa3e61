//! A frame: what a batch put into one lane, and the cursors that are true once it is there.
//!
//! ```text
//! magic "PKF1" | crc u32 | batch u64 | first u64 | last u64 | lost u64 | count u32 | raw u32 | cursors u32 | payload u32 | cursors | payload
//! ```
//! All numbers are little-endian. The CRC covers everything after itself. `payload` is one zstd frame of `raw` bytes of NDJSON.
//! A frame without records (`count` 0) has the next number in `first` and the number before it in `last`.

use memchr::memmem;

const MAGIC: [u8; 4] = *b"PKF1";
/// The bytes before the cursors.
pub(super) const HEADER: usize = 56;
/// Neither part of a frame is longer; a length that says so is damage.
const LONGEST: u32 = 16 << 20;

/// What stands in front of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// Counts the batches over both lanes: of two cursors of a source the one of the later batch is true.
    pub(super) batch: u64,
    /// The first record's number.
    pub(super) first: u64,
    /// The last record's number.
    pub(super) last: u64,
    /// What its records of losses tell of, beside themselves: it has to be told again should they be lost.
    pub(super) lost: u64,
    /// How many records.
    pub(super) count: u32,
    /// Length of the payload once decompressed.
    pub(super) raw: u32,
    cursors: u32,
    payload: u32,
    crc: u32,
}

/// A whole frame.
pub(super) struct Frame<'a> {
    pub(super) header: Header,
    pub(super) cursors: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// What is not a whole frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broken {
    /// It ends too early: being written, or cut off.
    Short,
    /// It is damaged.
    Damaged,
}

impl Header {
    /// Reads the header at the beginning of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Broken> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(Broken::Short);
        };
        let (magic, mut rest) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(Broken::Damaged);
        }
        let crc = number(&mut rest);
        let mut long = || {
            let low = number(&mut rest);
            u64::from(low) | u64::from(number(&mut rest)) << 32
        };
        let (batch, first, last, lost) = (long(), long(), long(), long());
        let header = Self {
            batch,
            first,
            last,
            lost,
            count: number(&mut rest),
            raw: number(&mut rest),
            cursors: number(&mut rest),
            payload: number(&mut rest),
            crc,
        };
        if header.cursors > LONGEST || header.payload > LONGEST {
            return Err(Broken::Damaged);
        }
        Ok(header)
    }

    /// The length of the whole frame.
    pub(super) fn length(&self) -> usize {
        HEADER + self.cursors as usize + self.payload as usize
    }
}

impl<'a> Frame<'a> {
    /// Reads the frame at the beginning of `bytes` and checks it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Broken> {
        let header = Header::read(bytes)?;
        let Some(whole) = bytes.get(..header.length()) else {
            return Err(Broken::Short);
        };
        let covered = whole.get(MAGIC.len() + 4..).unwrap_or_default();
        if crc32fast::hash(covered) != header.crc {
            return Err(Broken::Damaged);
        }
        let body = whole.get(HEADER..).unwrap_or_default();
        let (cursors, payload) = body.split_at(header.cursors as usize);
        Ok(Self {
            header,
            cursors,
            payload,
        })
    }

    /// Where the next whole frame begins, at or after `from`.
    pub(super) fn find(bytes: &[u8], from: usize) -> Option<usize> {
        let rest = bytes.get(from..)?;
        memmem::find_iter(rest, &MAGIC)
            .map(|at| from + at)
            .find(|at| bytes.get(*at..).is_some_and(|rest| Frame::read(rest).is_ok()))
    }
}

/// Appends a frame to `output`; `numbers` are batch, first, last and lost.
pub(super) fn write(
    output: &mut Vec<u8>,
    numbers: [u64; 4],
    count: usize,
    raw: usize,
    cursors: &[u8],
    payload: &[u8],
) {
    let start = output.len();
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&[0; 4]);
    for long in numbers {
        output.extend_from_slice(&long.to_le_bytes());
    }
    for length in [count, raw, cursors.len(), payload.len()] {
        output.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }
    output.extend_from_slice(cursors);
    output.extend_from_slice(payload);
    let covered = start + MAGIC.len() + 4;
    let crc = crc32fast::hash(output.get(covered..).unwrap_or_default());
    if let Some(place) = output.get_mut(start + MAGIC.len()..covered) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}

fn number(rest: &mut &[u8]) -> u32 {
    match rest.split_first_chunk::<4>() {
        Some((bytes, after)) => {
            *rest = after;
            u32::from_le_bytes(*bytes)
        }
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_whole_or_not_at_all_and_found_behind_damage() {
        let mut bytes = b"rubbish PKF1 rubbish".to_vec();
        let at = bytes.len();
        write(&mut bytes, [7, 10, 12, 5], 3, 99, b"{}", b"payload");
        let frame = Frame::read(&bytes[at..]).ok().unwrap();
        assert_eq!(
            (frame.header.batch, frame.header.first, frame.header.last),
            (7, 10, 12)
        );
        assert_eq!((frame.header.count, frame.header.raw), (3, 99));
        assert_eq!((frame.cursors, frame.payload), (&b"{}"[..], &b"payload"[..]));
        assert_eq!(frame.header.length(), bytes.len() - at);
        assert_eq!(Frame::find(&bytes, 0), Some(at));
        for end in at..bytes.len() {
            assert_eq!(Frame::read(&bytes[at..end]).err(), Some(Broken::Short));
        }
        for place in at..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                assert!(Frame::read(&damaged[at..]).is_err(), "{place} {bit}");
                assert_eq!(Frame::find(&damaged, 0), None);
            }
        }
    }
}
