//! `picket findings`: the last findings of this host and what came of them.

use super::Failure;
use super::blocks::Agent;
use super::sentence;
use crate::app::control::{Reply, Request};
use clap::Args;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use serde_json::json;
use std::io::{self, Write as _};

/// Lists the last findings that the running agent remembers.
#[derive(Args)]
pub struct Findings {
    /// How many at most, up to 100.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    last: usize,
    #[command(flatten)]
    agent: Agent,
}

impl Findings {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Reply::Findings { stories, lost } = self.agent.ask(&Request::Findings { last: self.last })?
        else {
            return Err(Failure::Answer);
        };
        let mut output = io::stdout().lock();
        for story in &stories {
            let Some(finding) = &story.finding else { continue };
            if self.agent.is_json() {
                let value = json!({ "finding": finding, "outcomes": story.outcomes });
                ndjson::write(&mut output, &value)?;
                continue;
            }
            let level = json!(finding.severity);
            let level = level.as_str().unwrap_or_default();
            let (time, id, summary) = (finding.time, finding.id, Plain(&finding.summary));
            writeln!(output, "{time} {level:<13} {summary}  {id}")?;
            for outcome in &story.outcomes {
                writeln!(output, "{:28}{}", "", Plain(&sentence::of_outcome(outcome)))?;
            }
        }
        if lost > 0 {
            writeln!(
                io::stderr(),
                "picket: {lost} findings and actions came too fast to be kept here; the collector has them"
            )?;
        }
        Ok(())
    }
}
