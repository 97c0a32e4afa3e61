//! Whether a rule can fire: shown by an example that goes through the matcher of real events, not by what the rule says.

use super::rules::{Correlation, Single};
use super::sigma::Sigma;
use super::threshold::{Kind, Table};
use super::topic::Topic;
use super::witness::{self, Example, Unmade};
use super::{Detector as _, Findings};
use crate::observation::Subject;
use picket_common::event::{Event, Payload};
use picket_common::ids::RecordId;
use picket_common::time::Timestamp;
use rsigma_parser::LogSource;
use std::collections::BTreeSet;

/// So many events are made to try one rule.
const MOST: usize = 20_000;

/// What could be shown of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// Its log source, in a few words; of one that counts those of all that it counts.
    pub log_source: String,
    /// What its example consists of.
    pub needs: BTreeSet<Subject>,
    /// Whether it fires on an example of what it looks for, or why not.
    pub fires: Result<(), String>,
}

/// A rule that counts, or one about single events.
#[derive(Clone, Copy)]
enum Member {
    Single(usize),
    Correlation(usize),
}

impl Sigma {
    /// Tries every rule on an example of its own, in the order of [`super::Loaded::about`]. What rules have counted so far is
    /// lost.
    pub fn prove(&mut self) -> Vec<Proof> {
        let singles: Vec<Proof> = (0..self.singles.len()).map(|at| self.prove_single(at)).collect();
        let correlations = 0..self.correlations.len();
        let counting: Vec<Proof> = correlations
            .map(|at| self.prove_correlation(at, &singles))
            .collect();
        singles.into_iter().chain(counting).collect()
    }

    fn prove_single(&self, at: usize) -> Proof {
        let single = self.singles.get(at);
        Proof {
            log_source: single.map_or_else(String::new, |single| in_words(&single.compiled.logsource)),
            needs: single.map(needs).into_iter().collect(),
            fires: self.example(at).map(drop),
        }
    }

    /// An event on which a rule about single events fires.
    fn example(&self, at: usize) -> Result<Payload, String> {
        self.examples_of(at, 1)
            .map(|mut examples| examples.swap_remove(0))
    }

    /// At least one event on which a rule about single events fires, and more where it can be met in other ways.
    fn examples_of(&self, at: usize, most: usize) -> Result<Vec<Payload>, String> {
        let single = self.singles.get(at).ok_or("it is not there")?;
        let example = match &single.topic {
            Topic::Logins { program, .. } => Example::Login(program.as_deref().unwrap_or("sshd")),
            Topic::Programs => Example::Program,
            Topic::Audit => Example::Audit,
            Topic::Connections => Example::Connection,
            Topic::Exits => Example::Exit,
            Topic::Privileges => Example::Privilege,
            Topic::Signals => Example::Signal,
            Topic::Files { .. } => Example::File,
            Topic::Others => {
                let source = in_words(&single.compiled.logsource);
                return Err(format!("this agent knows no events of its log source, {source}"));
            }
        };
        let ways = witness::wishes(&single.compiled);
        if ways.is_empty() {
            return Err("no example can be made of what it asks for".to_owned());
        }
        let (mut made, mut unmade) = (Vec::new(), BTreeSet::new());
        for way in &ways {
            match witness::payload(way, example) {
                Ok(payload) if self.matches(at, &event(&payload, 0)) => made.push(payload),
                Ok(_) => {}
                Err(why) => drop(unmade.insert(why)),
            }
            if made.len() >= most {
                break;
            }
        }
        if !made.is_empty() {
            return Ok(made);
        }
        let kind = example.in_words();
        Err(match unmade.first() {
            Some(Unmade::Field(name)) => {
                format!("it asks for '{name}', a field that {kind} do not have")
            }
            Some(Unmade::Value(name, value)) => format!("'{name}' is never '{value}' in {kind}"),
            Some(Unmade::Together(one, other)) => {
                format!("'{one}' and '{other}' never are so in the same of {kind}")
            }
            Some(Unmade::Words) => {
                format!("it looks for words of a message, which {kind} do not keep")
            }
            None => "it does not match the examples that were made of what it asks for".to_owned(),
        })
    }

    fn prove_correlation(&mut self, at: usize, singles: &[Proof]) -> Proof {
        let mut members = BTreeSet::new();
        self.members(at, &mut members);
        let of = |at: &usize| singles.get(*at);
        let sources: BTreeSet<&str> = members
            .iter()
            .filter_map(of)
            .map(|proof| proof.log_source.as_str())
            .collect();
        let log_source = sources.into_iter().collect::<Vec<_>>().join("; ");
        let mut needs = members
            .iter()
            .filter_map(|at| self.singles.get(*at))
            .map(needs)
            .collect();
        let fires = self.examples(at).and_then(|examples| {
            needs = examples.iter().map(needed_for).collect();
            // Another value of the field that is counted may be one that the counted rule does not look for.
            if self.fires_on(at, &examples) || self.fires_on(at, &self.other_ways(at)) {
                Ok(())
            } else {
                Err("it does not fire on the examples that were made of what it counts".to_owned())
            }
        });
        Proof {
            log_source,
            needs,
            fires,
        }
    }

    /// The rules about single events that a correlation counts, directly or not.
    fn members(&self, at: usize, found: &mut BTreeSet<usize>) {
        for (_, member) in self.steps(at) {
            match member {
                Member::Single(single) => drop(found.insert(single)),
                Member::Correlation(other) => self.members(other, found),
            }
        }
    }

