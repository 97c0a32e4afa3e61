//! `picket courier`: see [`crate::send`].

use super::Failure;
use crate::{send, sys};
use clap::Args;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

/// Carries the spool to the collector. Standard input is one end of a pair of sockets.
#[derive(Args)]
pub struct Courier {
    #[arg(long)]
    spool: PathBuf,
}

impl Courier {
    pub(super) fn run(self) -> Result<(), Failure> {
        sys::keep_small();
        let agent = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(send::courier(agent, &self.spool)?)
    }
}
