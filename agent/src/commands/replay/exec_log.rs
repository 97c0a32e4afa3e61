//! What programs did, read from a file from its beginning to its end, in bounded memory.

use super::super::Failure;
use super::super::lines::Lines;
use super::judge::Read;
use crate::enrich::Processes;
use crate::parse::auditd::{Joined, Joiner, Record};
use crate::parse::{ecs, scan};
use clap::ValueEnum;
use picket_common::event::Payload;
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use std::io::{self, Write as _};

/// A longer line is named and skipped; the kernel takes no longer command line than two of them.
const LONGEST: usize = 1 << 20;
/// So many lines that cannot be read are named each; the others are only counted.
const NAMED: u64 = 100;

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Either, line by line.
    Auto,
    /// JSON in the names of the Elastic Common Schema.
    Ecs,
    /// A log of auditd, plain or enriched.
    Auditd,
}

pub(super) struct ExecLog {
    path: String,
    format: Format,
    lines: Lines,
    joiner: Joiner,
    processes: Processes,
    unread: u64,
}

/// What a line came to.
enum Line {
    /// Nothing, or nothing yet.
    Quiet,
    Done(u64, Option<Timestamp>, Payload),
    Wrong(String),
}

impl ExecLog {
    pub(super) fn open(path: &str, format: Format) -> Result<Self, Failure> {
        let (lines, _) = Lines::open(path, LONGEST)?;
        Ok(Self {
            path: path.to_owned(),
            format,
            lines,
            joiner: Joiner::default(),
            processes: Processes::default(),
            unread: 0,
        })
    }

    /// What was done next, with what is known of its ancestors; `None` at the end. What cannot be read is named and counted.
    pub(super) fn next_event(&mut self) -> Result<Option<Read>, Failure> {
        loop {
            let number = self.lines.number() + 1;
            let read = match self.lines.next_line()? {
                None => {
                    let last = self.joiner.finish();
                    let read = |last: Joined| {
                        self.read(last.line, Some(last.time), Payload::Exec(last.event.into()))
                    };
                    return Ok(last.map(read));
                }
                Some(None) => Line::Wrong(format!("is longer than {LONGEST} bytes")),
                Some(Some(line)) => understand(line.trim_ascii(), number, self.format, &mut self.joiner),
            };
            match read {
                Line::Quiet => {}
                Line::Done(line, time, payload) => return Ok(Some(self.read(line, time, payload))),
                Line::Wrong(message) => {
                    self.unread += 1;
                    if self.unread <= NAMED {
                        let text = format!("{}:{number}: {message}", self.path);
                        writeln!(io::stderr(), "picket: {}", Plain(&text))?;
                    }
                }
            }
        }
    }

    /// Says what was left out.
    pub(super) fn complain(&self) -> Result<(), Failure> {
        let mut complaints = io::stderr().lock();
        if self.unread > 0 {
            let (unread, path) = (self.unread, Plain(&self.path));
            writeln!(complaints, "picket: {path}: {unread} lines could not be read")?;
        }
        let evicted = self.processes.evicted();
        if evicted > 0 {
            writeln!(
                complaints,
                "picket: {evicted} processes had to make room for others: what they started later was judged without its parent"
            )?;
        }
        Ok(())
    }

    fn read(&mut self, line: u64, time: Option<Timestamp>, mut payload: Payload) -> Read {
        if let Payload::Exec(event) = &mut payload {
            self.processes.complete(event);
        }
        Read { line, time, payload }
    }
}

fn understand(line: &[u8], number: u64, format: Format, joiner: &mut Joiner) -> Line {
    let is_json = match format {
        Format::Auto => line.first() == Some(&b'{'),
        Format::Ecs => true,
        Format::Auditd => false,
    };
    if line.is_empty() {
        Line::Quiet
    } else if is_json {
        match ecs::event(line) {
            Ok(Some((time, payload))) => Line::Done(number, time, payload),
            Ok(None) => Line::Quiet,
            Err(error) => Line::Wrong(error.to_string()),
        }
    } else {
        match Record::read(&scan::text(line)) {
            Some(record) => match joiner.push(&record, number) {
                Some(joined) => {
                    Line::Done(joined.line, Some(joined.time), Payload::Exec(joined.event.into()))
                }
                None => Line::Quiet,
            },
            // What `ausearch` puts between events.
            None if line == b"----" || line.starts_with(b"time->") => Line::Quiet,
            None if format == Format::Auto => {
                Line::Wrong("is neither a JSON object nor a record of auditd".to_owned())
            }
            None => Line::Wrong("is no record of auditd: type=KIND msg=audit(TIME:SERIAL): …".to_owned()),
        }
    }
}
