//! Sigma: rules about single events, and correlations that count them.

use super::Detector;
use super::exceptions::Exception;
use super::fields::{self, Exec, View};
use super::meta::Meta;
use super::rules::{Compiled, Correlation, Single, Topic};
use super::signature::{self, Verdict};
use super::threshold::{Counters, Hit, Key, Kind, Table, mark};
use compact_str::CompactString;
use picket_common::event::{Event, Payload};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use rsigma_eval::compiler::eval_condition;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// All loaded rules and the state of those that count.
pub struct Sigma {
    pub(super) singles: Vec<Single>,
    pub(super) correlations: Vec<Correlation>,
    /// For each signature of a login, the rules that it does not rule out.
    candidates: Vec<Vec<usize>>,
    /// The rules about programs that are started.
    about_processes: Vec<usize>,
    pub(super) table: Table,
    /// The first place in the table that no rule has had.
    next_slot: usize,
}

impl Sigma {
    /// Makes compiled rules ready to judge. `groups` bounds the state of all that count.
    pub(super) fn new(compiled: Compiled, groups: usize) -> Self {
        let (singles, correlations) = (compiled.singles, compiled.correlations);
        let useful = |single: &Single| single.meta.reports || !single.counted_by.is_empty();
        let allows = |single: &Single, signature: usize| match &single.topic {
            Topic::Logins { verdicts, .. } => verdicts
                .get(signature)
                .is_some_and(|verdict| *verdict != Verdict::No),
            Topic::Processes | Topic::Others => false,
        };
        let candidates = (0..signature::COUNT)
            .map(|signature| {
                (0..singles.len())
                    .filter(|at| {
                        singles
                            .get(*at)
                            .is_some_and(|single| useful(single) && allows(single, signature))
                    })
                    .collect()
            })
            .collect();
        let about_processes = singles
            .iter()
            .enumerate()
            .filter(|(_, single)| useful(single) && matches!(single.topic, Topic::Processes))
            .map(|(at, _)| at)
            .collect();
        Self {
            about_processes,
            next_slot: correlations.len(),
            singles,
            correlations,
            candidates,
            table: Table::new(groups),
        }
    }

    /// Takes an exception from the rule that it names, by id or by title.
    pub(super) fn except(&mut self, exception: Exception) -> Result<(), String> {
        let singles = self.singles.iter_mut().map(|single| &mut single.meta);
        let correlations = self.correlations.iter_mut().map(|rule| &mut rule.meta);
        let name = exception.rule.as_str();
        let (mut by_id, mut by_title): (Vec<_>, Vec<_>) = singles
            .chain(correlations)
            .filter(|meta| meta.rule.id == name || meta.rule.title == name)
            .partition(|meta| meta.rule.id == name);
        let found = by_id.pop().map_or_else(|| by_title.pop(), Some);
        let shown = name.escape_debug();
        match (found, by_title.is_empty()) {
            (Some(meta), _) if meta.rule.id == name => meta.exceptions.push(exception),
            (Some(meta), true) => meta.exceptions.push(exception),
            (Some(_), false) => {
                return Err(format!("several rules are called '{shown}': name one by its id"));
            }
            (None, _) => return Err(format!("there is no rule with the id or title '{shown}'")),
        }
        Ok(())
    }

    /// Goes on counting where the rules that these take the place of have come to: correlations that count the same keep
    /// their groups.
    pub fn go_on_from(&mut self, old: Self) {
        let slots = old.correlations.iter().map(|rule| rule.slot);
        let mut gone: HashSet<usize> = slots.collect();
        let kept = old.correlations.iter().map(|rule| (&rule.definition, rule.slot));
        let mut kept: HashMap<_, _> = kept.collect();
        self.next_slot = old.next_slot;
        for rule in &mut self.correlations {
            // Two without an id may be alike: only one can go on.
            rule.slot = kept.remove(&rule.definition).unwrap_or(self.next_slot);
            if !gone.remove(&rule.slot) {
                self.next_slot += 1;
            }
        }
        self.table = old.table;
        self.table.forget(&gone);
    }

