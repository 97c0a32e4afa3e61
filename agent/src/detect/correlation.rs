//! What a Sigma correlation counts, taken out of its document and checked.

use super::fields;
use super::threshold::Kind;
use rsigma_parser::{ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, WindowMode};

/// What is counted, over which time, and by which fields.
pub(super) struct Counted {
    pub(super) kind: Kind,
    /// Microseconds.
    pub(super) span: i64,
    /// For each of the counted rules, the fields to group by.
    pub(super) groups: Vec<Vec<String>>,
}

/// Reads a correlation; whether what it counts is there is not asked.
pub(super) fn counted(rule: &CorrelationRule) -> Result<Counted, String> {
    let span = i64::try_from(rule.timespan.seconds)
        .ok()
        .and_then(|seconds| seconds.checked_mul(1_000_000))
        .filter(|span| *span > 0);
    Ok(Counted {
        kind: kind(rule)?,
        groups: groups(rule)?,
        span: span.ok_or_else(|| "timespan is out of bounds".to_owned())?,
    })
}

fn kind(rule: &CorrelationRule) -> Result<Kind, String> {
    let wrong = |message: &str| Err(message.to_owned());
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
            Some(name) => Err(format!("events have no field '{}'", name.escape_debug())),
            None => Ok(Kind::ValueCount(least(predicates)?, field.clone())),
        },
        (CorrelationType::ValueCount, _) => wrong("value_count needs a field"),
        (_, CorrelationCondition::Extended(_)) => wrong("a condition that combines rules is not supported"),
        _ => wrong("only event_count, value_count, temporal and temporal_ordered are supported"),
    }
}

/// The count from which it fires. An upper bound can hold only once a window has closed, and so is no alarm.
fn least(predicates: &[(ConditionOperator, u64)]) -> Result<usize, String> {
    let [(operator, count)] = predicates else {
        return Err("the condition must be one lower bound: gte or gt".to_owned());
    };
    let least = match operator {
        ConditionOperator::Gte => Some(*count),
        ConditionOperator::Gt => count.checked_add(1),
        _ => None,
    };
    let least = least
        .and_then(|least| usize::try_from(least).ok())
        .filter(|least| (1..=10_000).contains(least));
    least.ok_or_else(|| "the condition must be gte or gt, from 1 to 10000".to_owned())
}

/// The fields to group by for each of the counted rules, with the aliases put in.
fn groups(rule: &CorrelationRule) -> Result<Vec<Vec<String>>, String> {
    let of = |counted: &String| -> Result<Vec<String>, String> {
        rule.group_by
            .iter()
            .map(|name| {
                let alias = rule.aliases.iter().find(|alias| alias.alias == *name);
                let field = alias.and_then(|alias| alias.mapping.get(counted)).unwrap_or(name);
                if fields::is_known(field) {
                    Ok(field.clone())
                } else {
                    Err(format!("events have no field '{}'", field.escape_debug()))
                }
            })
            .collect()
    };
    rule.rules.iter().map(of).collect()
}
