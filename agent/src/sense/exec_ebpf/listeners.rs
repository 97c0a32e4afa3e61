//! Who listens where: a connection that is accepted comes about in an interrupt, which belongs to nobody.

use super::record::{Ends, Process};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// So many listeners are known at once; hosts have some dozens.
const MOST: usize = 65_536;
/// On so many addresses of one port.
const ADDRESSES: usize = 1024;

/// The processes that listen, by network namespace and port.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    places: HashMap<(u32, u16), Vec<Listener>>,
    /// In all places together.
    known: usize,
    owners: HashSet<u32>,
}

/// On which address, and who; `None` is one of whom nothing is to be seen.
type Listener = (IpAddr, Option<Process>);

impl Listeners {
    /// Somebody listens from now on.
    pub(super) fn add(&mut self, ends: &Ends, owner: Option<Process>) {
        self.put(ends, owner, true);
    }

    /// Somebody was listening before. The first who is named counts: those who share a socket have it from their parent.
    pub(super) fn seed(&mut self, ends: &Ends, owner: Option<Process>) {
        self.put(ends, owner, false);
    }

    /// Forgets a process that ended. Whether it listened: others may have its sockets.
    pub(super) fn ended(&mut self, process: Process) -> bool {
        let listened = self.owners.remove(&process.pid);
        if listened {
            self.places.retain(|_, listeners| {
                listeners.retain(|(_, owner)| owner.is_none_or(|owner| owner.pid != process.pid));
                !listeners.is_empty()
            });
            self.known = self.places.values().map(Vec::len).sum();
        }
        listened
    }

    /// Who accepts a connection, if that is known: whoever listens on the very address before whoever listens on all.
    pub(super) fn find(&self, ends: &Ends) -> Option<Option<Process>> {
        let listeners = self.places.get(&(ends.network, ends.local.port()))?;
        let on = |address: &dyn Fn(&IpAddr) -> bool| {
            listeners
                .iter()
                .find(|(own, _)| address(own))
                .map(|(_, owner)| *owner)
        };
        on(&|own| *own == ends.local.ip())
            .or_else(|| on(&|own| own.is_unspecified() && own.is_ipv4() == ends.local.is_ipv4()))
            // IPv4 comes to those, too, who listen on all of IPv6.
            .or_else(|| on(&|own| own.is_unspecified() && own.is_ipv6()))
    }

    fn put(&mut self, ends: &Ends, owner: Option<Process>, over: bool) {
        let full = self.known >= MOST;
        let place = (ends.network, ends.local.port());
        if full && !self.places.contains_key(&place) {
            // What is accepted there is counted as nobody's.
            return;
        }
        let listeners = self.places.entry(place).or_default();
        let room = !full && listeners.len() < ADDRESSES;
        match listeners.iter_mut().find(|(own, _)| *own == ends.local.ip()) {
            Some(known) if over => known.1 = owner,
            None if room => {
                listeners.push((ends.local.ip(), owner));
                self.known += 1;
            }
            _ => return,
        }
        self.owners.extend(owner.map(|owner| owner.pid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(network: u32, local: &str) -> Ends {
        Ends {
            network,
            local: local.parse().unwrap(),
            remote: "198.51.100.7:40000".parse().unwrap(),
        }
    }

    fn process(pid: u32) -> Process {
        Process { pid, start: 1 }
    }

    #[test]
    fn the_very_address_counts_before_all_addresses_and_each_namespace_for_itself() {
        let mut listeners = Listeners::default();
        listeners.add(&ends(1, "[::]:80"), Some(process(10)));
        listeners.add(&ends(1, "127.0.0.1:80"), Some(process(11)));
        listeners.add(&ends(2, "0.0.0.0:80"), Some(process(12)));
        listeners.add(&ends(1, "0.0.0.0:81"), None);
        let find = |network, local| listeners.find(&ends(network, local));
        assert_eq!(find(1, "127.0.0.1:80"), Some(Some(process(11))));
        assert_eq!(find(1, "192.0.2.1:80"), Some(Some(process(10))));
        assert_eq!(find(1, "[2001:db8::1]:80"), Some(Some(process(10))));
        assert_eq!(find(2, "192.0.2.1:80"), Some(Some(process(12))));
        assert_eq!(
            find(2, "[2001:db8::1]:80"),
            None,
            "IPv6 does not come to whoever listens on IPv4"
        );
        assert_eq!(find(1, "192.0.2.1:81"), Some(None));
        assert_eq!(find(1, "192.0.2.1:82"), None);
    }

    #[test]
    fn who_ended_listens_no_more_and_a_seed_takes_no_ones_place() {
        let mut listeners = Listeners::default();
        listeners.seed(&ends(1, "0.0.0.0:80"), Some(process(10)));
        listeners.seed(&ends(1, "0.0.0.0:80"), Some(process(11)));
        assert_eq!(listeners.find(&ends(1, "192.0.2.1:80")), Some(Some(process(10))));
        assert!(!listeners.ended(process(11)) && listeners.ended(process(10)));
        assert_eq!(listeners.find(&ends(1, "192.0.2.1:80")), None);
        listeners.seed(&ends(1, "0.0.0.0:80"), Some(process(11)));
        assert_eq!(listeners.find(&ends(1, "192.0.2.1:80")), Some(Some(process(11))));
    }

    #[test]
    fn there_are_no_more_than_there_is_room_for() {
        let mut listeners = Listeners::default();
        for network in 0..70_000 {
            listeners.add(&ends(network, "0.0.0.0:80"), Some(process(1)));
            listeners.add(&ends(network, "127.0.0.1:80"), Some(process(2)));
        }
        assert_eq!((listeners.places.len(), listeners.known), (MOST / 2, MOST));
        assert!(listeners.ended(process(2)));
        listeners.add(&ends(70_000, "0.0.0.0:80"), Some(process(1)));
        assert_eq!(listeners.known, MOST / 2 + 1);
    }
}
