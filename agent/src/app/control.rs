//! The socket through which an operator asks and tells a running agent: one JSON line there, one back.
//!
//! Whoever may open the socket may read; only root, or the agent's own user, may act. The kernel vouches for who it is.

use super::actor::{Acting, Ask};
use super::costs::{self, Costs};
use super::historian::{Note, Recall, Told};
use super::rules::{InForce, Rules};
use super::running::{Processes, Running};
use super::socket::{bind, may_act};
use super::spawn;
use crate::config::{Mode, Settings};
use crate::history::Story;
use crate::observation::Subject;
use crate::queue::Sender;
use crate::respond::{Held, Release};
use crate::scan::Backlog;
use crate::send::Up;
use crate::spool::{Pending, Spool};
use crate::sys::Stop;
use picket_common::action::{ActionKind, Target};
use picket_common::ids::RecordId;
use picket_common::record::{Lane, Outcome};
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long the other side may take to ask, and the agent to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A question is no longer.
const LONGEST: usize = 16 << 10;
/// So many of those who may only read are answered at once.
const READERS_AT_ONCE: usize = 8;

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ask")]
pub enum Request {
    /// How is it?
    Status,
    /// What is in force?
    Held,
    /// What was found last? So many at most.
    Findings {
        /// How many.
        last: usize,
    },
    /// What does it cost?
    Costs,
    /// What runs?
    Processes,
    /// What is there to tell of a finding or an action?
    Story {
        /// Its id.
        id: RecordId,
    },
    /// Do something to the host; `ttl` in seconds, `None` until undone.
    Act {
        /// What, and whom it hits.
        #[serde(flatten)]
        target: Target,
        /// For how long.
        ttl: Option<u64>,
        /// Why.
        reason: String,
    },
    /// Take back an action, by its id or its target.
    Undo {
        /// Which.
        name: String,
    },
    /// Let go of what is in quarantine, by its id or its path, otherwise than by putting it back.
    Release {
        /// Which.
        name: String,
        /// How.
        way: Release,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reply", content = "body")]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Box<Report>),
    /// To [`Request::Held`].
    Held(Vec<Held>),
    /// To [`Request::Findings`], the newest last.
    Findings {
        /// Each with what came of it, without its events.
        stories: Vec<Story>,
        /// How many findings and outcomes could not be kept on the host since the agent started.
        lost: u64,
    },
    /// To [`Request::Costs`].
    Costs(Box<costs::Report>),
    /// To [`Request::Processes`], by their numbers.
    Processes(Vec<Running>),
    /// To [`Request::Story`].
    Story(Option<Box<Story>>),
    /// What was done.
    Done(Vec<Outcome>),
    /// Why not.
    Error(String),
}

/// How the agent is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started: Timestamp,
    /// `monitor` or `enforce`.
    pub mode: String,
    /// How it acts.
    pub acting: String,
    /// Which kinds of act are done no more, though they should be, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub off: Vec<(ActionKind, String)>,
    /// What it watches.
    pub watching: Vec<String>,
    /// What is seen through that.
    pub sees: BTreeSet<Subject>,
    /// Findings, actions and losses that the collector does not have yet.
    pub findings: Pending,
    /// Events that the collector does not have yet.
    pub events: Pending,
    /// Records that were lost since it started, each loss told to the collector as a gap.
    pub lost: u64,
    /// When the collector last acknowledged something.
    pub acknowledged: Option<Timestamp>,
    /// What keeps records from the collector now.
    pub trouble: Option<String>,
    /// The rules in force.
    pub rules: InForce,
    /// How many files wait to be looked into, and were; `None` where files are not watched.
    pub scanned: Option<Backlog>,
}

/// What the agent knows of itself.
pub(super) struct Status {
    started: Timestamp,
    mode: Mode,
    watching: Vec<String>,
    sees: BTreeSet<Subject>,
    spool: Arc<Mutex<Spool>>,
    rules: Arc<Rules>,
    acting: Acting,
    courier: Mutex<Courier>,
}

#[derive(Clone, Default)]
struct Courier {
    acknowledged: Option<Timestamp>,
    trouble: Option<String>,
}

impl Status {
    pub(super) fn new(
        settings: &Settings,
        spool: Arc<Mutex<Spool>>,
        rules: Arc<Rules>,
        (watching, sees): (Vec<String>, BTreeSet<Subject>),
        acting: Acting,
    ) -> Self {
        Self {
            started: now(),
            mode: settings.respond.mode,
            watching,
            sees,
            spool,
            rules,
            acting,
            courier: Mutex::default(),
        }
    }

    /// Takes note of what the courier says.
    pub(super) fn heard(&self, up: &Up) {
        let mut courier = self.courier.lock().unwrap_or_else(PoisonError::into_inner);
        match up {
            Up::Acknowledged { .. } => {
                courier.acknowledged = Some(now());
                courier.trouble = None;
            }
            Up::Trouble { reason } => courier.trouble = Some(reason.clone()),
            Up::Refused { .. } | Up::Reached { .. } | Up::Renewed { .. } => {}
        }
    }

    fn report(&self) -> Report {
        let courier = self
            .courier
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let how = self.acting.get();
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            mode: match self.mode {
                Mode::Monitor => "monitor".to_owned(),
                Mode::Enforce => "enforce".to_owned(),
            },
            acting: how.acting,
            off: how.off,
            watching: self.watching.clone(),
            sees: self.sees.clone(),
            findings: spool.pending(Lane::Findings),
            events: spool.pending(Lane::Events),
            lost: spool.lost(),
            acknowledged: courier.acknowledged,
            trouble: courier.trouble,
            rules: self.rules.in_force(),
            scanned: self.rules.backlog(),
        }
    }
}