    /// Whether any rule can match an event: no other can be behind a finding.
    pub fn concerns(&self, event: &Event) -> bool {
        !self.candidates(&event.payload).is_empty()
    }

    /// Whether the rule at that place among those about single events matches: what [`Detector::inspect`] does for one.
    pub(super) fn matches(&self, at: usize, event: &Event) -> bool {
        let single = self.singles.get(at);
        self.candidates(&event.payload).contains(&at)
            && single.is_some_and(|single| single.matches(event, together(event).as_ref()))
    }

    /// The rules that may match.
    fn candidates(&self, payload: &Payload) -> &[usize] {
        match payload {
            Payload::Auth(auth) => self
                .candidates
                .get(signature::of(auth))
                .map_or(&[], Vec::as_slice),
            Payload::Exec(_) => &self.about_processes,
            _ => &[],
        }
    }

    /// Lets go of what rules about programs are matched by: for an agent that no sensor tells of programs.
    pub fn without_programs(mut self) -> Self {
        self.about_processes = Vec::new();
        for single in &mut self.singles {
            if matches!(single.topic, Topic::Processes) {
                single.compiled.detections = HashMap::new();
                single.compiled.conditions = Vec::new();
            }
        }
        self
    }

    /// How many rules are loaded, without those that were let go of.
    pub fn rules(&self) -> usize {
        let held = |single: &&Single| !single.compiled.conditions.is_empty();
        self.singles.iter().filter(held).count() + self.correlations.len()
    }

    /// How many groups are kept at the moment.
    pub fn groups(&self) -> usize {
        self.table.len()
    }

    /// What the bounded state had to leave out.
    pub fn counters(&self) -> Counters {
        self.table.counters
    }
}

impl Detector for Sigma {
    fn name(&self) -> &'static str {
        "sigma"
    }

    fn describe(&self) -> &'static str {
        "judges events by Sigma rules, and counts them by Sigma correlations"
    }

    fn inspect(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        let exec = together(event);
        let candidates = match &event.payload {
            Payload::Auth(auth) => self.candidates.get(signature::of(auth)),
            Payload::Exec(_) => Some(&self.about_processes),
            _ => None,
        };
        for at in candidates.into_iter().flatten() {
            let Some(single) = self.singles.get(*at) else {
                continue;
            };
            if !single.matches(event, exec.as_ref()) || single.meta.exceptions.hold_back(event) {
                continue;
            }
            if single.meta.reports {
                findings.push(finding(&single.meta, event, Vec::new(), None, vec![event.id]));
            }
            count(
                &self.correlations,
                &mut self.table,
                &single.counted_by,
                event,
                findings,
            );
        }
    }
}

/// Of a program that was started, what is put together but once for all rules.
fn together(event: &Event) -> Option<Exec<'_>> {
    match &event.payload {
        Payload::Exec(exec) => Some(Exec::new(exec)),
        _ => None,
    }
}

impl Single {
    fn matches(&self, event: &Event, exec: Option<&Exec<'_>>) -> bool {
        match (&self.topic, &event.payload, exec) {
            (Topic::Logins { verdicts, program }, Payload::Auth(auth), _) => {
                let other = program.as_ref().is_some_and(|program| *program != auth.program);
                match verdicts.get(signature::of(auth)) {
                    _ if other => false,
                    Some(Verdict::Yes) => true,
                    Some(Verdict::Ask) => self.asked(&View::Auth(auth)),
                    _ => false,
                }
            }
            (Topic::Processes, _, Some(exec)) => self.asked(&View::Exec(exec)),
            _ => false,
        }
    }

    fn asked(&self, view: &View<'_>) -> bool {
        let compiled = &self.compiled;
        compiled
            .conditions
            .iter()
            .any(|condition| eval_condition(condition, &compiled.detections, view, &mut Vec::new()))
    }
}

