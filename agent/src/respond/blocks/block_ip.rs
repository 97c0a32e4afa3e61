//! Blocks addresses in the firewall.

use super::Blocker;
use super::firewall::{self, Firewall, FirewallError};
use crate::config::Respond;
use picket_common::action::{Decision, Network};
use std::time::Duration;

/// Through whichever firewall this host has.
pub struct BlockIp {
    /// `None` until one could be spoken to.
    firewall: Option<Box<dyn Firewall>>,
    settings: Respond,
}

impl BlockIp {
    /// Looks for the firewall. An error says why nothing can be blocked now; it is tried again with each act.
    pub fn open(settings: &Respond) -> (Self, Option<FirewallError>) {
        let mut block_ip = Self {
            firewall: None,
            settings: settings.clone(),
        };
        let error = block_ip.firewall().err();
        (block_ip, error)
    }

    fn firewall(&mut self) -> Result<&mut dyn Firewall, FirewallError> {
        let firewall = match self.firewall.take() {
            Some(firewall) => firewall,
            None => firewall::open(&self.settings)?,
        };
        Ok(self.firewall.insert(firewall).as_mut())
    }
}

impl Blocker for BlockIp {
    fn describe(&self) -> &'static str {
        match &self.firewall {
            Some(firewall) => firewall.describe(),
            None => "can block nothing: there is no firewall that it can speak to",
        }
    }

    fn decides(&self) -> Decision {
        Decision::Applied
    }

    fn block(
        &mut self,
        network: Network,
        ttl: Option<Duration>,
        replaces: &[Network],
    ) -> Result<(), FirewallError> {
        self.firewall()?.block(network, ttl, replaces)
    }

    fn release(&mut self, network: Network) -> Result<(), FirewallError> {
        self.firewall()?.release(network)
    }

    fn clear(&mut self) -> Result<(), FirewallError> {
        self.firewall = None;
        firewall::remove()
    }

    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), FirewallError> {
        self.firewall()?.reconcile(wanted)
    }

    fn is_disturbed(&mut self) -> Result<bool, FirewallError> {
        self.firewall()?.is_disturbed()
    }
}
