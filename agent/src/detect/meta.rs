//! What every rule has, whether it matches or counts.

use super::cost::Cost;
use super::exceptions::Exceptions;
use picket_common::finding::{RuleRef, Severity};
use rsigma_parser::Level;
use std::sync::Arc;

/// What people need to know of a rule.
pub(super) struct Meta {
    pub(super) rule: RuleRef,
    pub(super) severity: Severity,
    pub(super) suggests: Vec<String>,
    /// Whether it makes findings of its own, or is only counted by others.
    pub(super) reports: bool,
    pub(super) exceptions: Exceptions,
    pub(super) cost: Arc<Cost>,
}

pub(super) fn meta(
    id: Option<&str>,
    title: &str,
    level: Option<Level>,
    tags: &[String],
    suggests: Vec<String>,
) -> Meta {
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
        exceptions: Exceptions::default(),
        cost: Arc::default(),
    }
}

/// The response that knows a program's file and nothing else of it.
pub(super) const DENY: &str = "deny_exec";
/// The responses that a rule can suggest.
const RESPONSES: [&str; 6] = [
    "block_ip",
    "kill",
    "kill_tree",
    "kill_session",
    DENY,
    "quarantine",
];

/// `picket: {respond: [block_ip]}`
pub(super) fn suggestions(picket: Option<&serde_json::Value>) -> Result<Vec<String>, String> {
    let Some(wanted) = picket.and_then(|picket| picket.get("respond")) else {
        return Ok(Vec::new());
    };
    let list: Vec<String> = serde_json::from_value(wanted.clone())
        .map_err(|_| "picket.respond must be a list, such as [block_ip]".to_owned())?;
    match list.iter().find(|name| !RESPONSES.contains(&name.as_str())) {
        Some(other) => Err(format!(
            "picket.respond: '{}' is no response; known are: {}",
            other.escape_debug(),
            RESPONSES.join(", ")
        )),
        None => Ok(list),
    }
}
