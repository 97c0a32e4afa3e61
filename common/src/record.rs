//! What enters the spool and travels: one fact, with an id that never changes.

use crate::action::{Action, Decision};
use crate::event::Event;
use crate::finding::Finding;
use crate::ids::RecordId;
use crate::process::ProcessId;
use crate::time::Timestamp;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// One fact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record", content = "body")]
pub enum Record {
    /// An event that a finding rests on, or that is configured to be sent.
    Event(Event),
    /// A rule fired.
    Finding(Finding),
    /// Something was done, or was not.
    Outcome(Outcome),
    /// Something was lost.
    Gap(Gap),
    /// Something became known of an event after it had been told.
    Amend(Amend),
}

impl Record {
    /// Its id.
    pub fn id(&self) -> RecordId {
        match self {
            Self::Event(event) => event.id,
            Self::Finding(finding) => finding.id,
            Self::Outcome(outcome) => outcome.id,
            Self::Gap(gap) => gap.id,
            Self::Amend(amend) => amend.id,
        }
    }

    /// The lane it travels on: what people must see never waits behind what they may look up.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Event(_) | Self::Amend(_) => Lane::Events,
            Self::Finding(_) | Self::Outcome(_) | Self::Gap(_) => Lane::Findings,
        }
    }
}

/// The two queues between host and collector, each with its own sequence.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Findings, outcomes and gaps: on disk before anything else happens.
    Findings,
    /// Events: batched; dropped first when space runs out.
    Events,
}

impl Lane {
    /// The name in paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Events => "events",
        }
    }
}

/// An action and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// This record's own id.
    pub id: RecordId,
    /// When it came about: for a block, `time - finding.detected` is the time to respond.
    pub time: Timestamp,
    /// What was wanted.
    pub action: Action,
    /// What became of it.
    #[serde(flatten)]
    pub decision: Decision,
    /// The processes that it hit, where it is an act on processes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hits: Option<Box<Hits>>,
}

/// The processes that an act hit, or would have hit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Hits {
    /// Those that it hit, the one that it was aimed at first.
    pub hit: Vec<Hit>,
    /// Those that belong to them and were left alone.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub spared: Vec<Hit>,
    /// How many more were hit than are listed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub more: u64,
    /// Some may be left: not all of them stood still while it was looked for those that belong to them.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub cut: bool,
}

/// One process that was hit or spared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// Which.
    pub process: ProcessId,
    /// The program that it ran, where that could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub executable: Option<String>,
    /// Why it was spared, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub because: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Items that were lost, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gap {
    /// This record's own id.
    pub id: RecordId,
    /// When the loss was noticed.
    pub time: Timestamp,
    /// Where: the name of a queue, a lane or a sensor.
    pub place: String,
    /// How many items.
    pub lost: u64,
    /// Why, in a sentence.
    pub reason: String,
}

/// What became known of an event later: it took longer than anybody should wait for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Amend {
    /// This record's own id.
    pub id: RecordId,
    /// When it became known.
    pub time: Timestamp,
    /// The event.
    pub event: RecordId,
    /// As [`crate::event::ExecEvent::sha256`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<CompactString>,
}
