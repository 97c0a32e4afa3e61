//! What can drop packets on this host: nftables, or ipset and iptables where that is missing.

mod iptables;
mod nftables;

use crate::config::{FirewallKind, Respond};
use crate::sys::ToolError;
use crate::sys::nft::NftError;
use iptables::Iptables;
use nftables::Nftables;
use picket_common::action::Network;
use std::time::Duration;

/// Something that drops packets by where they come from.
pub(super) trait Firewall: Send {
    /// What it is, for an operator.
    fn describe(&self) -> &'static str;

    /// Drops what comes from a network from now on, for as long as `ttl` says (`None`: until released). A time that was set
    /// before is replaced, and so are the networks in `replaces`, which lie inside it: nothing of them is let in meanwhile.
    fn block(
        &mut self,
        network: Network,
        ttl: Option<Duration>,
        replaces: &[Network],
    ) -> Result<(), FirewallError>;

    /// Lets what comes from a network in again. What is not there is let in.
    fn release(&mut self, network: Network) -> Result<(), FirewallError>;

    /// Makes what is dropped what is wanted: each network with the time that it has left. Nothing of anybody else's is touched.
    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), FirewallError>;

    /// Whether somebody else may have changed what is dropped.
    fn is_disturbed(&mut self) -> Result<bool, FirewallError>;
}

/// Nothing can be dropped, or not this.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// nftables will not do it.
    #[error(transparent)]
    Nftables(#[from] NftError),
    /// ipset or iptables will not do it.
    #[error(transparent)]
    Iptables(#[from] ToolError),
    /// There is nothing that would.
    #[error("neither firewall can be used: {nftables}; {iptables}")]
    Neither {
        /// What nftables says.
        nftables: NftError,
        /// What ipset or iptables says.
        iptables: ToolError,
    },
}

/// The firewall that the settings name, or the better one of those that this host has. What an agent left in the other one
/// is removed, as nobody would look after it.
pub(super) fn open(settings: &Respond) -> Result<Box<dyn Firewall>, FirewallError> {
    let nftables = match settings.firewall {
        FirewallKind::Iptables => None,
        FirewallKind::Auto | FirewallKind::Nftables => Some(Nftables::open()),
    };
    match nftables {
        Some(Ok(nftables)) => {
            if let Err(error) = Iptables::remove() {
                tracing::warn!("what was blocked through iptables may still be: {error}");
            }
            Ok(Box::new(nftables))
        }
        Some(Err(error)) if settings.firewall == FirewallKind::Nftables => Err(error.into()),
        Some(Err(nftables)) => match Iptables::open(settings.max_blocks) {
            Ok(iptables) => {
                tracing::warn!("{nftables}: ipset and iptables take its place");
                Ok(Box::new(iptables))
            }
            Err(iptables) => Err(FirewallError::Neither { nftables, iptables }),
        },
        None => {
            let iptables = Iptables::open(settings.max_blocks)?;
            if let Err(error) = Nftables::remove() {
                tracing::warn!("what was blocked through nftables may still be: {error}");
            }
            Ok(Box::new(iptables))
        }
    }
}

/// Removes whatever an agent has made, in either firewall: nothing is blocked any more.
pub(super) fn remove() -> Result<(), FirewallError> {
    match (Nftables::remove(), Iptables::remove()) {
        (Ok(_), Ok(_)) => Ok(()),
        // An agent blocks through one of them, so there is nothing in the other, which this host may not even have.
        (Ok(true), Err(error)) => {
            tracing::warn!("ipset and iptables could not be looked at: {error}");
            Ok(())
        }
        (Err(error), Ok(true)) => {
            tracing::warn!("nftables could not be looked at: {error}");
            Ok(())
        }
        (Ok(false), Err(error)) => Err(error.into()),
        (Err(error), _) => Err(error.into()),
    }
}
