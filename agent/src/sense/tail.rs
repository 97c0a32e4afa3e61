//! One open log file, read line by line from some place on.

use crate::observation::{Body, Cursor, Observation, Origin};
use nix::fcntl::OFlag;
use picket_common::time::Timestamp;
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

/// A longer line tells of no login.
pub(super) const LONGEST: usize = 64 << 10;
/// How many of a file's first bytes tell it from another one.
const COVERED: u64 = 256;

pub(super) struct Tail {
    file: File,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Where the first line begins that was not given yet.
    pub(super) offset: u64,
    covered: u64,
    fingerprint: u64,
    /// The present line is too long: it is passed over up to its end.
    passing: bool,
    /// How many lines were passed over.
    pub(super) passed: u64,
}

/// What became of a file since it was last looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    /// Nothing, or it grew.
    Grown,
    /// It begins anew.
    Truncated,
}

impl Tail {
    /// Opens a regular file without ever waiting for one that is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(path)?;
        let data = file.metadata()?;
        if !data.is_file() {
            return Err(io::Error::other("is no regular file"));
        }
        let mut tail = Self {
            file,
            device: data.dev(),
            inode: data.ino(),
            offset: 0,
            covered: 0,
            fingerprint: hash(&[]),
            passing: false,
            passed: 0,
        };
        tail.check()?;
        Ok(tail)
    }

    /// Whether `path` leads to this very file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        path.metadata()
            .is_ok_and(|data| data.dev() == self.device && data.ino() == self.inode)
    }

    /// Whether the file has no name any more.
    pub(super) fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|data| data.nlink() == 0)
    }

    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether a cursor was made in this file, or in one that this is a copy of.
    pub(super) fn holds(&self, cursor: &Cursor) -> io::Result<bool> {
        let Cursor::File {
            inode,
            offset,
            covered,
            fingerprint,
            ..
        } = cursor
        else {
            return Ok(false);
        };
        if *cursor == Self::nowhere() {
            return Ok(true);
        }
        if self.length()? < *offset {
            return Ok(false);
        }
        if *covered == 0 {
            return Ok(*inode == self.inode);
        }
        let first = self.first(*covered)?;
        Ok(first.len() as u64 == *covered && hash(&first) == *fingerprint)
    }

    /// Looks whether the file was cut and written anew; then reading begins at its beginning.
    fn check(&mut self) -> io::Result<Change> {
        let length = self.length()?;
        // Compared and covered by one look: between two the file may become another.
        let first = self.first(COVERED)?;
        let known = usize::try_from(self.covered)
            .ok()
            .and_then(|covered| first.get(..covered));
        let cut = length < self.offset || known.is_none_or(|known| hash(known) != self.fingerprint);
        if cut {
            (self.offset, self.passing) = (0, false);
        }
        (self.covered, self.fingerprint) = (first.len() as u64, hash(&first));
        Ok(if cut { Change::Truncated } else { Change::Grown })
    }

    /// The beginning of the first line that starts at most `bytes` before `offset`.
    pub(super) fn line_before(&self, offset: u64, bytes: u64) -> io::Result<u64> {
        let from = offset.saturating_sub(bytes);
        if from == 0 {
            return Ok(0);
        }
        let mut buffer = vec![0; LONGEST];
        let got = self.file.read_at(&mut buffer, from)?;
        let start = buffer
            .get(..got)
            .and_then(|read| memchr::memchr(b'\n', read))
            .map_or(offset, |at| from + at as u64 + 1);
        Ok(start.min(offset))
    }

    /// Gives all whole lines up to `end`, or up to the file's end. `buffer` holds [`LONGEST`] bytes.
    pub(super) fn read<E: From<io::Error>>(
        &mut self,
        buffer: &mut [u8],
        end: Option<u64>,
        source: &Arc<str>,
        mut give: impl FnMut(Observation) -> Result<(), E>,
    ) -> Result<(), E> {
        let again = end.is_some();
        while end.is_none_or(|end| self.offset < end) {
            let got = self.file.read_at(buffer, self.offset)?;
            // Looked at after the bytes were taken: they are those of the file that it was.
            if self.check()? == Change::Truncated {
                if again {
                    return Ok(());
                }
                continue;
            }
            let chunk = buffer.get(..got).unwrap_or_default();
            if chunk.is_empty() {
                return Ok(());
            }
            let observed = Timestamp::from(jiff::Timestamp::now());
            let before = self.offset;
            let mut rest = chunk;
            while let Some(at) = memchr::memchr(b'\n', rest) {
                if end.is_some_and(|end| self.offset >= end) {
                    return Ok(());
                }
                let (line, after) = rest.split_at(at);
                rest = after.get(1..).unwrap_or_default();
                let start = self.offset;
                self.offset += at as u64 + 1;
                if std::mem::take(&mut self.passing) {
                    continue;
                }
                // A file that was cut under a writer that did not notice has a hole, which reads as NUL.
                let line = line.trim_ascii_end();
                let zeros = line.iter().take_while(|byte| **byte == 0).count();
                let line = line.get(zeros..).unwrap_or_default();
                if !line.is_empty() {
                    give(self.observation(source, start, line, observed, again))?;
                }
            }
            if self.offset == before && !self.pass(rest) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// There is no whole line in the buffer. Whether there is something to pass over.
    fn pass(&mut self, rest: &[u8]) -> bool {
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        if zeros > 0 && !self.passing {
            self.offset += zeros as u64;
            return true;
        }
        let long = rest.len() >= LONGEST;
        if long {
            self.passed += u64::from(!self.passing);
            self.passing = true;
            self.offset += rest.len() as u64;
        }
        long
    }

    fn observation(
        &self,
        source: &Arc<str>,
        start: u64,
        line: &[u8],
        observed: Timestamp,
        again: bool,
    ) -> Observation {
        let mut position = Vec::with_capacity(16 + line.len());
        position.extend_from_slice(&self.inode.to_le_bytes());
        position.extend_from_slice(&start.to_le_bytes());
        // A file that begins anew has other lines at the same places.
        position.extend_from_slice(line);
        Observation {
            origin: Origin {
                source: Arc::clone(source),
                position,
                cursor: Some(self.cursor()),
            },
            observed,
            again,
            body: Body::Line(line.to_vec()),
        }
    }

    /// The beginning of a file that is not there yet.
    pub(super) fn nowhere() -> Cursor {
        Cursor::File {
            device: 0,
            inode: 0,
            offset: 0,
            covered: 0,
            fingerprint: hash(&[]),
        }
    }

    pub(super) fn cursor(&self) -> Cursor {
        Cursor::File {
            device: self.device,
            inode: self.inode,
            offset: self.offset,
            covered: self.covered,
            fingerprint: self.fingerprint,
        }
    }

    fn first(&self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut first = vec![0; usize::try_from(bytes.min(COVERED)).unwrap_or(0)];
        let mut got = 0;
        while let Some(rest) = first.get_mut(got..)
            && !rest.is_empty()
        {
            match self.file.read_at(rest, got as u64)? {
                0 => break,
                more => got += more,
            }
        }
        first.truncate(got);
        Ok(first)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    digest
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
