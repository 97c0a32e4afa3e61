//! Makes sightings of the records in the ring.

use super::ExecEbpf;
use super::image;
use super::listeners::Listeners;
use super::losses::Counts;
use super::privileges::Privileges;
use super::record::{self, Ends, Exec, Flags, Identity, Process, Record};
use crate::config::Process as Settings;
use crate::observation::{Body, Observation, Origin, ProcessSeen, Sighting};
use crate::queue::{Closed, Sender};
use crate::sense::Broken;
use crate::sys::bpf::{Bpf, BpfError, Image, Program};
use picket_common::event::{Direction, ExecEvent, ExitStatus};
use picket_common::time::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So much goes into one observation: enough that what a queue entry costs is little for each, little enough that a full queue
/// of them holds some megabytes; some dozens where each program has as many arguments as are kept.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 16 << 10;
/// So many records are taken before anything else is looked at, should there never be an end to them.
const AT_ONCE: usize = 4096;
/// How often at most all open files are looked through for whoever listens, unless one of them has ended.
const SEARCH: Duration = Duration::from_secs(1);
/// So many that ended are remembered: of two threads that end at once both may say that they were the last.
const ENDED: usize = 256;

/// What the sensor knows while it runs.
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    queue: &'a Sender<Observation>,
    source: Arc<str>,
    clock: Clock,
    number: u64,
    batch: Vec<Sighting>,
    bytes: usize,
    listeners: Listeners,
    searched: Option<Instant>,
    /// One that listened has ended since.
    orphaned: bool,
    privileges: Privileges,
    ended: VecDeque<Process>,
    /// What was lost so far.
    pub(super) counts: Counts,
    /// Connections whose listener is still to be found.
    accepted: Vec<(u64, Ends)>,
    /// Whoever has become root, unless what explains it was lost.
    suspects: Vec<(u64, Process, Identity, u32)>,
    /// Files that were found to be those of excluded paths.
    images: Vec<Image>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(settings: &'a Settings, queue: &'a Sender<Observation>) -> Self {
        Self {
            settings,
            queue,
            source: ExecEbpf::NAME.into(),
            clock: Clock::now(),
            number: 0,
            batch: Vec::new(),
            bytes: 0,
            listeners: Listeners::default(),
            searched: None,
            orphaned: false,
            privileges: Privileges::default(),
            ended: VecDeque::with_capacity(ENDED),
            counts: Counts::default(),
            accepted: Vec::new(),
            suspects: Vec::new(),
            images: Vec::new(),
        }
    }

    /// Tells of what was there before.
    pub(super) fn seed(&mut self, bpf: &mut Bpf) -> Result<(), Broken<BpfError>> {
        self.search(bpf)?;
        let mut told = Ok(());
        bpf.seed(Program::Processes, |bytes| {
            if told.is_ok() {
                told = self.record(bytes);
            }
        })
        .map_err(Broken::Source)?;
        told?;
        Ok(self.flush()?)
    }

    /// Takes what lies in the ring. Whether there was something.
    pub(super) fn take(&mut self, bpf: &mut Bpf) -> Result<bool, Broken<BpfError>> {
        self.clock = Clock::now();
        let taken = bpf.drain(AT_ONCE, |bytes| self.record(bytes))?;
        self.attribute(bpf)?;
        for image in self.images.drain(..) {
            bpf.exclude_image(image).map_err(Broken::Source)?;
        }
        if !self.suspects.is_empty() {
            self.count(bpf).map_err(Broken::Source)?;
            for (time, process, credentials, former_uid) in std::mem::take(&mut self.suspects) {
                let credentials = image::credentials(&credentials);
                let process = image::id(process);
                self.see(
                    time,
                    ProcessSeen::Raised {
                        process,
                        former_uid,
                        credentials,
                    },
                )?;
            }
        }
        self.flush()?;
        Ok(taken > 0)
    }

    /// Takes all that is left once nothing comes any more.
    pub(super) fn finish(&mut self, bpf: &mut Bpf) -> Result<(), Broken<BpfError>> {
        while self.take(bpf)? {}
        Ok(())
    }

    /// Counts what was lost.
    pub(super) fn count(&mut self, bpf: &mut Bpf) -> Result<(), BpfError> {
        let before = self.counts;
        self.counts.full = bpf.lost()?;
        self.counts.missed = bpf.missed();
        if before.could_explain() != self.counts.could_explain() {
            // A set-uid file may have been among it.
            self.privileges.forget();
            self.counts.unexplained += u64::try_from(self.suspects.len()).unwrap_or(u64::MAX);
            self.suspects.clear();
        }
        Ok(())
    }

    fn record(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        let Some((time, record)) = record::read(bytes) else {
            self.counts.broken += 1;
            return Ok(());
        };
        self.bytes += bytes.len();
        match record {
            Record::Nudge => Ok(()),
            Record::Exec(exec) => self.exec(time, &exec),
            Record::Running(exec) => {
                let mut event = image::event(&exec, &self.settings.environment);
                image::add_arguments(&mut event);
                self.privileges.learn(exec.process, &exec.identity);
                self.see(time, ProcessSeen::Running(Box::new(event)))
            }
            Record::Fork {
                parent,
                child,
                identity,
            } => {
                self.suspect(time, parent, identity);
                self.privileges.learn(child, &identity);
                let (parent, child) = (image::id(parent), image::id(child));
                self.see(time, ProcessSeen::Forked { parent, child })
            }
            Record::Exit { process, status } => self.exit(time, process, status),
            Record::Connect {
                process,
                identity,
                ends,
            } => {
                self.suspect(time, process, identity);
                self.connected(time, process, Direction::Outbound, &ends)
            }
            Record::Accept(ends) => match self.listeners.find(&ends) {
                Some(Some(process)) => self.connected(time, process, Direction::Inbound, &ends),
                Some(None) => Ok(()),
                None => {
                    self.accepted.push((time, ends));
                    Ok(())
                }
            },
            Record::Listen { process, ends } => {
                self.listeners.add(&ends, process);
                Ok(())
            }
            Record::Signal {
                sender,
                target,
                number,
            } => self.see(
                time,
                ProcessSeen::Signalled {
                    process: image::id(sender),
                    signal: number,
                    target: image::id(target),
                },
            ),
        }
    }

    fn exec(&mut self, time: u64, exec: &Exec<'_>) -> Result<(), Closed> {
        if image::is_set_uid(exec) {
            self.privileges.learn(exec.process, &exec.identity);
        } else {
            self.suspect(time, exec.process, exec.identity);
        }
        let event = Box::new(image::event(exec, &self.settings.environment));
        let excluded = exec.flags.has(Flags::EXCLUDED) || self.is_excluded(exec, &event);
        // Whose file is excluded is not judged, but what it starts has it as its parent.
        let seen = if excluded {
            ProcessSeen::Running(event)
        } else {
            ProcessSeen::Exec(event)
        };
        self.see(time, seen)
    }

    /// Whether it is the file behind an excluded path, which the program in the kernel is then told. A file of that path in a
    /// container is another.
    fn is_excluded(&mut self, exec: &Exec<'_>, event: &ExecEvent) -> bool {
        let path = Path::new(event.executable.as_str());
        let same = self.settings.exclude_images.iter().any(|image| image == path)
            && path.metadata().is_ok_and(|now| {
                event
                    .file
                    .is_some_and(|file| (file.device, file.inode) == (now.dev(), now.ino()))
            });
        // Without a generation another file may be taken for it later.
        if same && exec.generation != 0 {
            self.images.push(Image {
                inode: exec.inode,
                device: exec.device,
                generation: exec.generation,
            });
        }
        same
    }

    fn exit(&mut self, time: u64, process: Process, status: u32) -> Result<(), Closed> {
        if self.ended.contains(&process) {
            return Ok(());
        }
        if self.ended.len() == ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(process);
        self.orphaned |= self.listeners.ended(process);
        self.privileges.ended(process);
        let process = image::id(process);
        let status = ExitStatus::of_wait(status);
        self.see(time, ProcessSeen::Exited { process, status })
    }

    fn connected(
        &mut self,
        time: u64,
        process: Process,
        direction: Direction,
        ends: &Ends,
    ) -> Result<(), Closed> {
        self.see(
            time,
            ProcessSeen::Connected {
                process: image::id(process),
                direction,
                local: ends.local,
                remote: ends.remote,
            },
        )
    }

    fn suspect(&mut self, time: u64, process: Process, identity: Identity) {
        if let Some(former) = self.privileges.see(process, &identity) {
            self.suspects.push((time, process, identity, former));
        }
    }

    /// Looks for whoever listens where somebody connected, and for whoever has the sockets of one that listened and ended, as
    /// the children of daemons do.
    fn attribute(&mut self, bpf: &mut Bpf) -> Result<(), Broken<BpfError>> {
        let due = |span| self.searched.is_none_or(|at: Instant| at.elapsed() >= span);
        let sought = !self.accepted.is_empty();
        if (sought && due(SEARCH)) || (self.orphaned && (sought || due(SEARCH / 10))) {
            self.search(bpf)?;
        }
        for (time, ends) in std::mem::take(&mut self.accepted) {
            match self.listeners.find(&ends) {
                Some(Some(process)) => self.connected(time, process, Direction::Inbound, &ends)?,
                Some(None) => {}
                None => self.counts.unowned += 1,
            }
        }
        Ok(())
    }

    fn search(&mut self, bpf: &mut Bpf) -> Result<(), Broken<BpfError>> {
        let listeners = &mut self.listeners;
        let mut broken = 0;
        bpf.seed(Program::Listeners, |bytes| match record::read(bytes) {
            Some((_, Record::Listen { process, ends })) => listeners.seed(&ends, process),
            _ => broken += 1,
        })
        .map_err(Broken::Source)?;
        self.counts.broken += broken;
        self.searched = Some(Instant::now());
        self.orphaned = false;
        Ok(())
    }

    fn see(&mut self, time: u64, what: ProcessSeen) -> Result<(), Closed> {
        // Later than all before it, also before a restart of the agent: no two things happen in one nanosecond for long.
        self.number = time.max(self.number + 1);
        self.batch.push(Sighting {
            time: self.clock.at(time),
            number: self.number,
            what,
        });
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Closed> {
        self.bytes = 0;
        let Some(last) = self.batch.last() else {
            return Ok(());
        };
        let position = last.number.to_be_bytes().to_vec();
        self.queue.wait(Observation {
            origin: Origin {
                source: Arc::clone(&self.source),
                position,
                cursor: None,
            },
            observed: jiff::Timestamp::now().into(),
            again: false,
            body: Body::Processes(std::mem::take(&mut self.batch)),
        })
    }
}

/// What the clock on the wall shows when the one since the boot shows nothing, in microseconds. Looked at now and then, as the
/// one may be set.
#[derive(Clone, Copy, Debug)]
struct Clock(i64);

impl Clock {
    fn now() -> Self {
        let micros = |time: Timespec| time.tv_sec * 1_000_000 + time.tv_nsec / 1000;
        let wall = micros(clock_gettime(ClockId::Realtime));
        Self(wall - micros(clock_gettime(ClockId::Boottime)))
    }

    fn at(self, nanoseconds: u64) -> Timestamp {
        let since = i64::try_from(nanoseconds / 1000).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.0.saturating_add(since))
    }
}
