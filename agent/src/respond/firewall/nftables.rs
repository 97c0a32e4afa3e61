//! Through nftables: our own table, in which only our own changes are expected.

use super::{Firewall, FirewallError};
use crate::sys::nft::{Nft, NftError};
use picket_common::action::Network;
use std::collections::HashSet;
use std::time::Duration;

pub(super) struct Nftables {
    nft: Nft,
    /// The firewall's generation after our own last change.
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

    /// Changes the firewall, and takes note of its generation afterwards unless somebody else had changed it before.
    fn change(&mut self, work: impl FnOnce(&mut Nft) -> Result<(), NftError>) -> Result<(), NftError> {
        let undisturbed = self.nft.generation()? == self.generation;
        work(&mut self.nft)?;
        if undisturbed {
            self.generation = self.nft.generation()?;
        }
        Ok(())
    }
}

impl Firewall for Nftables {
    fn describe(&self) -> &'static str {
        "blocks addresses in the nftables table inet picket"
    }

    fn block(&mut self, network: Network, ttl: Option<Duration>) -> Result<(), FirewallError> {
        self.change(|nft| {
            match nft.add(&[(network, ttl)]) {
                Err(error) if error.is_present() => nft.replace(&[(network, ttl)]),
                Err(error) if error.is_absent() => {
                    // Somebody flushed our table away; the others come back with the next reconciliation.
                    nft.create()?;
                    nft.add(&[(network, ttl)])
                }
                done => done,
            }
        })?;
        Ok(())
    }

    fn release(&mut self, network: Network) -> Result<(), FirewallError> {
        self.change(|nft| unless_absent(nft.delete(&[network])))?;
        Ok(())
    }

    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), FirewallError> {
        let nft = &mut self.nft;
        nft.create()?;
        let present: HashSet<Network> = nft.addresses()?.into_iter().map(Network::single).collect();
        let single: HashSet<Network> = wanted
            .iter()
            .map(|(network, _)| *network)
            .filter(Network::is_single)
            .collect();
        let extra: Vec<Network> = present.difference(&single).copied().collect();
        match nft.delete(&extra) {
            // The time of one ended meanwhile, and a transaction is all or nothing.
            Err(error) if error.is_absent() => {
                for network in extra {
                    unless_absent(nft.delete(&[network]))?;
                }
            }
            done => done?,
        }
        // Networks are few: they are put in anew, so that none is left that nobody wants.
        nft.delete_networks()?;
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(network, _)| !present.contains(network))
            .copied()
            .collect();
        nft.add(&missing)?;
        self.generation = nft.generation()?;
        Ok(())
    }

    fn is_disturbed(&mut self) -> Result<bool, FirewallError> {
        Ok(self.nft.generation()? != self.generation)
    }
}

/// What is not there need not be deleted.
fn unless_absent(deleted: Result<(), NftError>) -> Result<(), NftError> {
    match deleted {
        Err(error) if !error.is_absent() => Err(error),
        _ => Ok(()),
    }
}