/// Counts an event in each of the correlations, and what fires in those that count them in turn. Ends, as a correlation
/// counts only what was there before it.
fn count(
    correlations: &[Correlation],
    table: &mut Table,
    counted_by: &[(usize, usize)],
    event: &Event,
    findings: &mut Vec<Finding>,
) {
    for (at, step) in counted_by {
        let Some(correlation) = correlations.get(*at) else {
            continue;
        };
        let Some(names) = correlation.groups.get(*step) else {
            continue;
        };
        // An event that lacks what is grouped by belongs to no group.
        let auth = event.auth();
        let key = if correlation.by_address {
            address(event).map(Key::Address)
        } else {
            joined(event, names).map(Key::Text)
        };
        let Some(key) = key else { continue };
        let value = match &correlation.kind {
            Kind::ValueCount(_, fields) => value_mark(event, fields),
            _ => None,
        };
        let times = auth
            .and_then(|auth| auth.repeated)
            .and_then(|times| usize::try_from(times).ok())
            .unwrap_or(1)
            .max(1);
        let hit = Hit {
            time: event.time.as_micros(),
            event: event.id,
            step: *step,
            value,
            times,
        };
        if correlation.meta.exceptions.hold_back(event) {
            continue;
        }
        let slot = correlation.slot;
        let Some(fired) = table.hit(slot, key, &correlation.kind, correlation.span, &hit) else {
            continue;
        };
        if correlation.meta.reports {
            let group = names
                .iter()
                .filter_map(|name| Some((name.clone(), fields::text(event, name)?.into_owned())));
            // Of steps, each happened: how many there are tells nobody how often.
            let counts = matches!(correlation.kind, Kind::EventCount(_) | Kind::ValueCount(..));
            findings.push(finding(
                &correlation.meta,
                event,
                group.collect(),
                counts.then_some(fired.count),
                fired.events,
            ));
        }
        count(correlations, table, &correlation.counted_by, event, findings);
    }
}

/// The address that an event is about.
fn address(event: &Event) -> Option<IpAddr> {
    Some(event.auth()?.source?.ip)
}

/// What the fields' values are remembered by.
fn value_mark(event: &Event, names: &[String]) -> Option<u64> {
    match names {
        [name] if name == fields::ADDRESS => address(event).map(|address| mark(&address)),
        [name] => fields::text(event, name).map(|text| mark(&text)),
        _ => joined(event, names).map(|text| mark(&text)),
    }
}

/// The fields' values as one text.
fn joined(event: &Event, names: &[String]) -> Option<CompactString> {
    let mut key = CompactString::const_new("");
    for (index, name) in names.iter().enumerate() {
        let value = fields::text(event, name)?;
        if index > 0 {
            // Framed by length, so that no value can reach into the next.
            key.push_str(&compact_str::format_compact!("\u{1f}{}\u{1f}", key.len()));
        }
        key.push_str(&value);
    }
    Some(key)
}

fn finding(
    meta: &Meta,
    event: &Event,
    group: Vec<(String, String)>,
    count: Option<usize>,
    events: Vec<RecordId>,
) -> Finding {
    let mut summary = meta.rule.title.clone();
    if let Some(count) = count {
        summary.push_str(&format!(", {count} times"));
    }
    let (program, user, about) = match &event.payload {
        Payload::Auth(auth) => (None, &auth.user, auth.user.as_ref().or(auth.target_user.as_ref())),
        Payload::Exec(exec) => (Some(&exec.executable), &exec.user, exec.user.as_ref()),
        _ => (None, &None, None),
    };
    let source = address(event);
    let parts = [
        (" by", program.map(|program| program.escape_debug().to_string())),
        (" from", source.map(|address| address.to_string())),
        (" user", about.map(|user| user.escape_debug().to_string())),
    ];
    for (word, value) in parts {
        summary.extend(value.map(|value| format!("{word} {value}")));
    }
    Finding {
        id: RecordId::derived(
            event.time,
            &[meta.rule.id.as_bytes(), event.id.to_string().as_bytes()],
        ),
        time: event.time,
        detected: event.observed,
        rule: meta.rule.clone(),
        severity: meta.severity,
        summary,
        group,
        count: count.map(|count| count as u64),
        source,
        process: event.process(),
        user: user.as_deref().map(str::to_owned),
        events,
        suggests: meta.suggests.clone(),
    }
}
