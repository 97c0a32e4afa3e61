//! What must be known of the host so that nobody cuts it off, and when to look again.

use crate::sys::Changes;
use picket_common::action::Network;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Where resolvers are named.
const RESOLVERS: [&str; 3] = [
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
];
/// How often it is looked even if nothing is said to have changed.
const AGAIN: Duration = Duration::from_secs(30);
/// A host where looking takes longer, for all its routes, is not looked at with every change.
const LONG: Duration = Duration::from_millis(5);

/// What must be known of the host. Read from `/proc` and `/etc`, or nothing at all for a replay.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// Networks that are protected, each with the reason.
    pub networks: Vec<(Network, String)>,
    /// Whether `/proc` tells who is connected now.
    pub live: bool,
}

impl HostFacts {
    /// Looks: own addresses, gateways, resolvers. This took 0.1 ms where it was measured, with few interfaces.
    pub fn gather() -> Self {
        let mut networks = Vec::new();
        if let Ok(interfaces) = nix::ifaddrs::getifaddrs() {
            for interface in interfaces {
                let address = interface.address.and_then(|address| {
                    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
                    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
                });
                let reason = format!("it is this host's own address ({})", interface.interface_name);
                networks.extend(address.map(|address| (Network::single(address), reason)));
            }
        }
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
        let gateway = "it is this host's gateway".to_owned();
        let routes = gateways_v4(&read("/proc/net/route"))
            .into_iter()
            .chain(gateways_v6(&read("/proc/net/ipv6_route")));
        networks.extend(routes.map(|address| (Network::single(address), gateway.clone())));
        for file in RESOLVERS {
            let reason = format!("it is a resolver of this host ({file})");
            let servers = resolvers(&read(file)).into_iter();
            networks.extend(servers.map(|address| (Network::single(address), reason.clone())));
        }
        Self { networks, live: true }
    }
}

/// Knows when to look at the host again: at once after its addresses, routes or resolvers changed.
pub struct HostWatch {
    /// Without it only time tells.
    changes: Option<Changes>,
    files: [Option<SystemTime>; RESOLVERS.len()],
    looked: Instant,
    took: Duration,
}

impl HostWatch {
    /// Begins to watch.
    pub fn start() -> Self {
        let changes = Changes::listen();
        if let Err(error) = &changes {
            tracing::warn!("changes of addresses and routes are seen late: {error}");
        }
        Self {
            changes: changes.ok(),
            files: [None; RESOLVERS.len()],
            looked: Instant::now(),
            took: Duration::ZERO,
        }
    }

    /// Looks.
    pub fn look(&mut self) -> HostFacts {
        let start = Instant::now();
        // What changes while it is looked is looked at once more.
        self.has_changed();
        let facts = HostFacts::gather();
        self.looked = start;
        self.took = start.elapsed();
        facts
    }

    /// Whether it is time to look again. Asking costs microseconds.
    pub fn is_due(&mut self) -> bool {
        if self.looked.elapsed() > AGAIN {
            return true;
        }
        self.took < LONG && self.has_changed()
    }

    fn has_changed(&mut self) -> bool {
        let changed = |file: &str| fs::metadata(file).and_then(|data| data.modified()).ok();
        let files = RESOLVERS.map(changed);
        let rewritten = files != self.files;
        self.files = files;
        self.changes.as_ref().is_some_and(Changes::happened) || rewritten
    }
}

fn gateways_v4(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let word = line.split_ascii_whitespace().nth(2)?;
        let bits = u32::from_str_radix(word, 16).ok().filter(|bits| *bits != 0)?;
        Some(IpAddr::from(bits.to_ne_bytes()))
    };
    table.lines().skip(1).filter_map(gateway).collect()
}

fn gateways_v6(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let word = line.split_ascii_whitespace().nth(4)?;
        let bits = u128::from_str_radix(word, 16).ok().filter(|bits| *bits != 0)?;
        Some(IpAddr::V6(Ipv6Addr::from_bits(bits)))
    };
    table.lines().filter_map(gateway).collect()
}

fn resolvers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.parse().ok())?
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel_are_read() {
        let route = "Iface\tDestination\tGateway\nenp1s0\t00000000\t016433C6\t0003\nenp1s0\t006433C6\t00000000\t0001\n";
        assert_eq!(gateways_v4(route), ["198.51.100.1".parse::<IpAddr>().unwrap()]);
        let route6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 20010db8000000000000000000000001 0 0 0 0 eth0\n";
        assert_eq!(gateways_v6(route6), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            resolvers("# x\nnameserver 203.0.113.53\nsearch a\nnameserver fe80::1%eth0\n").len(),
            1
        );
    }
}
