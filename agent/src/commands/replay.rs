//! `picket replay`: an old log judged by today's rules, on the log's own time.

use super::Failure;
use super::auth_log::AuthLog;
use crate::config::Respond;
use crate::detect::{self, Detector as _, Exception, Loaded, Sources};
use crate::history::LastGood;
use crate::respond::{Guard, HostFacts, Ledger, Login, Response, Simulated};
use clap::Subcommand;
use picket_common::action::Decision;
use picket_common::event::{Event, Payload};
use picket_common::ids::RecordId;
use picket_common::ndjson;
use picket_common::record::Outcome;
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use serde_json::json;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// What to replay.
#[derive(Subcommand)]
pub enum Replay {
    /// An authentication log: syslog in any of its forms, or `journalctl -o json`.
    Auth {
        /// The file to read; `-` is standard input.
        file: String,
        /// Folders of Sigma rules. Of two rules with one id the later counts.
        #[arg(long, value_name = "DIR", default_value = "/usr/share/picket/rules")]
        rules: Vec<PathBuf>,
        /// A folder of exceptions to the rules.
        #[arg(long, value_name = "DIR")]
        exceptions: Option<PathBuf>,
        /// Print each finding as a line of JSON.
        #[arg(long)]
        json: bool,
        /// How many groups (addresses, users) all counting rules keep at once.
        #[arg(long, default_value_t = 100_000)]
        groups: usize,
    },
}

impl Replay {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self::Auth {
            file,
            rules,
            exceptions,
            json,
            groups,
        } = self;
        let loaded = load(&Sources {
            rules: &rules,
            exceptions: exceptions.as_deref(),
            groups,
            before: &[],
        })?;
        let mut sigma = loaded.sigma;
        // As on a host in monitor mode, but nothing is known of the host that the log is of.
        let mut response = Response::new(
            &Respond::default(),
            Guard::new(HostFacts::default(), &[]),
            Ledger::in_memory(),
            Box::new(Simulated),
            |time| time,
        );
        let mut log = AuthLog::open(&file)?;
        let mut output = BufWriter::new(io::stdout().lock());
        let (mut findings, mut last) = (Vec::new(), Timestamp::default());
        let (mut line, mut understood, mut found) = (0_u64, 0_u64, 0_u64);
        while let Some(read) = log.next_line()? {
            line += 1;
            let Some((time, payload)) = read else { continue };
            understood += 1;
            // A line without a time of its own happened when the one before it did.
            let time = time.unwrap_or(last);
            last = time;
            let id = RecordId::derived(time, &[file.as_bytes(), &line.to_le_bytes()]);
            let event = Event {
                id,
                time,
                observed: time,
                payload: Payload::Auth(payload),
            };
            response.expire(time)?;
            if let Some(login) = Login::of(&event) {
                response.observe(&login);
            }
            sigma.inspect(&event, &mut findings);
            found += findings.len() as u64;
            for finding in findings.drain(..) {
                let outcomes = response.consider(&finding, time)?;
                if json {
                    let mut value = json!(finding);
                    if let Some(object) = value.as_object_mut() {
                        object.insert("kind".to_owned(), "finding".into());
                        object.insert("line".to_owned(), line.into());
                    }
                    ndjson::write(&mut output, &value)?;
                } else {
                    let level = json!(finding.severity);
                    let level = level.as_str().unwrap_or_default();
                    writeln!(output, "{} {level:<13} {}", finding.time, Plain(&finding.summary))?;
                }
                for outcome in &outcomes {
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
        sum_up((line, understood, found), log.is_log())
    }
}

/// What it came to: silence alone does not tell a quiet log from one that is no log.
fn sum_up((lines, understood, findings): (u64, u64, u64), is_log: bool) -> Result<(), Failure> {
    writeln!(
        io::stderr(),
        "picket: {lines} lines read, {understood} understood, {findings} findings"
    )?;
    if lines == 0 || is_log {
        Ok(())
    } else {
        Err(Failure::NoLog)
    }
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
