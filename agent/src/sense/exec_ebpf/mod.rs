//! Sees what processes do through a program in the kernel.
//!
//! The ring in the kernel is the buffer: this reads it as fast as the judge takes what it gives, and what finds no room in it
//! the kernel counts. A wake-up costs more than a record, so under load one serves many: the reader comes back by itself every
//! two milliseconds, and says so to the program (`agent/ebpf`); when little happens it is woken at once.

mod image;
mod listeners;
mod losses;
mod privileges;
mod reader;
mod record;

use super::losses::Losses;
use super::{Broken, Notice, SenseError, Sensor};
use crate::config::Process as Settings;
use crate::observation::{Cursor, EXEC_EBPF, Observation, Subject};
use crate::queue::Sender;
use crate::sys::bpf::{Bpf, BpfError, Program, Sleep, Wanted};
use crate::sys::{Stop, proc};
use compact_str::CompactString;
use losses::Counts;
use picket_common::event::ExecEvent;
use reader::Reader;
use record::Record;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How long the reader sleeps when nothing urgent happens: what is not urgent, as the end of a process, waits as long.
const REST: Duration = Duration::from_secs(1);
/// How long under load.
const NAP: Duration = Duration::from_millis(2);
/// After so many short rests that ended with something to read there is load.
const LOAD: u32 = 16;
/// How often is looked for what was lost.
const COUNT: Duration = Duration::from_secs(1);
/// How often is looked which cgroups the excluded folders are: a service that is started again has another.
const EXCLUDE: Duration = Duration::from_secs(60);

/// See the module.
pub struct ExecEbpf {
    settings: Settings,
    notices: mpsc::Sender<Notice>,
    /// Loaded, until it is run.
    bpf: Option<Bpf>,
    /// Which of its parts the kernel does not take.
    without: Vec<Program>,
    missing: Vec<String>,
}

impl ExecEbpf {
    /// The name of the sensor, and of its source.
    pub const NAME: &str = EXEC_EBPF;

    /// Loads the program; from now on it sees, and what it sees waits in the kernel until it is read.
    pub fn open(settings: &Settings, notices: mpsc::Sender<Notice>) -> Result<Self, BpfError> {
        let bpf = load(settings)?;
        let missing = bpf
            .missing()
            .iter()
            .map(|(program, error)| format!("{} ({error})", program.without()))
            .collect();
        let without = bpf.missing().iter().map(|(program, _)| *program).collect();
        Ok(Self {
            without,
            settings: settings.clone(),
            notices,
            bpf: Some(bpf),
            missing,
        })
    }
}

impl Sensor for ExecEbpf {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn describe(&self) -> String {
        let mut text = "processes, by a program in the kernel (eBPF)".to_owned();
        for missing in &self.missing {
            text.push_str("; ");
            text.push_str(missing);
        }
        text
    }

    fn sees(&self) -> Vec<Subject> {
        let without = |program| self.without.contains(&program);
        let subjects = [
            (Subject::Programs, without(Program::Exec)),
            (Subject::Exits, without(Program::Exit)),
            (Subject::Connections, without(Program::Connection)),
            // Who becomes root is seen at the next thing that it does.
            (Subject::Privileges, without(Program::Exec)),
            (Subject::Signals, without(Program::Signal)),
        ];
        let seen = subjects.into_iter().filter(|(_, without)| !without);
        seen.map(|(subject, _)| subject).collect()
    }

    fn begin(&mut self) -> Vec<(Arc<str>, Cursor)> {
        Vec::new()
    }

    fn run(&mut self, queue: &Sender<Observation>, stop: &Stop) -> Result<(), SenseError> {
        let gone_wrong = |error| SenseError::Kernel(Self::NAME, error);
        let mut bpf = match self.bpf.take() {
            Some(bpf) => bpf,
            None => load(&self.settings).map_err(gone_wrong)?,
        };
        let mut reader = Reader::new(&self.settings, queue);
        let mut losses = (Losses::new(Self::NAME, self.notices.clone()), Counts::default());
        let mut done = reader.seed(&mut bpf);
        if done.is_ok() {
            done = self.follow(&mut bpf, &mut reader, &mut losses, stop);
        }
        // What was seen before the program was taken off is still told, unless nobody listens.
        bpf.detach();
        if !matches!(done, Err(Broken::Closed)) {
            done = done.and(reader.finish(&mut bpf));
        }
        let counted = reader.count(&mut bpf).map_err(Broken::Source);
        // The rest is told as it goes.
        reader.counts.add_since(&losses.1, &mut losses.0);
        match done.and(counted) {
            Ok(()) | Err(Broken::Closed) => Ok(()),
            Err(Broken::Source(error)) => Err(gone_wrong(error)),
        }
    }
}

impl ExecEbpf {
    fn follow(
        &self,
        bpf: &mut Bpf,
        reader: &mut Reader<'_>,
        (losses, told): &mut (Losses, Counts),
        stop: &Stop,
    ) -> Result<(), Broken<BpfError>> {
        let (mut load, mut rested) = (0_u32, REST);
        let (mut counted, mut excluded) = (Instant::now(), Instant::now());
        while !stop.is_raised() {
            let some = reader.take(bpf)?;
            let now = Instant::now();
            if now.duration_since(counted) >= COUNT {
                reader.count(bpf).map_err(Broken::Source)?;
                reader.counts.add_since(told, losses);
                *told = reader.counts;
                losses.tell();
                counted = now;
            }
            if now.duration_since(excluded) >= EXCLUDE {
                exclude(bpf, &self.settings).map_err(Broken::Source)?;
                excluded = now;
            }
            load = if some && rested < 2 * NAP {
                load.saturating_add(1)
            } else {
                0
            };
            let (sleep, span) = if load < LOAD {
                (Sleep::Light, REST)
            } else {
                (Sleep::Nap, NAP)
            };
            bpf.rest(sleep, stop, span).map_err(Broken::Source)?;
            rested = now.elapsed();
        }
        Ok(())
    }
}

/// The program that a record of the ring tells of, with all of its environment that `wanted` names; `None` for what is no such
/// record. How bytes of the ring are reached without a kernel.
pub fn program_of(record: &[u8], wanted: &[CompactString]) -> Option<ExecEvent> {
    match record::read(record)? {
        (_, Record::Exec(exec) | Record::Running(exec)) => Some(image::event(&exec, wanted)),
        _ => None,
    }
}

fn load(settings: &Settings) -> Result<Bpf, BpfError> {
    let mut bpf = Bpf::open(Wanted {
        ring: settings.ring,
        environment: !settings.environment.is_empty(),
        images: !settings.exclude_images.is_empty(),
        cgroups: !settings.exclude_cgroups.is_empty(),
    })?;
    exclude(&mut bpf, settings)?;
    Ok(bpf)
}

/// Tells the program which cgroups those folders are now; what is not there is nobody's, and what is none of the unified
/// hierarchy has no number that the program could know it by.
fn exclude(bpf: &mut Bpf, settings: &Settings) -> Result<(), BpfError> {
    for cgroup in &settings.exclude_cgroups {
        if let Ok(folder) = cgroup.metadata()
            && proc::is_unified(cgroup)
        {
            bpf.exclude_cgroup(folder.ino())?;
        }
    }
    Ok(())
}