    /// What a correlation counts, in the order of its steps. It counts only what was there before it, so this ends.
    fn steps(&self, at: usize) -> Vec<(usize, Member)> {
        let step = |counted_by: &[(usize, usize)], member| {
            let mine = counted_by.iter().filter(|(correlation, _)| *correlation == at);
            mine.map(|(_, step)| (*step, member)).collect::<Vec<_>>()
        };
        let singles = self.singles.iter().enumerate();
        let singles = singles.flat_map(|(own, single)| step(&single.counted_by, Member::Single(own)));
        let others = self.correlations.iter().enumerate();
        let others = others.flat_map(|(own, other)| step(&other.counted_by, Member::Correlation(own)));
        let mut steps: Vec<(usize, Member)> = singles.chain(others).collect();
        steps.sort_by_key(|(step, _)| *step);
        steps
    }

    /// Events, one after the other, on which a correlation should fire.
    fn examples(&self, at: usize) -> Result<Vec<Payload>, String> {
        let correlation = self.correlations.get(at).ok_or("it is not there")?;
        let mut of_steps = Vec::new();
        for (step, member) in self.steps(at) {
            let made = match member {
                Member::Single(single) => self.example(single).map(|example| vec![example]),
                Member::Correlation(other) => self.examples(other),
            };
            let made = made.map(|made| grouped(correlation, step, made));
            of_steps.push(made.map_err(|why| format!("of a rule that it counts: {why}")));
        }
        match &correlation.kind {
            Kind::Temporal(_) | Kind::TemporalOrdered(_) => {
                let all: Result<Vec<Vec<Payload>>, String> = of_steps.into_iter().collect();
                Ok(all?.concat())
            }
            // Any of those that it counts will do.
            Kind::EventCount(least) => varied(&first(of_steps)?, &[], *least),
            Kind::ValueCount(least, fields) => varied(&first(of_steps)?, fields, *least),
        }
    }

    /// Of the rules about single events that a correlation counts, every example.
    fn other_ways(&self, at: usize) -> Vec<Payload> {
        let Some(correlation) = self.correlations.get(at) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (step, member) in self.steps(at) {
            if let Member::Single(single) = member
                && let Ok(made) = self.examples_of(single, usize::MAX)
            {
                all.extend(grouped(correlation, step, made));
            }
        }
        all
    }

    fn fires_on(&mut self, at: usize, examples: &[Payload]) -> bool {
        let Some(id) = self.correlations.get(at).map(|rule| rule.meta.rule.id.clone()) else {
            return false;
        };
        self.table = Table::new(1000);
        let mut findings = Findings::default();
        for (number, payload) in (0..).zip(examples) {
            self.inspect(&event(payload, number), &mut findings);
        }
        findings.found.iter().any(|finding| finding.rule.id == id)
    }
}

fn needs(single: &Single) -> Subject {
    single.topic.needs()
}

fn needed_for(payload: &Payload) -> Subject {
    match payload {
        Payload::Auth(_) => Subject::Logins,
        Payload::Exec(_) => Subject::Programs,
        Payload::Exit(_) => Subject::Exits,
        Payload::Connect(_) => Subject::Connections,
        Payload::Privilege(_) => Subject::Privileges,
        Payload::Signal(_) => Subject::Signals,
        Payload::File(_) => Subject::Files,
        Payload::Install(_) => Subject::Others,
    }
}

fn first(of_steps: Vec<Result<Vec<Payload>, String>>) -> Result<Vec<Payload>, String> {
    let mut why = "it counts nothing".to_owned();
    for made in of_steps {
        match made {
            Ok(made) => return Ok(made),
            Err(message) => why = message,
        }
    }
    Err(why)
}

/// The same events, in one group of a correlation.
fn grouped(correlation: &Correlation, step: usize, mut payloads: Vec<Payload>) -> Vec<Payload> {
    for payload in &mut payloads {
        for name in correlation.groups.get(step).into_iter().flatten() {
            if !witness::has(payload, name) {
                // What cannot be set is in no group: then it does not fire, which is true.
                give(payload, name, 1);
            }
        }
    }
    payloads
}

/// The same events so many times, each time with other values of the fields.
fn varied(examples: &[Payload], fields: &[String], times: usize) -> Result<Vec<Payload>, String> {
    if examples.len().saturating_mul(times) > MOST {
        return Err(format!(
            "it takes more than {MOST} events, and so many are not made to try it"
        ));
    }
    let mut all = Vec::with_capacity(examples.len() * times);
    for number in 0..times {
        for mut payload in examples.iter().cloned() {
            for name in fields {
                give(&mut payload, name, number);
            }
            all.push(payload);
        }
    }
    Ok(all)
}

/// Gives a field one of the many values that it may have, if it may have any.
fn give(payload: &mut Payload, name: &str, number: usize) {
    let text = match name {
        name if name.ends_with(".ip") => format!("2001:db8::{number:x}"),
        _ => format!("x{number}"),
    };
    let _ = witness::set(payload, name, &text) || witness::set(payload, name, &number.to_string());
}

/// An event so many milliseconds after the first.
fn event(payload: &Payload, number: i64) -> Event {
    let time = Timestamp::from_micros(number * 1000);
    Event {
        id: RecordId::derived(time, &[&number.to_le_bytes()]),
        time,
        observed: time,
        payload: payload.clone(),
    }
}

/// `linux, process_creation`
fn in_words(source: &LogSource) -> String {
    let parts = [&source.product, &source.category, &source.service];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    parts.join(", ")
}
