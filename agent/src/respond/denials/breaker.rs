//! When nothing is denied any more: a rule that is wrong must not keep a host from working.

use picket_common::finding::{Finding, RuleRef, Severity};
use picket_common::ids::RecordId;
use picket_common::time::Timestamp;
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::time::Duration;

/// So many different files within a minute are no attack but a rule that is wrong.
const MANY: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);
/// What an operator gives the kernel to start without any of this.
const OFF: &str = "picket.deny=off";
/// What the finding is known by that no rule made.
const RULE: &str = "picket-denials-off";

/// See the module.
pub(super) struct Breaker {
    /// When findings had a file denied within the last minute, the oldest first, and by which rule.
    lately: VecDeque<(Timestamp, String)>,
    off: Option<String>,
}

impl Breaker {
    pub(super) fn new() -> Self {
        let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
        let off = line.split_ascii_whitespace().any(|word| word == OFF);
        Self {
            lately: VecDeque::new(),
            off: off.then(|| format!("the host was started with {OFF}")),
        }
    }

    /// Why nothing is denied any more.
    pub(super) fn off(&self) -> Option<&str> {
        self.off.as_deref()
    }

    /// Counts a file that a finding is about to have denied. Once there are too many nothing is denied any more, which is a
    /// finding itself.
    pub(super) fn count(&mut self, finding: &Finding, now: Timestamp) -> Option<Finding> {
        if self.off.is_some() {
            return None;
        }
        self.lately
            .retain(|(time, _)| *time <= now && now.since(*time) < MINUTE);
        self.lately.push_back((now, finding.rule.id.clone()));
        if self.lately.len() < MANY {
            return None;
        }
        let rules: BTreeSet<&str> = self.lately.iter().map(|(_, rule)| rule.as_str()).collect();
        let rules: Vec<&str> = rules.into_iter().collect();
        let off = format!(
            "{MANY} different files were to be denied within a minute, by {}, so a rule is wrong; it denies again once the agent is started again",
            rules.join(", ")
        );
        tracing::error!("nothing is denied any more: {off}");
        let found = Finding {
            id: RecordId::derived(now, &[RULE.as_bytes(), finding.id.to_string().as_bytes()]),
            time: now,
            detected: now,
            rule: RuleRef {
                id: RULE.to_owned(),
                title: "Picket keeps no program from starting any more".to_owned(),
                attack: Vec::new(),
            },
            severity: Severity::High,
            summary: format!("Picket keeps no program from starting any more: {off}"),
            group: Vec::new(),
            count: u64::try_from(self.lately.len()).ok(),
            source: None,
            user: None,
            process: None,
            file: None,
            events: finding.events.clone(),
            suggests: Vec::new(),
        };
        self.off = Some(off);
        Some(found)
    }
}
