//! Addresses and networks of lists, as one row of ranges.
//!
//! They are sorted by where they begin, and each knows the next wider one around it: what holds an address is the last range that
//! begins at or before it, or one of those around that.

use picket_common::action::Network;
use std::net::IpAddr;

/// There is none.
const NONE: u32 = u32::MAX;

/// A network of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    start: u128,
    /// In bits, of the address in IPv6.
    prefix: u8,
    /// The number of its note.
    pub(super) note: u32,
    /// From when on it does not match any more, in seconds since the epoch.
    pub(super) expires: u32,
    /// The place of the next wider one.
    wider: u32,
}

impl Range {
    pub(super) fn new(network: Network, note: u32, expires: u32) -> Self {
        let wider = if network.address().is_ipv4() { 96 } else { 0 };
        Self {
            start: number(network.address()),
            prefix: network.prefix().saturating_add(wider),
            note,
            expires,
            wider: NONE,
        }
    }

    /// The same with another note.
    pub(super) fn with_note(self, note: u32) -> Self {
        Self { note, ..self }
    }

    fn contains(&self, address: u128) -> bool {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        address & mask == self.start
    }

    /// The network as people write it.
    pub(super) fn network(&self) -> Option<Network> {
        Network::new(IpAddr::V6(self.start.into()), self.prefix)
    }
}

/// Networks, to be looked up.
#[derive(Default)]
pub(super) struct Networks(Vec<Range>);

impl Networks {
    /// Of networks that a list names twice the one that ends last is kept; `list` tells the list of a note.
    pub(super) fn new(mut ranges: Vec<Range>, list: impl Fn(u32) -> u32) -> Self {
        ranges.sort_unstable_by(|one, other| {
            // What is found first is what stands last.
            let lists = || list(other.note).cmp(&list(one.note));
            let ends = || other.expires.cmp(&one.expires);
            let places = (one.start, one.prefix).cmp(&(other.start, other.prefix));
            places.then_with(lists).then_with(ends)
        });
        ranges.dedup_by(|one, other| {
            (one.start, one.prefix, list(one.note)) == (other.start, other.prefix, list(other.note))
        });
        ranges.shrink_to_fit();
        // Those around the one that is looked at, the widest first.
        let mut around: Vec<(u32, Range)> = Vec::new();
        for (at, range) in ranges.iter_mut().enumerate() {
            while around
                .last()
                .is_some_and(|(_, wider)| !wider.contains(range.start))
            {
                around.pop();
            }
            range.wider = around.last().map_or(NONE, |(at, _)| *at);
            around.push((u32::try_from(at).unwrap_or(NONE), *range));
        }
        Self(ranges)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Range> {
        self.0.iter()
    }

    /// The networks that hold an address, the narrowest first.
    pub(super) fn find(&self, address: IpAddr) -> impl Iterator<Item = &Range> {
        let address = number(address);
        let place = |at: u32| usize::try_from(at).ok().and_then(|at| self.0.get(at));
        let after = self.0.partition_point(|range| range.start <= address);
        let mut next = after.checked_sub(1).and_then(|at| self.0.get(at));
        std::iter::from_fn(move || {
            let range = next?;
            next = place(range.wider);
            Some(range)
        })
        .filter(move |range| range.contains(address))
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Range>()
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::indicators::exact::NEVER;

    fn networks(texts: &[&str]) -> Networks {
        let ranges = texts
            .iter()
            .enumerate()
            .map(|(at, text)| Range::new(text.parse().unwrap(), u32::try_from(at).unwrap(), NEVER));
        Networks::new(ranges.collect(), |note| note)
    }

    fn found(networks: &Networks, address: &str) -> Vec<String> {
        let found = networks.find(address.parse().unwrap());
        found.map(|range| range.network().unwrap().to_string()).collect()
    }

    #[test]
    fn all_networks_around_an_address_are_found_the_narrowest_first() {
        let all = [
            "198.51.100.0/24",
            "198.51.0.0/16",
            "198.51.100.7",
            "198.51.100.7/32",
            "198.51.100.128/25",
            "198.51.101.0/24",
            "2001:db8::/32",
            "2001:db8:1::7",
            "0.0.0.0/0",
        ];
        let networks = networks(&all);
        assert_eq!(networks.len(), all.len(), "each is of a list of its own");
        let wide = ["198.51.100.0/24", "198.51.0.0/16", "0.0.0.0/0"];
        let one = [&["198.51.100.7"; 2][..], &wide].concat();
        assert_eq!(found(&networks, "198.51.100.7"), one);
        assert_eq!(found(&networks, "198.51.100.8"), wide);
        let upper = [&["198.51.100.128/25"][..], &wide].concat();
        assert_eq!(found(&networks, "198.51.100.255"), upper);
        assert_eq!(found(&networks, "198.52.0.1"), ["0.0.0.0/0"]);
        assert_eq!(
            found(&networks, "2001:db8:1::7"),
            ["2001:db8:1::7", "2001:db8::/32"]
        );
        assert_eq!(found(&networks, "2001:db9::1"), [] as [&str; 0]);
        assert_eq!(found(&Networks::default(), "::1"), [] as [&str; 0]);
    }

    #[test]
    fn what_is_found_is_what_a_look_at_each_network_finds() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut texts: Vec<String> = Vec::new();
        for _ in 0..2000 {
            let address = format!(
                "{}.{}.{}.{}",
                random.u8(1..4),
                random.u8(..4),
                random.u8(..4),
                random.u8(..)
            );
            texts.push(format!("{address}/{}", random.u8(8..=32)));
        }
        let networks = networks(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        for _ in 0..2000 {
            let address = format!(
                "{}.{}.{}.{}",
                random.u8(1..5),
                random.u8(..5),
                random.u8(..5),
                random.u8(..)
            );
            let ip: IpAddr = address.parse().unwrap();
            let mut expected: Vec<Network> = texts.iter().map(|text| text.parse().unwrap()).collect();
            expected.retain(|network| network.contains(ip));
            expected.sort_by_key(|network| std::cmp::Reverse(network.prefix()));
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(found(&networks, &address), expected);
        }
    }
}
