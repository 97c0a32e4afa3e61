//! The few values that decide most rules, as one small number, so that a rule is asked only where it can match.

use super::fields::View;
use picket_common::event::{AuthAction, AuthEvent, AuthMethod, Outcome};
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledRule, compiler::eval_condition};
use rsigma_parser::ConditionExpr;
use std::collections::HashSet;

const FIELDS: [&str; 3] = ["event.action", "event.outcome", "picket.auth.method"];
/// Of this field, a signature tells whether it is there.
const PRESENT: &str = "user.name";

/// How many signatures there are.
pub(super) const COUNT: usize = AuthAction::ALL.len() * Outcome::ALL.len() * (AuthMethod::ALL.len() + 1) * 2;

/// The signature of an event: below [`COUNT`].
pub(super) fn of(event: &AuthEvent) -> usize {
    let method = event.method.map_or(0, |method| method as usize + 1);
    let of_outcome = event.action as usize * Outcome::ALL.len() + event.outcome as usize;
    (of_outcome * (AuthMethod::ALL.len() + 1) + method) * 2 + usize::from(event.user.is_some())
}

/// What a rule's verdict is, as far as the signature alone can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It does not match.
    No,
    /// It matches, whatever else the event holds.
    Yes,
    /// The rule has to be asked.
    Ask,
}

/// The verdict of a rule for every signature.
///
/// Each detection is told as far as the signature goes: one that asks about nothing else exactly; of another, what it says
/// with the other fields left out is the most that it can match.
pub(super) fn verdicts(rule: &CompiledRule) -> Vec<Verdict> {
    let exact: HashSet<&str> = rule
        .detections
        .iter()
        .filter(|(_, detection)| only_signature(detection))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut reduced = rule.detections.clone();
    reduced.values_mut().for_each(leave_out);
    let mut verdicts = vec![Verdict::No; COUNT];
    for sample in samples() {
        let matches = |expression: &ConditionExpr| {
            eval_condition(expression, &reduced, &View::Auth(&sample), &mut Vec::new())
        };
        let told = rule
            .conditions
            .iter()
            .map(|condition| tell(condition, &exact, &matches));
        if let Some(slot) = verdicts.get_mut(of(&sample)) {
            *slot = told.fold(Verdict::No, Verdict::or);
        }
    }
    verdicts
}

/// What a condition comes to when some of its parts are not known yet.
fn tell(
    condition: &ConditionExpr,
    exact: &HashSet<&str>,
    matches: &impl Fn(&ConditionExpr) -> bool,
) -> Verdict {
    let parts = |parts: &[ConditionExpr], start, join: fn(Verdict, Verdict) -> Verdict| {
        parts
            .iter()
            .map(|part| tell(part, exact, matches))
            .fold(start, join)
    };
    match condition {
        ConditionExpr::And(all) => parts(all, Verdict::Yes, Verdict::and),
        ConditionExpr::Or(any) => parts(any, Verdict::No, Verdict::or),
        ConditionExpr::Not(inner) => match tell(inner, exact, matches) {
            Verdict::No => Verdict::Yes,
            Verdict::Yes => Verdict::No,
            Verdict::Ask => Verdict::Ask,
        },
        ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } if !matches(condition) => Verdict::No,
        ConditionExpr::Identifier(name) if exact.contains(name.as_str()) => Verdict::Yes,
        ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } => Verdict::Ask,
    }
}

impl Verdict {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Ask,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Ask,
        }
    }
}

/// An event of each signature.
fn samples() -> impl Iterator<Item = AuthEvent> {
    let methods = || AuthMethod::ALL.iter().copied().map(Some).chain([None]);
    let events = AuthAction::ALL.iter().flat_map(|action| {
        Outcome::ALL
            .iter()
            .map(|outcome| AuthEvent::new(*action, *outcome, ""))
    });
    events.flat_map(move |event| {
        methods().flat_map(move |method| {
            let event = event.clone();
            [None, Some("".into())].map(|user| AuthEvent {
                method,
                user,
                ..event.clone()
            })
        })
    })
}

/// Whether a signature decides an item.
fn is_told(item: &CompiledDetectionItem) -> bool {
    item.field
        .as_deref()
        .is_some_and(|field| FIELDS.contains(&field) || (item.exists.is_some() && field == PRESENT))
}

fn only_signature(detection: &CompiledDetection) -> bool {
    match detection {
        CompiledDetection::AllOf(items) => items.iter().all(is_told),
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => parts.iter().all(only_signature),
        _ => false,
    }
}

/// Leaves out what the signature does not hold; a part of which nothing is left matches.
fn leave_out(detection: &mut CompiledDetection) {
    match detection {
        CompiledDetection::AllOf(items) => items.retain(is_told),
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => {
            parts.iter_mut().for_each(leave_out)
        }
        other => *other = CompiledDetection::AllOf(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsigma_eval::compile_rule;
    use rsigma_parser::parse_sigma_yaml;

    /// For every signature and several users, what the verdict says against what the whole rule says.
    fn holds(detection: &str, condition: &str) -> usize {
        let text = format!(
            "title: t\nlogsource: {{product: linux}}\ndetection:\n{detection}    condition: {condition}\n"
        );
        let parsed = parse_sigma_yaml(&text).unwrap();
        let rule = compile_rule(&parsed.rules[0]).unwrap();
        let verdicts = verdicts(&rule);
        let mut asked = 0;
        for sample in samples() {
            let users = match sample.user {
                None => vec![None],
                Some(_) => vec![Some("root".into()), Some("bob".into())],
            };
            for user in users {
                let event = AuthEvent {
                    user,
                    ..sample.clone()
                };
                let whole = rule.conditions.iter().any(|condition| {
                    eval_condition(condition, &rule.detections, &View::Auth(&event), &mut Vec::new())
                });
                match verdicts[of(&event)] {
                    Verdict::Ask => asked += 1,
                    verdict => assert_eq!(verdict == Verdict::Yes, whole, "{text}{event:?}"),
                }
            }
        }
        asked
    }

    #[test]
    fn a_verdict_is_what_the_rule_would_say() {
        let login = "    login: {event.action: login}\n";
        assert_eq!(holds(login, "login"), 0);
        assert_eq!(holds(login, "not login"), 0);
        let named = "    login: {event.action: login}\n    named: {user.name|exists: true}\n";
        assert_eq!(holds(named, "login and not named"), 0);
        let root = "    login: {event.action: login}\n    root: {user.name: root}\n";
        let logins = Outcome::ALL.len() * (AuthMethod::ALL.len() + 1) * 3;
        assert_eq!(holds(root, "login and root"), logins);
        assert_eq!(holds(root, "login and not root"), logins);
        assert!(holds(root, "not (login and root)") <= logins);
        assert!(holds(root, "1 of them") > 0);
        let keywords = "    login: {event.action: login}\n    words: [root, bob]\n";
        assert!(holds(keywords, "login and words") <= logins);
        assert!(holds(keywords, "login or not words") > 0);
    }
}
