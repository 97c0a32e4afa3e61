//! A finding or an action as a short story: when, what and why, the events behind it, and what was done.

use super::explain::{Shown, show_exceptions};
use super::{Failure, program, sentence};
use crate::detect::About;
use crate::history::Story;
use picket_common::action::Decision;
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::record::Outcome;
use picket_common::terminal::Plain;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;

/// Writes the story; `about` is its rule, as it is today.
pub(super) fn show(
    output: &mut impl Write,
    story: &Story,
    about: Option<&About>,
    exceptions: &[Shown<'_>],
) -> Result<(), Failure> {
    match &story.finding {
        Some(finding) => {
            show_finding(output, finding, about)?;
            show_program(output, story, finding)?;
            show_events(output, story, finding)?;
        }
        None => {
            if let Some(first) = story.outcomes.first() {
                let (target, reason) = (&first.action.target, &first.action.reason);
                let text = match first.action.finding {
                    Some(finding) => {
                        format!("done for the finding {finding}, which is forgotten here: {reason}")
                    }
                    None => format!("asked for by an operator: {reason}"),
                };
                writeln!(output, "{} {target}", target.kind().as_str())?;
                writeln!(output, "  {:<14}{}", "why", Plain(&text))?;
            }
        }
    }
    show_outcomes(output, story)?;
    match story.finding {
        Some(_) => show_exceptions(output, exceptions),
        None => Ok(()),
    }
}

fn show_finding(output: &mut impl Write, finding: &Finding, about: Option<&About>) -> Result<(), Failure> {
    writeln!(output, "{}", Plain(&finding.summary))?;
    let mut line = |name: &str, text: &str| writeln!(output, "  {name:<14}{}", Plain(text));
    line("finding", &finding.id.to_string())?;
    line("severity", json!(finding.severity).as_str().unwrap_or_default())?;
    let late = finding.detected.since(finding.time);
    line("when", &format!("{}, judged {late:.1?} later", finding.time))?;
    line(
        "rule",
        &format!("\"{}\", {}", finding.rule.title, finding.rule.id),
    )?;
    match about {
        Some(about) => {
            let (description, counts) = (&about.description, &about.counts);
            for text in [description, counts].into_iter().flatten() {
                line("why", text.trim())?;
            }
        }
        None => match finding.rule.id.strip_prefix("yara:") {
            // Only the process that looks into files knows these rules.
            Some(rule) => line("why", &format!("what it holds matches the YARA rule {rule}"))?,
            // It is about Picket itself: no rule made it, and its first line says all.
            None if finding.rule.id.starts_with("picket-") => {}
            None => line("why", "the rule is not there any more")?,
        },
    }
    if !finding.rule.attack.is_empty() {
        line("ATT&CK", &finding.rule.attack.join(", "))?;
    }
    for (name, value) in &finding.group {
        line("group", &format!("{name} {value}"))?;
    }
    if let Some(count) = finding.count {
        line("counted", &count.to_string())?;
    }
    Ok(())
}

/// Of the program that completed it: what it is, who started it, and through which login.
fn show_program(output: &mut impl Write, story: &Story, finding: &Finding) -> Result<(), Failure> {
    let last = story
        .events
        .iter()
        .rev()
        .find(|event| finding.events.last() == Some(&event.id));
    for (name, text) in last.into_iter().flat_map(program::lines) {
        writeln!(output, "  {name:<14}{}", Plain(&text))?;
    }
    Ok(())
}

fn show_events(output: &mut impl Write, story: &Story, finding: &Finding) -> Result<(), Failure> {
    for event in &story.events {
        let text = sentence::of_event(event);
        writeln!(output, "  {:<14}{} {}", "event", event.time, Plain(&text))?;
    }
    let gone = finding.events.len().saturating_sub(story.events.len());
    if gone > 0 {
        writeln!(
            output,
            "  {:<14}{gone} more, which only the collector still has",
            "event"
        )?;
    }
    Ok(())
}

fn show_outcomes(output: &mut impl Write, story: &Story) -> Result<(), Failure> {
    let suggests = story.finding.as_ref().map(|finding| &finding.suggests);
    if story.outcomes.is_empty() {
        let text = match suggests {
            Some(suggests) if !suggests.is_empty() => {
                "nothing new: what the rule suggests was in force already"
            }
            _ => "nothing: the rule suggests no response",
        };
        writeln!(output, "  {:<14}{text}", "response")?;
    }
    for outcome in &story.outcomes {
        let text = sentence::of_outcome(outcome);
        writeln!(output, "  {:<14}{} {}", "response", outcome.time, Plain(&text))?;
    }
    if let Some(finding) = &story.finding {
        let is_done =
            |outcome: &&Outcome| matches!(outcome.decision, Decision::Applied | Decision::Simulated);
        if let Some(first) = story.outcomes.iter().find(is_done) {
            let (seen, late) = (first.time.since(finding.time), first.time.since(finding.detected));
            writeln!(
                output,
                "  {:<14}{late:.1?} after the finding, {seen:.1?} after the event",
                "it took"
            )?;
        }
    }
    for id in in_force(&story.outcomes) {
        writeln!(output, "  {:<14}picket undo {id}", "take it back")?;
    }
    Ok(())
}

/// The actions that were done, or would have been, and did not end.
fn in_force(outcomes: &[Outcome]) -> BTreeSet<RecordId> {
    let mut live = BTreeSet::new();
    for outcome in outcomes
        .iter()
        .filter(|outcome| outcome.action.target.kind().lasts())
    {
        match outcome.decision {
            Decision::Applied | Decision::Simulated => drop(live.insert(outcome.action.id)),
            Decision::Undone | Decision::Expired => drop(live.remove(&outcome.action.id)),
            Decision::Refused { .. } | Decision::Failed { .. } => {}
        }
    }
    live
}
