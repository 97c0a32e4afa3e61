//! Through nftables: our own table, in which only our own changes are expected.

use super::{Firewall, FirewallError};
use crate::sys::nft::{AT_ONCE, Nft, NftError};
use picket_common::action::Network;
use std::collections::HashSet;
use std::time::Duration;

pub(super) struct Nftables {
    nft: Nft,
    /// The firewall's generation after our own last change, had nobody else changed anything.
    generation: u32,
}

impl Nftables {
    /// Makes the table.
    pub(super) fn open() -> Result<Self, NftError> {
        Ok(Self {
            nft: Nft::open()?,
            generation: 0,
        })
    }

    /// Removes the table; gives whether there was one.
    pub(super) fn remove() -> Result<bool, NftError> {
        match Nft::remove() {
            Err(NftError::Missing) => Ok(false),
            Err(error) if error.is_absent() => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    /// Changes the firewall, and counts our own transactions alone: whatever anybody else changed before or meanwhile makes
    /// the kernel's generation another one than ours. So does a transaction that fails, in some kernels, and a change that
    /// stopped half way.
    fn change(&mut self, work: impl FnOnce(&mut Nft) -> Result<(), NftError>) -> Result<(), NftError> {
        let before = self.nft.committed();
        work(&mut self.nft)?;
        let own = self.nft.committed().wrapping_sub(before);
        self.generation = self.generation.wrapping_add(own);
        Ok(())
    }
}

impl Firewall for Nftables {
    fn describe(&self) -> &'static str {
        "blocks addresses in the nftables table inet picket"
    }

    fn block(
        &mut self,
        network: Network,
        ttl: Option<Duration>,
        replaces: &[Network],
    ) -> Result<(), FirewallError> {
        self.change(|nft| match put_in_place(nft, network, ttl, replaces) {
            Err(error) if error.is_absent() => {
                // Somebody flushed our table away; the others come back with the next reconciliation.
                nft.create()?;
                nft.add(&[(network, ttl)])
            }
            done => done,
        })?;
        Ok(())
    }

    fn release(&mut self, network: Network) -> Result<(), FirewallError> {
        self.change(|nft| unless_absent(nft.exchange(&[network], &[])))?;
        Ok(())
    }

    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), FirewallError> {
        // What anybody changes from here on makes the kernel's generation another one.
        self.generation = self.nft.generation()?;
        let (single, networks): (Vec<_>, Vec<_>) =
            wanted.iter().partition(|(network, _)| network.is_single());
        let done = self.change(|nft| {
            // Networks are few: they are put in anew, so that none is left that nobody wants.
            if networks.len() <= AT_ONCE {
                nft.create_with(&networks)?;
            } else {
                nft.create()?;
                let present = nft.networks()?.into_iter().collect();
                make(nft, present, networks)?;
            }
            let present = nft.addresses()?.into_iter().map(Network::single).collect();
            make(nft, present, single)
        });
        if done.is_err() {
            self.generation = 0;
        }
        Ok(done?)
    }

    fn is_disturbed(&mut self) -> Result<bool, FirewallError> {
        Ok(self.nft.generation()? != self.generation)
    }
}

/// Drops a network in the place of those inside it.
fn put_in_place(
    nft: &mut Nft,
    network: Network,
    ttl: Option<Duration>,
    replaces: &[Network],
) -> Result<(), NftError> {
    let wanted = [(network, ttl)];
    if replaces.is_empty() {
        return match nft.add(&wanted) {
            Err(error) if error.is_present() => nft.exchange(&[network], &wanted),
            done => done,
        };
    }
    if replaces.len() <= AT_ONCE {
        return nft.exchange(replaces, &wanted);
    }
    // Single addresses lie in sets of their own, so they can wait until the network is in.
    let (single, networks): (Vec<Network>, Vec<Network>) =
        replaces.iter().partition(|other| other.is_single());
    nft.exchange(&networks, &wanted)?;
    for single in single.chunks(AT_ONCE) {
        nft.exchange(single, &[])?;
    }
    Ok(())
}

/// Makes what is present what is wanted, by the difference alone.
fn make(
    nft: &mut Nft,
    present: HashSet<Network>,
    wanted: Vec<(Network, Option<Duration>)>,
) -> Result<(), NftError> {
    let kept: HashSet<Network> = wanted.iter().map(|(network, _)| *network).collect();
    let extra: Vec<Network> = present.difference(&kept).copied().collect();
    for extra in extra.chunks(AT_ONCE) {
        // The time of one may have ended meanwhile.
        nft.exchange(extra, &[])?;
    }
    let missing: Vec<_> = wanted
        .into_iter()
        .filter(|(network, _)| !present.contains(network))
        .collect();
    nft.add(&missing)
}

