//! Sees programs by looking through `/proc` now and then: where nothing else is permitted.

use super::sightings::Sightings;
use super::{Broken, Notice, SenseError, Sensor};
use crate::observation::{Cursor, Observation, ProcessSeen, Subject};
use crate::queue::Sender;
use crate::sys::{Clocks, Process, Stat, Stop, pids};
use compact_str::CompactString;
use picket_common::event::ExitStatus;
use picket_common::process::ProcessId;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// See the module.
pub struct ExecPoll {
    every: Duration,
    environment: Vec<CompactString>,
    notices: mpsc::Sender<Notice>,
}

/// What was there at a look.
type Known = HashMap<u32, Stat>;

impl ExecPoll {
    /// Its name, and that of its source.
    pub const NAME: &str = "exec_poll";
    /// What it cannot see.
    pub const BLIND: &str =
        "programs that start and end between two looks, how they end, and all that processes do beside";

    /// Looks with so much time in between. `environment` names the variables that are kept.
    pub fn new(every: Duration, environment: &[CompactString], notices: mpsc::Sender<Notice>) -> Self {
        Self {
            every,
            environment: environment.to_vec(),
            notices,
        }
    }

    fn follow(&self, queue: &Sender<Observation>, stop: &Stop) -> Result<(), Broken> {
        let mut seen = Sightings::new(Self::NAME, self.notices.clone())?;
        let mut known = look()?;
        seen.seed(&self.environment, queue)?;
        while !stop.wait(self.every) {
            let now = look()?;
            self.compare(&known, &now, &mut seen)?;
            known = now;
            seen.send(queue)?;
        }
        Ok(())
    }

    /// Makes sightings of what is not as it was.
    fn compare(&self, before: &Known, now: &Known, seen: &mut Sightings) -> io::Result<()> {
        let clocks = Clocks::read()?;
        let time = clocks.day(clocks.monotonic());
        for old in before.values() {
            let same = now.get(&old.process.pid).filter(|now| now.process == old.process);
            if same.is_none_or(|now| now.has_ended()) && !old.has_ended() {
                let (process, status) = (old.process, ExitStatus::Unknown);
                seen.add(time, ProcessSeen::Exited { process, status });
            }
        }
        // Parents come before their children, save where pids began anew.
        let mut fresh: Vec<&Stat> = now
            .values()
            .filter(|now| {
                let old = before
                    .get(&now.process.pid)
                    .filter(|old| old.process == now.process);
                old.is_none_or(|old| old.image != now.image) && !now.has_ended() && !now.is_kernel
            })
            .collect();
        fresh.sort_unstable_by_key(|stat| (stat.process.start, stat.process.pid));
        for stat in fresh {
            let child = stat.process;
            let is_new = before.get(&child.pid).is_none_or(|old| old.process != child);
            let parent = now.get(&stat.parent).filter(|_| is_new);
            if let Some(parent) = parent
                && parent.image == stat.image
                && stat.image != (0, 0)
            {
                // It is a copy, and runs no program of its own.
                let parent = parent.process;
                seen.add(time, ProcessSeen::Forked { parent, child });
                continue;
            }
            match self.program(child) {
                Some(program) => seen.add(time, program),
                None => seen.lost(1, "had ended before they could be looked at"),
            }
        }
        Ok(())
    }

    fn program(&self, process: ProcessId) -> Option<ProcessSeen> {
        let program = Process::open(process.pid)
            .and_then(|process| process.program(&self.environment))
            .ok()?;
        (program.process == process).then(|| ProcessSeen::Exec(program.into()))
    }
}

/// All that are there.
fn look() -> io::Result<Known> {
    let stat = |pid| Some((pid, Process::open(pid).and_then(|process| process.stat()).ok()?));
    Ok(pids()?.into_iter().filter_map(stat).collect())
}

impl Sensor for ExecPoll {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn describe(&self) -> String {
        format!(
            "programs, looked for every {:?}; not seen are {}",
            self.every,
            Self::BLIND
        )
    }

    fn sees(&self) -> Vec<Subject> {
        vec![Subject::Programs, Subject::Exits]
    }

    fn begin(&mut self) -> Vec<(Arc<str>, Cursor)> {
        Vec::new()
    }

    fn run(&mut self, queue: &Sender<Observation>, stop: &Stop) -> Result<(), SenseError> {
        match self.follow(queue, stop) {
            Ok(()) | Err(Broken::Closed) => Ok(()),
            Err(Broken::Source(error)) => Err(SenseError::System("/proc", error)),
        }
    }
}
