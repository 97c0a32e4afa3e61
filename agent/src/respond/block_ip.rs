//! Blocks addresses in the firewall.

use super::{RespondError, Responder};
use crate::sys::nft::{Nft, NftError};
use picket_common::action::{Action, ActionKind, Decision, Network, Target};
use std::collections::HashSet;
use std::time::Duration;

/// Through nftables.
pub struct BlockIp {
    /// `None` until the firewall could be spoken to.
    firewall: Option<Nft>,
    /// The firewall's generation after our own last change.
    generation: u32,
}

impl BlockIp {
    /// Makes the table. An error says why nothing can be blocked now; it is tried again with each act.
    pub fn open() -> (Self, Option<NftError>) {
        let mut block_ip = Self {
            firewall: None,
            generation: 0,
        };
        let error = block_ip.firewall().err();
        (block_ip, error)
    }

    fn firewall(&mut self) -> Result<&mut Nft, NftError> {
        if self.firewall.is_none() {
            self.firewall = Some(Nft::open()?);
        }
        self.firewall.as_mut().ok_or(NftError::Missing)
    }

    /// Changes the firewall, and takes note of its generation afterwards unless somebody else had changed it before.
    fn change(&mut self, work: impl FnOnce(&mut Self) -> Result<(), NftError>) -> Result<(), NftError> {
        let undisturbed = self.firewall()?.generation()? == self.generation;
        work(self)?;
        if undisturbed {
            self.generation = self.firewall()?.generation()?;
        }
        Ok(())
    }

    fn add(&mut self, network: Network, ttl: Option<Duration>) -> Result<(), NftError> {
        let firewall = self.firewall()?;
        match firewall.add(&[(network, ttl)]) {
            Err(error) if error.is_present() => firewall.replace(&[(network, ttl)]),
            Err(error) if error.is_absent() => {
                // Somebody flushed our table away; the others come back with the next reconciliation.
                firewall.create()?;
                firewall.add(&[(network, ttl)])
            }
            done => done,
        }
    }
}

impl Responder for BlockIp {
    fn handles(&self) -> ActionKind {
        ActionKind::BlockIp
    }

    fn describe(&self) -> &'static str {
        "blocks addresses in the nftables table inet picket"
    }

    fn decides(&self) -> Decision {
        Decision::Applied
    }

    fn apply(&mut self, action: &Action) -> Result<(), RespondError> {
        let Target::BlockIp(network) = action.target;
        Ok(self.change(|block_ip| block_ip.add(network, action.ttl))?)
    }

    fn undo(&mut self, action: &Action) -> Result<(), RespondError> {
        let Target::BlockIp(network) = action.target;
        let deleted = self.change(|block_ip| match block_ip.firewall()?.delete(&[network]) {
            Err(error) if !error.is_absent() => Err(error),
            _ => Ok(()),
        });
        Ok(deleted?)
    }

    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), RespondError> {
        let firewall = self.firewall()?;
        firewall.create()?;
        let present: HashSet<Network> = firewall.addresses()?.into_iter().map(Network::single).collect();
        let single: HashSet<Network> = wanted
            .iter()
            .map(|(network, _)| *network)
            .filter(Network::is_single)
            .collect();
        let extra: Vec<Network> = present.difference(&single).copied().collect();
        match firewall.delete(&extra) {
            // The time of one ended meanwhile, and a transaction is all or nothing.
            Err(error) if error.is_absent() => {
                for network in extra {
                    match firewall.delete(&[network]) {
                        Err(error) if !error.is_absent() => return Err(error.into()),
                        _ => {}
                    }
                }
            }
            done => done?,
        }
        // Networks are few: they are put in anew, so that none is left that nobody wants.
        firewall.delete_networks()?;
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(network, _)| !present.contains(network))
            .copied()
            .collect();
        firewall.add(&missing)?;
        self.generation = firewall.generation()?;
        Ok(())
    }

    fn is_disturbed(&mut self) -> Result<bool, RespondError> {
        let generation = self.firewall()?.generation()?;
        Ok(generation != self.generation)
    }
}
