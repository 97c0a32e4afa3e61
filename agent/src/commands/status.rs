//! `picket status`.

use super::Failure;
use super::blocks::Agent;
use crate::app::control::{Reply, Request};
use clap::Args;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use std::io::{self, Write as _};

/// Shows how the running agent is.
#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    agent: Agent,
}

impl Status {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Reply::Status(report) = self.agent.ask(&Request::Status)? else {
            return Err(Failure::Answer);
        };
        let mut output = io::stdout().lock();
        if self.agent.is_json() {
            return Ok(ndjson::write(&mut output, &report)?);
        }
        writeln!(
            output,
            "picket {} in {} mode since {}",
            report.version, report.mode, report.started
        )?;
        writeln!(output, "acting     {}", Plain(&report.acting))?;
        for watched in &report.watching {
            writeln!(output, "watching   {}", Plain(watched))?;
        }
        for (name, lane) in [("findings", report.findings), ("events", report.events)] {
            writeln!(
                output,
                "{name:<10} {} not yet at the collector, {} bytes on disk",
                lane.records, lane.bytes
            )?;
        }
        let rules = &report.rules;
        writeln!(
            output,
            "rules      {} and {} exceptions in force, {} problems",
            rules.rules, rules.exceptions, rules.problems
        )?;
        if rules.indicators > 0 {
            writeln!(output, "indicators {} in force", rules.indicators)?;
        }
        for problem in &rules.named {
            writeln!(output, "problem    {}", Plain(problem))?;
        }
        if rules.problems > rules.named.len() {
            writeln!(output, "problem    more; `picket check` names them all")?;
        }
        for held in &rules.held_back {
            let place = format!("{}:{}", held.file.display(), held.line);
            writeln!(
                output,
                "exception  {} held back {} times what \"{}\" looks for",
                Plain(&place),
                held.times,
                Plain(&held.rule)
            )?;
        }
        if let Some(files) = &report.scanned {
            writeln!(
                output,
                "files      {} wait to be scanned, {} were, {} of them in part, {} could not be",
                files.waiting + files.held,
                files.scanned + files.known,
                files.partial,
                files.unscanned + files.refused
            )?;
        }
        let remembered = &report.remembered;
        let (bytes, lost) = (remembered.bytes / 1024, remembered.lost);
        writeln!(
            output,
            "history    {bytes} KiB of what was seen here, {lost} things found no room"
        )?;
        if let Some(trouble) = &remembered.trouble {
            writeln!(output, "trouble    {}", Plain(trouble))?;
        }
        let last = report
            .acknowledged
            .map_or("nothing yet".to_owned(), |time| time.to_string());
        writeln!(output, "collector  last acknowledged: {last}")?;
        if report.lost > 0 {
            writeln!(output, "lost       {} records since it started", report.lost)?;
        }
        if let Some(trouble) = &report.trouble {
            writeln!(output, "trouble    {}", Plain(trouble))?;
        }
        Ok(())
    }
}
