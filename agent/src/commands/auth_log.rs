//! A log file read from its beginning to its end, in bounded memory, as typed events on the log's own time.

use super::Failure;
use super::lines::Lines;
use crate::parse::stamp::Calendar;
use crate::parse::{auth, journal_json, scan, syslog};
use picket_common::event::AuthEvent;
use picket_common::time::Timestamp;

/// A longer line tells of no login; the rest of it is skipped.
const LONGEST: usize = 64 * 1024;

pub(super) struct AuthLog {
    lines: Lines,
    calendar: Calendar,
    is_log: bool,
}

impl AuthLog {
    /// Opens a file, or standard input for `-`. Times without a year are taken to lie before the file's last change.
    pub(super) fn open(path: &str) -> Result<Self, Failure> {
        let (lines, latest) = Lines::open(path, LONGEST)?;
        Ok(Self {
            lines,
            calendar: Calendar::new(jiff::tz::TimeZone::system(), latest),
            is_log: false,
        })
    }

    /// The next line's event with its time; `Some(None)` for a line that tells of none, `None` at the end.
    #[expect(
        clippy::type_complexity,
        reason = "a line, an event, a time: each may be missing on its own"
    )]
    pub(super) fn next_line(&mut self) -> Result<Option<Option<(Option<Timestamp>, AuthEvent)>>, Failure> {
        let Some(line) = self.lines.next_line()? else {
            return Ok(None);
        };
        let Some(line) = line else { return Ok(Some(None)) };
        if line.first() == Some(&b'{') {
            let entry = journal_json::entry(line);
            self.is_log |= entry.is_some();
            return Ok(Some(entry.and_then(journal)));
        }
        let text = scan::text(line);
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

    /// The number of the line that was read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.lines.number()
    }

    /// Whether any line so far had the form of a log, whatever it told of.
    pub(super) fn is_log(&self) -> bool {
        self.is_log
    }
}

fn journal(entry: journal_json::Entry) -> Option<(Option<Timestamp>, AuthEvent)> {
    let mut event = auth::message(&entry.program, &entry.message)?;
    event.pid = entry.pid;
    event.host = entry.host.map(Into::into);
    Some((Some(entry.time), event))
}
