//! Sees programs through the kernel's process connector, which names pids, and `/proc`, which knows the rest.

use super::sightings::Sightings;
use super::{Broken, Notice, SenseError, Sensor};
use crate::observation::{Cursor, Observation, ProcessSeen, Subject};
use crate::queue::Sender;
use crate::sys::{Clocks, ConnectorError, ProcConnector, Process, ProcessTold, Stop, Told};
use compact_str::CompactString;
use hashlink::LruCache;
use picket_common::event::{ExecEvent, ExitStatus};
use picket_common::process::ProcessId;
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Arc, mpsc};

/// How many messages are taken before `/proc` is looked at: what runs now is there to be read, what is told next must wait.
const TOGETHER: usize = 64;
/// How many processes' starts are known.
const KNOWN: usize = 65_536;
const GONE: &str = "had ended, or were other programs, before they could be looked at";
const OVERRUN: &str = "messages of the kernel, of whatever kind, found no room";

/// See the module.
pub struct ExecNetlink {
    /// Until it runs.
    connector: Option<ProcConnector>,
    environment: Vec<CompactString>,
    starts: LruCache<u32, u64>,
    notices: mpsc::Sender<Notice>,
}

impl ExecNetlink {
    /// Its name, and that of its source.
    pub const NAME: &str = "exec_netlink";
    /// What it cannot see.
    pub const BLIND: &str =
        "programs that end within moments, and all that processes do beside starting and ending";

    /// Begins to listen, so that whoever chooses learns at once whether that works. `environment` names the variables that are
    /// kept.
    pub fn listen(
        environment: &[CompactString],
        notices: mpsc::Sender<Notice>,
    ) -> Result<Self, ConnectorError> {
        Ok(Self {
            connector: Some(ProcConnector::listen()?),
            environment: environment.to_vec(),
            starts: LruCache::new(KNOWN),
            notices,
        })
    }

    fn follow(
        &mut self,
        connector: &mut ProcConnector,
        queue: &Sender<Observation>,
        stop: &Stop,
    ) -> Result<(), Broken> {
        let mut seen = Sightings::new(Self::NAME, self.notices.clone())?;
        // Listened first, looked second: what begins in between is seen twice.
        seen.seed(&self.environment, queue)?;
        let mut told = Vec::new();
        while !stop.is_raised() {
            let pause = seen.send(queue)?;
            stop.wait_for_at_most(connector.as_fd(), pause)?;
            let lost = connector.take(TOGETHER, &mut told)?;
            seen.lost(lost, OVERRUN);
            self.look(&told, &mut seen)?;
            told.clear();
        }
        Ok(())
    }

    /// Makes sightings of messages. The programs are read before anything else: they are what runs away.
    fn look(&mut self, told: &[Told], seen: &mut Sightings) -> io::Result<()> {
        let clocks = Clocks::read()?;
        let mut programs: HashMap<usize, ExecEvent> = HashMap::new();
        for (at, message) in told.iter().enumerate() {
            let ProcessTold::Exec(pid) = message.what else {
                continue;
            };
            let later = told.iter().skip(at + 1);
            // What would be read now is the next one.
            let again = later.filter(|later| later.what == ProcessTold::Exec(pid)).count();
            let program = Process::open(pid).and_then(|process| process.program(&self.environment));
            if again == 0
                && let Ok(program) = program
                && program.process.start <= clocks.ticks(message.at)
            {
                self.starts.insert(pid, program.process.start);
                programs.insert(at, program);
            }
        }
        for (at, message) in told.iter().enumerate() {
            let what = match message.what {
                ProcessTold::Forked { parent, child } => {
                    let (parent, child) = (self.process(parent), self.begun(child, message, &clocks));
                    let Some(child) = child else { continue };
                    ProcessSeen::Forked { parent, child }
                }
                ProcessTold::Exec(_) => match programs.remove(&at) {
                    Some(program) => ProcessSeen::Exec(program.into()),
                    None => {
                        seen.lost(1, GONE);
                        continue;
                    }
                },
                ProcessTold::Exited(pid, status) => {
                    let process = self.process(pid);
                    self.starts.remove(&pid);
                    let status = ExitStatus::of_wait(status);
                    ProcessSeen::Exited { process, status }
                }
                ProcessTold::Other => continue,
            };
            seen.add(clocks.day(message.at), what);
        }
        Ok(())
    }

    /// A process that just began. `None` when it is gone without a trace, and ran no program of its own.
    fn begun(&mut self, pid: u32, message: &Told, clocks: &Clocks) -> Option<ProcessId> {
        let known = self.starts.get(&pid).copied();
        // An older one of this pid is another.
        let begun = clocks.ticks(message.at).saturating_sub(1);
        let known = known.filter(|start| (begun..=begun + 1).contains(start));
        let start = match known {
            Some(start) => start,
            None => {
                Process::open(pid)
                    .and_then(|process| process.stat())
                    .ok()?
                    .process
                    .start
            }
        };
        self.starts.insert(pid, start);
        Some(ProcessId { pid, start })
    }

    fn process(&mut self, pid: u32) -> ProcessId {
        if let Some(&start) = self.starts.get(&pid) {
            return ProcessId { pid, start };
        }
        let read = Process::open(pid).and_then(|process| process.stat());
        let process = read.map_or(ProcessId::uncertain(pid), |stat| stat.process);
        if process.is_certain() {
            self.starts.insert(pid, process.start);
        }
        process
    }
}

impl Sensor for ExecNetlink {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn describe(&self) -> String {
        format!(
            "programs, of which the kernel's process connector tells; not seen are {}",
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
        let mut connector = match self.connector.take() {
            Some(connector) => connector,
            None => {
                ProcConnector::listen().map_err(|error| SenseError::Ended(Self::NAME, error.to_string()))?
            }
        };
        match self.follow(&mut connector, queue, stop) {
            Ok(()) | Err(Broken::Closed) => Ok(()),
            Err(Broken::Source(error)) => Err(SenseError::System("the process connector", error)),
        }
    }
}
