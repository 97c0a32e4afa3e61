//! `picket-collector agents`.

use super::{Data, Failure};
use crate::registry::Registry;
use clap::Args;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use std::io::{self, Write as _};

/// Shows the hosts that were let in.
#[derive(Args)]
pub struct Agents {
    #[command(flatten)]
    data: Data,
    /// Shut this agent out, at once and for good.
    #[arg(long, value_name = "ID")]
    revoke: Option<String>,
    /// A line of JSON for each.
    #[arg(long)]
    json: bool,
}

impl Agents {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut registry = Registry::open(&self.data.data)?;
        if let Some(id) = &self.revoke {
            return Ok(registry.revoke_agent(id)?);
        }
        let mut output = io::stdout().lock();
        for agent in registry.agents()? {
            if self.json {
                ndjson::write(&mut output, &agent)?;
                continue;
            }
            let state = match (agent.revoked, agent.seen) {
                (Some(time), _) => format!("revoked {time}"),
                (None, Some(time)) => format!("seen {time}"),
                (None, None) => "never seen".to_owned(),
            };
            // A host says itself what it is called.
            let host = Plain(&agent.host).to_string();
            writeln!(output, "{}  {host:<24} {state}", agent.id)?;
        }
        Ok(())
    }
}
