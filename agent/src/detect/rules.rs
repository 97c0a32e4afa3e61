//! From files of Sigma rules to rules that can be run. A wrong document is named; all others load.

use super::fields;
use super::rule_files::{Problem, documents};
use super::signature::{self, Verdict};
use super::threshold::Kind;
use picket_common::finding::{RuleRef, Severity};
use rsigma_eval::{CompiledRule, compile_rule};
use rsigma_parser::{
    ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, Level, SigmaRule, WindowMode,
    parse_sigma_yaml,
};
use std::collections::HashMap;
use std::path::PathBuf;

/// What people need to know of a rule.
pub(super) struct Meta {
    pub(super) rule: RuleRef,
    pub(super) severity: Severity,
    pub(super) suggests: Vec<String>,
    /// Whether it makes findings of its own, or is only counted by others.
    pub(super) reports: bool,
}

/// A rule about single events.
pub(super) struct Single {
    pub(super) meta: Meta,
    pub(super) compiled: CompiledRule,
    pub(super) verdicts: Vec<Verdict>,
    /// The program whose events it is about, when it is about one.
    pub(super) program: Option<String>,
    /// The correlations that count it, each with the step that it is there.
    pub(super) counted_by: Vec<(usize, usize)>,
}

/// A rule that counts others.
pub(super) struct Correlation {
    pub(super) meta: Meta,
    pub(super) kind: Kind,
    /// Microseconds.
    pub(super) span: i64,
    /// For each step, the fields to group by.
    pub(super) groups: Vec<Vec<String>>,
    /// Every step groups by the source's address alone.
    pub(super) by_address: bool,
    pub(super) counted_by: Vec<(usize, usize)>,
}

/// Compiles all rules of all files. Of two with the same id the later one counts.
pub(super) fn compile(files: &[(PathBuf, String)]) -> (Vec<Single>, Vec<Correlation>, Vec<Problem>) {
    let mut problems = Vec::new();
    let (mut singles, mut correlations) = (Vec::new(), Vec::new());
    for (file, text) in files {
        for (line, document) in documents(text) {
            let mut problem = |message: String| {
                problems.push(Problem {
                    file: file.clone(),
                    line,
                    message,
                })
            };
            match parse_sigma_yaml(&document) {
                Err(error) => problem(error.to_string()),
                Ok(collection) => {
                    collection.errors.into_iter().for_each(&mut problem);
                    if !collection.filters.is_empty() {
                        problem("Sigma filters are not supported".to_owned());
                    }
                    singles.extend(
                        collection
                            .rules
                            .into_iter()
                            .map(|rule| (file.clone(), line, rule)),
                    );
                    correlations.extend(
                        collection
                            .correlations
                            .into_iter()
                            .map(|rule| (file.clone(), line, rule)),
                    );
                }
            }
        }
    }
    let mut rules = Rules::default();
    for (file, line, rule) in &singles {
        if let Err(message) = rules.add_single(rule) {
            problems.push(Problem {
                file: file.clone(),
                line: *line,
                message,
            });
        }
    }
    // A correlation may count another that stands behind it: go round until nothing more can be placed.
    let mut waiting: Vec<_> = correlations.iter().collect();
    loop {
        let before = waiting.len();
        waiting.retain(|(file, line, rule)| match rules.add_correlation(rule) {
            Ok(()) => false,
            Err(Refused::Unknown(_)) => true,
            Err(Refused::Wrong(message)) => {
                problems.push(Problem {
                    file: file.clone(),
                    line: *line,
                    message,
                });
                false
            }
        });
        if waiting.len() == before {
            break;
        }
    }
    for (file, line, rule) in waiting {
        if let Err(Refused::Unknown(message) | Refused::Wrong(message)) = rules.add_correlation(rule) {
            problems.push(Problem {
                file: file.clone(),
                line: *line,
                message,
            });
        }
    }
    (rules.singles, rules.correlations, problems)
}

enum Refused {
    /// It counts a rule that is not there, or not yet.
    Unknown(String),
    Wrong(String),
}

#[derive(Clone, Copy)]
enum Place {
    Single(usize),
    Correlation(usize),
}

