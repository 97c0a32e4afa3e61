//! Blocks addresses in the firewall.

use super::firewall::{self, Firewall, FirewallError};
use super::{RespondError, Responder};
use crate::config::Respond;
use picket_common::action::{Action, ActionKind, Decision, Network, Target};
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

impl Responder for BlockIp {
    fn handles(&self) -> ActionKind {
        ActionKind::BlockIp
    }

    fn describe(&self) -> &'static str {
        match &self.firewall {
            Some(firewall) => firewall.describe(),
            None => "can block nothing: there is no firewall that it can speak to",
        }
    }

    fn decides(&self) -> Decision {
        Decision::Applied
    }

    fn apply(&mut self, action: &Action, replaces: &[Network]) -> Result<(), RespondError> {
        let Target::BlockIp(network) = action.target;
        Ok(self.firewall()?.block(network, action.ttl, replaces)?)
    }

    fn undo(&mut self, action: &Action) -> Result<(), RespondError> {
        let Target::BlockIp(network) = action.target;
        Ok(self.firewall()?.release(network)?)
    }

    fn clear(&mut self) -> Result<(), RespondError> {
        self.firewall = None;
        Ok(firewall::remove()?)
    }

    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), RespondError> {
        Ok(self.firewall()?.reconcile(wanted)?)
    }

    fn is_disturbed(&mut self) -> Result<bool, RespondError> {
        Ok(self.firewall()?.is_disturbed()?)
    }
}
