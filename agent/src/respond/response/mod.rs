//! The stage itself: findings in, outcomes out.

mod upkeep;

use super::guard::Guard;
use super::held::{Block, Held};
use super::ledger::{Ledger, LedgerError};
use super::login::Login;
use super::policy::Policy;
use super::{RespondError, Responder};
use crate::config::Respond;
use picket_common::action::{Action, Decision, Network, Target};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::record::Outcome;
use picket_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// There is nothing to take back, or it could not be.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// No such thing.
    #[error("no action '{0}' is in force; `picket blocks list` shows those that are")]
    Unknown(String),
    /// The ledger cannot be written, so nothing may be done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// See the module. The clock is whoever calls.
pub struct Response {
    settings: Respond,
    policy: Policy,
    guard: Guard,
    ledger: Ledger,
    responder: Box<dyn Responder>,
    held: Held,
    /// What the ledger has of blocks whose place a wider one has taken.
    needless: Vec<Action>,
    /// What an earlier run did and this one, which only watches, has not taken back yet.
    former: BTreeSet<RecordId>,
    /// The time after an act that was begun at some time: an outcome's time is when the act was done.
    done_at: fn(Timestamp) -> Timestamp,
    /// What an operator let in again, and until when that word holds against findings.
    spared: BTreeMap<Network, Timestamp>,
}

impl Response {
    /// A stage that goes on with what the ledger says holds. `done_at` looks at the clock after an act, or gives back the
    /// time that it gets where time is not the clock's.
    pub fn new(
        settings: &Respond,
        guard: Guard,
        ledger: Ledger,
        responder: Box<dyn Responder>,
        done_at: fn(Timestamp) -> Timestamp,
    ) -> Self {
        let mut policy = Policy::new(settings);
        let mut held = Held::default();
        let mut needless = Vec::new();
        let mut live = ledger.live();
        live.sort_by_key(|(_, time)| *time);
        for (action, time) in live {
            let Target::BlockIp(network) = action.target;
            policy.remember(network, time);
            if held.covering(&network).is_some_and(|(wide, _)| *wide != network) {
                needless.push(action);
                continue;
            }
            // A crash came between the claim of this one and the end of those.
            let inside = held.inside(&network);
            needless.extend(
                inside
                    .iter()
                    .filter_map(|other| held.release(other))
                    .map(|block| block.action),
            );
            let until = action.ttl.map(|ttl| action.time.plus(ttl));
            held.hold(network, Block { action, until });
        }
        let watches = responder.decides() != Decision::Applied;
        let former = held
            .live()
            .values()
            .filter(|_| watches)
            .map(|block| block.action.id)
            .collect();
        Self {
            settings: settings.clone(),
            policy,
            guard,
            ledger,
            responder,
            held,
            needless,
            former,
            done_at,
            spared: BTreeMap::new(),
        }
    }

