//! Acting: what a finding asks for, decided by policy, held by the guard, written down, done, and taken back.

mod block_ip;
mod facts;
mod firewall;
mod guard;
mod held;
mod ledger;
mod login;
mod policy;
mod response;
mod sessions;
mod simulated;
#[cfg(test)]
mod tests;

pub use block_ip::BlockIp;
pub use facts::{HostFacts, HostWatch};
pub use firewall::FirewallError;
pub use guard::Guard;
pub use held::Block;
pub use ledger::{Ledger, LedgerError};
pub use login::Login;
pub use response::{Response, UndoError};
pub use sessions::Session;
pub use simulated::Simulated;

use picket_common::action::{Action, ActionKind, Decision, Network};
use picket_common::time::Timestamp;
use std::time::Duration;

/// Something that acts.
pub trait Responder: Send {
    /// The kind of act.
    fn handles(&self) -> ActionKind;

    /// What it does, for an operator.
    fn describe(&self) -> &'static str;

    /// What becomes of an action that it carries out: [`Decision::Applied`], or [`Decision::Simulated`] when it changes nothing.
    fn decides(&self) -> Decision;

    /// Does it. Doing it twice is doing it once. It takes the place of what was done to the networks in `replaces`, which lie
    /// inside its own: they end with it, and at no moment does neither hold.
    fn apply(&mut self, action: &Action, replaces: &[Network]) -> Result<(), RespondError>;

    /// Takes it back. What is not there any more is taken back.
    fn undo(&mut self, action: &Action) -> Result<(), RespondError>;

    /// Takes back all that was ever done, also by an earlier run, and what it was done through.
    fn clear(&mut self) -> Result<(), RespondError>;

    /// Makes what holds on the host what is wanted: each network with the time that it has left.
    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), RespondError>;

    /// Whether somebody else may have changed what holds on the host since this was last asked.
    fn is_disturbed(&mut self) -> Result<bool, RespondError>;
}

/// An act did not work.
#[derive(Debug, thiserror::Error)]
pub enum RespondError {
    /// The firewall.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
}

/// What is left of a span that ends at `until`; at least a moment, so that nothing is asked for without an end.
fn left(until: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    until.map(|until| until.since(now).max(Duration::from_millis(1)))
}
