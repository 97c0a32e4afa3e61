//! What an event must have for a rule to match, as far as one question tells: a rule that asks for one of a few programs
//! need not be asked about any other.

use rsigma_eval::matcher::GroupMode;
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher, CompiledRule};
use rsigma_parser::{ConditionExpr, Quantifier};
use std::collections::BTreeSet;

/// Things of which an event must have one; `None` where it need not have any, and none of them where it cannot match.
pub(super) type Needed<T> = Option<BTreeSet<T>>;

/// What each item of a rule needs by itself: its field, or none for words that may be anywhere, and what is asked of it. Of what
/// all of several items need, that which is worth the most is taken.
pub(super) trait Question {
    /// What may be needed.
    type Thing: Ord;

    fn of_item(&self, field: Option<&str>, matcher: &CompiledMatcher) -> Needed<Self::Thing>;
    fn worth(&self, things: &BTreeSet<Self::Thing>) -> usize;
}

/// What a rule needs.
pub(super) fn needed<Q: Question>(rule: &CompiledRule, question: &Q) -> Needed<Q::Thing> {
    let conditions = rule.conditions.iter();
    any(conditions.map(|condition| of_condition(condition, rule, question)))
}

/// The last parts of paths, in lower case.
pub(super) fn names(matcher: &CompiledMatcher) -> Needed<String> {
    let last = |path: &str| path.rsplit_once('/').map(|(_, name)| name.to_lowercase());
    match matcher {
        CompiledMatcher::Exact { value, .. } => {
            Some(one(last(value).unwrap_or_else(|| value.to_lowercase())))
        }
        CompiledMatcher::EndsWith { value, .. } => last(value).map(one),
        _ => grouped(matcher, names),
    }
}

/// Whole values, in lower case.
pub(super) fn values(matcher: &CompiledMatcher) -> Needed<String> {
    match matcher {
        CompiledMatcher::Exact { value, .. } => Some(one(value.to_lowercase())),
        _ => grouped(matcher, values),
    }
}

fn one(value: String) -> BTreeSet<String> {
    BTreeSet::from([value])
}

fn grouped(matcher: &CompiledMatcher, of: fn(&CompiledMatcher) -> Needed<String>) -> Needed<String> {
    let fewest = |values: &BTreeSet<String>| usize::MAX - values.len();
    match matcher {
        CompiledMatcher::AnyOf(parts) => any(parts.iter().map(of)),
        CompiledMatcher::AllOf(parts) => all(parts.iter().map(of), fewest),
        CompiledMatcher::CaseInsensitiveGroup { children, mode } => {
            let parts = children.iter().map(of);
            match mode {
                GroupMode::Any => any(parts),
                GroupMode::All => all(parts, fewest),
            }
        }
        _ => None,
    }
}

fn of_condition<Q: Question>(
    condition: &ConditionExpr,
    rule: &CompiledRule,
    question: &Q,
) -> Needed<Q::Thing> {
    let worth = |things: &_| question.worth(things);
    let each = |part: &ConditionExpr| of_condition(part, rule, question);
    match condition {
        ConditionExpr::Identifier(name) => of_detection(rule.detections.get(name)?, question),
        ConditionExpr::And(parts) => all(parts.iter().map(each), worth),
        ConditionExpr::Or(parts) => any(parts.iter().map(each)),
        ConditionExpr::Not(_) => None,
        ConditionExpr::Selector { quantifier, pattern } => {
            let chosen = rule.detections.iter();
            let chosen = chosen.filter(|(name, _)| pattern.matches_detection_name(name));
            let parts = chosen.map(|(_, part)| of_detection(part, question));
            match quantifier {
                Quantifier::All => all(parts, worth),
                Quantifier::Count(0) => None,
                Quantifier::Any | Quantifier::Count(_) => any(parts),
            }
        }
    }
}

fn of_detection<Q: Question>(detection: &CompiledDetection, question: &Q) -> Needed<Q::Thing> {
    let worth = |things: &_| question.worth(things);
    let each = |part: &CompiledDetection| of_detection(part, question);
    let of_item = |item: &CompiledDetectionItem| match item.exists {
        None => question.of_item(item.field.as_deref(), &item.matcher),
        Some(_) => None,
    };
    match detection {
        CompiledDetection::AllOf(items) => all(items.iter().map(of_item), worth),
        CompiledDetection::And(parts) => all(parts.iter().map(each), worth),
        CompiledDetection::AnyOf(parts) => any(parts.iter().map(each)),
        CompiledDetection::Keywords(matcher) => question.of_item(None, matcher),
        _ => None,
    }
}

