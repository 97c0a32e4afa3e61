//! How long, and how wide: what a block is for an address that comes back.

use crate::config::Respond;
use hashlink::LruCache;
use picket_common::action::Network;
use picket_common::time::Timestamp;
use std::net::IpAddr;
use std::time::Duration;

/// Each return of an address multiplies its time by this.
const ESCALATION: u32 = 6;
/// So many addresses of one /64 within [`NEIGHBOURS`] are one attacker: whoever has one has all of them.
const MANY: usize = 3;
const NEIGHBOURS: Duration = Duration::from_secs(3600);
/// How many networks are remembered.
const REMEMBERED: usize = 100_000;

pub(super) struct Policy {
    block: Duration,
    longest: Duration,
    /// How often each was blocked, and when last.
    history: LruCache<Network, (u32, Timestamp)>,
    /// The addresses of each /64 that were blocked lately.
    neighbours: LruCache<Network, Vec<(IpAddr, Timestamp)>>,
}

impl Policy {
    pub(super) fn new(settings: &Respond) -> Self {
        Self {
            block: settings.block,
            longest: settings.longest_block,
            history: LruCache::new(REMEMBERED),
            neighbours: LruCache::new(REMEMBERED),
        }
    }

    /// What to block for an address: itself, or its /64 once too many of that were blocked.
    pub(super) fn network(&mut self, address: IpAddr, now: Timestamp) -> Network {
        let single = Network::single(address);
        let IpAddr::V6(_) = single.address() else {
            return single;
        };
        let Some(wide) = Network::new(single.address(), 64).filter(|wide| !is_translated(wide)) else {
            return single;
        };
        let Some(lately) = self.neighbours.get_mut(&wide) else {
            return single;
        };
        lately.retain(|(_, time)| now.since(*time) <= NEIGHBOURS);
        let others = lately
            .iter()
            .filter(|(other, _)| *other != single.address())
            .count();
        if others + 1 >= MANY { wide } else { single }
    }

    /// How long to block it this time.
    pub(super) fn time_to_live(&mut self, network: &Network, now: Timestamp) -> Duration {
        let times = match self.history.get(network) {
            Some((times, last)) if now.since(*last) <= self.longest => *times,
            _ => 0,
        };
        let factor = ESCALATION.checked_pow(times).unwrap_or(u32::MAX);
        self.block.saturating_mul(factor).min(self.longest)
    }

    /// Notes that it was blocked.
    pub(super) fn remember(&mut self, network: Network, now: Timestamp) {
        let times = self.history.get(&network).map_or(0, |(times, _)| *times);
        self.history.insert(network, (times.saturating_add(1), now));
        if network.address().is_ipv6()
            && network.is_single()
            && let Some(wide) = Network::new(network.address(), 64)
        {
            let lately = self.neighbours.entry(wide).or_insert_with(Vec::new);
            lately.retain(|(address, time)| now.since(*time) <= NEIGHBOURS && *address != network.address());
            lately.push((network.address(), now));
        }
    }
}

/// Whether a /64 stands for hosts that have nothing to do with one another: all of IPv4 behind a translator (NAT64, RFC 6052
/// and RFC 8215), or everybody at one Teredo server.
fn is_translated(wide: &Network) -> bool {
    let IpAddr::V6(v6) = wide.address() else {
        return false;
    };
    match v6.segments() {
        [0x64, 0xff9b, 0..=1, ..] | [0x2001, 0, ..] => true,
        // IPv4 mapped into IPv6, as no packet should carry it.
        segments => segments.starts_with(&[0, 0, 0, 0]),
    }
}