/// The listening side.
pub(super) struct Control {
    pub(super) ask: Sender<Ask>,
    pub(super) status: Arc<Status>,
    pub(super) history: Sender<Note>,
    pub(super) processes: Processes,
    pub(super) costs: Arc<Costs>,
    pub(super) stop: Stop,
}

impl Control {
    /// Listens on a thread of its own. An agent that cannot be asked still watches.
    pub(super) fn listen(self, path: &Path) -> Option<JoinHandle<()>> {
        match bind(path) {
            Ok(listener) => spawn("control", move || self.serve(&listener)).ok(),
            Err(error) => {
                tracing::warn!("{}: {error}; this agent cannot be asked", path.display());
                None
            }
        }
    }

    fn serve(&self, listener: &UnixListener) {
        let readers = AtomicUsize::new(0);
        thread::scope(|threads| {
            while let Ok(true) = self.stop.wait_for(listener.as_fd()) {
                let Ok((stream, _)) = listener.accept() else {
                    continue;
                };
                let Ok(may_act) = may_act(&stream) else { continue };
                // Whoever may only read cannot keep root waiting, however many they are and however slowly they ask.
                if !may_act && readers.fetch_add(1, Ordering::Relaxed) >= READERS_AT_ONCE {
                    readers.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                let readers = &readers;
                threads.spawn(move || {
                    if let Err(error) = self.answer(&stream, may_act) {
                        tracing::debug!("control: {error}");
                    }
                    if !may_act {
                        readers.fetch_sub(1, Ordering::Relaxed);
                    }
                });
            }
        });
    }

    fn answer(&self, stream: &UnixStream, may_act: bool) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let line = self.question(stream)?;
        stream.set_nonblocking(false)?;
        let reply = match serde_json::from_slice(&line) {
            Ok(request) => self.reply(request, may_act),
            Err(error) => Reply::Error(error.to_string()),
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        (&*stream).write_all(&text)
    }

    /// Reads one line, all of it in [`PATIENCE`].
    fn question(&self, mut stream: &UnixStream) -> io::Result<Vec<u8>> {
        let started = Instant::now();
        let (mut line, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let left = PATIENCE.saturating_sub(started.elapsed());
            if left.is_zero() || self.stop.is_raised() || line.len() > LONGEST {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            self.stop.wait_for_at_most(stream.as_fd(), left)?;
            let got = match stream.read(&mut buffer) {
                Ok(0) => return Ok(line),
                Ok(got) => buffer.get(..got).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            let end = memchr::memchr(b'\n', got);
            line.extend_from_slice(got.get(..end.unwrap_or(got.len())).unwrap_or_default());
            if end.is_some() {
                return Ok(line);
            }
        }
    }

    fn reply(&self, request: Request, may_act: bool) -> Reply {
        let (reply, answered) = mpsc::channel();
        let ask = match request {
            Request::Status => return Reply::Status(Box::new(self.status.report())),
            Request::Held => {
                let (reply, answered) = mpsc::channel();
                return match (self.ask.wait(Ask::Held(reply)), answered.recv_timeout(PATIENCE)) {
                    (Ok(()), Ok(held)) => Reply::Held(held),
                    _ => busy(),
                };
            }
            Request::Findings { last } => return self.recall(Recall::Last(last)),
            Request::Costs => return Reply::Costs(Box::new(self.costs.report(self.status.rules.costs()))),
            Request::Processes => {
                // Without a history the processes are there all the same.
                let stories = match self.recall(Recall::Last(usize::MAX)) {
                    Reply::Findings { stories, .. } => stories,
                    _ => Vec::new(),
                };
                return Reply::Processes(self.processes.running(stories));
            }
            Request::Story { id } => return self.recall(Recall::Story(id)),
            _ if !may_act => return Reply::Error("only root may act".to_owned()),
            Request::Act { target, ttl, reason } => Ask::Act {
                target,
                ttl: ttl.map(Duration::from_secs),
                reason,
                reply,
            },
            Request::Undo { name } => Ask::Undo { name, reply },
            Request::Release { name, way } => Ask::Release { name, way, reply },
        };
        match (self.ask.wait(ask), answered.recv_timeout(PATIENCE)) {
            (Ok(()), Ok(Ok(outcomes))) => Reply::Done(outcomes),
            (Ok(()), Ok(Err(error))) => Reply::Error(error),
            _ => busy(),
        }
    }

    /// Asks the history, behind everything that it is to keep already.
    fn recall(&self, what: Recall) -> Reply {
        let (reply, answered) = mpsc::channel();
        let lost = self.history.take_lost();
        let asked = self.history.wait(Note::Recall { what, lost, reply });
        match (asked, answered.recv_timeout(PATIENCE)) {
            (Ok(()), Ok(Ok(Told::Last(stories, lost)))) => Reply::Findings { stories, lost },
            (Ok(()), Ok(Ok(Told::Story(story)))) => Reply::Story(story),
            (Ok(()), Ok(Err(error))) => Reply::Error(error),
            _ => busy(),
        }
    }
}

fn busy() -> Reply {
    Reply::Error("the agent is ending, or too busy to answer".to_owned())
}

/// Asks the agent that listens on `path`.
pub fn ask(path: &Path, request: &Request) -> io::Result<Reply> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    (&stream).write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}
