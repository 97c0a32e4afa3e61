//! Examples of what a rule looks for: from its detections to events that should meet them.
//!
//! A rule is taken at its word: what its condition asks for is put into the fields, what it excludes is left out. Whether an
//! example is right is not decided here but by the matcher that judges real events.

mod event;
mod file;
mod program;
mod text;

pub(super) use event::{Example, Unmade, has, payload, set};
pub(super) use text::Wish;

use rsigma_eval::matcher::GroupMode;
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher, CompiledRule};
use rsigma_parser::{ConditionExpr, Quantifier};
use std::collections::{BTreeMap, HashMap};

/// So many ways to meet a rule are tried.
const MOST: usize = 64;
/// So many of the values that one item allows.
const OF_ITEM: usize = 16;
/// Stands for any field, in a search for words.
pub(super) const ANYWHERE: &str = "";

/// What is wished of each field, by the names that the rule uses.
pub(super) type Wishes = BTreeMap<String, Wish>;

/// Some of the ways to meet a rule; none where it asks for something that cannot be put into words.
pub(super) fn wishes(rule: &CompiledRule) -> Vec<Wishes> {
    let of = |condition| of_condition(condition, &rule.detections);
    any(rule.conditions.iter().map(of).collect())
}

fn of_condition(condition: &ConditionExpr, detections: &HashMap<String, CompiledDetection>) -> Vec<Wishes> {
    match condition {
        ConditionExpr::Identifier(name) => detections.get(name).map_or_else(Vec::new, of_detection),
        ConditionExpr::And(parts) => all(parts.iter().map(|part| of_condition(part, detections)).collect()),
        ConditionExpr::Or(parts) => any(parts.iter().map(|part| of_condition(part, detections)).collect()),
        // Nothing is the likeliest to be something else.
        ConditionExpr::Not(_) => vec![Wishes::new()],
        ConditionExpr::Selector { quantifier, pattern } => {
            let mut chosen: Vec<(&String, &CompiledDetection)> = detections
                .iter()
                .filter(|(name, _)| pattern.matches_detection_name(name))
                .collect();
            chosen.sort_by_key(|(name, _)| *name);
            let mut parts: Vec<_> = chosen.iter().map(|(_, part)| of_detection(part)).collect();
            match quantifier {
                Quantifier::Any => any(parts),
                Quantifier::All => all(parts),
                Quantifier::Count(count) => {
                    // Those that can be met at all.
                    parts.retain(|part| !part.is_empty());
                    let wanted = usize::try_from(*count).unwrap_or(usize::MAX);
                    if parts.len() < wanted {
                        return Vec::new();
                    }
                    parts.truncate(wanted);
                    all(parts)
                }
            }
        }
    }
}

fn of_detection(detection: &CompiledDetection) -> Vec<Wishes> {
    match detection {
        CompiledDetection::AllOf(items) => all(items.iter().map(of_item).collect()),
        CompiledDetection::AnyOf(parts) => any(parts.iter().map(of_detection).collect()),
        CompiledDetection::And(parts) => all(parts.iter().map(of_detection).collect()),
        CompiledDetection::Keywords(matcher) => named(ANYWHERE, of_matcher(matcher)),
        // No event here holds a list.
        CompiledDetection::ArrayMatch { .. } | CompiledDetection::Conditional { .. } => Vec::new(),
    }
}

fn of_item(item: &CompiledDetectionItem) -> Vec<Wishes> {
    let name = item.field.as_deref().unwrap_or(ANYWHERE);
    match (item.exists, &item.matcher) {
        (Some(false), _) | (_, CompiledMatcher::Null | CompiledMatcher::Exists(false)) => vec![Wishes::new()],
        (Some(true), _) => named(name, vec![Wish::default()]),
        (None, matcher) => named(name, of_matcher(matcher)),
    }
}

fn named(name: &str, wishes: Vec<Wish>) -> Vec<Wishes> {
    let one = |wish| Wishes::from([(name.to_owned(), wish)]);
    wishes.into_iter().take(OF_ITEM).map(one).collect()
}

