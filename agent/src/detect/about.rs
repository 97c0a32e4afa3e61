//! What people may want to know of a rule.

use super::correlation::Counted;
use super::meta::Meta;
use super::threshold::Kind;
use picket_common::finding::{RuleRef, Severity};
use rsigma_parser::{CorrelationRule, SigmaRule};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A rule in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct About {
    /// Its id; its title when it has none.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The name by which other rules count it.
    pub name: Option<String>,
    /// What it finds.
    pub description: Option<String>,
    /// How bad that is.
    pub severity: Severity,
    /// ATT&CK technique ids.
    pub attack: Vec<String>,
    /// What looks the same and is no attack.
    pub false_positives: Vec<String>,
    /// The responses that it suggests.
    pub suggests: Vec<String>,
    /// Its file.
    pub file: PathBuf,
    /// The line on which its document begins, from 1.
    pub line: usize,
    /// What it counts, in a sentence; `None` when it is about single events.
    pub counts: Option<String>,
    /// The ids of the rules that it counts.
    pub counted: Vec<String>,
    /// Whether it makes findings of its own, or is only counted by others.
    pub reports: bool,
}

impl About {
    pub(super) fn single(meta: &Meta, rule: &SigmaRule, place: (&Path, usize)) -> Self {
        Self {
            name: rule.name.clone(),
            description: rule.description.clone(),
            false_positives: rule.falsepositives.clone(),
            ..Self::new(meta, place)
        }
    }

    pub(super) fn correlation(
        meta: &Meta,
        rule: &CorrelationRule,
        place: (&Path, usize),
        counted: &Counted,
        others: &[RuleRef],
    ) -> Self {
        Self {
            name: rule.name.clone(),
            description: rule.description.clone(),
            false_positives: rule.falsepositives.clone(),
            counts: Some(sentence(counted, others)),
            counted: others.iter().map(|other| other.id.clone()).collect(),
            ..Self::new(meta, place)
        }
    }

    /// Of what finds what lists name.
    pub(super) fn of_indicators(meta: &Meta, description: &str, file: &Path) -> Self {
        Self {
            description: Some(description.to_owned()),
            ..Self::new(meta, (file, 1))
        }
    }

    fn new(meta: &Meta, (file, line): (&Path, usize)) -> Self {
        Self {
            id: meta.rule.id.clone(),
            title: meta.rule.title.clone(),
            name: None,
            description: None,
            severity: meta.severity,
            attack: meta.rule.attack.clone(),
            false_positives: Vec::new(),
            suggests: meta.suggests.clone(),
            file: file.to_owned(),
            line,
            counts: None,
            counted: Vec::new(),
            reports: meta.reports,
        }
    }
}

/// `"Failed login", from 5 on within 2m, for each source.ip`
fn sentence(counted: &Counted, others: &[RuleRef]) -> String {
    let titles: Vec<String> = others
        .iter()
        .map(|other| format!("\"{}\"", other.title))
        .collect();
    let (what, joint) = match &counted.kind {
        Kind::EventCount(least) => (format!("from {least} events on"), " or "),
        Kind::ValueCount(least, fields) => (
            format!("from {least} different values of {} on", fields.join(" and ")),
            " or ",
        ),
        Kind::Temporal(_) => ("all of them in any order".to_owned(), " and "),
        Kind::TemporalOrdered(_) => ("one after the other".to_owned(), ", then "),
    };
    let by = match counted.groups.first() {
        Some(fields) if !fields.is_empty() => format!(", for each {}", fields.join(" and ")),
        _ => String::new(),
    };
    format!(
        "{}: {what}, within {}{by}",
        titles.join(joint),
        span(counted.span)
    )
}

fn span(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let whole = units.into_iter().find(|(unit, _)| seconds % unit == 0);
    whole.map_or(format!("{seconds}s"), |(unit, name)| {
        format!("{}{name}", seconds / unit)
    })
}
