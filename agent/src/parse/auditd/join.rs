//! Puts the records of one event together: they share a serial, and those of several events may be mixed.

use super::Record;
use super::exec::Parts;
use picket_common::event::ExecEvent;
use picket_common::time::Timestamp;
use std::collections::VecDeque;

/// So many events are open at once; the kernel mixes no more than it has processors.
const OPEN: usize = 64;

/// Which event a record is of.
#[derive(PartialEq, Eq)]
struct Key {
    node: Option<String>,
    time: Timestamp,
    serial: u64,
}

impl Key {
    fn is_of(&self, record: &Record<'_>) -> bool {
        (self.serial, self.time) == (record.serial, record.time) && self.node.as_deref() == record.node
    }
}

/// A program that was started, and the line on which its first record stands.
#[derive(Debug)]
pub struct Joined {
    /// From 1, as counted by the caller.
    pub line: u64,
    /// When it was started.
    pub time: Timestamp,
    /// The program.
    pub event: ExecEvent,
}

/// Records in, programs that were started out, in bounded memory: an event is complete with its last record (`PROCTITLE`,
/// `EOE`), or when 64 newer ones are open.
#[derive(Default)]
pub struct Joiner {
    open: VecDeque<(Key, u64, Parts)>,
}

impl Joiner {
    /// Takes the next record. At most one event is complete with it.
    pub fn push(&mut self, record: &Record<'_>, line: u64) -> Option<Joined> {
        if !matches!(
            record.kind,
            "SYSCALL" | "EXECVE" | "CWD" | "PATH" | "PROCTITLE" | "EOE"
        ) {
            return None;
        }
        // The newest is the likeliest.
        let known = self.open.iter().rposition(|(key, _, _)| key.is_of(record));
        if matches!(record.kind, "PROCTITLE" | "EOE") {
            return self.open.remove(known?).and_then(finished);
        }
        match known.and_then(|at| self.open.get_mut(at)) {
            Some((_, _, parts)) => {
                parts.add(record);
                None
            }
            None => {
                let mut parts = Parts::default();
                parts.add(record);
                let key = Key {
                    node: record.node.map(str::to_owned),
                    time: record.time,
                    serial: record.serial,
                };
                self.open.push_back((key, line, parts));
                if self.open.len() > OPEN {
                    self.next_open()
                } else {
                    None
                }
            }
        }
    }

    /// At the end of a log: what is still open, the oldest first; `None` when nothing is left.
    pub fn finish(&mut self) -> Option<Joined> {
        while !self.open.is_empty() {
            if let Some(joined) = self.next_open() {
                return Some(joined);
            }
        }
        None
    }

    fn next_open(&mut self) -> Option<Joined> {
        self.open.pop_front().and_then(finished)
    }
}

fn finished((key, line, parts): (Key, u64, Parts)) -> Option<Joined> {
    Some(Joined {
        line,
        time: key.time,
        event: parts.event(key.node)?,
    })
}
