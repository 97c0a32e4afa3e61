//! Acting: what a finding asks for, decided by policy, held by the guard, written down, done, and taken back.
//!
//! Each kind of act is a [`Responder`] of its own: one file or folder, and one line where the stage is put together.

mod blocks;
mod denials;
mod desk;
mod facts;
mod folders;
mod guard;
mod kills;
mod ledger;
mod login;
mod quarantine;
mod response;
mod sessions;
#[cfg(test)]
mod tests;

pub use blocks::{BlockIp, Blocker, Blocks, FirewallError, Simulated};
pub use denials::{Denials, Denier, DenyError, Gate, Heard, gatekeeper};
pub use desk::{Desk, Held};
pub use facts::{HostFacts, HostWatch};
pub use guard::Guard;
pub use kills::{Kill, Kills, Signals};
pub use ledger::{Ledger, LedgerError};
pub use login::Login;
pub use quarantine::{Quarantines, Record, Release, Take, Taker, Vault, VaultError};
pub use response::{Response, UndoError};
pub use sessions::Session;

use picket_common::action::{Action, ActionKind};
use picket_common::finding::Finding;
use picket_common::record::Outcome;
use picket_common::time::Timestamp;

/// What an act came to; nothing is done that cannot be written down first.
pub type Done = Result<Vec<Outcome>, LedgerError>;

/// One kind of act, from what asks for it to what became of it.
///
/// It asks the guard right before it acts, claims in the ledger what it is about to do, proves the identity of its target
/// itself, and does nothing twice. In monitor mode it decides the same and does nothing. What holds for a time it lists, ends,
/// puts back and takes back; what is over once it is done has no need of that.
pub trait Responder: Send {
    /// The kind of act.
    fn handles(&self) -> ActionKind;

    /// What it does, for an operator.
    fn describe(&self) -> &'static str;

    /// Takes up what an earlier run did, or was about to do: each action with the time of its claim, the oldest first.
    fn resume(&mut self, live: Vec<(Action, Timestamp)>);

    /// Takes hold of what a finding is about, before any other acts on it.
    fn take_hold(&mut self, _finding: &Finding) {}

    /// Does what a finding asks for, if policy and guard agree.
    fn consider(&mut self, finding: &Finding, desk: &mut Desk, now: Timestamp) -> Done;

    /// Does what an operator asks for, if the guard agrees. The action is one of its kind.
    fn order(&mut self, action: Action, desk: &mut Desk, now: Timestamp) -> Done;

    /// Takes back an action, named by its id or by its target. `None` when it did no such thing.
    fn undo(
        &mut self,
        name: &str,
        desk: &mut Desk,
        now: Timestamp,
    ) -> Option<Result<Vec<Outcome>, UndoError>>;

    /// Lets go of what an operator names by its id or by its target, otherwise than by taking it back. `None` when it holds no
    /// such thing, or knows no other way.
    fn release(
        &mut self,
        _name: &str,
        _way: &Release,
        _desk: &mut Desk,
        _now: Timestamp,
    ) -> Option<Result<Vec<Outcome>, UndoError>> {
        None
    }

    /// What is in force.
    fn held(&self) -> Box<dyn Iterator<Item = &Held> + '_> {
        Box::new(std::iter::empty())
    }

    /// When the next of those ends.
    fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    /// Makes the host what the ledger says; gives what ended meanwhile. With `always` false only if somebody else may have
    /// changed it.
    fn reconcile(&mut self, _desk: &mut Desk, _now: Timestamp, _always: bool) -> Done {
        Ok(Vec::new())
    }

    /// Ends what is over.
    fn expire(&mut self, _desk: &mut Desk, _now: Timestamp) -> Done {
        Ok(Vec::new())
    }

    /// Takes back what hits somebody who is protected by now.
    fn lift_protected(&mut self, _desk: &mut Desk, _now: Timestamp) -> Done {
        Ok(Vec::new())
    }

    /// The clock was set, forward or back: what holds, holds for as long as it was meant to.
    fn clock_was_set(&mut self, _micros: i64) {}

    /// Why it does nothing any more, though it should.
    fn off(&self) -> Option<&str> {
        None
    }

    /// How much went past it since this was last asked, and why.
    fn take_lost(&mut self) -> Option<(u64, String)> {
        None
    }
}
