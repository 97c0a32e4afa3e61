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

    /// Removes the table, where there is one.
    pub(super) fn remove() -> Result<(), NftError> {
        match Nft::remove() {
            Err(NftError::Missing) => Ok(()),
            removed => unless_absent(removed),
        }
    }

    /// Changes the firewall, and counts our own transactions alone: whatever anybody else changed before or meanwhile makes
    /// the kernel's generation another one than ours. A change that stopped half way counts as somebody else's.
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
        self.change(|nft| unless_absent(nft.delete(&[network])))?;
        Ok(())
    }

    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), FirewallError> {
        // What anybody changes from here on makes the kernel's generation another one.
        self.generation = self.nft.generation()?;
        let (single, networks): (Vec<_>, Vec<_>) =
            wanted.iter().partition(|(network, _)| network.is_single());
        let done = self.change(|nft| {
            nft.create()?;
            let present = nft.addresses()?.into_iter().map(Network::single).collect();
            make(nft, present, single)?;
            if networks.len() <= AT_ONCE {
                // Networks are few: they are put in anew, so that none is left that nobody wants.
                return nft.refill_networks(&networks);
            }
            let present = nft.networks()?.into_iter().collect();
            make(nft, present, networks)
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
