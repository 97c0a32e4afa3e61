//! What kind of event a rule is about, by its log source: it is asked about no other.

use super::fields::file;
use super::signature::{self, Verdict};
use crate::observation::Subject;
use rsigma_eval::{CompiledDetection, CompiledRule};
use rsigma_parser::LogSource;

/// The kind of event.
pub(super) enum Topic {
    /// What authentication logs say.
    Logins {
        /// See [`signature::verdicts`].
        verdicts: Vec<Verdict>,
        /// The program that says it, when the rule is about one.
        program: Option<String>,
    },
    /// Programs that are started.
    Programs,
    /// The same, as auditd's records of them are.
    Audit,
    /// Connections.
    Connections,
    /// Programs that end.
    Exits,
    /// Programs that become root as none should.
    Privileges,
    /// Signals from one program to another.
    Signals,
    /// Files that land.
    Files {
        /// Also those that were there before, and of which only mode or owner changed.
        attributes: bool,
    },
    /// Something that is not seen here.
    Others,
}

/// The service that stands in the log source of rules about what Sigma has no category for.
const OURS: &str = "picket";

impl Topic {
    pub(super) fn of(rule: &CompiledRule) -> Self {
        let source = &rule.logsource;
        if !is_here(source) {
            return Self::Others;
        }
        match (source.category.as_deref(), source.service.as_deref()) {
            (None, Some("auditd")) => Self::Audit,
            (Some("authentication") | None, service) => Self::Logins {
                verdicts: signature::verdicts(rule),
                program: service.filter(|service| *service != "auth").map(str::to_owned),
            },
            (Some("process_creation"), _) => Self::Programs,
            (Some("network_connection"), _) => Self::Connections,
            (Some("process_termination"), _) => Self::Exits,
            (Some("file_event"), _) => Self::Files {
                attributes: asks_for_attributes(rule),
            },
            (Some("privilege_change"), Some(OURS)) => Self::Privileges,
            (Some("signal"), Some(OURS)) => Self::Signals,
            _ => Self::Others,
        }
    }

    pub(super) const fn needs(&self) -> Subject {
        match self {
            Self::Logins { .. } => Subject::Logins,
            Self::Programs | Self::Audit => Subject::Programs,
            Self::Connections => Subject::Connections,
            Self::Exits => Subject::Exits,
            Self::Privileges => Subject::Privileges,
            Self::Signals => Subject::Signals,
            Self::Files { .. } => Subject::Files,
            Self::Others => Subject::Others,
        }
    }
}

/// Whether a rule asks for what a change of mode or owner tells.
fn asks_for_attributes(rule: &CompiledRule) -> bool {
    fn asks(detection: &CompiledDetection) -> bool {
        match detection {
            CompiledDetection::AllOf(items) => items.iter().any(|item| {
                let field = item.field.as_deref();
                field.is_some_and(file::is_of_attributes)
            }),
            CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => parts.iter().any(asks),
            _ => false,
        }
    }
    rule.detections.values().any(asks)
}

/// Whether a rule says itself that it is about logins: of such a rule, what no authentication event has is a mistake. Others
/// may be about events that are not there yet.
pub(super) fn is_about_authentication(source: &LogSource) -> bool {
    is_here(source)
        && match (source.category.as_deref(), source.service.as_deref()) {
            (Some(category), _) => category == "authentication",
            (None, service) => matches!(service, Some("auth" | "sshd")),
        }
}

fn is_here(source: &LogSource) -> bool {
    source.product.as_deref().is_none_or(|product| product == "linux")
}
