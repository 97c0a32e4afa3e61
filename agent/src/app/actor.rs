//! The thread that acts: on findings, and on what an operator asks.

use super::historian::Note;
use super::keeper::Kept;
use crate::config::{Mode, Settings};
use crate::history::Entry;
use crate::observation::Cursor;
use crate::queue::Sender;
use crate::respond::{
    Block, BlockIp, Guard, HostFacts, HostWatch, Ledger, LedgerError, Login, Responder, Response, Session,
    Simulated, UndoError,
};
use crate::send::{Identity, Reached};
use picket_common::action::{Decision, Network};
use picket_common::finding::Finding;
use picket_common::record::{Outcome, Record};
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The name of the ledger among the sources.
pub(super) const LEDGER: &str = "ledger";
/// How often it is looked whether somebody flushed the firewall, while blocks are in force.
const LOOK: Duration = Duration::from_secs(5);

/// What the thread is asked.
pub(super) enum Ask {
    /// Somebody logged in, or failed to.
    Seen(Login),
    /// A rule fired.
    Found(Finding),
    /// What is in force?
    Blocks(mpsc::Sender<Vec<Block>>),
    /// Block this.
    Block {
        network: Network,
        ttl: Option<Duration>,
        reason: String,
        reply: mpsc::Sender<Result<Vec<Outcome>, String>>,
    },
    /// Take this back.
    Undo {
        name: String,
        reply: mpsc::Sender<Result<Vec<Outcome>, String>>,
    },
}

/// How the agent acts, in a sentence. It can change: what was missing may have come.
#[derive(Clone, Default)]
pub(super) struct Acting(Arc<Mutex<&'static str>>);

impl Acting {
    pub(super) fn get(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, how: &'static str) {
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
        let responder: Box<dyn Responder> = match settings.respond.mode {
            Mode::Monitor => Box::new(Simulated),
            Mode::Enforce => {
                let (block_ip, error) = BlockIp::open(&settings.respond);
                if let Some(error) = error {
                    tracing::error!("nothing can be blocked: {error}");
                }
                Box::new(block_ip)
            }
        };
        tracing::info!("{}", responder.describe());
        let collector = Identity::read(&settings.identity())
            .ok()
            .and_then(|identity| identity.collector_address());
        let mut guard = Guard::new(HostFacts::default(), &settings.respond.protect);
        guard.meet(&Session::gather());
        let mut actor = Self {
            response: Response::new(&settings.respond, guard, ledger, responder, |_| now()),
            protect: settings.respond.protect.clone(),
            collector,
            reached,
            known: Vec::new(),
            judged,
            history,
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
            let ask = match self.patience() {
                Some(patience) => asked.recv_timeout(patience),
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match ask {
                Ok(ask) => self.answer(ask),
                Err(RecvTimeoutError::Timeout) => {
                    self.look_if_due();
                    let ended = self.response.reconcile(now(), false);
                    self.tell(ended);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long to wait for somebody to ask: nothing has to be done while nothing is blocked.
    fn patience(&self) -> Option<Duration> {
        let first = self.response.next_deadline();
        let until_first = first.map(|first| first.since(now()));
        match until_first {
            Some(span) => Some(span.clamp(Duration::from_millis(1), LOOK)),
            None => self.response.blocks().next().map(|_| LOOK),
        }
    }

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Seen(login) => self.response.observe(&login),
            Ask::Found(finding) => {
                self.look_if_due();
                let outcomes = self.response.consider(&finding, now());
                self.tell(outcomes);
            }
            Ask::Blocks(reply) => {
                // Whoever asked may have gone.
                drop(reply.send(self.response.blocks().cloned().collect()));
            }
            Ask::Block {
                network,
                ttl,
                reason,
                reply,
            } => {
                self.look_at_host();
                let outcomes = self.response.block(network, ttl, &reason, now());
                drop(reply.send(outcomes.as_ref().cloned().map_err(ToString::to_string)));
                self.tell(outcomes);
            }
            Ask::Undo { name, reply } => {
                let outcomes = self.response.undo(&name, now());
                drop(reply.send(outcomes.as_ref().cloned().map_err(ToString::to_string)));
                match outcomes {
                    Ok(outcomes) => self.tell(Ok(outcomes)),
                    Err(UndoError::Ledger(error)) => self.tell(Err(error)),
                    Err(UndoError::Unknown(_)) => {}
                }
            }
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

    fn tell(&self, outcomes: Result<Vec<Outcome>, LedgerError>) {
        self.acting.set(self.response.describe());
        match outcomes {
            Ok(outcomes) => {
                let number = self.response.number();
                self.keep(outcomes, number);
            }
            Err(error) => tracing::error!("{error}; what is not written down is not done"),
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

fn show(outcome: &Outcome) {
    let (kind, target) = (outcome.action.target.kind().as_str(), &outcome.action.target);
    let what = match &outcome.decision {
        Decision::Applied => format!("done; picket undo {}", outcome.action.id),
        Decision::Simulated => "would be done in enforce mode".to_owned(),
        Decision::Refused { because } => format!("refused: {because}"),
        Decision::Failed { because } => format!("failed: {because}"),
        Decision::Undone => "undone".to_owned(),
        Decision::Expired => "its time is over".to_owned(),
    };
    let line = format!("{kind} {target} {what}");
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
