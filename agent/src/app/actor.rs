//! The thread that acts: on findings, and on what an operator asks.

use super::historian::Note;
use super::keeper::Kept;
use crate::config::{Mode, Settings};
use crate::history::Entry;
use crate::observation::Cursor;
use crate::queue::Sender;
use crate::respond::{
    BlockIp, Blocker, Blocks, Denials, Denier, Gate, Guard, Held, HostFacts, HostWatch, Kill, Kills, Ledger,
    LedgerError, Login, Quarantines, Release, Responder, Response, Session, Signals, Simulated, Take, Taker,
    UndoError,
};
use crate::send::{Identity, Reached};
use picket_common::action::{ActionKind, Decision, Network, Target};
use picket_common::finding::Finding;
use picket_common::record::{Outcome, Record};
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The name of the ledger among the sources.
pub(super) const LEDGER: &str = "ledger";
/// How often it is looked whether somebody flushed the firewall, while blocks are in force.
const LOOK: Duration = Duration::from_secs(5);
/// A clock that differs by more than this from what it should say was set, and not only trimmed.
const SET: Duration = Duration::from_secs(1);

/// What the thread is asked.
pub(super) enum Ask {
    /// Somebody logged in, or failed to.
    Seen(Login),
    /// A rule fired.
    Found(Box<Finding>),
    /// What is in force?
    Held(mpsc::Sender<Vec<Held>>),
    /// Do this.
    Act {
        target: Target,
        ttl: Option<Duration>,
        reason: String,
        reply: mpsc::Sender<Result<Vec<Outcome>, String>>,
    },
    /// Take this back.
    Undo {
        name: String,
        reply: mpsc::Sender<Result<Vec<Outcome>, String>>,
    },
    /// Let go of this.
    Release {
        name: String,
        way: Release,
        reply: mpsc::Sender<Result<Vec<Outcome>, String>>,
    },
}

/// How the agent acts. It can change: what was missing may have come.
#[derive(Clone, Default)]
pub(super) struct Acting(Arc<Mutex<How>>);

#[derive(Clone, Default)]
pub(super) struct How {
    pub(super) acting: String,
    /// Which kinds of act are done no more, and why.
    pub(super) off: Vec<(ActionKind, String)>,
}

impl Acting {
    pub(super) fn get(&self) -> How {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, how: How) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = how;
    }
}

pub(super) struct Actor {
    response: Response,
    protect: Vec<Network>,
    /// The address that the identity names, if it names one.
    collector: Option<IpAddr>,
    reached: Arc<Reached>,
    /// Those of `reached` that are protected.
    known: Vec<IpAddr>,
    judged: Sender<Kept>,
    history: Sender<Note>,
    /// When it was last looked whether anybody else has changed the firewall.
    looked: Instant,
    /// One moment by both clocks: the one that nobody can set, and the wall's.
    clock: (Instant, Timestamp),
    acting: Acting,
    host: HostWatch,
}

impl Actor {
    /// Puts back what holds; `spooled` is how much of the ledger is in the spool.
    pub(super) fn start(
        settings: &Settings,
        spooled: Option<&Cursor>,
        judged: Sender<Kept>,
        history: Sender<Note>,
        reached: Arc<Reached>,
    ) -> Result<Self, LedgerError> {
        let spooled = match spooled {
            Some(Cursor::Number { number }) => *number,
            _ => 0,
        };
        let (ledger, problems) = Ledger::open(&settings.ledger(), spooled)?;
        for problem in problems {
            tracing::warn!("{problem}");
        }
        let collector = Identity::read(&settings.identity())
            .ok()
            .and_then(|identity| identity.collector_address());
        let mut guard = Guard::new(HostFacts::default(), &settings.respond.protect);
        guard.meet(&Session::gather());
        let response = Response::new(guard, ledger, responders(settings), |_| now());
        tracing::info!("{}", response.describe());
        let mut actor = Self {
            response,
            protect: settings.respond.protect.clone(),
            collector,
            reached,
            known: Vec::new(),
            judged,
            history,
            looked: Instant::now(),
            clock: (Instant::now(), now()),
            acting: Acting::default(),
            host: HostWatch::start(),
        };
        for (number, outcome) in actor.response.take_unspooled() {
            actor.keep(vec![outcome], number);
        }
        // Before what the ledger holds is put back: the host may have moved meanwhile.
        actor.look_at_host();
        let ended = actor.response.reconcile(now(), true)?;
        actor.tell(Ok(ended));
        Ok(actor)
    }

