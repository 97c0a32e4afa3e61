//! From files of Sigma rules to rules that can be run. A wrong document is named; all others load.

use super::about::About;
use super::correlation::{Counted, counted};
use super::definition::Definition;
use super::fields;
use super::meta::{DENY, Meta, meta, suggestions};
use super::rule_files::{Problem, documents};
use super::threshold::Kind;
use super::topic::{Topic, is_about_authentication};
use super::{unknown, words};
use rsigma_eval::{CompiledRule, compile_rule};
use rsigma_parser::{CorrelationRule, SigmaRule, parse_sigma_yaml};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// A rule about single events.
pub(super) struct Single {
    pub(super) meta: Meta,
    pub(super) compiled: CompiledRule,
    pub(super) topic: Topic,
    /// The correlations that count it, each with the step that it is there.
    pub(super) counted_by: Vec<(usize, usize)>,
    pub(super) definition: Definition,
}

/// A rule that counts others.
pub(super) struct Correlation {
    pub(super) meta: Meta,
    pub(super) kind: Kind,
    /// Microseconds.
    pub(super) span: i64,
    /// For each step, the fields to group by.
    pub(super) groups: Vec<Vec<String>>,
    /// Every step groups by one address alone.
    pub(super) by_address: bool,
    pub(super) counted_by: Vec<(usize, usize)>,
    /// Its place in the table of groups, which it keeps when rules are loaded anew.
    pub(super) slot: usize,
    pub(super) definition: Definition,
}

/// All rules of some files.
#[derive(Default)]
pub(super) struct Compiled {
    pub(super) singles: Vec<Single>,
    pub(super) correlations: Vec<Correlation>,
    /// What people may want to know of them, the singles first.
    pub(super) about: Vec<About>,
    pub(super) problems: Vec<Problem>,
}

/// A document, and the place at which it begins.
type Placed<'a, T> = (&'a Path, usize, T);

/// Compiles all rules of all files. Of two with the same id the later one counts.
pub(super) fn compile<'a>(files: impl Iterator<Item = (&'a Path, &'a str)>) -> Compiled {
    let mut problems = Vec::new();
    let (mut singles, mut correlations) = (Vec::new(), Vec::new());
    for (file, text) in files {
        for (line, document) in documents(text) {
            let mut problem = |message: String| problems.push(Problem::new(file, line, message));
            match parse_sigma_yaml(&document) {
                Err(error) => problem(error.to_string()),
                Ok(collection) => {
                    collection.errors.into_iter().for_each(&mut problem);
                    if !collection.filters.is_empty() {
                        problem("Sigma filters are not supported".to_owned());
                    }
                    for rule in collection.rules {
                        let wrong = wrong_fields(&rule);
                        if wrong.is_empty() {
                            singles.push((file, line, rule));
                            continue;
                        }
                        let at = |name: &str| line + unknown::line(&document, name);
                        problems.extend(
                            wrong
                                .into_iter()
                                .map(|(name, message)| Problem::new(file, at(name), message)),
                        );
                    }
                    correlations.extend(collection.correlations.into_iter().map(|rule| (file, line, rule)));
                }
            }
        }
    }
    let mut rules = Rules::default();
    for single in &singles {
        if let Err(message) = rules.add_single(single) {
            problems.push(Problem::new(single.0, single.1, message));
        }
    }
    let mut waiting = checked(&correlations, &mut problems);
    // A correlation may count another that stands behind it: go round until nothing more can be placed.
    loop {
        let before = waiting.len();
        waiting.retain(|(rule, parts)| rules.add_correlation(rule, parts).is_err());
        if waiting.len() == before {
            break;
        }
    }
    for ((file, line, rule), _) in &waiting {
        let missing = rule.rules.iter().find(|name| !rules.places.contains_key(*name));
        if let Some(name) = missing {
            let message = format!("counts the rule '{}', which is not there", name.escape_debug());
            problems.push(Problem {
                dangles: true,
                ..Problem::new(file, *line, message)
            });
        }
    }
    rules.finish(problems)
}

/// The fields that a rule must not ask about, each with what is wrong with it.
fn wrong_fields(rule: &SigmaRule) -> Vec<(&str, String)> {
    let picket = rule.custom_attributes.get("picket");
    let picket = picket.and_then(|value| serde_json::to_value(value).ok());
    let denies = suggestions(picket.as_ref()).is_ok_and(|list| list.iter().any(|name| name == DENY));
    let unknown = match is_about_authentication(&rule.logsource) {
        true => unknown::fields(&rule.detection),
        false => BTreeSet::new(),
    };
    let beyond = match denies {
        true => unknown::beyond_the_file(&rule.detection),
        false => BTreeSet::new(),
    };
    let unknown = unknown
        .into_iter()
        .map(|name| (name, format!("events have no field '{}'", name.escape_debug())));
    let beyond = beyond.into_iter().map(|name| {
        let message = format!(
            "deny_exec cannot judge by '{}': before a program starts only its file is known, as Image and hashes; suggest kill",
            name.escape_debug()
        );
        (name, message)
    });
    unknown.chain(beyond).collect()
}

/// What a correlation counts, and what it suggests.
type Parts = (Counted, Vec<String>);

