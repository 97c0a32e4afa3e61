//! The processes that run now, for an operator.

use super::mask::Mask;
use crate::enrich::Enricher;
use crate::history::Story;
use crate::sys::{Clocks, Stat};
use picket_common::event::Program;
use picket_common::finding::{Finding, Severity};
use picket_common::ids::RecordId;
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A process that runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Running {
    /// What is known of it; of its ancestors the parent's number.
    #[serde(flatten)]
    pub program: Program,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// The findings about it, the newest last, among the last that are kept on this host.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<About>,
}

/// A finding about a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// Its id, by which `picket explain` knows it.
    pub id: RecordId,
    /// The rule's title.
    pub title: String,
    /// How bad.
    pub severity: Severity,
}

/// Knows the processes through whoever makes events of them.
pub(super) struct Processes {
    pub(super) enricher: Arc<Mutex<Enricher>>,
    pub(super) mask: Mask,
}

impl Processes {
    /// Those that run now, by their numbers, with the findings about them.
    pub(super) fn running(&self, stories: Vec<Story>) -> Vec<Running> {
        let mut known = {
            let mut enricher = self.enricher.lock().unwrap_or_else(PoisonError::into_inner);
            enricher.running()
        };
        // The end of one may have been lost, or not be told of yet.
        known.retain(|program| is_there(program.process));
        known.sort_unstable_by_key(|program| program.process.pid);
        let clocks = Clocks::read().ok();
        let mut findings: HashMap<ProcessId, Vec<About>> = HashMap::new();
        for finding in stories.into_iter().filter_map(|story| story.finding) {
            if let Some(process) = finding.process {
                findings.entry(process).or_default().push(finding.into());
            }
        }
        let running = known.into_iter().map(|mut program| {
            self.mask.program(&mut program);
            Running {
                started: clocks.map(|clocks| clocks.began(program.process.start)),
                findings: findings.remove(&program.process).unwrap_or_default(),
                program,
            }
        });
        running.collect()
    }
}

impl From<Finding> for About {
    fn from(finding: Finding) -> Self {
        Self {
            id: finding.id,
            title: finding.rule.title,
            severity: finding.severity,
        }
    }
}

fn is_there(process: ProcessId) -> bool {
    Stat::read(process.pid).is_ok_and(|now| now.process == process && !now.has_ended())
}
