//! The sensor of processes at work in the test's own process, on what the test does.

use picket_agent::config::Process as Settings;
use picket_agent::observation::{Body, Observation, ProcessSeen, Sighting};
use picket_agent::queue::queue;
use picket_agent::sense::{Notice, SenseError, Sensor};
use picket_agent::sys::Stop;
use picket_common::event::ExecEvent;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long something that happened may take until it is seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sensor that runs until this is finished or dropped.
pub struct Watching {
    stop: Stop,
    thread: Option<JoinHandle<Result<(), SenseError>>>,
    observed: Receiver<Observation>,
    notices: Receiver<Notice>,
    /// All that was seen so far.
    pub seen: Vec<Sighting>,
}

impl Watching {
    /// Starts what `open` gives, with a queue of so many observations; says why not, where it cannot be.
    pub fn start<S: Sensor + 'static, E>(
        bound: usize,
        open: impl FnOnce(Sender<Notice>) -> Result<S, E>,
    ) -> Result<Self, E> {
        let (notice, notices) = channel();
        let mut sensor = open(notice)?;
        let stop = Stop::new().expect("an eventfd");
        let (send, observed) = queue("test", bound);
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || sensor.run(&send, &stopped));
        Ok(Self {
            stop,
            thread: Some(thread),
            observed,
            notices,
            seen: Vec::new(),
        })
    }

    /// The sensor in the kernel, with these settings; `None` where this test may not load it, after it said so.
    pub fn in_the_kernel(settings: &Settings) -> Option<Self> {
        Self::with_queue(4096, settings)
    }

    /// The same with a queue of so many observations.
    pub fn with_queue(bound: usize, settings: &Settings) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: programs for the kernel are loaded by root alone");
            return None;
        }
        let open = |notices| picket_agent::sense::ExecEbpf::open(settings, notices);
        let mut watching = Self::start(bound, open).unwrap_or_else(|error| panic!("{error}"));
        // What ran before has been told once it sees what happens now.
        watching.mark(PATIENCE).expect("it sees");
        Some(watching)
    }

    /// Starts a program and gives its pid, and its number once it is seen.
    pub fn mark(&mut self, patience: Duration) -> Option<(u32, u64)> {
        let mut mark = Command::new("/bin/true").arg("mark").spawn().expect("it starts");
        let pid = mark.id();
        mark.wait().expect("it ends");
        self.wait_at_most(patience, |seen| match &seen.what {
            ProcessSeen::Exec(event) if event.process.pid == pid => Some((pid, seen.number)),
            _ => None,
        })
    }

    /// The first thing seen, now or later, of which `of` makes something.
    pub fn wait<T>(&mut self, what: &str, of: impl Fn(&Sighting) -> Option<T>) -> T {
        self.wait_at_most(PATIENCE, of)
            .unwrap_or_else(|| panic!("not seen: {what}"))
    }

    /// The same, unless it takes too long.
    pub fn wait_at_most<T>(&mut self, patience: Duration, of: impl Fn(&Sighting) -> Option<T>) -> Option<T> {
        if let Some(found) = self.seen.iter().find_map(&of) {
            return Some(found);
        }
        let until = Instant::now() + patience;
        while let Ok(observation) = self
            .observed
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            let before = self.seen.len();
            self.keep(observation);
            if let Some(found) = self.seen[before..].iter().find_map(&of) {
                return Some(found);
            }
        }
        None
    }

    /// The last program that a process became, as soon as its end was seen too.
    pub fn exec_of(&mut self, pid: u32) -> ExecEvent {
        self.wait(&format!("the end of {pid}"), |seen| match &seen.what {
            ProcessSeen::Exited { process, .. } if process.pid == pid => Some(()),
            _ => None,
        });
        self.execs(pid)
            .pop()
            .unwrap_or_else(|| panic!("{pid} ran nothing"))
    }

    /// All programs that a process became so far.
    pub fn execs(&self, pid: u32) -> Vec<ExecEvent> {
        let execs = self.seen.iter().filter_map(|sighting| match &sighting.what {
            ProcessSeen::Exec(event) if event.process.pid == pid => Some((**event).clone()),
            _ => None,
        });
        execs.collect()
    }

    /// Ends the sensor and gives all that it saw, and what it said.
    pub fn finish(mut self) -> (Vec<Sighting>, Vec<Notice>) {
        self.stop.raise();
        // It ends once there is nothing more to tell; meanwhile the queue may be full.
        while let Ok(observation) = self.observed.recv() {
            self.keep(observation);
        }
        let thread = self.thread.take().expect("it runs");
        thread
            .join()
            .expect("no panic")
            .expect("the sensor goes on to the end");
        (std::mem::take(&mut self.seen), self.notices.try_iter().collect())
    }

    fn keep(&mut self, observation: Observation) {
        if let Body::Processes(sightings) = observation.body {
            self.seen.extend(sightings);
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop.raise();
    }
}
