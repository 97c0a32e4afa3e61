//! A record on a terminal.

use super::Failure;
use crate::registry::Registry;
use crate::store::Row;
use picket_common::action::Decision;
use picket_common::ndjson;
use picket_common::record::Record;
use picket_common::terminal::Plain;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Prints records with the names of their hosts.
pub(super) struct Printer {
    hosts: BTreeMap<String, String>,
    json: bool,
}

impl Printer {
    pub(super) fn new(folder: &Path, json: bool) -> Result<Self, Failure> {
        let agents = Registry::open(folder)?.agents()?;
        Ok(Self {
            hosts: agents.into_iter().map(|agent| (agent.id, agent.host)).collect(),
            json,
        })
    }

    pub(super) fn print(&self, output: &mut impl Write, row: &Row) -> Result<(), Failure> {
        let host = self.hosts.get(&row.agent).unwrap_or(&row.agent);
        if self.json {
            let mut value = json!(row.record);
            if let Some(object) = value.as_object_mut() {
                object.insert("agent".to_owned(), row.agent.as_str().into());
                object.insert("host".to_owned(), host.as_str().into());
                object.insert("received".to_owned(), json!(row.received));
            }
            ndjson::write(output, &value)?;
        } else {
            writeln!(output, "{}  {}", Plain(host), Plain(&sentence(&row.record)))?;
        }
        Ok(())
    }
}

fn sentence(record: &Record) -> String {
    match record {
        Record::Event(event) => format!("{} event {}", event.time, json!(event.payload)),
        Record::Finding(finding) => {
            let level = json!(finding.severity);
            format!(
                "{} {} {}",
                finding.time,
                level.as_str().unwrap_or_default(),
                finding.summary
            )
        }
        Record::Outcome(outcome) => {
            let (kind, target) = (outcome.action.target.kind().as_str(), &outcome.action.target);
            let what = match &outcome.decision {
                Decision::Applied => format!("done: {}", outcome.action.reason),
                Decision::Simulated => format!("would be done in enforce mode: {}", outcome.action.reason),
                Decision::Refused { because } => format!("refused: {because}"),
                Decision::Failed { because } => format!("failed: {because}"),
                Decision::Undone => "undone".to_owned(),
                Decision::Expired => "its time is over".to_owned(),
            };
            format!("{} {kind} {target} {what}", outcome.time)
        }
        Record::Amend(amend) => {
            let sha256 = amend.sha256.as_deref().unwrap_or("unknown");
            format!("{} of event {}: SHA-256 {sha256}", amend.time, amend.event)
        }
        Record::Gap(gap) => format!("{} lost {} at {}: {}", gap.time, gap.lost, gap.place, gap.reason),
    }
}