    /// How it acts, now and later.
    pub(super) fn acting(&self) -> Acting {
        self.acting.clone()
    }

    /// Acts until nobody can ask any more.
    pub(super) fn act(&mut self, asked: &Receiver<Ask>) {
        loop {
            let now = self.now();
            let mut patience = self.patience(now);
            // However much is asked, what is over ends, and the firewall is looked at.
            if patience == Some(Duration::ZERO) {
                self.looked = Instant::now();
                self.look_if_due();
                let ended = self.response.reconcile(now, false);
                self.tell(ended);
                for (kind, lost, reason) in self.response.take_lost() {
                    // A closed queue means that the agent is ending.
                    let _ = self
                        .judged
                        .wait(Kept::lost(kind.as_str().to_owned(), lost, reason));
                }
                patience = self.patience(now);
            }
            let ask = match patience {
                Some(patience) => asked.recv_timeout(patience),
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match ask {
                Ok(ask) => self.answer(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // What happened until now is written down at least, and told by the next start.
                    let last = self.response.reconcile(now, false);
                    return self.tell(last);
                }
            }
        }
    }

    /// How long to wait for somebody to ask: nothing has to be done while nothing is in force.
    fn patience(&self, now: Timestamp) -> Option<Duration> {
        self.response.held().next()?;
        let look = LOOK.saturating_sub(self.looked.elapsed());
        let first = self.response.next_deadline();
        Some(first.map_or(look, |first| first.since(now).min(look)))
    }

    /// What the wall's clock says. Should it have been set since this was last asked, blocks still last as long as they were
    /// meant to.
    fn now(&mut self) -> Timestamp {
        let (steady, wall) = (Instant::now(), now());
        let expected = self.clock.1.plus(steady.duration_since(self.clock.0));
        let set = wall.as_micros().saturating_sub(expected.as_micros());
        if set.unsigned_abs() > SET.as_micros().try_into().unwrap_or(u64::MAX) {
            tracing::warn!("the clock was set from {expected} to {wall}");
            self.response.clock_was_set(set);
        }
        self.clock = (steady, wall);
        wall
    }

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Seen(login) => self.response.observe(&login),
            Ask::Found(finding) => {
                self.look_if_due();
                let outcomes = self.response.consider(&finding, now());
                self.tell(outcomes);
            }
            Ask::Held(reply) => {
                // Whoever asked may have gone.
                drop(reply.send(self.response.held().cloned().collect()));
            }
            Ask::Act {
                target,
                ttl,
                reason,
                reply,
            } => {
                self.look_at_host();
                let outcomes = self.response.order(target, ttl, &reason, now());
                drop(reply.send(outcomes.as_ref().cloned().map_err(ToString::to_string)));
                self.tell(outcomes);
            }
            Ask::Undo { name, reply } => {
                let outcomes = self.response.undo(&name, now());
                self.undone(outcomes, &reply);
            }
            Ask::Release { name, way, reply } => {
                let outcomes = self.response.release(&name, &way, now());
                self.undone(outcomes, &reply);
            }
        }
    }

    fn undone(
        &mut self,
        outcomes: Result<Vec<Outcome>, UndoError>,
        reply: &mpsc::Sender<Result<Vec<Outcome>, String>>,
    ) {
        drop(reply.send(outcomes.as_ref().cloned().map_err(ToString::to_string)));
        match outcomes {
            Ok(outcomes) => self.tell(Ok(outcomes)),
            Err(UndoError::Ledger(error)) => self.tell(Err(error)),
            Err(UndoError::Unknown(_) | UndoError::Final(_)) => {}
        }
    }

    /// Looks at the host right before an act when anything changed: an address that it has since a moment ago is its own.
    fn look_if_due(&mut self) {
        if self.host.is_due() || self.reached.addresses() != self.known {
            self.look_at_host();
        }
    }

    fn look_at_host(&mut self) {
        let guard = self.response.guard();
        guard.refresh(self.host.look(), &self.protect);
        self.known = self.reached.addresses();
        for address in self.collector.iter().chain(&self.known) {
            guard.protect(Network::single(*address), "it is the collector");
        }
        let lifted = self.response.lift_protected(now());
        self.tell(lifted);
    }

    fn tell(&mut self, outcomes: Result<Vec<Outcome>, LedgerError>) {
        self.acting.set(How {
            acting: self.response.describe(),
            off: self.response.off(),
        });
        for finding in self.response.take_found() {
            super::judge::show(&finding);
            let entry = Entry::Finding {
                events: Vec::new(),
                finding: finding.clone(),
            };
            // A closed queue means that the agent is ending, as below.
            let _ = self.history.offer(Note::Keep(Box::new(entry)));
            let _ = self.judged.wait(Kept {
                records: vec![Record::Finding(finding)],
                cursor: None,
            });
        }
        match outcomes {
            Ok(outcomes) => {
                let number = self.response.number();
                self.keep(outcomes, number);
            }
            Err(error) => tracing::error!("{error}; nothing is done that cannot be written down first"),
        }
    }

    fn keep(&self, outcomes: Vec<Outcome>, number: u64) {
        if outcomes.is_empty() {
            return;
        }
        for outcome in &outcomes {
            show(outcome);
            let entry = Entry::Outcome(outcome.clone());
            // A closed queue means that the agent is ending.
            let _ = self.history.offer(Note::Keep(Box::new(entry)));
        }
        let kept = Kept {
            records: outcomes.into_iter().map(Record::Outcome).collect(),
            cursor: Some((Arc::from(LEDGER), Cursor::Number { number })),
        };
        // A closed queue means that the agent is ending; the ledger has it.
        let _ = self.judged.wait(kept);
    }
}

