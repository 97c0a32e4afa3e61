//! Whom never to block: whoever carries the operator.

use hashlink::LruCache;
use picket_common::action::Network;
use picket_common::event::{AuthAction, Event, Outcome, Payload};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::time::Timestamp;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

/// How many addresses' logins are remembered.
const REMEMBERED: usize = 10_000;
/// A login that follows failures from its address within this span is no reason to spare it.
const SUSPICION: Duration = Duration::from_secs(24 * 3600);
/// How many failures an honest typist is allowed before a login.
const TYPING: u32 = 3;

/// What must be known of the host. Read from `/proc` and `/etc`, or nothing at all for a replay.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// Networks that are protected, each with the reason.
    pub networks: Vec<(Network, String)>,
    /// Whether `/proc` tells who is connected now.
    pub live: bool,
}

impl HostFacts {
    /// Looks: own addresses, gateways, resolvers.
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
        for file in ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"] {
            let reason = format!("it is a resolver of this host ({file})");
            let servers = resolvers(&read(file)).into_iter();
            networks.extend(servers.map(|address| (Network::single(address), reason.clone())));
        }
        Self { networks, live: true }
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

/// What the guard learns from an event: a login from an address, accepted or not.
#[derive(Clone, Debug)]
pub struct Login {
    address: IpAddr,
    event: RecordId,
    time: Timestamp,
    accepted: bool,
    times: u32,
}

impl Login {
    /// The login that an event tells of; `None` when it tells of none.
    pub fn of(event: &Event) -> Option<Self> {
        let Payload::Auth(auth) = &event.payload;
        let peer = auth.source.filter(|_| auth.action == AuthAction::Login)?;
        Some(Self {
            address: peer.ip.to_canonical(),
            event: event.id,
            time: event.time,
            accepted: match auth.outcome {
                Outcome::Success => true,
                Outcome::Failure => false,
                Outcome::Unknown => return None,
            },
            times: auth.repeated.unwrap_or(1),
        })
    }
}

/// See the module.
pub struct Guard {
    facts: HostFacts,
    failed: LruCache<IpAddr, Failed>,
    /// Apart from those that failed, so that no flood of them makes an administrator forgotten.
    accepted: LruCache<IpAddr, Accepted>,
}

/// Logins that were refused to an address since the last one that was not.
#[derive(Clone, Debug, Default)]
struct Failed {
    times: u32,
    last: Timestamp,
}

/// The last login from an address.
#[derive(Clone, Debug)]
struct Accepted {
    event: RecordId,
    /// It followed failures.
    suspicious: bool,
}

impl Guard {
    /// Protects what `facts` and the settings name, and what no host should ever block.
    pub fn new(facts: HostFacts, protect: &[Network]) -> Self {
        let mut guard = Self {
            facts,
            failed: LruCache::new(REMEMBERED),
            accepted: LruCache::new(REMEMBERED),
        };
        for network in protect {
            let reason = "it is protected by respond.protect".to_owned();
            guard.facts.networks.push((*network, reason));
        }
        for (text, reason) in [
            ("127.0.0.0/8", "it is loopback"),
            ("::1", "it is loopback"),
            ("0.0.0.0/8", "it is no address of anybody"),
            ("::", "it is no address of anybody"),
            ("224.0.0.0/4", "it is multicast"),
            ("ff00::/8", "it is multicast"),
            ("169.254.0.0/16", "it is link-local"),
            ("fe80::/10", "it is link-local"),
            ("255.255.255.255", "it is broadcast"),
        ] {
            if let Ok(network) = text.parse() {
                guard.facts.networks.push((network, reason.to_owned()));
            }
        }
        guard
    }

    /// Looks at the host again.
    pub fn refresh(&mut self, facts: HostFacts, protect: &[Network]) {
        let fresh = Self::new(facts, protect);
        self.facts = fresh.facts;
    }

