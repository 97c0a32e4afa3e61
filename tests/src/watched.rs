//! Sensors of programs at work, what they see, and the events that it makes.

use jiff::tz::TimeZone;
use picket_agent::enrich::{Enricher, Inquirer, Inquiries};
use picket_agent::observation::{Body, Observation, ProcessSeen, Sighting};
use picket_agent::queue::{Sender, queue};
use picket_agent::sense::{ExecNetlink, ExecPoll, Notice, Sensor};
use picket_agent::sys::Stop;
use picket_common::event::{Event, ExecEvent, ExitStatus, Payload};
use picket_common::process::ProcessId;
use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Sensors at work.
pub struct Watched {
    queue: Option<Sender<Observation>>,
    seen: Receiver<Observation>,
    /// What was seen before it was waited for.
    early: VecDeque<Observation>,
    sightings: VecDeque<Sighting>,
    notices: Receiver<Notice>,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Watched {
    /// Each sensor that this machine has and that needs nothing in the kernel, once it has told of what was there before.
    pub fn each(test: impl Fn(&mut Self, &str)) {
        let names = ["LD_PRELOAD".into()];
        let (send, notices) = mpsc::channel();
        let poll = ExecPoll::new(Duration::from_millis(100), &names, send);
        test(&mut Self::start(Box::new(poll), notices), ExecPoll::NAME);
        let (send, notices) = mpsc::channel();
        match ExecNetlink::listen(&names, send) {
            Ok(sensor) => test(&mut Self::start(Box::new(sensor), notices), ExecNetlink::NAME),
            Err(error) => println!("skipped: {error}"),
        }
    }

    /// Sets a sensor to work and waits until it looks for what is new.
    pub fn start(sensor: Box<dyn Sensor>, notices: Receiver<Notice>) -> Self {
        let (send, seen) = queue("seen", 100_000);
        let mut watched = Self {
            queue: Some(send),
            seen,
            early: VecDeque::new(),
            sightings: VecDeque::new(),
            notices,
            stop: Stop::new().expect("a flag"),
            threads: Vec::new(),
        };
        watched.run(sensor);
        // It tells of what was there before it looks for what is new.
        let own = std::process::id();
        let is_own = |sighting: &Sighting| matches!(&sighting.what, ProcessSeen::Running(exec) if exec.process.pid == own);
        let mut early = VecDeque::new();
        while !early.iter().any(|seen: &Observation| {
            matches!(&seen.body, Body::Processes(sightings) if sightings.iter().any(is_own))
        }) {
            early.push_back(watched.observation());
        }
        watched.early = early;
        watched
    }

    fn run(&mut self, mut sensor: Box<dyn Sensor>) {
        let (queue, stop) = (self.queue.clone().expect("a queue"), self.stop.clone());
        let work = move || sensor.run(&queue, &stop).expect("it works");
        self.threads.push(std::thread::spawn(work));
    }

    /// The next observation.
    pub fn observation(&mut self) -> Observation {
        match self.early.pop_front() {
            Some(seen) => seen,
            None => self.seen.recv_timeout(PATIENCE).expect("something is seen"),
        }
    }

    /// The first sighting that is wanted, of those that were not looked at before.
    pub fn wait<T>(&mut self, wanted: impl Fn(&ProcessSeen) -> Option<T>) -> T {
        let began = Instant::now();
        // Others on this machine start programs all the time.
        while began.elapsed() < PATIENCE {
            while let Some(sighting) = self.sightings.pop_front() {
                if let Some(found) = wanted(&sighting.what) {
                    return found;
                }
            }
            if let Body::Processes(sightings) = self.observation().body {
                self.sightings.extend(sightings);
            }
        }
        panic!("it is not seen");
    }

    /// The next program of a process.
    pub fn exec(&mut self, pid: u32) -> ExecEvent {
        self.wait(|what| match what {
            ProcessSeen::Exec(exec) if exec.process.pid == pid => Some(exec.as_ref().clone()),
            _ => None,
        })
    }

    /// How a process ended.
    pub fn exit(&mut self, process: ProcessId) -> ExitStatus {
        self.wait(|what| match what {
            ProcessSeen::Exited {
                process: ended,
                status,
            } if *ended == process => Some(*status),
            _ => None,
        })
    }

    /// Ends it. Gives what an operator was told.
    pub fn end(&mut self) -> Vec<Notice> {
        self.stop.raise();
        self.queue = None;
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
        self.notices.try_iter().collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.end();
    }
}

/// What comes of what is seen.
pub struct Known<'a> {
    watched: &'a mut Watched,
    /// What makes events.
    pub enricher: Enricher,
    inquiries: Inquiries,
    events: VecDeque<Event>,
}

impl<'a> Known<'a> {
    /// From now on.
    pub fn of(watched: &'a mut Watched) -> Self {
        let (inquiries, inquirer) = Inquirer::new("/");
        let queue = watched.queue.clone().expect("a queue");
        // Before anything is seen, so that no owner is unknown only as nobody has looked yet.
        inquirer.look();
        watched
            .threads
            .push(std::thread::spawn(move || inquirer.answer(&queue)));
        let enricher = Enricher::new(TimeZone::UTC, jiff::Timestamp::now().into());
        Self {
            watched,
            enricher: enricher.asking(inquiries.clone()),
            inquiries,
            events: VecDeque::new(),
        }
    }

    /// The first event that is wanted, of those that were not looked at before.
    pub fn wait<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            while let Some(event) = self.events.pop_front() {
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
            self.go_on();
        }
        panic!("no such event");
    }

    /// The next program of a process, with its event.
    pub fn exec(&mut self, pid: u32) -> (Event, ExecEvent) {
        self.wait(|event| match &event.payload {
            Payload::Exec(exec) if exec.process.pid == pid => Some((event.clone(), exec.as_ref().clone())),
            _ => None,
        })
    }

    /// Waits until more is known of an event. Gives the event as it is then.
    pub fn amended(&mut self, event: &Event) -> Event {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let amended = self.enricher.take_amended();
            if let Some(amended) = amended
                .into_iter()
                .find(|amended| amended.record.event == event.id)
            {
                return amended.event;
            }
            self.go_on();
        }
        panic!("no more became known of it");
    }

    fn go_on(&mut self) {
        let (seen, mut events) = (self.watched.observation(), Vec::new());
        self.enricher.enrich(seen, &mut events);
        self.events.extend(events);
    }
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        self.inquiries.end();
    }
}
