//! The few values that decide most rules, as one small number, so that a rule is asked only where it can match.

use super::fields::View;
use picket_common::event::{AuthAction, AuthEvent, AuthMethod, Outcome};
use rsigma_eval::{CompiledDetection, CompiledRule, compiler::eval_condition};
use rsigma_parser::ConditionExpr;
use std::collections::HashSet;

const FIELDS: [&str; 3] = ["event.action", "event.outcome", "picket.auth.method"];

/// How many signatures there are.
pub(super) const COUNT: usize = AuthAction::ALL.len() * Outcome::ALL.len() * (AuthMethod::ALL.len() + 1);

/// The signature of an event: below [`COUNT`].
pub(super) fn of(event: &AuthEvent) -> usize {
    let method = event.method.map_or(0, |method| method as usize + 1);
    (event.action as usize * Outcome::ALL.len() + event.outcome as usize) * (AuthMethod::ALL.len() + 1)
        + method
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
            eval_condition(expression, &reduced, &View(&sample), &mut Vec::new())
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

fn samples() -> impl Iterator<Item = AuthEvent> {
    AuthAction::ALL.iter().flat_map(|action| {
        Outcome::ALL.iter().flat_map(move |outcome| {
            AuthMethod::ALL
                .iter()
                .copied()
                .map(Some)
                .chain([None])
                .map(move |method| {
                    let mut event = AuthEvent::new(*action, *outcome, "");
                    event.method = method;
                    event
                })
        })
    })
}

fn only_signature(detection: &CompiledDetection) -> bool {
    match detection {
        CompiledDetection::AllOf(items) => items
            .iter()
            .all(|item| item.field.as_deref().is_some_and(|field| FIELDS.contains(&field))),
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => parts.iter().all(only_signature),
        _ => false,
    }
}

/// Leaves out what the signature does not hold; a part of which nothing is left matches.
fn leave_out(detection: &mut CompiledDetection) {
    match detection {
        CompiledDetection::AllOf(items) => {
            items.retain(|item| item.field.as_deref().is_some_and(|field| FIELDS.contains(&field)));
        }
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => {
            parts.iter_mut().for_each(leave_out)
        }
        other => *other = CompiledDetection::AllOf(Vec::new()),
    }
}
