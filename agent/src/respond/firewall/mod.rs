//! What can drop packets on this host.

mod nftables;

use crate::sys::nft::NftError;
use nftables::Nftables;
use picket_common::action::Network;
use std::time::Duration;

/// Something that drops packets by where they come from.
pub(super) trait Firewall: Send {
    /// What it is, for an operator.
    fn describe(&self) -> &'static str;

    /// Drops what comes from a network from now on, for as long as `ttl` says (`None`: until released). A time that was set
    /// before is replaced.
    fn block(&mut self, network: Network, ttl: Option<Duration>) -> Result<(), FirewallError>;

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
}

/// The firewall of this host.
pub(super) fn open() -> Result<Box<dyn Firewall>, FirewallError> {
    Ok(Box::new(Nftables::open()?))
}
