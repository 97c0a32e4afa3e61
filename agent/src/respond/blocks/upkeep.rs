//! What is done although nobody asks: blocks end, come back, and are lifted.

use super::held::shifted;
use super::{Blocks, Desk, Done};
use picket_common::action::{Decision, Network};
use picket_common::time::Timestamp;
use std::time::Duration;

impl Blocks {
    /// Makes the firewall what the ledger says.
    pub(super) fn put_back(&mut self, desk: &mut Desk, now: Timestamp, always: bool) -> Done {
        if always {
            self.blocked.begin_by(now);
        }
        let mut outcomes = self.end(desk, now)?;
        outcomes.extend(self.stand_down(desk, now, always)?);
        if self.former.is_empty() {
            for action in std::mem::take(&mut self.needless) {
                outcomes.push(desk.note(action, Decision::Undone, now)?);
            }
        }
        let disturbed = always || self.blocker.is_disturbed().unwrap_or(true);
        if disturbed {
            let wanted: Vec<_> = self
                .blocked
                .live()
                .iter()
                .map(|(network, block)| (*network, left(block.until, now)))
                .collect();
            if let Err(error) = self.blocker.reconcile(&wanted) {
                tracing::warn!("blocks could not be put back: {error}");
            }
        }
        Ok(outcomes)
    }

    /// Ends what is over. The firewall has let go by itself.
    pub(super) fn end(&mut self, desk: &mut Desk, now: Timestamp) -> Done {
        let mut outcomes = Vec::new();
        for network in self.blocked.over(now) {
            if let Some(block) = self.blocked.release(&network) {
                outcomes.push(desk.note(block.action, Decision::Expired, now)?);
            }
        }
        Ok(outcomes)
    }

    /// Lets in what is protected by now although it was blocked before: the host moved, or the collector did.
    pub(super) fn lift(&mut self, desk: &mut Desk, now: Timestamp) -> Done {
        let mut found = Vec::new();
        for (protected, reason) in desk.guard.protected() {
            let around =
                (0..=protected.prefix()).filter_map(|prefix| Network::new(protected.address(), prefix));
            let around = around.filter(|network| self.blocked.live().contains_key(network));
            let all = around
                .chain(self.blocked.inside(protected))
                .map(|network| (network, reason.clone()));
            found.extend(all);
        }
        let mut outcomes = Vec::new();
        for (network, reason) in found {
            if let Some(mut block) = self.blocked.release(&network) {
                let before = block.action.clone();
                block.action.reason = format!("{}; lifted, as {reason}", before.reason);
                match self.take_back(network, &before) {
                    Ok(()) => outcomes.push(desk.note(block.action, Decision::Undone, now)?),
                    Err(error) => {
                        tracing::error!("{network} is blocked although {reason}: {error}");
                        block.action = before;
                        self.blocked.hold(network, block);
                    }
                }
            }
        }
        Ok(outcomes)
    }

    /// Takes back what an earlier run did that acted, as this one only watches; until that works it stays listed.
    fn stand_down(&mut self, desk: &mut Desk, now: Timestamp, aloud: bool) -> Done {
        if self.former.is_empty() {
            return Ok(Vec::new());
        }
        let live = self.blocked.live().iter();
        let former = live.filter(|(_, block)| self.former.contains(&block.action.id));
        let former: Vec<Network> = former.map(|(network, _)| *network).collect();
        if let Err(error) = self.blocker.clear() {
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
            .filter_map(|network| self.blocked.release(network))
            .collect::<Vec<_>>()
        {
            block
                .action
                .reason
                .push_str("; lifted, as the agent was started in monitor mode");
            outcomes.push(desk.note(block.action, Decision::Undone, now)?);
        }
        Ok(outcomes)
    }

    /// The clock was set, forward or back: what holds, holds for as long as it was meant to.
    pub(super) fn shift(&mut self, micros: i64) {
        for until in self.spared.values_mut() {
            *until = shifted(*until, micros);
        }
        self.blocked.shift(micros);
    }
}

/// What is left of a span that ends at `until`; at least a moment, so that nothing is asked for without an end.
fn left(until: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    until.map(|until| until.since(now).max(Duration::from_millis(1)))
}
