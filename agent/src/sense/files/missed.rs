//! What landed while nobody saw it, and until when nothing was missed.

use super::landed::Landed;
use super::now;
use super::scope::Scope;
use super::sweep::Sweep;
use crate::sense::Notice;
use picket_common::event::FileAction;
use picket_common::time::Timestamp;
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much before the last moment at which nothing was missed a file may have changed by its own account: the kernel's clock for
/// files is coarse.
const SLACK: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(in crate::sense) struct Missed {
    source: &'static str,
    sweeps: VecDeque<Sweep>,
    good: Option<Timestamp>,
}

impl Missed {
    /// How long to rest after each step.
    pub(in crate::sense) const REST: Duration = Duration::from_millis(1);

    /// `good`: until then nothing was missed in an earlier run.
    pub(in crate::sense) fn new(source: &'static str, good: Option<Timestamp>) -> Self {
        Self {
            source,
            sweeps: VecDeque::new(),
            good,
        }
    }

    /// Until when nothing was missed; `None` before the very first start.
    pub(in crate::sense) fn good(&self) -> Option<Timestamp> {
        self.good
    }

    /// Up to there all was seen, but for what is still looked for.
    pub(in crate::sense) fn seen_until(&mut self, time: Timestamp) {
        self.good = Some(time);
    }

    /// Where an agent that is started again goes on: nowhere as long as something is looked for, as that would be forgotten.
    pub(in crate::sense) fn resume_at(&self) -> Option<Timestamp> {
        self.good.filter(|_| self.is_found())
    }

    /// Whether nothing is looked for.
    pub(in crate::sense) fn is_found(&self) -> bool {
        self.sweeps.is_empty()
    }

    /// Looks for all that lies below a directory that was moved here.
    pub(in crate::sense) fn look_through(&mut self, directory: PathBuf, action: FileAction) {
        self.sweeps.push_back(Sweep::new(vec![directory], None, action));
    }

    /// Looks for what changed below some places since all was seen. At the very first start nothing was missed.
    pub(in crate::sense) fn look_for(&mut self, mut places: Vec<PathBuf>) {
        places.sort();
        places.dedup();
        if let Some(since) = self.good
            && !places.is_empty()
        {
            self.sweeps
                .push_back(Sweep::new(places, Some(earlier(since)), FileAction::Found));
        }
    }

    /// Looks everywhere, as what happened since all was seen is lost.
    pub(in crate::sense) fn look_everywhere(&mut self, scope: &Scope) {
        let now = now();
        // Also when the clock was set back.
        let mut since = earlier(self.good.unwrap_or(now).min(now));
        // What is being looked for is looked for again: files may have landed where it has been already.
        self.sweeps.retain(|sweep| {
            since = sweep.since().map_or(since, |other| since.min(other));
            sweep.since().is_none()
        });
        self.sweeps
            .push_back(Sweep::new(scope.roots().to_vec(), Some(since), FileAction::Found));
    }

    /// Goes on with looking for a step. What is found, and each directory that is gone through, is handed on; when something was
    /// gone through to its end, what to say of it.
    pub(in crate::sense) fn step(
        &mut self,
        scope: &Scope,
        enter: &HashSet<PathBuf>,
        mut found: impl FnMut(&Path, Landed, FileAction),
        directory: impl FnMut(&Path),
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Some(sweep) = self.sweeps.front_mut() else {
            return notices;
        };
        let action = sweep.action();
        if sweep.step(
            scope,
            enter,
            |path, landed| found(path, landed, action),
            directory,
        ) {
            return notices;
        }
        if sweep.found > 0 && sweep.since().is_some() {
            let found = sweep.found;
            notices.push(Notice::Warning(format!(
                "{}: {found} files that landed unseen were found by looking for them; who wrote them is not known",
                self.source
            )));
        }
        if sweep.unlisted > 0 {
            notices.push(Notice::Lost {
                place: self.source.to_owned(),
                lost: sweep.unlisted,
                reason: "directories could not be listed, in which files may have landed unseen".to_owned(),
            });
        }
        self.sweeps.pop_front();
        notices
    }
}

fn earlier(time: Timestamp) -> Timestamp {
    let slack = i64::try_from(SLACK.as_micros()).unwrap_or(0);
    Timestamp::from_micros(time.as_micros().saturating_sub(slack))
}