/// What is not there need not be deleted.
fn unless_absent(deleted: Result<(), NftError>) -> Result<(), NftError> {
    match deleted {
        Err(error) if !error.is_absent() => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::respond::tests::{is_alone, says};
    use std::collections::BTreeSet;
    use std::io::{BufRead as _, BufReader};
    use std::net::Ipv4Addr;
    use std::process::{Command, Stdio};

    const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    /// So many networks of two addresses, one after the other.
    fn pairs(first: u32, count: u32) -> Vec<(Network, Option<Duration>)> {
        let pair = |at| Network::new(Ipv4Addr::from(0x0a00_0000 + 2 * at).into(), 31).unwrap();
        (first..first + count).map(|at| (pair(at), HOUR)).collect()
    }

    fn named(wanted: &[(Network, Option<Duration>)]) -> BTreeSet<Network> {
        wanted.iter().map(|(network, _)| *network).collect()
    }

    #[test]
    fn whatever_anybody_else_changes_is_noticed_also_in_the_midst_of_our_own_change() {
        if !is_alone() {
            return;
        }
        let mut firewall = Nftables::open().unwrap();
        firewall.reconcile(&[]).unwrap();
        let half = network("203.0.113.0/25");
        let whole = network("203.0.113.0/24");
        for (wanted, replaces) in [
            (network("198.51.100.9"), vec![]),
            (half, vec![network("203.0.113.9")]),
            (whole, vec![half]),
            (whole, vec![whole]),
        ] {
            firewall.block(wanted, HOUR, &replaces).unwrap();
            assert!(!firewall.is_disturbed().unwrap(), "{wanted}");
        }
        for text in ["198.51.100.9", "192.0.2.1"] {
            firewall.release(network(text)).unwrap();
            assert!(!firewall.is_disturbed().unwrap(), "{text}");
        }
        // One that is there although nobody says so gets the new time.
        firewall.block(whole, None, &[]).unwrap();
        assert!(!says(&["nft", "list", "set", "inet", "picket", "v4net"]).contains("1h"));
        firewall.reconcile(&[]).unwrap();
        // Before ours, which does not hide it.
        says(&["nft", "flush ruleset"]);
        firewall.block(network("198.51.100.9"), HOUR, &[]).unwrap();
        assert!(firewall.is_disturbed().unwrap());
        firewall.reconcile(&[(network("198.51.100.9"), HOUR)]).unwrap();
        assert!(!firewall.is_disturbed().unwrap());
        // Right behind ours, before anybody could look.
        let flushed = firewall.change(|nft| {
            nft.add(&[(network("203.0.113.9"), HOUR)])?;
            says(&["nft", "flush ruleset"]);
            Ok(())
        });
        flushed.unwrap();
        assert!(firewall.is_disturbed().unwrap());
    }

    #[test]
    fn no_network_is_let_in_while_what_somebody_else_changed_is_looked_at() {
        if !is_alone() {
            return;
        }
        let mut firewall = Nftables::open().unwrap();
        let wanted = ["203.0.113.0/25", "2001:db8::/64"].map(|text| (network(text), HOUR));
        firewall.reconcile(&wanted).unwrap();
        let mut monitor = Command::new("nft")
            .args(["monitor"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
        // It listens once it tells of something.
        let (began, heard) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // In the namespace of whoever started it.
                while heard.recv_timeout(Duration::from_millis(20)).is_err() {
                    says(&["nft", "add table inet foreign; delete table inet foreign"]);
                }
            });
            assert!(lines.next().unwrap().is_ok());
            began.send(()).unwrap();
        });
        says(&["nft", "add table inet foreign"]);
        assert!(firewall.is_disturbed().unwrap());
        firewall.reconcile(&wanted).unwrap();
        says(&["nft", "add table inet last"]);

        let (mut generation, mut exchanged) = (Vec::new(), Vec::new());
        for line in lines {
            let line = line.unwrap();
            if !line.starts_with("# new generation") {
                let last = line.starts_with("add table inet last");
                generation.push(line);
                if last {
                    break;
                }
                continue;
            }
            for element in ["203.0.113.0/25", "2001:db8::/64"] {
                let of = |verb| {
                    generation
                        .iter()
                        .any(|line: &String| line.starts_with(verb) && line.contains(element))
                };
                if of("delete element") {
                    exchanged.push((element, of("add element") || of("create element")));
                }
            }
            generation.clear();
        }
        monitor.kill().unwrap();
        monitor.wait().unwrap();
        assert_eq!(
            exchanged,
            [("203.0.113.0/25", true), ("2001:db8::/64", true)],
            "each is out and in again in one generation"
        );
    }

    #[test]
    fn more_networks_than_one_transaction_holds_are_made_what_is_wanted() {
        if !is_alone() {
            return;
        }
        let mut firewall = Nftables::open().unwrap();
        let many = u32::try_from(AT_ONCE).unwrap();
        for wanted in [
            pairs(0, many),
            pairs(500, 2 * many),
            pairs(0, 2 * many),
            pairs(7, many),
        ] {
            firewall.reconcile(&wanted).unwrap();
            let present: BTreeSet<Network> = firewall.nft.networks().unwrap().into_iter().collect();
            assert_eq!(present, named(&wanted));
        }
        // One around all of them, and around more single addresses than that.
        let mut wanted = pairs(0, many);
        wanted
            .extend((0..2 * many).map(|at| (Network::single(Ipv4Addr::from(0x0a80_0000 + at).into()), HOUR)));
        firewall.reconcile(&wanted).unwrap();
        let replaces: Vec<Network> = named(&wanted).into_iter().collect();
        firewall.block(network("10.0.0.0/8"), HOUR, &replaces).unwrap();
        assert_eq!(firewall.nft.networks().unwrap(), [network("10.0.0.0/8")]);
        assert_eq!(firewall.nft.addresses().unwrap().len(), 0);
        assert!(!firewall.is_disturbed().unwrap());
        // The ends of the space, and two beside each other.
        let edges = [
            "0.0.0.0/1",
            "128.0.0.0/2",
            "192.0.0.0/2",
            "::/3",
            "c000::/3",
            "e000::/3",
        ]
        .map(|text| (network(text), HOUR));
        firewall.reconcile(&edges).unwrap();
        let present: BTreeSet<Network> = firewall.nft.networks().unwrap().into_iter().collect();
        assert_eq!(present, named(&edges));
    }
}
