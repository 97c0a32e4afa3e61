//! Whom never to block: whoever carries the operator.

use super::facts::HostFacts;
use super::login::Login;
use super::sessions::Session;
use crate::parse::sockets;
use hashlink::LruCache;
use picket_common::action::Network;
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::time::Timestamp;
use std::net::IpAddr;
use std::time::Duration;

/// How many addresses' logins are remembered.
const REMEMBERED: usize = 10_000;
/// A login that follows failures from its address within this span is no reason to spare it.
const SUSPICION: Duration = Duration::from_secs(24 * 3600);
/// How many failures an honest typist is allowed before a login.
const TYPING: u32 = 3;

/// See the module.
pub struct Guard {
    facts: HostFacts,
    /// Apart, so that whoever fails from ten thousand addresses cannot make the agent forget who logged in.
    failures: LruCache<IpAddr, Failures>,
    logins: LruCache<IpAddr, LastLogin>,
}

/// What failed from one address, or from one /64 of IPv6, all of which belongs to whoever has one address of it.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// The last login from one address.
#[derive(Clone, Copy, Debug)]
struct LastLogin {
    /// `None` when it was there before the agent was.
    event: Option<RecordId>,
    since: Timestamp,
    /// It followed failures.
    suspicious: bool,
}

impl Guard {
    /// Protects what `facts` and the settings name, and what no host should ever block.
    pub fn new(facts: HostFacts, protect: &[Network]) -> Self {
        let mut guard = Self {
            facts,
            failures: LruCache::new(REMEMBERED),
            logins: LruCache::new(REMEMBERED),
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
        let (address, place) = (login.address, place(login.address));
        if login.accepted {
            let failures = self.failures.get(&place).copied().unwrap_or_default();
            let lately = login.time.since(failures.last) <= SUSPICION;
            // Nobody guesses a key: whoever has one may have failed before, or others may in their name.
            let suspicious = login.guessable && lately && failures.count > TYPING;
            let last = LastLogin {
                event: Some(login.event),
                since: login.time,
                suspicious,
            };
            self.logins.insert(address, last);
            if !suspicious {
                self.failures.remove(&place);
            }
        } else {
            let failures = self.failures.entry(place).or_insert_with(Failures::default);
            failures.count = failures.count.saturating_add(login.times);
            failures.last = login.time;
            // Of a session that was there already the failures before it may be heard of only now.
            if failures.count > TYPING
                && let Some(last) = self.logins.get_mut(&address)
                && last.event.is_none()
                && login.time <= last.since
            {
                last.suspicious = true;
            }
        }
    }

    /// Learns who is logged in already: their logins may be in no log that the agent reads.
    pub fn meet(&mut self, sessions: &[Session]) {
        for session in sessions {
            let login = LastLogin {
                event: None,
                since: session.since,
                suspicious: false,
            };
            self.logins.insert(session.address, login);
        }
    }

    /// Whether what it knows is of this host, as it is now.
    pub fn is_live(&self) -> bool {
        self.facts.live
    }

    /// What is never to be blocked, whoever asks, each with the reason.
    pub fn protected(&self) -> &[(Network, String)] {
        &self.facts.networks
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
            .logins
            .iter()
            .filter(|(address, _)| network.contains(**address));
        for (address, login) in inside {
            // Whoever guesses a password must not become unblockable by it.
            let found = finding
                .is_some_and(|finding| login.event.is_some_and(|event| finding.events.contains(&event)));
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
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|path| {
            let table = std::fs::read_to_string(path).unwrap_or_default();
            sockets::is_connected(&table, address)
        })
    }
}

/// What failures are counted for: an address, or the first one of its /64.
fn place(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(_) => Network::new(address, 64).map_or(address, |network| network.address()),
    }
}