    /// How it acts.
    pub fn describe(&self) -> &'static str {
        self.responder.describe()
    }

    /// The guard, which learns.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// Learns who logs in.
    pub fn observe(&mut self, login: &Login) {
        self.guard.observe(login);
    }

    /// Does what a finding suggests, if policy and guard agree.
    pub fn consider(&mut self, finding: &Finding, now: Timestamp) -> Result<Vec<Outcome>, LedgerError> {
        self.spared.retain(|_, until| *until > now);
        let kind = self.responder.handles().as_str();
        let Some(address) = finding
            .source
            .filter(|_| finding.suggests.iter().any(|wanted| wanted == kind))
        else {
            return Ok(Vec::new());
        };
        let mut network = self.policy.network(address, now);
        if self.held.covering(&network).is_some() {
            return Ok(Vec::new());
        }
        let mut refused = self.spares(&network, finding);
        if refused.is_some() && !network.is_single() {
            // What protects somebody else in its network does not protect the address itself.
            network = Network::single(address);
            if self.held.covering(&network).is_some() {
                return Ok(Vec::new());
            }
            refused = self.spares(&network, finding);
        }
        let action = Action {
            id: RecordId::derived(
                now,
                &[finding.id.to_string().as_bytes(), network.to_string().as_bytes()],
            ),
            time: now,
            target: Target::BlockIp(network),
            ttl: Some(self.policy.time_to_live(&network, now)),
            reason: finding.summary.clone(),
            finding: Some(finding.id),
        };
        self.act(action, refused, now)
    }

    /// Blocks for an operator; `ttl` `None` is until undone.
    pub fn block(
        &mut self,
        network: Network,
        ttl: Option<Duration>,
        reason: &str,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, LedgerError> {
        let action = Action {
            id: random(now),
            time: now,
            target: Target::BlockIp(network),
            ttl,
            reason: reason.to_owned(),
            finding: None,
        };
        let refused = self.guard.refuses(&network, None);
        let refused = refused.or_else(|| self.is_blocked_around(&network));
        self.act(action, refused, now)
    }

    /// Why a network is left alone although a finding wants it blocked: the guard says so, or an operator has just let it in.
    fn spares(&self, network: &Network, finding: &Finding) -> Option<String> {
        if let Some(because) = self.guard.refuses(network, Some(finding)) {
            return Some(because);
        }
        let (spared, until) = self.spared.iter().find(|(spared, _)| spared.overlaps(network))?;
        Some(format!(
            "{network} is not blocked: an operator let {spared} in again; findings count from {until} on, `picket blocks add` at once"
        ))
    }

    /// What an operator is told who wants to block what a wider block covers.
    fn is_blocked_around(&self, network: &Network) -> Option<String> {
        let (wide, block) = self.held.covering(network).filter(|(wide, _)| *wide != network)?;
        let until = block.until.map_or("undone".to_owned(), |until| until.to_string());
        Some(format!(
            "{network} is blocked already, as {wide} around it is, until {until}; block {wide} again to give it another time"
        ))
    }

    fn act(
        &mut self,
        action: Action,
        refused: Option<String>,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, LedgerError> {
        let Target::BlockIp(network) = action.target;
        let max = self.settings.max_blocks;
        let refused = refused.or_else(|| {
            (self.held.live().len() >= max)
                .then(|| format!("{max} blocks are in force already (respond.max_blocks)"))
        });
        if let Some(because) = refused {
            return self.note(action, Decision::Refused { because }, now);
        }
        let decision = self.responder.decides();
        if decision == Decision::Applied {
            self.ledger.claim(&action, now)?;
        }
        let inside = self.held.inside(&network);
        let mut live = inside.iter().filter_map(|other| self.held.live().get(other));
        let former = live.any(|block| self.former.contains(&block.action.id));
        let done = if former {
            // Only watching, there is nothing to do but to end what an earlier run did there.
            self.responder.clear()
        } else {
            self.responder.apply(&action, &inside)
        };
        if let Err(error) = done {
            let because = error.to_string();
            return self.note(action, Decision::Failed { because }, now);
        }
        let now = (self.done_at)(now);
        self.policy.remember(network, now);
        let mut outcomes = Vec::new();
        for block in inside
            .iter()
            .filter_map(|other| self.held.release(other))
            .collect::<Vec<_>>()
        {
            outcomes.extend(self.note(block.action, Decision::Undone, now)?);
        }
        let until = action.ttl.map(|ttl| now.plus(ttl));
        let block = Block {
            action: action.clone(),
            until,
        };
        self.held.hold(network, block);
        outcomes.extend(self.note(action, decision, now)?);
        Ok(outcomes)
    }

    fn take_back(&mut self, action: &Action) -> Result<(), RespondError> {
        if self.former.contains(&action.id) {
            return self.responder.clear();
        }
        self.responder.undo(action)
    }

    /// Takes back an action, named by its id or by its target.
    pub fn undo(&mut self, name: &str, now: Timestamp) -> Result<Vec<Outcome>, UndoError> {
        let wanted = name.parse::<Network>().ok();
        let found = self
            .held
            .live()
            .iter()
            .find(|(network, block)| wanted == Some(**network) || block.action.id.to_string() == name)
            .map(|(network, _)| *network);
        let Some(block) = found.and_then(|network| self.held.release(&network)) else {
            return Err(UndoError::Unknown(name.chars().take(64).collect()));
        };
        match self.take_back(&block.action) {
            Ok(()) => {
                let Target::BlockIp(network) = block.action.target;
                let until = block.until.unwrap_or_else(|| now.plus(self.settings.block));
                self.spared.insert(network, until);
                Ok(self.note(block.action, Decision::Undone, now)?)
            }
            Err(error) => {
                let because = format!("it could not be taken back: {error}");
                let Target::BlockIp(network) = block.action.target;
                let action = block.action.clone();
                self.held.hold(network, block);
                Ok(vec![outcome(action, Decision::Failed { because }, now)])
            }
        }
    }

    /// What is in force.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.held.live().values()
    }

    /// When the next block ends.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.held.next_deadline()
    }

    /// The number of the last entry of the ledger: all outcomes up to it have been given.
    pub fn number(&self) -> u64 {
        self.ledger.last()
    }

    /// Outcomes of the last run that may not have reached the spool.
    pub fn take_unspooled(&mut self) -> Vec<(u64, Outcome)> {
        self.ledger.take_unspooled()
    }

    fn note(
        &mut self,
        action: Action,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, LedgerError> {
        let outcome = outcome(action, decision, now);
        self.ledger.record(&outcome)?;
        Ok(vec![outcome])
    }
}

fn outcome(action: Action, decision: Decision, now: Timestamp) -> Outcome {
    let name = serde_json::to_vec(&decision).unwrap_or_default();
    Outcome {
        id: RecordId::derived(now, &[action.id.to_string().as_bytes(), &name]),
        time: now,
        action,
        decision,
    }
}

fn random(now: Timestamp) -> RecordId {
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    RecordId::random(now, random)
}
