//! `picket kill`.

use super::Failure;
use super::blocks::{Agent, act};
use crate::app::control::Request;
use crate::sys::proc::Stat;
use clap::Args;
use picket_common::action::{Scope, Target};
use picket_common::process::ProcessId;

/// Ends a process at once, if the agent's guard agrees. Nobody can undo it.
#[derive(Args)]
pub struct Kill {
    /// Its number.
    pid: u32,
    /// With all that it started.
    #[arg(long, conflicts_with = "session")]
    tree: bool,
    /// With all of the login session that it belongs to.
    #[arg(long)]
    session: bool,
    /// Why, for whoever reads it later.
    #[arg(long, default_value = "by hand")]
    reason: String,
    #[command(flatten)]
    agent: Agent,
}

impl Kill {
    pub(super) fn run(self) -> Result<(), Failure> {
        let pid = self.pid;
        // The one that the operator sees now, should it end before the agent is asked.
        let start = Stat::read(pid)
            .map_err(|_| Failure::NoProcess(pid))?
            .process
            .start;
        let scope = match (self.tree, self.session) {
            (false, false) => Scope::Process,
            (true, _) => Scope::Tree,
            (false, true) => Scope::Session,
        };
        let process = ProcessId { pid, start };
        let request = Request::Act {
            target: Target::Kill { process, scope },
            ttl: None,
            reason: self.reason,
        };
        act(&self.agent, &request)
    }
}
