//! What is blocked, and until when.

use super::Held;
use picket_common::action::Network;
use picket_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// All blocks that hold.
#[derive(Default)]
pub(super) struct Blocked {
    live: BTreeMap<Network, Held>,
    /// When each ends, the first to end first.
    deadlines: BTreeSet<(Timestamp, Network)>,
}

impl Blocked {
    pub(super) fn live(&self) -> &BTreeMap<Network, Held> {
        &self.live
    }

    pub(super) fn hold(&mut self, network: Network, block: Held) {
        self.release(&network);
        self.deadlines.extend(block.until.map(|until| (until, network)));
        self.live.insert(network, block);
    }

    pub(super) fn release(&mut self, network: &Network) -> Option<Held> {
        let block = self.live.remove(network)?;
        if let Some(until) = block.until {
            self.deadlines.remove(&(until, *network));
        }
        Some(block)
    }

    /// The one that a network lies in: its own, or a wider one.
    pub(super) fn covering(&self, network: &Network) -> Option<(&Network, &Held)> {
        (0..=network.prefix()).rev().find_map(|prefix| {
            let around = Network::new(network.address(), prefix)?;
            self.live.get_key_value(&around)
        })
    }

    /// Those that lie inside a network, and its own.
    pub(super) fn inside(&self, network: &Network) -> Vec<Network> {
        // Networks sort by their first address, so those inside lie together, from its own first address on. Wider ones that
        // begin with the same address lie among them.
        self.live
            .range(Network::widest(network.address())..)
            .map(|(other, _)| *other)
            .take_while(|other| network.contains(other.address()))
            .filter(|other| other.prefix() >= network.prefix())
            .collect()
    }

    /// When the next one ends.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    /// Those whose time is over.
    pub(super) fn over(&self, now: Timestamp) -> Vec<Network> {
        let over = self.deadlines.iter().take_while(|(until, _)| *until <= now);
        over.map(|(_, network)| *network).collect()
    }

    /// Lets all of them end so much later, or earlier.
    pub(super) fn shift(&mut self, micros: i64) {
        self.deadlines.clear();
        for (network, block) in &mut self.live {
            block.until = block.until.map(|until| shifted(until, micros));
            self.deadlines.extend(block.until.map(|until| (until, *network)));
        }
    }

    /// A block that seems to have begun later than now was written down before the clock was set back: it begins now.
    pub(super) fn begin_by(&mut self, now: Timestamp) {
        let late = |block: &Held| match (block.until, block.action.ttl) {
            (Some(until), Some(ttl)) => until > now.plus(ttl),
            _ => false,
        };
        let all = self.live.iter().filter(|(_, block)| late(block));
        let late: Vec<(Network, Held)> = all.map(|(network, block)| (*network, block.clone())).collect();
        for (network, mut block) in late {
            block.until = block.action.ttl.map(|ttl| now.plus(ttl));
            self.hold(network, block);
        }
    }
}

/// A time on a clock that was set by so much.
pub(super) fn shifted(time: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(time.as_micros().saturating_add(micros))
}
