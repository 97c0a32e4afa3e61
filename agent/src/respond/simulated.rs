//! Monitor mode: everything is decided, nothing is done, and what an earlier run did can be taken back.

use super::{RespondError, Responder, firewall};
use picket_common::action::{Action, ActionKind, Decision, Network};
use std::time::Duration;

/// Does nothing.
#[derive(Debug, Default)]
pub struct Simulated;

impl Responder for Simulated {
    fn handles(&self) -> ActionKind {
        ActionKind::BlockIp
    }

    fn describe(&self) -> &'static str {
        "reports what it would block and blocks nothing"
    }

    fn decides(&self) -> Decision {
        Decision::Simulated
    }

    fn apply(&mut self, _action: &Action, _replaces: &[Network]) -> Result<(), RespondError> {
        Ok(())
    }

    fn undo(&mut self, _action: &Action) -> Result<(), RespondError> {
        Ok(())
    }

    fn clear(&mut self) -> Result<(), RespondError> {
        Ok(firewall::remove()?)
    }

    fn reconcile(&mut self, _wanted: &[(Network, Option<Duration>)]) -> Result<(), RespondError> {
        Ok(())
    }

    fn is_disturbed(&mut self) -> Result<bool, RespondError> {
        Ok(false)
    }
}
