//! The thread that makes events of observations, and findings of events.

use super::actor::Ask;
use super::historian::Note;
use super::keeper::Kept;
use super::rules::Rules;
use crate::detect::{Detector as _, Sigma};
use crate::enrich::Enricher;
use crate::history::{Entry, Recent};
use crate::observation::Observation;
use crate::queue::Sender;
use crate::respond::Login;
use picket_common::finding::Finding;
use picket_common::record::Record;
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use std::io::{self, Write as _};
use std::sync::mpsc::Receiver;

pub(super) fn judge(
    rules: &Rules,
    observed: &Receiver<Observation>,
    actor: &Sender<Ask>,
    judged: &Sender<Kept>,
    history: &Sender<Note>,
) {
    let mut recent = Recent::default();
    let mut enricher = Enricher::new(jiff::tz::TimeZone::system(), now());
    let (mut sigma, mut findings): (Option<Sigma>, _) = (None, Vec::new());
    let mut events = Vec::new();
    for seen in observed {
        if let Some(mut fresh) = rules.take() {
            if let Some(old) = sigma.take() {
                fresh.go_on_from(old);
            }
            sigma = Some(fresh);
        }
        let cursor = seen.origin.cursor.clone().filter(|_| !seen.again);
        let mut kept = Kept {
            records: Vec::new(),
            cursor: cursor.map(|cursor| (seen.origin.source.clone(), cursor)),
        };
        let again = seen.again;
        enricher.enrich(seen, &mut events);
        for event in events.drain(..) {
            if let Some(sigma) = &mut sigma {
                if sigma.concerns(&event) {
                    recent.keep(&event);
                }
                sigma.inspect(&event, &mut findings);
            }
            // The guard learns who logs in before it is asked about a finding, also from what is read again.
            let learnt = match Login::of(&event) {
                Some(login) => actor.wait(Ask::Seen(login)),
                None => Ok(()),
            };
            if again {
                // What it says was said before.
                findings.clear();
            } else {
                kept.records.push(Record::Event(event));
            }
            for mut finding in findings.drain(..) {
                finding.detected = now();
                let asked = actor.wait(Ask::Found(Box::new(finding.clone())));
                show(&finding);
                let entry = Entry::Finding {
                    events: recent.find(&finding.events),
                    finding: finding.clone(),
                };
                // A closed queue means that the agent is ending.
                let _ = history.offer(Note::Keep(Box::new(entry)));
                kept.records.push(Record::Finding(finding));
                if asked.is_err() {
                    return;
                }
            }
            if learnt.is_err() {
                return;
            }
        }
        if judged.wait(kept).is_err() {
            return;
        }
    }
}

fn show(finding: &Finding) {
    let level = serde_json::json!(finding.severity);
    let level = level.as_str().unwrap_or_default();
    let line = writeln!(
        io::stdout(),
        "{} {level:<13} {}",
        finding.time,
        Plain(&finding.summary)
    );
    // Nobody has to look; the finding is on its way to the spool.
    drop(line);
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}
