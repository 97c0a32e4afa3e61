//! The few values that decide most rules, as one small number, so that a rule is asked only where it can match.

use super::fields::View;
use picket_common::event::{AuthAction, AuthEvent, AuthMethod, Outcome};
use rsigma_eval::{CompiledDetection, CompiledRule, compiler::eval_condition};
use rsigma_parser::ConditionExpr;

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
/// A rule without `not` only loses matches by asking about more fields, so what it says with the other fields left out is
/// the most that it can match. A rule with `not` about other fields is asked every time.
pub(super) fn verdicts(rule: &CompiledRule) -> Vec<Verdict> {
    let exact = rule.detections.values().all(only_signature);
    let negates = rule.conditions.iter().any(contains_not);
    let mut reduced = rule.detections.clone();
    reduced.values_mut().for_each(leave_out);
    let mut verdicts = vec![Verdict::No; COUNT];
    for sample in samples() {
        let may = || {
            rule.conditions
                .iter()
                .any(|condition| eval_condition(condition, &reduced, &View(&sample), &mut Vec::new()))
        };
        let verdict = match (exact, negates) {
            (true, _) if may() => Verdict::Yes,
            (true, _) => Verdict::No,
            (false, true) => Verdict::Ask,
            (false, false) if may() => Verdict::Ask,
            (false, false) => Verdict::No,
        };
        if let Some(slot) = verdicts.get_mut(of(&sample)) {
            *slot = verdict;
        }
    }
    verdicts
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

fn contains_not(condition: &ConditionExpr) -> bool {
    match condition {
        ConditionExpr::Not(_) => true,
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().any(contains_not),
        ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } => false,
    }
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
