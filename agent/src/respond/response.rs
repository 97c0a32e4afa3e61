//! The stage itself: findings in, outcomes out.

use super::desk::{Desk, Held};
use super::guard::Guard;
use super::ledger::{Ledger, LedgerError};
use super::login::Login;
use super::quarantine::Release;
use super::{Done, Responder};
use picket_common::action::{Action, ActionKind, Target};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::record::Outcome;
use picket_common::time::Timestamp;
use std::time::Duration;

/// There is nothing to take back, or it could not be.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// No such thing.
    #[error(
        "no action '{0}' is in force; `picket blocks list`, `picket deny list` and `picket quarantine list` show those that are, and a kill cannot be undone"
    )]
    Unknown(String),
    /// It is over.
    #[error("'{0}' was a kill, and a kill cannot be undone")]
    Final(String),
    /// The ledger cannot be written, so nothing may be done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// See the module. The clock is whoever calls.
pub struct Response {
    desk: Desk,
    responders: Vec<Box<dyn Responder>>,
}

impl Response {
    /// A stage that goes on with what the ledger says holds. `done_at` looks at the clock after an act, or gives back the
    /// time that it gets where time is not the clock's.
    pub fn new(
        guard: Guard,
        ledger: Ledger,
        mut responders: Vec<Box<dyn Responder>>,
        done_at: fn(Timestamp) -> Timestamp,
    ) -> Self {
        let mut live = ledger.live();
        live.sort_by_key(|(_, time)| *time);
        for responder in &mut responders {
            let own = |(action, _): &mut (Action, Timestamp)| action.target.kind() == responder.handles();
            let own = live.extract_if(.., own).collect();
            responder.resume(own);
        }
        let desk = Desk {
            guard,
            ledger,
            done_at,
            found: Vec::new(),
        };
        Self { desk, responders }
    }

    /// How it acts.
    pub fn describe(&self) -> String {
        let how: Vec<&str> = self
            .responders
            .iter()
            .map(|responder| responder.describe())
            .collect();
        how.join("; ")
    }

    /// The guard, which learns.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.desk.guard
    }

    /// Learns who logs in.
    pub fn observe(&mut self, login: &Login) {
        self.desk.guard.observe(login);
    }

    /// Does what a finding suggests, if policy and guard agree.
    pub fn consider(&mut self, finding: &Finding, now: Timestamp) -> Done {
        for responder in &mut self.responders {
            responder.take_hold(finding);
        }
        self.each(|responder, desk| responder.consider(finding, desk, now))
    }

    /// Does what an operator asks for; `ttl` `None` is until undone.
    pub fn order(&mut self, target: Target, ttl: Option<Duration>, reason: &str, now: Timestamp) -> Done {
        let action = Action {
            id: random(now),
            time: now,
            target,
            ttl,
            reason: reason.to_owned(),
            finding: None,
        };
        let kind = action.target.kind();
        match self
            .responders
            .iter_mut()
            .find(|responder| responder.handles() == kind)
        {
            Some(responder) => responder.order(action, &mut self.desk, now),
            None => Ok(Vec::new()),
        }
    }

    /// Takes back an action, named by its id or by its target.
    pub fn undo(&mut self, name: &str, now: Timestamp) -> Result<Vec<Outcome>, UndoError> {
        let desk = &mut self.desk;
        let undone = self
            .responders
            .iter_mut()
            .find_map(|responder| responder.undo(name, desk, now));
        undone.unwrap_or_else(|| Err(UndoError::Unknown(name.chars().take(64).collect())))
    }

    /// Lets go of what is held otherwise than by taking it back.
    pub fn release(&mut self, name: &str, way: &Release, now: Timestamp) -> Result<Vec<Outcome>, UndoError> {
        let desk = &mut self.desk;
        let released = self
            .responders
            .iter_mut()
            .find_map(|responder| responder.release(name, way, desk, now));
        released.unwrap_or_else(|| Err(UndoError::Unknown(name.chars().take(64).collect())))
    }

    /// What is in force.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.responders.iter().flat_map(|responder| responder.held())
    }

    /// When the next of those ends.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = self.responders.iter();
        deadlines.filter_map(|responder| responder.next_deadline()).min()
    }

    /// Makes the host what the ledger says; gives what ended meanwhile. With `always` false only if somebody else may have
    /// changed it.
    pub fn reconcile(&mut self, now: Timestamp, always: bool) -> Done {
        self.each(|responder, desk| responder.reconcile(desk, now, always))
    }

    /// Ends what is over.
    pub fn expire(&mut self, now: Timestamp) -> Done {
        self.each(|responder, desk| responder.expire(desk, now))
    }

    /// Takes back what hits somebody who is protected by now: the host moved, or the collector did.
    pub fn lift_protected(&mut self, now: Timestamp) -> Done {
        self.each(|responder, desk| responder.lift_protected(desk, now))
    }

    /// The clock was set, forward or back: what holds, holds for as long as it was meant to.
    pub fn clock_was_set(&mut self, micros: i64) {
        for responder in &mut self.responders {
            responder.clock_was_set(micros);
        }
    }

    /// Who does nothing any more, though it should, and why.
    pub fn off(&self) -> Vec<(ActionKind, String)> {
        let off = self.responders.iter().filter_map(|responder| {
            let why = responder.off()?;
            Some((responder.handles(), why.to_owned()))
        });
        off.collect()
    }

    /// What was found while acting, since this was last asked.
    pub fn take_found(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.desk.found)
    }

    /// What went past the responders since this was last asked: which, how much, and why.
    pub fn take_lost(&mut self) -> Vec<(ActionKind, u64, String)> {
        let lost = self.responders.iter_mut().filter_map(|responder| {
            let (count, reason) = responder.take_lost()?;
            Some((responder.handles(), count, reason))
        });
        lost.collect()
    }

    /// The number of the last entry of the ledger: all outcomes up to it have been given.
    pub fn number(&self) -> u64 {
        self.desk.ledger.last()
    }

    /// Outcomes of the last run that may not have reached the spool.
    pub fn take_unspooled(&mut self) -> Vec<(u64, Outcome)> {
        self.desk.ledger.take_unspooled()
    }

    fn each(&mut self, mut act: impl FnMut(&mut dyn Responder, &mut Desk) -> Done) -> Done {
        let (mut outcomes, mut failed) = (Vec::new(), None);
        for responder in &mut self.responders {
            match act(responder.as_mut(), &mut self.desk) {
                Ok(done) => outcomes.extend(done),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            // What was done is told all the same.
            Some(error) if outcomes.is_empty() => Err(error),
            Some(error) => {
                tracing::error!("{error}");
                Ok(outcomes)
            }
            None => Ok(outcomes),
        }
    }
}

fn random(now: Timestamp) -> RecordId {
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    RecordId::random(now, random)
}