/// The correlations that can be read; of two with the same id the later.
fn checked<'a>(
    correlations: &'a [Placed<'a, CorrelationRule>],
    problems: &mut Vec<Problem>,
) -> Vec<(&'a Placed<'a, CorrelationRule>, Parts)> {
    let mut good: Vec<(&Placed<'_, CorrelationRule>, Parts)> = Vec::new();
    for placed in correlations {
        let (file, line, rule) = placed;
        let picket = rule
            .custom_attributes
            .get("picket")
            .and_then(|value| serde_json::to_value(value).ok());
        let parts = counted(rule).and_then(|counted| {
            let suggests = suggestions(picket.as_ref())?;
            match suggests.iter().any(|name| name == DENY) {
                true => Err("deny_exec cannot judge by what is counted: suggest kill".to_owned()),
                false => Ok((counted, suggests)),
            }
        });
        match parts {
            Ok(parts) => {
                good.retain(|(other, _)| rule.id.is_none() || other.2.id != rule.id);
                good.push((placed, parts));
            }
            Err(message) => problems.push(Problem::new(file, *line, message)),
        }
    }
    good
}

/// It counts a rule that is not there, or not yet.
struct Missing;

#[derive(Clone, Copy)]
enum Place {
    Single(usize),
    Correlation(usize),
}

#[derive(Default)]
struct Rules {
    singles: Vec<(Single, About)>,
    correlations: Vec<(Correlation, About)>,
    /// By id, name and title.
    places: HashMap<String, Place>,
}

impl Rules {
    fn add_single(&mut self, (file, line, rule): &Placed<'_, SigmaRule>) -> Result<(), String> {
        let mut compiled = compile_rule(rule).map_err(|error| error.to_string())?;
        words::loosen(&mut compiled);
        let suggests = suggestions(compiled.custom_attributes.get("picket"))?;
        let single = Single {
            meta: meta(rule.id.as_deref(), &rule.title, rule.level, &rule.tags, suggests),
            topic: Topic::of(&compiled),
            compiled,
            counted_by: Vec::new(),
            definition: Definition::of_single(rule),
        };
        let about = About::single(&single.meta, rule, (file, *line));
        let known = rule.id.as_ref().and_then(|id| self.places.get(id)).copied();
        let at = match known {
            Some(Place::Single(at)) => at,
            _ => self.singles.len(),
        };
        match self.singles.get_mut(at) {
            Some(slot) => *slot = (single, about),
            None => self.singles.push((single, about)),
        }
        self.name(
            [rule.id.as_ref(), rule.name.as_ref(), Some(&rule.title)],
            Place::Single(at),
        );
        Ok(())
    }

    fn add_correlation(
        &mut self,
        (file, line, rule): &Placed<'_, CorrelationRule>,
        (counted, suggests): &Parts,
    ) -> Result<(), Missing> {
        let places = rule
            .rules
            .iter()
            .map(|name| self.places.get(name).copied().ok_or(Missing));
        let places = places.collect::<Result<Vec<Place>, Missing>>()?;
        let own = self.correlations.len();
        let meta = meta(
            rule.id.as_deref(),
            &rule.title,
            rule.level,
            &rule.tags,
            suggests.clone(),
        );
        let mut others = Vec::new();
        let mut definition = Definition::of_correlation(&meta.rule.id, counted);
        for (step, place) in places.into_iter().enumerate() {
            let other = match place {
                Place::Single(at) => self
                    .singles
                    .get_mut(at)
                    .map(|(other, _)| (&mut other.counted_by, &mut other.meta, &other.definition)),
                Place::Correlation(at) => self
                    .correlations
                    .get_mut(at)
                    .map(|(other, _)| (&mut other.counted_by, &mut other.meta, &other.definition)),
            };
            if let Some((counted_by, meta, other)) = other {
                counted_by.push((own, step));
                // By Sigma's rules what is counted makes no findings of its own unless `generate` says so. A correlation
                // that another builds on keeps its own: brute force is a finding whether or not a success follows.
                meta.reports &= rule.generate || matches!(place, Place::Correlation(_));
                others.push(meta.rule.clone());
                definition.counts(other);
            }
        }
        let about = About::correlation(&meta, rule, (file, *line), counted, &others);
        let correlation = Correlation {
            meta,
            kind: counted.kind.clone(),
            span: counted.span,
            by_address: counted.groups.iter().all(|names| {
                matches!(names.as_slice(), [name] if name == fields::ADDRESS || name == fields::LOGIN_ADDRESS)
            }),
            groups: counted.groups.clone(),
            counted_by: Vec::new(),
            slot: own,
            definition,
        };
        self.correlations.push((correlation, about));
        self.name(
            [rule.id.as_ref(), rule.name.as_ref(), Some(&rule.title)],
            Place::Correlation(own),
        );
        Ok(())
    }

    fn name(&mut self, names: [Option<&String>; 3], place: Place) {
        for name in names.into_iter().flatten() {
            self.places.insert(name.clone(), place);
        }
    }

    fn finish(self, problems: Vec<Problem>) -> Compiled {
        let mut compiled = Compiled {
            problems,
            ..Compiled::default()
        };
        for (single, mut about) in self.singles {
            about.reports = single.meta.reports;
            compiled.singles.push(single);
            compiled.about.push(about);
        }
        for (correlation, mut about) in self.correlations {
            about.reports = correlation.meta.reports;
            compiled.correlations.push(correlation);
            compiled.about.push(about);
        }
        compiled
    }
}
