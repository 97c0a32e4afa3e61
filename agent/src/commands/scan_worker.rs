//! `picket scan-worker`: see [`crate::scan`].

use super::Failure;
use crate::scan;
use clap::Args;
use std::io;
use std::os::fd::AsFd as _;

/// Looks into files that the agent hands over. Standard input is one end of a pair of sockets.
#[derive(Args)]
pub struct ScanWorker {}

impl ScanWorker {
    pub(super) fn run(self) -> Result<(), Failure> {
        let agent = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(scan::worker(agent)?)
    }
}
