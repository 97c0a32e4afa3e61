//! `picket top`: what the agent costs, and whom it spends that on.

use super::Failure;
use super::blocks::Agent;
use crate::app::control::{Reply, Request};
use crate::app::costs::Report;
use clap::Args;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use std::io::{self, BufWriter, Write};

/// So many rules and executables are shown to people.
const SHOWN: usize = 15;

/// Shows what the running agent costs since it started: how many events, how much processor time, what was lost, and which
/// rules and executables it spends its time on. Times of rules and executables are measured in one of 61 events.
#[derive(Args)]
pub struct Top {
    #[command(flatten)]
    agent: Agent,
}

impl Top {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Reply::Costs(report) = self.agent.ask(&Request::Costs)? else {
            return Err(Failure::Answer);
        };
        let mut output = BufWriter::new(io::stdout().lock());
        if self.agent.is_json() {
            ndjson::write(&mut output, &report)?;
        } else {
            show(&mut output, &report)?;
        }
        Ok(output.flush()?)
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody reads so many digits")]
fn show(output: &mut impl Write, report: &Report) -> io::Result<()> {
    let events = report.events as f64;
    let each = |seconds: f64, times: f64| if times > 0.0 { seconds * 1e6 / times } else { 0.0 };
    writeln!(
        output,
        "events     {} in {:.0} s, {:.1} a second",
        report.events,
        report.seconds,
        events / report.seconds.max(f64::MIN_POSITIVE)
    )?;
    writeln!(
        output,
        "processor  {:.2} s, {:.1} µs an event; of these {:.1} µs to judge it",
        report.processor,
        each(report.processor, events),
        each(report.judging, events)
    )?;
    for (place, lost) in &report.lost {
        writeln!(output, "lost       {lost} at {}", Plain(place))?;
    }
    writeln!(
        output,
        "\n{:>10} {:>8} {:>10} {:>8}  rule",
        "ms", "µs each", "asked", "matches"
    )?;
    for rule in report.rules.iter().take(SHOWN) {
        writeln!(
            output,
            "{:>10.2} {:>8.2} {:>10} {:>8}  {}",
            rule.seconds * 1e3,
            each(rule.seconds, rule.asked as f64),
            rule.asked,
            rule.matches,
            Plain(&rule.title)
        )?;
    }
    writeln!(
        output,
        "\n{:>10} {:>8} {:>10}  executable",
        "ms", "µs each", "events"
    )?;
    for image in report.images.iter().take(SHOWN) {
        let name = if image.image.is_empty() {
            "unknown"
        } else {
            &image.image
        };
        writeln!(
            output,
            "{:>10.2} {:>8.2} {:>10}  {}",
            image.seconds * 1e3,
            each(image.seconds, image.events as f64),
            image.events,
            Plain(name)
        )?;
    }
    Ok(())
}
