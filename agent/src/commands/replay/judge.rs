//! The one loop that judges what any kind of history tells.

use super::super::Failure;
use super::Options;
use crate::config::Respond;
use crate::detect::{self, Detector as _, Exception, Findings, Loaded, Sources};
use crate::history::LastGood;
use crate::respond::{Blocks, Guard, HostFacts, Kills, Ledger, Login, Quarantines, Response, Simulated};
use picket_common::action::Decision;
use picket_common::ecs;
use picket_common::event::{Event, Payload};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::ndjson;
use picket_common::record::Outcome;
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use serde_json::json;
use std::io::{self, BufWriter, Write};

/// So much of a command line is shown to people.
const SHOWN: usize = 400;

/// What was read next.
pub(super) struct Read {
    /// Where it stands, from 1; no two events have the same.
    pub(super) line: u64,
    /// When it happened, where that is said.
    pub(super) time: Option<Timestamp>,
    pub(super) payload: Payload,
}

/// How much was judged.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) events: u64,
    pub(super) findings: u64,
}

/// Judges everything that `next` gives and prints what is found, and what would be done.
pub(super) fn judge(
    file: &str,
    options: &Options,
    mut next: impl FnMut() -> Result<Option<Read>, Failure>,
) -> Result<Tally, Failure> {
    let (json, groups) = (options.json, options.groups);
    let loaded = load(&Sources {
        rules: &options.rules,
        exceptions: options.exceptions.as_deref(),
        groups,
        indicators: None,
        indicators_before: Default::default(),
        before: &[],
    })?;
    let mut sigma = loaded.sigma;
    // As on a host in monitor mode, but nothing is known of the host that the log is of.
    let settings = Respond::default();
    let blocks = Blocks::new(&settings, Box::new(Simulated));
    let kills = Kills::new(&settings, Box::new(Simulated));
    let quarantines = Quarantines::new(&settings, &[], Box::new(Simulated));
    let mut response = Response::new(
        Guard::new(HostFacts::default(), &[]),
        Ledger::in_memory(),
        vec![Box::new(blocks), Box::new(kills), Box::new(quarantines)],
        |time| time,
    );
    let mut output = BufWriter::new(io::stdout().lock());
    let (mut findings, mut last) = (Findings::default(), Timestamp::default());
    let mut tally = Tally::default();
    while let Some(Read { line, time, payload }) = next()? {
        tally.events += 1;
        // What has no time of its own happened when the one before it did.
        let time = time.unwrap_or(last);
        last = time;
        let event = Event {
            id: RecordId::derived(time, &[file.as_bytes(), &line.to_le_bytes()]),
            time,
            observed: time,
            payload,
        };
        response.expire(time)?;
        if let Some(login) = Login::of(&event) {
            response.observe(&login);
        }
        sigma.inspect(&event, &mut findings);
        tally.findings += findings.found.len() as u64;
        for finding in findings.found.drain(..) {
            tell(&mut output, &finding, &event.payload, line, json)?;
            for outcome in &response.consider(&finding, time)? {
                show(&mut output, outcome, line, json)?;
            }
        }
    }
    held_back(&mut output, &loaded.exceptions, json)?;
    output.flush()?;
    let counters = sigma.counters();
    if counters.evicted > 0 {
        writeln!(
            io::stderr(),
            "picket: {} groups had to make room for others; --groups {groups} is too few to count all of them",
            counters.evicted
        )?;
    }
    Ok(tally)
}

/// Prints a finding; one about a program with its command line, as nobody else can tell it later.
fn tell(
    output: &mut impl Write,
    finding: &Finding,
    payload: &Payload,
    line: u64,
    json: bool,
) -> Result<(), Failure> {
    if json {
        let mut value = json!(finding);
        if let Some(object) = value.as_object_mut() {
            object.insert("kind".to_owned(), "finding".into());
            object.insert("line".to_owned(), line.into());
            if !matches!(payload, Payload::Auth(_))
                && let Some(process) = ecs::event(payload, None).get_mut("process")
            {
                object.insert("process".to_owned(), process.take());
            }
        }
        ndjson::write(output, &value)?;
    } else {
        let level = json!(finding.severity);
        let level = level.as_str().unwrap_or_default();
        writeln!(output, "{} {level:<13} {}", finding.time, Plain(&finding.summary))?;
        if let Payload::Exec(exec) = payload {
            let mut command_line = exec.command_line();
            let longer = command_line.len() > SHOWN;
            command_line.truncate(command_line.floor_char_boundary(SHOWN));
            let end = if longer { " …" } else { "" };
            writeln!(output, "{:28}{}{end}", "", Plain(&command_line))?;
        }
    }
    Ok(())
}

fn show(output: &mut impl Write, outcome: &Outcome, line: u64, json: bool) -> Result<(), Failure> {
    let (kind, target) = (outcome.action.target.kind().as_str(), &outcome.action.target);
    let (decision, reason) = match &outcome.decision {
        Decision::Simulated => ("simulated", &outcome.action.reason),
        Decision::Refused { because } => ("refused", because),
        // A narrower block that a wider one takes the place of.
        _ => return Ok(()),
    };
    if json {
        let value = json!({
            "kind": "action",
            "action": kind,
            "target": target.to_string(),
            "decision": decision,
            "reason": reason,
            "ttl": outcome.action.ttl.map(|ttl| ttl.as_secs()),
            "time": outcome.time,
            "finding": outcome.action.finding,
            "line": line,
        });
        ndjson::write(output, &value)?;
    } else {
        writeln!(
            output,
            "{} {:<13} {kind} {target} {decision}: {}",
            outcome.time,
            "action",
            Plain(reason)
        )?;
    }
    Ok(())
}

/// The rules of all folders and their exceptions; what is wrong in them is named, and the rest is used.
fn load(sources: &Sources<'_>) -> Result<Loaded, Failure> {
    // Today's files as they are: what an agent would go on with is no part of a replay.
    let loaded = detect::load(sources, &mut LastGood::default(), Timestamp::default());
    for problem in &loaded.problems {
        writeln!(io::stderr(), "picket: {}", Plain(&problem.to_string()))?;
    }
    if loaded.sigma.rules() == 0 {
        Err(Failure::NoRules)
    } else {
        Ok(loaded)
    }
}

/// How often each exception held something back.
fn held_back(output: &mut impl Write, exceptions: &[Exception], json: bool) -> Result<(), Failure> {
    for exception in exceptions.iter().filter(|exception| exception.held_back() > 0) {
        let (file, count) = (exception.file.display().to_string(), exception.held_back());
        if json {
            let value = json!({
                "kind": "exception",
                "file": file,
                "line": exception.at.0,
                "rule": exception.rule,
                "reason": exception.reason,
                "held_back": count,
            });
            ndjson::write(output, &value)?;
        } else {
            let text = format!(
                "{file}:{} \"{}\": {}",
                exception.at.0, exception.rule, exception.reason
            );
            writeln!(
                io::stderr(),
                "picket: held back {count} times by {}",
                Plain(&text)
            )?;
        }
    }
    Ok(())
}