/// Values of a field that a matcher takes.
fn of_matcher(matcher: &CompiledMatcher) -> Vec<Wish> {
    let number = |number: f64| vec![Wish::whole(&number.to_string())];
    match matcher {
        CompiledMatcher::Exact { value, .. } => vec![Wish::whole(value)],
        CompiledMatcher::Contains { value, .. } => vec![Wish::part(value)],
        CompiledMatcher::StartsWith { value, .. } => vec![Wish::start(value)],
        CompiledMatcher::EndsWith { value, .. } => vec![Wish::end(value)],
        CompiledMatcher::AhoCorasickSet { needles, .. } => {
            needles.iter().map(|needle| Wish::part(needle)).collect()
        }
        CompiledMatcher::Regex(regex) => Wish::regex(regex.as_str()).into_iter().collect(),
        CompiledMatcher::RegexSetMatch { set, mode } => {
            let of = |regex: &String| Wish::regex(regex).into_iter().collect();
            grouped(*mode, set.patterns().iter().map(of).collect())
        }
        CompiledMatcher::Cidr(network) => vec![Wish::whole(&network.addr().to_string())],
        CompiledMatcher::NumericEq(value)
        | CompiledMatcher::NumericGte(value)
        | CompiledMatcher::NumericLte(value) => number(*value),
        CompiledMatcher::NumericGt(value) => number(value + 1.0),
        CompiledMatcher::NumericLt(value) => number(value - 1.0),
        CompiledMatcher::BoolEq(value) => vec![Wish::whole(&value.to_string())],
        // It has to be there.
        CompiledMatcher::Exists(_) | CompiledMatcher::Not(_) | CompiledMatcher::Null => vec![Wish::default()],
        CompiledMatcher::AnyOf(parts) => grouped(GroupMode::Any, parts.iter().map(of_matcher).collect()),
        CompiledMatcher::AllOf(parts) => grouped(GroupMode::All, parts.iter().map(of_matcher).collect()),
        CompiledMatcher::CaseInsensitiveGroup { children, mode } => {
            grouped(*mode, children.iter().map(of_matcher).collect())
        }
        CompiledMatcher::FieldRef { .. }
        | CompiledMatcher::Expand { .. }
        | CompiledMatcher::TimestampPart { .. } => Vec::new(),
    }
}

fn grouped(mode: GroupMode, parts: Vec<Vec<Wish>>) -> Vec<Wish> {
    match mode {
        GroupMode::Any => spread(parts, OF_ITEM),
        GroupMode::All => product(parts, OF_ITEM, |one: &Wish, other| one.clone().and(other)),
    }
}

/// One of them has to be met.
fn any(parts: Vec<Vec<Wishes>>) -> Vec<Wishes> {
    spread(parts, MOST)
}

/// All of them have to be met.
fn all(parts: Vec<Vec<Wishes>>) -> Vec<Wishes> {
    product(parts, MOST, |one: &Wishes, other| {
        let mut both = one.clone();
        other.iter().for_each(|(name, wish)| add(&mut both, name, wish));
        both
    })
}

fn add(wishes: &mut Wishes, name: &str, wish: &Wish) {
    let known = wishes.remove(name).unwrap_or_default();
    wishes.insert(name.to_owned(), known.and(wish));
}

/// Some of each, the first of all before the second of any.
fn spread<T>(parts: Vec<Vec<T>>, most: usize) -> Vec<T> {
    let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
    let mut found = Vec::new();
    loop {
        let before = found.len();
        found.extend(parts.iter_mut().filter_map(Iterator::next));
        if found.len() == before || found.len() >= most {
            found.truncate(most);
            return found;
        }
    }
}

fn product<T: Clone + Default>(parts: Vec<Vec<T>>, most: usize, join: impl Fn(&T, &T) -> T) -> Vec<T> {
    let start = vec![T::default()];
    parts.into_iter().fold(start, |found, part| {
        let pairs = part
            .iter()
            .flat_map(|other| found.iter().map(|one| join(one, other)));
        pairs.take(most).collect()
    })
}
