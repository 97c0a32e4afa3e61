//! How the agent is, for an operator.

use super::actor::Acting;
use super::observer;
use super::rules::{InForce, Rules};
use crate::config::{Mode, Settings};
use crate::observation::Subject;
use crate::scan::Backlog;
use crate::send::Up;
use crate::spool::{Pending, Spool};
use picket_common::action::ActionKind;
use picket_common::record::Lane;
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// How the agent is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started: Timestamp,
    /// `monitor` or `enforce`.
    pub mode: String,
    /// How it acts.
    pub acting: String,
    /// Which kinds of act are done no more, though they should be, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub off: Vec<(ActionKind, String)>,
    /// What it watches.
    pub watching: Vec<String>,
    /// What is seen through that.
    pub sees: BTreeSet<Subject>,
    /// Findings, actions and losses that the collector does not have yet.
    pub findings: Pending,
    /// Events that the collector does not have yet.
    pub events: Pending,
    /// Records that were lost since it started, each loss told to the collector as a gap.
    pub lost: u64,
    /// When the collector last acknowledged something.
    pub acknowledged: Option<Timestamp>,
    /// What keeps records from the collector now.
    pub trouble: Option<String>,
    /// The rules in force.
    pub rules: InForce,
    /// How many files wait to be looked into, and were; `None` where files are not watched.
    pub scanned: Option<Backlog>,
    /// The history of what was seen here.
    pub remembered: observer::Report,
}

/// What the agent knows of itself.
pub(super) struct Status {
    started: Timestamp,
    mode: Mode,
    watching: Vec<String>,
    sees: BTreeSet<Subject>,
    spool: Arc<Mutex<Spool>>,
    rules: Arc<Rules>,
    acting: Acting,
    courier: Mutex<Courier>,
}

#[derive(Clone, Default)]
struct Courier {
    acknowledged: Option<Timestamp>,
    trouble: Option<String>,
}

impl Status {
    pub(super) fn new(
        settings: &Settings,
        spool: Arc<Mutex<Spool>>,
        rules: Arc<Rules>,
        (watching, sees): (Vec<String>, BTreeSet<Subject>),
        acting: Acting,
    ) -> Self {
        Self {
            started: now(),
            mode: settings.respond.mode,
            watching,
            sees,
            spool,
            rules,
            acting,
            courier: Mutex::default(),
        }
    }

    /// Takes note of what the courier says.
    pub(super) fn heard(&self, up: &Up) {
        let mut courier = self.courier.lock().unwrap_or_else(PoisonError::into_inner);
        match up {
            Up::Acknowledged { .. } => {
                courier.acknowledged = Some(now());
                courier.trouble = None;
            }
            Up::Trouble { reason } => courier.trouble = Some(reason.clone()),
            Up::Refused { .. } | Up::Reached { .. } | Up::Renewed { .. } => {}
        }
    }

    /// What loads the rules.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn report(&self) -> Report {
        let courier = self
            .courier
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let how = self.acting.get();
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            mode: match self.mode {
                Mode::Monitor => "monitor".to_owned(),
                Mode::Enforce => "enforce".to_owned(),
            },
            acting: how.acting,
            off: how.off,
            watching: self.watching.clone(),
            sees: self.sees.clone(),
            findings: spool.pending(Lane::Findings),
            events: spool.pending(Lane::Events),
            lost: spool.lost(),
            acknowledged: courier.acknowledged,
            trouble: courier.trouble,
            rules: self.rules.in_force(),
            scanned: self.rules.backlog(),
            remembered: self.rules.observer().report(),
        }
    }
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}
