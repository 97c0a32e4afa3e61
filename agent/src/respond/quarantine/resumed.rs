//! What an earlier run had begun, or has taken away.

use super::Quarantines;
use super::passage::Recovered;
use crate::respond::Done;
use crate::respond::desk::Desk;
use picket_common::action::{Action, Decision};
use picket_common::ids::RecordId;
use picket_common::time::Timestamp;
use std::collections::HashMap;

impl Quarantines {
    /// What an earlier run had in its hands is brought to one of its two places.
    pub(super) fn recover(&mut self, desk: &mut Desk, now: Timestamp) -> Done {
        let claimed = std::mem::take(&mut self.claimed);
        if !desk.guard.is_live() {
            return Ok(Vec::new());
        }
        let forward = self.taker.decides() == Decision::Applied;
        let mut recovered: HashMap<RecordId, (Action, Recovered)> = match self.vault.recover(forward) {
            Ok(recovered) => recovered
                .into_iter()
                .map(|(action, state)| (action.id, (action, state)))
                .collect(),
            Err(error) => {
                tracing::error!("{error}");
                claimed.into_iter().for_each(|action| self.hold(action));
                return Ok(Vec::new());
            }
        };
        let mut outcomes = Vec::new();
        for action in claimed {
            let state = recovered.remove(&action.id).map(|(_, state)| state);
            outcomes.extend(self.settle(action, state, desk, now)?);
        }
        // What the ledger knows nothing of is there all the same.
        for (action, state) in recovered.into_values() {
            outcomes.extend(self.settle(action, Some(state), desk, now)?);
        }
        Ok(outcomes)
    }

    fn settle(&mut self, action: Action, state: Option<Recovered>, desk: &mut Desk, now: Timestamp) -> Done {
        let decision = match state {
            Some(Recovered::Stored { only_now }) => {
                self.hold(action.clone());
                if !only_now {
                    return Ok(Vec::new());
                }
                Decision::Applied
            }
            Some(Recovered::Stuck(because)) => {
                tracing::error!("{}: {because}", action.target);
                self.hold(action);
                return Ok(Vec::new());
            }
            Some(Recovered::Restored) => Decision::Undone,
            Some(Recovered::InPlace) => Decision::Failed {
                because: "the agent ended in the middle of it; the file lies where it lay".to_owned(),
            },
            None => Decision::Failed {
                because: "nothing of it is in quarantine".to_owned(),
            },
        };
        Ok(vec![desk.note(action, decision, now)?])
    }
}