/// All kinds of act that there are, in earnest or for show.
fn responders(settings: &Settings) -> Vec<Box<dyn Responder>> {
    let own = [settings.agent.state.clone(), settings.spool.directory.clone()];
    let settings = &settings.respond;
    type Doers = (
        Box<dyn Blocker>,
        Box<dyn Signals>,
        Box<dyn Denier>,
        Box<dyn Taker>,
    );
    let (blocker, signals, denier, taker): Doers = match settings.mode {
        Mode::Monitor => (
            Box::new(Simulated),
            Box::new(Simulated),
            Box::new(Simulated),
            Box::new(Simulated),
        ),
        Mode::Enforce => {
            let (block_ip, error) = BlockIp::open(settings);
            if let Some(error) = error {
                tracing::error!("nothing can be blocked: {error}");
            }
            (
                Box::new(block_ip),
                Box::new(Kill),
                Box::new(Gate::new()),
                Box::new(Take),
            )
        }
    };
    vec![
        Box::new(Blocks::new(settings, blocker)),
        Box::new(Kills::new(settings, signals)),
        Box::new(Denials::new(settings, denier)),
        Box::new(Quarantines::new(settings, &own, taker)),
    ]
}

fn show(outcome: &Outcome) {
    let kind = outcome.action.target.kind();
    let target = &outcome.action.target;
    let what = match &outcome.decision {
        Decision::Applied if !kind.lasts() => "done".to_owned(),
        Decision::Applied => format!("done; picket undo {}", outcome.action.id),
        Decision::Simulated => "would be done in enforce mode".to_owned(),
        Decision::Refused { because } => format!("refused: {because}"),
        Decision::Failed { because } => format!("failed: {because}"),
        Decision::Undone => "undone".to_owned(),
        Decision::Expired => "its time is over".to_owned(),
    };
    let line = format!("{} {target} {what}", kind.as_str());
    // Nobody has to look; the outcome is on its way to the spool.
    drop(writeln!(
        io::stdout(),
        "{} {:<13} {}",
        outcome.time,
        "action",
        Plain(&line)
    ));
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}
