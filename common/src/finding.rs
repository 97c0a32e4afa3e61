//! What a rule found.

use crate::event::FileRef;
use crate::ids::RecordId;
use crate::process::ProcessId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A rule fired.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Derived from rule and last event, so that reading a log again gives the same id.
    pub id: RecordId,
    /// The time of the event that completed it.
    pub time: Timestamp,
    /// When the agent judged it: `detected - time` is the time to detect.
    pub detected: Timestamp,
    /// Which rule.
    pub rule: RuleRef,
    /// How bad, by the rule's own account.
    pub severity: Severity,
    /// One sentence for a person.
    pub summary: String,
    /// The values by which a correlation groups, by field name.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub group: Vec<(String, String)>,
    /// What was counted, for rules that count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
    /// The address that the finding is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<IpAddr>,
    /// The user that it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// The process that it is about: the one that completed it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub process: Option<ProcessId>,
    /// The file that it is about: the one that landed, or the one that the process runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<Box<FileRef>>,
    /// The events that made it, newest last, bounded.
    pub events: Vec<RecordId>,
    /// The responses that the rule suggests, such as `block_ip`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub suggests: Vec<String>,
}

/// The rule behind a finding.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleRef {
    /// The rule's own id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// ATT&CK technique ids, as `T1110.001`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attack: Vec<String>,
}

/// Sigma's levels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth keeping.
    Informational,
    /// Worth a look some day.
    Low,
    /// Worth a look.
    Medium,
    /// Look today.
    High,
    /// Look now.
    Critical,
}