#[derive(Default)]
struct Rules {
    singles: Vec<Single>,
    correlations: Vec<Correlation>,
    /// By id, name and title.
    places: HashMap<String, Place>,
}

impl Rules {
    fn add_single(&mut self, rule: &SigmaRule) -> Result<(), String> {
        let compiled = compile_rule(rule).map_err(|error| error.to_string())?;
        let suggests = suggestions(compiled.custom_attributes.get("picket"))?;
        let single = Single {
            meta: meta(rule.id.as_deref(), &rule.title, rule.level, &rule.tags, suggests),
            verdicts: if is_about_logins(rule) {
                signature::verdicts(&compiled)
            } else {
                vec![Verdict::No; signature::COUNT]
            },
            program: rule.logsource.service.clone().filter(|service| service != "auth"),
            compiled,
            counted_by: Vec::new(),
        };
        let known = rule.id.as_ref().and_then(|id| self.places.get(id)).copied();
        let at = match known {
            Some(Place::Single(at)) => at,
            _ => self.singles.len(),
        };
        match self.singles.get_mut(at) {
            Some(slot) => *slot = single,
            None => self.singles.push(single),
        }
        for name in [rule.id.as_ref(), rule.name.as_ref(), Some(&rule.title)]
            .into_iter()
            .flatten()
        {
            self.places.insert(name.clone(), Place::Single(at));
        }
        Ok(())
    }

    fn add_correlation(&mut self, rule: &CorrelationRule) -> Result<(), Refused> {
        let places: Result<Vec<Place>, Refused> = rule
            .rules
            .iter()
            .map(|name| {
                let place = self.places.get(name).copied();
                place.ok_or_else(|| {
                    Refused::Unknown(format!(
                        "counts the rule '{}', which is not there",
                        name.escape_debug()
                    ))
                })
            })
            .collect();
        let places = places?;
        let (kind, groups) = (kind(rule)?, groups(rule)?);
        let picket = rule
            .custom_attributes
            .get("picket")
            .and_then(|value| serde_json::to_value(value).ok());
        let suggests = suggestions(picket.as_ref()).map_err(Refused::Wrong)?;
        let span = i64::try_from(rule.timespan.seconds)
            .ok()
            .and_then(|seconds| seconds.checked_mul(1_000_000));
        let own = self.correlations.len();
        self.correlations.push(Correlation {
            meta: meta(rule.id.as_deref(), &rule.title, rule.level, &rule.tags, suggests),
            kind,
            span: span
                .filter(|span| *span > 0)
                .ok_or_else(|| Refused::Wrong("timespan is out of bounds".to_owned()))?,
            by_address: groups
                .iter()
                .all(|names| matches!(names.as_slice(), [name] if name == fields::ADDRESS)),
            groups,
            counted_by: Vec::new(),
        });
        for (step, place) in places.into_iter().enumerate() {
            let counted = match place {
                Place::Single(at) => self
                    .singles
                    .get_mut(at)
                    .map(|single| (&mut single.counted_by, &mut single.meta)),
                Place::Correlation(at) => self
                    .correlations
                    .get_mut(at)
                    .map(|other| (&mut other.counted_by, &mut other.meta)),
            };
            if let Some((counted_by, meta)) = counted {
                counted_by.push((own, step));
                // By Sigma's rules what is counted makes no findings of its own unless `generate` says so. A correlation
                // that another builds on keeps its own: brute force is a finding whether or not a success follows.
                meta.reports &= rule.generate || matches!(place, Place::Correlation(_));
            }
        }
        for name in [rule.id.as_ref(), rule.name.as_ref(), Some(&rule.title)]
            .into_iter()
            .flatten()
        {
            self.places.insert(name.clone(), Place::Correlation(own));
        }
        Ok(())
    }
}

fn meta(id: Option<&str>, title: &str, level: Option<Level>, tags: &[String], suggests: Vec<String>) -> Meta {
    let attack = tags
        .iter()
        .filter_map(|tag| tag.strip_prefix("attack.t"))
        .map(|number| format!("T{number}"));
    Meta {
        rule: RuleRef {
            id: id.unwrap_or(title).to_owned(),
            title: title.to_owned(),
            attack: attack.collect(),
        },
        severity: match level {
            Some(Level::Critical) => Severity::Critical,
            Some(Level::High) => Severity::High,
            Some(Level::Medium) | None => Severity::Medium,
            Some(Level::Low) => Severity::Low,
            Some(Level::Informational) => Severity::Informational,
        },
        suggests,
        reports: true,
    }
}

