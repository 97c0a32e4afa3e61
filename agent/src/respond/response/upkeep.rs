//! What is done although nobody asks: blocks end, come back, and are lifted.

use super::Response;
use crate::respond::held::shifted;
use crate::respond::ledger::LedgerError;
use crate::respond::left;
use picket_common::action::{Decision, Network};
use picket_common::record::Outcome;
use picket_common::time::Timestamp;

impl Response {
    /// Makes the host what the ledger says; gives what ended meanwhile. With `always` false only if somebody else may have
    /// changed it.
    pub fn reconcile(&mut self, now: Timestamp, always: bool) -> Result<Vec<Outcome>, LedgerError> {
        if always {
            self.held.begin_by(now);
        }
        let mut outcomes = self.expire(now)?;
        outcomes.extend(self.stand_down(now, always)?);
        if self.former.is_empty() {
            for action in std::mem::take(&mut self.needless) {
                outcomes.extend(self.note(action, Decision::Undone, now)?);
            }
        }
        let disturbed = always || self.responder.is_disturbed().unwrap_or(true);
        if disturbed {
            let wanted: Vec<_> = self
                .held
                .live()
                .iter()
                .map(|(network, block)| (*network, left(block.until, now)))
                .collect();
            if let Err(error) = self.responder.reconcile(&wanted) {
                tracing::warn!("blocks could not be put back: {error}");
            }
        }
        Ok(outcomes)
    }

    /// Ends what is over. The firewall has let go by itself.
    pub fn expire(&mut self, now: Timestamp) -> Result<Vec<Outcome>, LedgerError> {
        let mut outcomes = Vec::new();
        for network in self.held.over(now) {
            if let Some(block) = self.held.release(&network) {
                outcomes.extend(self.note(block.action, Decision::Expired, now)?);
            }
        }
        Ok(outcomes)
    }

    /// Lets in what is protected by now although it was blocked before: the host moved, or the collector did.
    pub fn lift_protected(&mut self, now: Timestamp) -> Result<Vec<Outcome>, LedgerError> {
        let mut found = Vec::new();
        for (protected, reason) in self.guard.protected() {
            let around =
                (0..=protected.prefix()).filter_map(|prefix| Network::new(protected.address(), prefix));
            let around = around.filter(|network| self.held.live().contains_key(network));
            let all = around
                .chain(self.held.inside(protected))
                .map(|network| (network, reason.clone()));
            found.extend(all);
        }
        let mut outcomes = Vec::new();
        for (network, reason) in found {
            if let Some(mut block) = self.held.release(&network) {
                let before = block.action.clone();
                block.action.reason = format!("{}; lifted, as {reason}", before.reason);
                match self.take_back(&before) {
                    Ok(()) => outcomes.extend(self.note(block.action, Decision::Undone, now)?),
                    Err(error) => {
                        tracing::error!("{network} is blocked although {reason}: {error}");
                        block.action = before;
                        self.held.hold(network, block);
                    }
                }
            }
        }
        Ok(outcomes)
    }

    /// Takes back what an earlier run did that acted, as this one only watches; until that works it stays listed.
    fn stand_down(&mut self, now: Timestamp, aloud: bool) -> Result<Vec<Outcome>, LedgerError> {
        if self.former.is_empty() {
            return Ok(Vec::new());
        }
        let live = self.held.live().iter();
        let former = live.filter(|(_, block)| self.former.contains(&block.action.id));
        let former: Vec<Network> = former.map(|(network, _)| *network).collect();
        if let Err(error) = self.responder.clear() {
            if aloud {
                let count = former.len();
                tracing::error!(
                    "blocks of an earlier run are still in force, although the agent only watches now, {count} in all: {error}"
                );
            }
            return Ok(Vec::new());
        }
        self.former.clear();
        let mut outcomes = Vec::new();
        for mut block in former
            .iter()
            .filter_map(|network| self.held.release(network))
            .collect::<Vec<_>>()
        {
            block
                .action
                .reason
                .push_str("; lifted, as the agent was started in monitor mode");
            outcomes.extend(self.note(block.action, Decision::Undone, now)?);
        }
        Ok(outcomes)
    }

    /// The clock was set, forward or back: what holds, holds for as long as it was meant to.
    pub fn clock_was_set(&mut self, micros: i64) {
        for until in self.spared.values_mut() {
            *until = shifted(*until, micros);
        }
        self.held.shift(micros);
    }
}
