//! `picket seen`: whether this host has ever seen something, when, how often, and in which kind of event.

use super::Failure;
use super::blocks::Agent;
use crate::app::control::{Reply, Request};
use crate::history::Shown;
use clap::Args;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use std::io::{self, Write as _};

/// Tells when this host has seen something first and last, how often, in which kinds of event, and with whom.
#[derive(Args)]
pub struct Seen {
    /// A digest (SHA-256, SHA-1, MD5), an address or a network, a domain (and what is under it), a path, or the name of a file.
    value: String,
    #[command(flatten)]
    agent: Agent,
}

impl Seen {
    pub(super) fn run(self) -> Result<(), Failure> {
        let value = self.value.clone();
        let Reply::Seen(remembered) = self.agent.ask(&Request::Seen { value })? else {
            return Err(Failure::Answer);
        };
        let mut output = io::stdout().lock();
        if self.agent.is_json() {
            for seen in &remembered.seen {
                ndjson::write(&mut output, seen)?;
            }
            return Ok(());
        }
        if remembered.seen.is_empty() {
            let (value, since) = (Plain(&self.value), remembered.since);
            writeln!(
                output,
                "{value}: not seen since {since}, which is how far back it is known"
            )?;
        }
        for seen in &remembered.seen {
            let events: Vec<&str> = seen.events.iter().copied().map(Shown::as_str).collect();
            let with = seen
                .with
                .as_ref()
                .map_or_else(String::new, |with| format!(", with {with}"));
            let listed = if seen.listed { "; a list names it" } else { "" };
            let times = match seen.count {
                1 => format!("once, at {}", seen.last),
                count => format!("{count} times, from {} to {}", seen.first, seen.last),
            };
            let line = format!(
                "{}: {times}, in {}{with}{listed}",
                seen.value,
                events.join(" and ")
            );
            writeln!(output, "{}", Plain(&line))?;
        }
        Ok(())
    }
}