/// `picket: {respond: [block_ip]}`
fn suggestions(picket: Option<&serde_json::Value>) -> Result<Vec<String>, String> {
    let Some(wanted) = picket.and_then(|picket| picket.get("respond")) else {
        return Ok(Vec::new());
    };
    let list: Vec<String> = serde_json::from_value(wanted.clone())
        .map_err(|_| "picket.respond must be a list, such as [block_ip]".to_owned())?;
    match list.iter().find(|name| *name != "block_ip") {
        Some(other) => Err(format!(
            "picket.respond: '{}' is no response; known are: block_ip",
            other.escape_debug()
        )),
        None => Ok(list),
    }
}

fn is_about_logins(rule: &SigmaRule) -> bool {
    rule.logsource
        .product
        .as_deref()
        .is_none_or(|product| product == "linux")
        && rule
            .logsource
            .category
            .as_deref()
            .is_none_or(|category| category == "authentication")
}

fn kind(rule: &CorrelationRule) -> Result<Kind, Refused> {
    let wrong = |message: &str| Err(Refused::Wrong(message.to_owned()));
    if rule.window != WindowMode::Sliding {
        return wrong("only sliding windows are supported");
    }
    let steps = rule.rules.len();
    match (&rule.correlation_type, &rule.condition) {
        (CorrelationType::Temporal, CorrelationCondition::Threshold { .. }) => Ok(Kind::Temporal(steps)),
        (CorrelationType::TemporalOrdered, CorrelationCondition::Threshold { .. }) => {
            Ok(Kind::TemporalOrdered(steps))
        }
        (CorrelationType::EventCount, CorrelationCondition::Threshold { predicates, .. }) => {
            Ok(Kind::EventCount(least(predicates)?))
        }
        (
            CorrelationType::ValueCount,
            CorrelationCondition::Threshold {
                predicates,
                field: Some(field),
                ..
            },
        ) => match field.iter().find(|name| !fields::is_known(name)) {
            Some(name) => Err(Refused::Wrong(format!(
                "events have no field '{}'",
                name.escape_debug()
            ))),
            None => Ok(Kind::ValueCount(least(predicates)?, field.clone())),
        },
        (CorrelationType::ValueCount, _) => wrong("value_count needs a field"),
        (_, CorrelationCondition::Extended(_)) => wrong("a condition that combines rules is not supported"),
        _ => wrong("only event_count, value_count, temporal and temporal_ordered are supported"),
    }
}

/// The count from which it fires. An upper bound can hold only once a window has closed, and so is no alarm.
fn least(predicates: &[(ConditionOperator, u64)]) -> Result<usize, Refused> {
    let [(operator, count)] = predicates else {
        return Err(Refused::Wrong(
            "the condition must be one lower bound: gte or gt".to_owned(),
        ));
    };
    let least = match operator {
        ConditionOperator::Gte => Some(*count),
        ConditionOperator::Gt => count.checked_add(1),
        _ => None,
    };
    let least = least
        .and_then(|least| usize::try_from(least).ok())
        .filter(|least| (1..=10_000).contains(least));
    least.ok_or_else(|| Refused::Wrong("the condition must be gte or gt, from 1 to 10000".to_owned()))
}

/// The fields to group by for each of the counted rules, with the aliases put in.
fn groups(rule: &CorrelationRule) -> Result<Vec<Vec<String>>, Refused> {
    let of = |counted: &String| -> Result<Vec<String>, Refused> {
        rule.group_by
            .iter()
            .map(|name| {
                let alias = rule.aliases.iter().find(|alias| alias.alias == *name);
                let field = alias.and_then(|alias| alias.mapping.get(counted)).unwrap_or(name);
                if fields::is_known(field) {
                    Ok(field.clone())
                } else {
                    Err(Refused::Wrong(format!(
                        "events have no field '{}'",
                        field.escape_debug()
                    )))
                }
            })
            .collect()
    };
    rule.rules.iter().map(of).collect()
}
