//! What a sensor of processes sees, on its way into the queue.

use super::Notice;
use super::losses::Losses;
use crate::observation::{Body, Observation, Origin, ProcessSeen, Sighting};
use crate::queue::{Closed, Sender};
use crate::sys::{Clocks, Process, pids};
use compact_str::CompactString;
use picket_common::time::Timestamp;
use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// How many go together: the queue holds so many times more.
const TOGETHER: usize = 32;

/// Gathers sightings, numbers them, and counts what is lost.
pub(super) struct Sightings {
    source: Arc<str>,
    /// Begins with the monotonic clock in nanoseconds: a later run within one boot begins higher than this one ends.
    next: u64,
    gathered: Vec<Sighting>,
    losses: Losses,
}

impl Sightings {
    pub(super) fn new(source: &'static str, notices: mpsc::Sender<Notice>) -> io::Result<Self> {
        Ok(Self {
            source: source.into(),
            next: Clocks::read()?.monotonic(),
            gathered: Vec::new(),
            losses: Losses::new(source, notices),
        })
    }

    /// Adds one.
    pub(super) fn add(&mut self, time: Timestamp, what: ProcessSeen) {
        let number = self.next;
        self.next += 1;
        self.gathered.push(Sighting { time, number, what });
    }

    /// Counts what was not seen; as [`Losses::count`].
    pub(super) fn lost(&mut self, lost: u64, reason: &'static str) {
        self.losses.count(lost, reason);
    }

    /// Sends what was gathered, as far as there is room. Gives how long it can be waited before the next call.
    pub(super) fn send(&mut self, queue: &Sender<Observation>) -> Result<Duration, Closed> {
        while let Some(seen) = self.take() {
            let Body::Processes(sightings) = &seen.body else {
                break;
            };
            let count = sightings.len();
            queue.offer(seen)?;
            if queue.take_lost() > 0 {
                self.losses.count(count as u64, "found the judge's queue full");
            }
        }
        Ok(self.losses.tell())
    }

    /// Sends what is there already, waiting for room, as it does not run away. Threads of the kernel are no programs.
    pub(super) fn seed(
        &mut self,
        environment: &[CompactString],
        queue: &Sender<Observation>,
    ) -> Result<(), Closed> {
        for pid in pids().unwrap_or_default() {
            let seen = Process::open(pid).and_then(|process| {
                let is_kernel = process.stat()?.is_kernel;
                (!is_kernel).then(|| process.program(environment)).transpose()
            });
            // What has ended meanwhile is not there any more.
            if let Ok(Some(program)) = seen {
                self.add(now(), ProcessSeen::Running(program.into()));
            }
            if self.gathered.len() >= TOGETHER {
                self.take().map(|seen| queue.wait(seen)).transpose()?;
            }
        }
        self.take().map(|seen| queue.wait(seen)).transpose()?;
        Ok(())
    }

    fn take(&mut self) -> Option<Observation> {
        let first = self.gathered.first()?;
        let position = first.number.to_be_bytes().to_vec();
        let rest = self.gathered.split_off(TOGETHER.min(self.gathered.len()));
        Some(Observation {
            origin: Origin {
                source: Arc::clone(&self.source),
                position,
                cursor: None,
            },
            observed: now(),
            again: false,
            body: Body::Processes(std::mem::replace(&mut self.gathered, rest)),
        })
    }
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}
