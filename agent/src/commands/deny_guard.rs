//! `picket deny-guard`: see [`crate::respond::gatekeeper`].

use super::Failure;
use crate::respond::gatekeeper;
use clap::Args;
use std::io;
use std::os::fd::AsFd as _;

/// Answers for programs that start. Standard input says what is denied, standard output what came of it.
#[derive(Args)]
pub struct DenyGuard {}

impl DenyGuard {
    pub(super) fn run(self) -> Result<(), Failure> {
        let wanted = io::stdin().as_fd().try_clone_to_owned()?;
        let said = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(gatekeeper(wanted, said)?)
    }
}
