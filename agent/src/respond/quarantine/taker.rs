//! What takes files away, or only says so.

use super::subject::Subject;
use super::vault::{Vault, VaultError};
use crate::respond::blocks::Simulated;
use picket_common::action::{Action, Decision};

/// See the module.
pub trait Taker: Send {
    /// What it does, for an operator.
    fn describe(&self) -> &'static str;

    /// What becomes of a quarantine: [`Decision::Applied`], or [`Decision::Simulated`] when nothing is taken.
    fn decides(&self) -> Decision;

    /// Takes away a file that policy and guard have agreed on.
    fn take(&self, vault: &Vault, subject: &Subject, action: &Action) -> Result<(), VaultError>;
}

/// Takes files away.
#[derive(Debug, Default)]
pub struct Take;

impl Taker for Take {
    fn describe(&self) -> &'static str {
        "puts files into quarantine"
    }

    fn decides(&self) -> Decision {
        Decision::Applied
    }

    fn take(&self, vault: &Vault, subject: &Subject, action: &Action) -> Result<(), VaultError> {
        vault.put(subject, action).map(drop)
    }
}

impl Taker for Simulated {
    fn describe(&self) -> &'static str {
        "reports which files it would put into quarantine and puts none there"
    }

    fn decides(&self) -> Decision {
        Decision::Simulated
    }

    fn take(&self, _: &Vault, _: &Subject, _: &Action) -> Result<(), VaultError> {
        Ok(())
    }
}
