//! The lines of a file or of standard input, in bounded memory.

use super::Failure;
use picket_common::time::Timestamp;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// Lines, numbered from 1.
pub(super) struct Lines {
    path: String,
    input: BufReader<Box<dyn Read>>,
    /// A longer line is not kept.
    longest: usize,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens a file, or standard input for `-`; and when the file was changed last, which for standard input is now.
    pub(super) fn open(path: &str, longest: usize) -> Result<(Self, Timestamp), Failure> {
        let now = Timestamp::from(jiff::Timestamp::now());
        let (input, latest): (Box<dyn Read>, _) = if path == "-" {
            (Box::new(io::stdin()), now)
        } else {
            let input = |error| Failure::Input {
                path: path.to_owned(),
                error,
            };
            let file = File::open(path).map_err(input)?;
            let data = file.metadata().map_err(input)?;
            if data.is_dir() {
                return Err(input(io::Error::from(io::ErrorKind::IsADirectory)));
            }
            let changed = data
                .modified()
                .ok()
                .and_then(|time| jiff::Timestamp::try_from(time).ok());
            (Box::new(file), changed.map_or(now, Into::into))
        };
        let lines = Self {
            path: path.to_owned(),
            input: BufReader::with_capacity(1 << 18, input),
            longest,
            line: Vec::with_capacity(1024),
            number: 0,
        };
        Ok((lines, latest))
    }

    /// The next line with its end; `Some(None)` for one that is too long, `None` at the end.
    pub(super) fn next_line(&mut self) -> Result<Option<Option<&[u8]>>, Failure> {
        self.line.clear();
        // Nearly every line lies in the buffer as a whole.
        let buffered = self.input.buffer();
        let whole = memchr::memchr(b'\n', buffered).filter(|end| *end < self.longest);
        if let Some(line) = whole.and_then(|end| buffered.get(..=end)) {
            self.line.extend_from_slice(line);
            self.input.consume(self.line.len());
            self.number += 1;
            return Ok(Some(Some(&self.line)));
        }
        let error = |error| Failure::Input {
            path: self.path.clone(),
            error,
        };
        let read = (&mut self.input)
            .take(u64::try_from(self.longest).unwrap_or(u64::MAX).saturating_add(1))
            .read_until(b'\n', &mut self.line)
            .map_err(error)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() != Some(&b'\n') && read > self.longest {
            self.input.skip_until(b'\n').map_err(error)?;
            return Ok(Some(None));
        }
        Ok(Some(Some(&self.line)))
    }

    /// The number of the line that was read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}