    /// Protects the collector.
    pub fn protect(&mut self, network: Network, reason: &str) {
        self.facts.networks.push((network, reason.to_owned()));
    }

    /// Learns who logs in.
    pub fn observe(&mut self, login: &Login) {
        if login.accepted {
            let suspicious = self
                .failed
                .get(&login.address)
                .is_some_and(|failed| login.time.since(failed.last) <= SUSPICION && failed.times > TYPING);
            if !suspicious {
                self.failed.remove(&login.address);
            }
            let event = login.event;
            self.accepted
                .insert(login.address, Accepted { event, suspicious });
        } else {
            let failed = self.failed.entry(login.address).or_insert_with(Failed::default);
            failed.times = failed.times.saturating_add(login.times);
            failed.last = login.time;
        }
    }

    /// Why a network must not be blocked; `None` when it may be.
    pub fn refuses(&self, network: &Network, finding: Option<&Finding>) -> Option<String> {
        if let Some((protected, reason)) = self
            .facts
            .networks
            .iter()
            .find(|(protected, _)| protected.overlaps(network))
        {
            return Some(format!("{network} is not blocked: {reason} ({protected})"));
        }
        let inside = self
            .accepted
            .iter()
            .filter(|(address, _)| network.contains(**address));
        for (address, login) in inside {
            // Whoever guesses a password must not become unblockable by it.
            let found = finding.is_some_and(|finding| finding.events.contains(&login.event));
            if login.suspicious || found || !self.is_connected(*address) {
                continue;
            }
            return Some(format!(
                "{network} is not blocked: {address} logged in and is connected now; it may be an administrator"
            ));
        }
        None
    }

    /// Whether somebody at `address` holds a connection to a port that this host listens on.
    fn is_connected(&self, address: IpAddr) -> bool {
        if !self.facts.live {
            // A replay cannot know; whoever logged in is given the benefit of the doubt.
            return true;
        }
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        connected(&read("/proc/net/tcp"), address) || connected(&read("/proc/net/tcp6"), address)
    }
}

/// Reads `/proc/net/tcp`: addresses in hexadecimal as they lie in memory, state 01 is established, 0A listens.
fn connected(table: &str, address: IpAddr) -> bool {
    let sockets = || {
        table.lines().skip(1).filter_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
            Some((local.rsplit_once(':')?.1, socket_address(remote)?, state))
        })
    };
    let listening: Vec<&str> = sockets()
        .filter(|(_, _, state)| *state == "0A")
        .map(|(port, _, _)| port)
        .collect();
    sockets().any(|(port, remote, state)| state == "01" && remote == address && listening.contains(&port))
}

fn socket_address(text: &str) -> Option<IpAddr> {
    let (digits, _) = text.split_once(':')?;
    if digits.len() == 8 {
        let bits = u32::from_str_radix(digits, 16).ok()?;
        return Some(IpAddr::from(bits.to_ne_bytes()));
    }
    let mut bytes = [0_u8; 16];
    for (at, place) in bytes.chunks_exact_mut(4).enumerate() {
        let word = u32::from_str_radix(digits.get(at * 8..at * 8 + 8)?, 16).ok()?;
        place.copy_from_slice(&word.to_ne_bytes());
    }
    Some(IpAddr::V6(bytes.into()).to_canonical())
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
        let tcp = "  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 0\n   1: 016433C6:0016 096433C6:9C40 01 0\n   2: 016433C6:9000 0A6433C6:0016 01 0\n";
        assert!(connected(tcp, "198.51.100.9".parse().unwrap()));
        // A connection that this host made itself tells of nobody who came.
        assert!(!connected(tcp, "198.51.100.10".parse().unwrap()));
        let tcp6 = "x\n 0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A\n 1: B80D0120000000000000000001000000:0016 B80D0120000000000000000009000000:9C40 01\n";
        assert!(connected(tcp6, "2001:db8::9".parse().unwrap()));
    }
}
