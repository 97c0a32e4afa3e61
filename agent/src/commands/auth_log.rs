//! A log file read from its beginning to its end, in bounded memory, as typed events on the log's own time.

use super::Failure;
use crate::parse::stamp::Calendar;
use crate::parse::{auth, journal_json, scan, syslog};
use picket_common::event::AuthEvent;
use picket_common::time::Timestamp;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// A longer line tells of no login; the rest of it is skipped.
const LONGEST: usize = 64 * 1024;

pub(super) struct AuthLog {
    path: String,
    input: BufReader<Box<dyn Read>>,
    calendar: Calendar,
    line: Vec<u8>,
    is_log: bool,
}

impl AuthLog {
    /// Opens a file, or standard input for `-`. Times without a year are taken to lie before the file's last change.
    pub(super) fn open(path: &str) -> Result<Self, Failure> {
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
        Ok(Self {
            path: path.to_owned(),
            input: BufReader::with_capacity(1 << 18, input),
            calendar: Calendar::new(jiff::tz::TimeZone::system(), latest),
            line: Vec::with_capacity(1024),
            is_log: false,
        })
    }

    /// The next line's event with its time; `Some(None)` for a line that tells of none, `None` at the end.
    #[expect(
        clippy::type_complexity,
        reason = "a line, an event, a time: each may be missing on its own"
    )]
    pub(super) fn next_line(&mut self) -> Result<Option<Option<(Option<Timestamp>, AuthEvent)>>, Failure> {
        self.line.clear();
        let error = |error| Failure::Input {
            path: self.path.clone(),
            error,
        };
        let read = (&mut self.input)
            .take(LONGEST as u64 + 1)
            .read_until(b'\n', &mut self.line)
            .map_err(error)?;
        if read == 0 {
            return Ok(None);
        }
        if self.line.last() != Some(&b'\n') && read > LONGEST {
            self.input.skip_until(b'\n').map_err(error)?;
            return Ok(Some(None));
        }
        if self.line.first() == Some(&b'{') {
            return Ok(Some(self.journal()));
        }
        let text = scan::text(&self.line);
        let Some(frame) = syslog::frame(&text) else {
            return Ok(Some(None));
        };
        self.is_log = true;
        let Some(event) = auth::event(&frame) else {
            return Ok(Some(None));
        };
        let time = frame.stamp.and_then(|stamp| self.calendar.resolve(stamp));
        Ok(Some(Some((time, event))))
    }

    /// Whether any line so far had the form of a log, whatever it told of.
    pub(super) fn is_log(&self) -> bool {
        self.is_log
    }

    fn journal(&mut self) -> Option<(Option<Timestamp>, AuthEvent)> {
        let entry = journal_json::entry(&self.line)?;
        self.is_log = true;
        let mut event = auth::message(&entry.program, &entry.message)?;
        event.pid = entry.pid;
        event.host = entry.host.map(Into::into);
        Some((Some(entry.time), event))
    }
}
