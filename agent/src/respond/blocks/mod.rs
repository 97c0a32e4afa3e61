//! Blocks: networks from which nothing comes in, for a time. Those in force never overlap.

mod block_ip;
mod firewall;
mod held;
mod policy;
mod simulated;
mod upkeep;

pub use block_ip::BlockIp;
pub use firewall::FirewallError;
pub use simulated::Simulated;

use super::desk::{Desk, Held, outcome};
use super::{Done, Responder, UndoError};
use crate::config::Respond;
use held::Blocked;
use picket_common::action::{Action, ActionKind, Decision, Network, Target};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::record::Outcome;
use picket_common::time::Timestamp;
use policy::Policy;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What blocks networks, or only says so.
pub trait Blocker: Send {
    /// What it does, for an operator.
    fn describe(&self) -> &'static str;

    /// What becomes of an action that it carries out: [`Decision::Applied`], or [`Decision::Simulated`] when it changes nothing.
    fn decides(&self) -> Decision;

    /// Blocks a network for as long as `ttl` says (`None`: until undone). Doing it twice is doing it once. It takes the place
    /// of what was done to the networks in `replaces`, which lie inside it: they end with it, and at no moment does neither
    /// hold.
    fn block(
        &mut self,
        network: Network,
        ttl: Option<Duration>,
        replaces: &[Network],
    ) -> Result<(), FirewallError>;

    /// Takes it back. What is not there any more is taken back.
    fn release(&mut self, network: Network) -> Result<(), FirewallError>;

    /// Takes back all that was ever done, also by an earlier run, and what it was done through.
    fn clear(&mut self) -> Result<(), FirewallError>;

    /// Makes what holds on the host what is wanted: each network with the time that it has left.
    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), FirewallError>;

    /// Whether somebody else may have changed what holds on the host since this was last asked.
    fn is_disturbed(&mut self) -> Result<bool, FirewallError>;
}

/// See the module.
pub struct Blocks {
    settings: Respond,
    policy: Policy,
    blocker: Box<dyn Blocker>,
    blocked: Blocked,
    /// What the ledger has of blocks whose place a wider one has taken.
    needless: Vec<Action>,
    /// What an earlier run did and this one, which only watches, has not taken back yet.
    former: BTreeSet<RecordId>,
    /// What an operator let in again, and until when that word holds against findings.
    spared: BTreeMap<Network, Timestamp>,
}

impl Blocks {
    /// Blocks through `blocker`, and nothing so far.
    pub fn new(settings: &Respond, blocker: Box<dyn Blocker>) -> Self {
        Self {
            settings: settings.clone(),
            policy: Policy::new(settings),
            blocker,
            blocked: Blocked::default(),
            needless: Vec::new(),
            former: BTreeSet::new(),
            spared: BTreeMap::new(),
        }
    }

    /// Why a network is left alone although a finding wants it blocked: the guard says so, or an operator has just let it in.
    fn spares(&self, network: &Network, finding: &Finding, desk: &Desk) -> Option<String> {
        if let Some(because) = desk.guard.refuses(network, Some(finding)) {
            return Some(because);
        }
        let (spared, until) = self.spared.iter().find(|(spared, _)| spared.overlaps(network))?;
        Some(format!(
            "{network} is not blocked: an operator let {spared} in again; findings count from {until} on, `picket blocks add` at once"
        ))
    }

    /// What an operator is told who wants to block what a wider block covers.
    fn is_blocked_around(&self, network: &Network) -> Option<String> {
        let (wide, block) = self
            .blocked
            .covering(network)
            .filter(|(wide, _)| *wide != network)?;
        let until = block.until.map_or("undone".to_owned(), |until| until.to_string());
        Some(format!(
            "{network} is blocked already, as {wide} around it is, until {until}; block {wide} again to give it another time"
        ))
    }

    fn act(
        &mut self,
        (action, network): (Action, Network),
        refused: Option<String>,
        desk: &mut Desk,
        now: Timestamp,
    ) -> Done {
        let max = self.settings.max_blocks;
        let refused = refused.or_else(|| {
            (self.blocked.live().len() >= max)
                .then(|| format!("{max} blocks are in force already (respond.max_blocks)"))
        });
        if let Some(because) = refused {
            return Ok(vec![desk.note(action, Decision::Refused { because }, now)?]);
        }
        let decision = self.blocker.decides();
        if decision == Decision::Applied {
            desk.claim(&action, now)?;
        }
        let inside = self.blocked.inside(&network);
        let mut live = inside.iter().filter_map(|other| self.blocked.live().get(other));
        let former = live.any(|block| self.former.contains(&block.action.id));
        let done = if former {
            // Only watching, there is nothing to do but to end what an earlier run did there.
            self.blocker.clear()
        } else {
            self.blocker.block(network, action.ttl, &inside)
        };
        if let Err(error) = done {
            let because = error.to_string();
            return Ok(vec![desk.note(action, Decision::Failed { because }, now)?]);
        }
        let now = (desk.done_at)(now);
        self.policy.remember(network, now);
        let mut outcomes = Vec::new();
        for block in inside
            .iter()
            .filter_map(|other| self.blocked.release(other))
            .collect::<Vec<_>>()
        {
            outcomes.push(desk.note(block.action, Decision::Undone, now)?);
        }
        let until = action.ttl.map(|ttl| now.plus(ttl));
        let block = Held {
            action: action.clone(),
            until,
        };
        self.blocked.hold(network, block);
        outcomes.push(desk.note(action, decision, now)?);
        Ok(outcomes)
    }

