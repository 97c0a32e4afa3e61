//! The thread that makes events of observations, and findings of events.

use super::actor::Ask;
use super::historian::Note;
use super::keeper::Kept;
use super::rules::Rules;
use crate::config::Keep;
use crate::detect::{Detector as _, Sigma};
use crate::enrich::{Enricher, Inquiries};
use crate::history::{Entry, Recent};
use crate::observation::Observation;
use crate::queue::Sender;
use crate::respond::Login;
use picket_common::event::Event;
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::record::Record;
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::mpsc::Receiver;

/// How many of the events that were sent are remembered.
const SENT: usize = 512;

pub(super) fn judge(
    rules: &Rules,
    observed: &Receiver<Observation>,
    actor: &Sender<Ask>,
    judged: &Sender<Kept>,
    history: &Sender<Note>,
    keep: Keep,
    inquiries: Inquiries,
) {
    let (mut recent, mut sent) = (Recent::default(), Sent::default());
    let mut enricher = Enricher::new(jiff::tz::TimeZone::system(), now()).asking(inquiries);
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
            } else if travels(&event, keep) || !findings.is_empty() {
                sent.note(event.id);
                kept.records.push(Record::Event(event));
            }
            for mut finding in findings.drain(..) {
                finding.detected = now();
                let asked = actor.wait(Ask::Found(Box::new(finding.clone())));
                show(&finding);
                let events = recent.find(&finding.events);
                // Nobody knew then that a finding would rest on them.
                let late = events.iter().filter(|event| !travels(event, keep));
                for event in late.filter(|event| sent.note(event.id)) {
                    kept.records.push(Record::Event(event.clone()));
                }
                let entry = Entry::Finding {
                    events,
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
        for amended in enricher.take_amended() {
            if travels(&amended.event, keep) || sent.holds(amended.event.id) {
                kept.records.push(Record::Amend(amended.record));
            }
        }
        if judged.wait(kept).is_err() {
            return;
        }
    }
}

/// Whether an event goes to the collector although no finding rests on it.
fn travels(event: &Event, keep: Keep) -> bool {
    keep == Keep::All || event.auth().is_some()
}

/// The last events that were sent because a finding rests on them.
#[derive(Default)]
struct Sent(VecDeque<RecordId>);

impl Sent {
    /// Notes one. Whether it is new.
    fn note(&mut self, id: RecordId) -> bool {
        let is_new = !self.holds(id);
        if is_new {
            if self.0.len() >= SENT {
                self.0.pop_front();
            }
            self.0.push_back(id);
        }
        is_new
    }

    fn holds(&self, id: RecordId) -> bool {
        self.0.contains(&id)
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
