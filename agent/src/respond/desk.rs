//! What all responders work with: the guard that they ask, the ledger that they write into, and the clock.

use super::guard::Guard;
use super::ledger::{Ledger, LedgerError};
use picket_common::action::{Action, Decision};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::record::{Hits, Outcome};
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};

/// An action that holds, or would hold in enforce mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What was decided.
    #[serde(flatten)]
    pub action: Action,
    /// Until when; `None` is until undone.
    pub until: Option<Timestamp>,
}

/// See the module.
pub struct Desk {
    /// Whom to spare.
    pub guard: Guard,
    pub(super) ledger: Ledger,
    /// The time after an act that was begun at some time: an outcome's time is when the act was done.
    pub(super) done_at: fn(Timestamp) -> Timestamp,
    /// What is to be told as a finding, though no rule made it.
    pub(super) found: Vec<Finding>,
}

impl Desk {
    /// Writes down that an action is about to be done; it may be done once this returns.
    pub fn claim(&mut self, action: &Action, now: Timestamp) -> Result<(), LedgerError> {
        self.ledger.claim(action, now)
    }

    /// Has something told as a finding: an operator is to see it, whatever became of the single actions.
    pub fn find(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// Writes down what became of an action.
    pub fn note(
        &mut self,
        action: Action,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Outcome, LedgerError> {
        self.note_hits(action, decision, None, now)
    }

    /// The same with the processes that it hit.
    pub fn note_hits(
        &mut self,
        action: Action,
        decision: Decision,
        hits: Option<Box<Hits>>,
        now: Timestamp,
    ) -> Result<Outcome, LedgerError> {
        let mut outcome = outcome(action, decision, now);
        outcome.hits = hits;
        self.ledger.record(&outcome)?;
        Ok(outcome)
    }
}

/// What became of an action, without writing it down: nothing changed by it.
pub(super) fn outcome(action: Action, decision: Decision, now: Timestamp) -> Outcome {
    let name = serde_json::to_vec(&decision).unwrap_or_default();
    Outcome {
        id: RecordId::derived(now, &[action.id.to_string().as_bytes(), &name]),
        time: now,
        action,
        decision,
        hits: None,
    }
}