    fn take_back(&mut self, network: Network, action: &Action) -> Result<(), FirewallError> {
        if self.former.contains(&action.id) {
            return self.blocker.clear();
        }
        self.blocker.release(network)
    }
}

impl Responder for Blocks {
    fn handles(&self) -> ActionKind {
        ActionKind::BlockIp
    }

    fn describe(&self) -> &'static str {
        self.blocker.describe()
    }

    fn resume(&mut self, live: Vec<(Action, Timestamp)>) {
        for (action, time) in live {
            let Some(network) = network_of(&action) else {
                continue;
            };
            self.policy.remember(network, time);
            let around = self.blocked.covering(&network);
            if around.is_some_and(|(wide, _)| *wide != network) {
                self.needless.push(action);
                continue;
            }
            // A crash came between the claim of this one and the end of those.
            let inside = self.blocked.inside(&network);
            let ended = inside.iter().filter_map(|other| self.blocked.release(other));
            self.needless.extend(ended.map(|block| block.action));
            let until = action.ttl.map(|ttl| action.time.plus(ttl));
            self.blocked.hold(network, Held { action, until });
        }
        if self.blocker.decides() != Decision::Applied {
            let live = self.blocked.live().values();
            self.former = live.map(|block| block.action.id).collect();
        }
    }

    fn consider(&mut self, finding: &Finding, desk: &mut Desk, now: Timestamp) -> Done {
        self.spared.retain(|_, until| *until > now);
        let kind = self.handles().as_str();
        let Some(address) = finding
            .source
            .filter(|_| finding.suggests.iter().any(|wanted| wanted == kind))
        else {
            return Ok(Vec::new());
        };
        let mut network = self.policy.network(address, now);
        if self.blocked.covering(&network).is_some() {
            return Ok(Vec::new());
        }
        let mut refused = self.spares(&network, finding, desk);
        if refused.is_some() && !network.is_single() {
            // What protects somebody else in its network does not protect the address itself.
            network = Network::single(address);
            if self.blocked.covering(&network).is_some() {
                return Ok(Vec::new());
            }
            refused = self.spares(&network, finding, desk);
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
        self.act((action, network), refused, desk, now)
    }

    fn order(&mut self, action: Action, desk: &mut Desk, now: Timestamp) -> Done {
        let Some(network) = network_of(&action) else {
            return Ok(Vec::new());
        };
        let refused = desk.guard.refuses(&network, None);
        let refused = refused.or_else(|| self.is_blocked_around(&network));
        self.act((action, network), refused, desk, now)
    }

    fn undo(
        &mut self,
        name: &str,
        desk: &mut Desk,
        now: Timestamp,
    ) -> Option<Result<Vec<Outcome>, UndoError>> {
        let wanted = name.parse::<Network>().ok();
        let network = self
            .blocked
            .live()
            .iter()
            .find(|(network, block)| wanted == Some(**network) || block.action.id.to_string() == name)
            .map(|(network, _)| *network)?;
        let block = self.blocked.release(&network)?;
        Some(match self.take_back(network, &block.action) {
            Ok(()) => {
                let until = block.until.unwrap_or_else(|| now.plus(self.settings.block));
                self.spared.insert(network, until);
                let noted = desk.note(block.action, Decision::Undone, now);
                noted.map(|outcome| vec![outcome]).map_err(UndoError::from)
            }
            Err(error) => {
                let because = format!("it could not be taken back: {error}");
                let action = block.action.clone();
                self.blocked.hold(network, block);
                Ok(vec![outcome(action, Decision::Failed { because }, now)])
            }
        })
    }

    fn held(&self) -> Box<dyn Iterator<Item = &Held> + '_> {
        Box::new(self.blocked.live().values())
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.blocked.next_deadline()
    }

    fn reconcile(&mut self, desk: &mut Desk, now: Timestamp, always: bool) -> Done {
        self.put_back(desk, now, always)
    }

    fn expire(&mut self, desk: &mut Desk, now: Timestamp) -> Done {
        self.end(desk, now)
    }

    fn lift_protected(&mut self, desk: &mut Desk, now: Timestamp) -> Done {
        self.lift(desk, now)
    }

    fn clock_was_set(&mut self, micros: i64) {
        self.shift(micros);
    }
}

/// What a block hits; `None` for an act of another kind.
fn network_of(action: &Action) -> Option<Network> {
    match action.target {
        Target::BlockIp(network) => Some(network),
        Target::Kill { .. } | Target::DenyExec(_) | Target::Quarantine(_) => None,
    }
}
