//! Monitor mode: everything is decided, nothing is done, and what an earlier run did can be taken back.

use super::{Blocker, FirewallError, firewall};
use picket_common::action::{Decision, Network};
use std::time::Duration;

/// Blocks nothing.
#[derive(Debug, Default)]
pub struct Simulated;

impl Blocker for Simulated {
    fn describe(&self) -> &'static str {
        "reports what it would block and blocks nothing"
    }

    fn decides(&self) -> Decision {
        Decision::Simulated
    }

    fn block(&mut self, _: Network, _: Option<Duration>, _: &[Network]) -> Result<(), FirewallError> {
        Ok(())
    }

    fn release(&mut self, _: Network) -> Result<(), FirewallError> {
        Ok(())
    }

    fn clear(&mut self) -> Result<(), FirewallError> {
        firewall::remove()
    }

    fn reconcile(&mut self, _: &[(Network, Option<Duration>)]) -> Result<(), FirewallError> {
        Ok(())
    }

    fn is_disturbed(&mut self) -> Result<bool, FirewallError> {
        Ok(false)
    }
}