/// What one of them needs; of none nothing is known.
pub(super) fn any<T: Ord>(parts: impl Iterator<Item = Needed<T>>) -> Needed<T> {
    let mut parts = parts.peekable();
    parts.peek()?;
    parts.try_fold(BTreeSet::new(), |mut found, part| {
        found.extend(part?);
        Some(found)
    })
}

/// What all of them need: that of one is enough, and of two that are worth the same it is the first by their order, so that a
/// rule is always asked about the same events.
pub(super) fn all<T: Ord>(
    parts: impl Iterator<Item = Needed<T>>,
    worth: impl Fn(&BTreeSet<T>) -> usize,
) -> Needed<T> {
    let order = |one: &BTreeSet<T>, other: &BTreeSet<T>| {
        let by_worth = worth(one).cmp(&worth(other));
        by_worth.then_with(|| other.cmp(one))
    };
    parts.flatten().max_by(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsigma_eval::compile_rule;
    use rsigma_parser::parse_sigma_yaml;

    /// Asks for the name of the program.
    struct Named;

    impl Question for Named {
        type Thing = String;

        fn of_item(&self, field: Option<&str>, matcher: &CompiledMatcher) -> Needed<String> {
            (field == Some("Image")).then(|| names(matcher)).flatten()
        }

        fn worth(&self, names: &BTreeSet<String>) -> usize {
            100 - names.len()
        }
    }

    fn of(detection: &str) -> Option<Vec<String>> {
        let text = format!("title: t\nlogsource: {{product: linux}}\ndetection: {detection}\n");
        let rule = compile_rule(&parse_sigma_yaml(&text).unwrap().rules[0]).unwrap();
        let needed = needed(&rule, &Named);
        needed.map(|needed| needed.into_iter().collect())
    }

    fn some(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn what_a_rule_cannot_do_without_is_told_and_nothing_else() {
        let two = "{a: {Image|endswith: [/nc, /Socat], CommandLine: x}, ";
        assert_eq!(of(&format!("{two}condition: a}}")), some(&["nc", "socat"]));
        assert_eq!(
            of(&format!("{two}b: {{x: y}}, condition: a and not b}}")),
            some(&["nc", "socat"])
        );
        assert_eq!(of(&format!("{two}b: {{x: y}}, condition: a or b}}")), None);
        assert_eq!(of(&format!("{two}condition: not a}}")), None);
        assert_eq!(
            of(&format!("{two}b: {{Image: /bin/id}}, condition: a or b}}")),
            some(&["id", "nc", "socat"])
        );
        assert_eq!(
            of(&format!("{two}b: {{Image: /bin/id}}, condition: a and b}}")),
            some(&["id"])
        );
        // Of two that are worth the same either may be taken.
        let selector = "{a_1: {Image: /bin/id}, a_2: {Image|endswith: [/v, /w], b: c}, ";
        assert_eq!(
            of(&format!("{selector}condition: 1 of a_*}}")),
            some(&["id", "v", "w"])
        );
        assert_eq!(
            of(&format!("{selector}a_3: {{b: c}}, condition: 1 of a_*}}")),
            None
        );
        assert_eq!(
            of(&format!("{selector}a_3: {{b: c}}, condition: all of a_*}}")),
            some(&["id"])
        );
        assert_eq!(
            of("{a: [{Image: /bin/id}, {Image: id}], condition: a}"),
            some(&["id"])
        );
        assert_eq!(of("{a: [{Image: /bin/id}, {b: c}], condition: a}"), None);
        for open in [
            "endswith: id",
            "contains: /id",
            "startswith: /id",
            "exists: true",
            "re: /id$",
        ] {
            assert_eq!(
                of(&format!("{{a: {{Image|{open}}}, condition: a}}")),
                None,
                "{open}"
            );
        }
        assert_eq!(of("{a: {Image: /usr/*/id}, condition: a}"), None);
        assert_eq!(of("{a: [id], condition: a}"), None);
    }
}
