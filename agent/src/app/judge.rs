//! The thread that makes events of observations, and findings of events.

use super::actor::Ask;
use super::costs::{Costs, watch};
use super::historian::Note;
use super::keeper::Kept;
use super::mask::Mask;
use super::rules::Rules;
use crate::config::{Keep, Settings};
use crate::detect::{Detector as _, Findings, Hashes, Sigma, Yara};
use crate::enrich::{Amended, Enricher};
use crate::history::{Entry, Recent};
use crate::observation::Observation;
use crate::queue::Sender;
use crate::respond::Login;
use picket_common::event::{Event, Payload};
use picket_common::finding::Finding;
use picket_common::record::Record;
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use std::io::{self, Write as _};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};

/// Where to what was judged goes.
pub(super) struct Ways {
    pub(super) actor: Sender<Ask>,
    pub(super) keeper: Sender<Kept>,
    pub(super) historian: Sender<Note>,
}

/// The agent is ending: a queue is closed.
struct Ending;

pub(super) fn judge(
    rules: &Rules,
    settings: &Settings,
    observed: &Receiver<Observation>,
    enricher: &Mutex<Enricher>,
    costs: &Costs,
    ways: Ways,
) {
    let mut judge = Judge {
        sigma: None,
        hashes: Hashes::default(),
        yara: Yara::default(),
        recent: Recent::default(),
        findings: Findings::default(),
        mask: Mask::new(&settings.process.mask),
        keep: settings.process.keep,
        keep_files: settings.files.keep,
        ways,
    };
    let mut events = Vec::new();
    for seen in observed {
        if let Some((mut fresh, hashes)) = rules.take() {
            if let Some(old) = judge.sigma.take() {
                fresh.go_on_from(old);
            }
            (judge.sigma, judge.hashes) = (Some(fresh), hashes);
        }
        let cursor = seen.origin.cursor.clone().filter(|_| !seen.again);
        let mut kept = Kept {
            records: Vec::new(),
            cursor: cursor.map(|cursor| (seen.origin.source.clone(), cursor)),
        };
        let again = seen.again;
        let amended = {
            // Whoever asks for the processes waits for no more than one observation.
            let mut enricher = enricher.lock().unwrap_or_else(PoisonError::into_inner);
            enricher.enrich(seen, &mut events);
            enricher.take_amended()
        };
        for event in events.drain(..) {
            let measured = costs.count(&event);
            if let (Some(sigma), Some(_)) = (&mut judge.sigma, &measured) {
                sigma.measure(Some(watch));
            }
            if judge.event(event, again, &mut kept.records).is_err() {
                return;
            }
            if let Some(measured) = measured {
                costs.add(&measured);
                judge.sigma.iter_mut().for_each(|sigma| sigma.measure(None));
            }
        }
        for amended in amended {
            if judge.amended(amended, &mut kept.records).is_err() {
                return;
            }
        }
        if kept.records.is_empty() && kept.cursor.is_none() {
            continue;
        }
        if judge.ways.keeper.wait(kept).is_err() {
            return;
        }
    }
}

struct Judge {
    sigma: Option<Sigma>,
    hashes: Hashes,
    yara: Yara,
    recent: Recent,
    findings: Findings,
    mask: Mask,
    /// Which events about processes travel.
    keep: Keep,
    /// Which events about files travel.
    keep_files: Keep,
    ways: Ways,
}

impl Judge {
    /// Whether an event goes to the collector although no finding rests on it.
    fn travels(&self, event: &Event) -> bool {
        match event.payload {
            Payload::Auth(_) => true,
            Payload::File(_) => self.keep_files == Keep::All,
            _ => self.keep == Keep::All,
        }
    }

    /// Judges an event, and adds what travels to the collector of it.
    fn event(&mut self, event: Event, again: bool, records: &mut Vec<Record>) -> Result<(), Ending> {
        self.findings.counted = false;
        if let Some(sigma) = &mut self.sigma {
            sigma.inspect(&event, &mut self.findings);
        }
        self.hashes.inspect(&event, &mut self.findings);
        self.yara.inspect(&event, &mut self.findings);
        // The guard learns who logs in before it is asked about a finding, also from what is read again.
        if let Some(login) = Login::of(&event) {
            self.ways.actor.wait(Ask::Seen(login)).map_err(|_| Ending)?;
        }
        if again {
            // What it says was said before.
            self.findings.found.clear();
        }
        self.conclude(event, again, records)
    }

    /// Judges an event of which the hash became known by that alone, and adds what travels.
    fn amended(&mut self, amended: Amended, records: &mut Vec<Record>) -> Result<(), Ending> {
        let Amended { event, record } = amended;
        self.findings.counted = false;
        self.hashes.inspect(&event, &mut self.findings);
        let found = !self.findings.found.is_empty();
        let sent = self.travels(&event) || self.recent.is_sent(event.id);
        if sent {
            records.push(Record::Amend(record));
        }
        if found {
            self.conclude(event, sent, records)?;
        }
        Ok(())
    }

    /// Adds what travels of an event and of what was found in it. `sent`: the event itself was before.
    fn conclude(&mut self, mut event: Event, sent: bool, records: &mut Vec<Record>) -> Result<(), Ending> {
        let travels = self.travels(&event);
        let found = !self.findings.found.is_empty();
        // No other event can be behind a finding.
        let remembered = self.findings.counted || found;
        if remembered || travels {
            self.mask.event(&mut event);
        }
        if remembered {
            self.recent.keep(&event, travels || found);
        }
        // Whoever asks for the story wants to know all of the event that completed it.
        let last = found.then(|| Recent::long(&event));
        if !sent && (travels || found) {
            records.push(Record::Event(event));
        }
        for mut finding in std::mem::take(&mut self.findings.found) {
            let earlier = self.recent.unsent(&finding.events);
            records.extend(earlier.into_iter().map(Record::Event));
            finding.detected = now();
            self.mask.finding(&mut finding);
            let asked = self.ways.actor.wait(Ask::Found(Box::new(finding.clone())));
            show(&finding);
            let mut events = self.recent.find(&finding.events);
            let whole = events
                .iter_mut()
                .find(|event| last.as_ref().is_some_and(|last| last.id == event.id));
            if let (Some(event), Some(last)) = (whole, &last) {
                event.clone_from(last);
            }
            let entry = Entry::Finding {
                events,
                finding: finding.clone(),
            };
            // A closed queue means that the agent is ending.
            let _ = self.ways.historian.offer(Note::Keep(Box::new(entry)));
            records.push(Record::Finding(finding));
            asked.map_err(|_| Ending)?;
        }
        Ok(())
    }
}

pub(super) fn show(finding: &Finding) {
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
