//! Reads along while another process writes.

use super::error::SpoolError;
use super::frame::{Broken, Frame, HEADER, Header};
use super::segments::{folder, numbers, path};
use picket_common::record::Lane;
use picket_common::wire::LARGEST_BATCH;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Some frames of a lane, as they go over the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// One or more zstd frames of NDJSON.
    pub payload: Vec<u8>,
    /// The first record's number.
    pub first: u64,
    /// The last record's number.
    pub last: u64,
    /// How many records.
    pub count: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    place: Option<Place>,
}

/// The first frame that may not have been acknowledged.
#[derive(Debug)]
struct Place {
    number: u64,
    file: File,
    offset: u64,
}

impl Reader {
    /// Opens one lane of the spool in `directory`.
    pub fn open(directory: &Path, lane: Lane) -> Self {
        Self {
            folder: folder(directory, lane),
            place: None,
        }
    }

    /// The records after number `after`: at least one frame, more as long as all of it stays below `bytes`. `None` when there
    /// is nothing yet.
    pub fn next(&mut self, after: u64, bytes: usize) -> Result<Option<Chunk>, SpoolError> {
        loop {
            if self.place.is_none() && !self.step(0)? {
                return Ok(None);
            }
            // Looked up first: what the writer put into this file before it began a later one is seen below.
            let number = self.place.as_ref().map_or(0, |place| place.number);
            let later = self.later(number)?;
            let chunk = match &mut self.place {
                Some(place) => place
                    .read(after, bytes, later.is_some())
                    .map_err(SpoolError::at(&path(&self.folder, number)))?,
                None => None,
            };
            if chunk.is_some() {
                return Ok(chunk);
            }
            if later.is_none() || !self.step(number)? {
                return Ok(None);
            }
        }
    }

    fn later(&self, number: u64) -> Result<Option<u64>, SpoolError> {
        let numbers = numbers(&self.folder).map_err(SpoolError::at(&self.folder))?;
        Ok(numbers.into_iter().find(|other| *other > number))
    }

    /// Goes to the first file after `number`; those that are freed meanwhile are passed over.
    fn step(&mut self, mut number: u64) -> Result<bool, SpoolError> {
        while let Some(next) = self.later(number)? {
            let path = path(&self.folder, next);
            match File::open(&path) {
                Ok(file) => {
                    self.place = Some(Place {
                        number: next,
                        file,
                        offset: 0,
                    });
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => number = next,
                Err(error) => return Err(SpoolError::at(&path)(error)),
            }
        }
        Ok(false)
    }
}

impl Place {
    /// `closed`: nothing is written to this file any more, so what is no frame is damage.
    fn read(&mut self, after: u64, bytes: usize, closed: bool) -> io::Result<Option<Chunk>> {
        let mut chunk: Option<Chunk> = None;
        let (mut at, mut raw) = (self.offset, 0_usize);
        let mut buffer = Vec::new();
        loop {
            let mut start = [0_u8; HEADER];
            let got = read_at(&self.file, &mut start, at)?;
            let header = match Header::read(start.get(..got).unwrap_or_default()) {
                Ok(header) => header,
                Err(broken) => {
                    match self.pass_damage(at, broken, closed && chunk.is_none())? {
                        Some(next) => at = next,
                        None => return Ok(chunk),
                    }
                    continue;
                }
            };
            let length = header.length();
            if header.count == 0 || header.last <= after {
                at += length as u64;
                if chunk.is_none() {
                    self.offset = at;
                }
                continue;
            }
            let full = chunk.as_ref().is_some_and(|chunk| {
                chunk.payload.len() + length > bytes || raw + header.raw as usize > LARGEST_BATCH
            });
            if full {
                return Ok(chunk);
            }
            buffer.resize(length, 0);
            let got = read_at(&self.file, &mut buffer, at)?;
            match Frame::read(buffer.get(..got).unwrap_or_default()) {
                Ok(frame) => {
                    let chunk = chunk.get_or_insert_with(|| Chunk {
                        payload: Vec::new(),
                        first: header.first,
                        last: header.last,
                        count: 0,
                    });
                    chunk.payload.extend_from_slice(frame.payload);
                    chunk.last = header.last;
                    chunk.count += u64::from(header.count);
                    raw += header.raw as usize;
                    at += length as u64;
                }
                Err(broken) => match self.pass_damage(at, broken, closed && chunk.is_none())? {
                    Some(next) => at = next,
                    None => return Ok(chunk),
                },
            }
        }
    }

    /// Where the frame after the damage at `at` begins. Its loss is counted when the spool is next opened for writing.
    fn pass_damage(&mut self, at: u64, broken: Broken, closed: bool) -> io::Result<Option<u64>> {
        if !closed {
            return Ok(None);
        }
        let length = self.file.metadata()?.len();
        if broken == Broken::Short && length <= at {
            return Ok(None);
        }
        let mut rest = vec![0; usize::try_from(length.saturating_sub(at)).unwrap_or(0)];
        let got = read_at(&self.file, &mut rest, at)?;
        rest.truncate(got);
        let next = Frame::find(&rest, 1).map(|found| at + found as u64);
        self.offset = next.unwrap_or(at);
        Ok(next)
    }
}

fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..)
        && !rest.is_empty()
    {
        match file.read_at(rest, at + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
