//! Quarantine: a file that landed, or the one that a process runs, is taken away so that nobody runs or reads it, and so that
//! it can come back exactly as it was.
//!
//! Policy and guard agree, the file is proven to be the one that was judged, the ledger is synced, and only then it goes.
//! `passage` tells how it goes and what happens when the agent ends in the middle, `vault` how it comes back. A process that
//! runs the file, or has it open, goes on: to end it is what a kill is for.

mod asked;
mod attributes;
mod mask;
mod package;
mod passage;
mod place;
mod record;
mod resumed;
mod spare;
mod subject;
mod taker;
#[cfg(test)]
mod tests;
mod vault;

pub use record::Record;
use subject::Subject;
pub use taker::{Take, Taker};
pub use vault::{Vault, VaultError};

use super::desk::{Desk, Held, outcome};
use super::{Done, Responder, UndoError};
use crate::config::Respond;
use asked::file_of;
use hashlink::LruCache;
use picket_common::action::{Action, ActionKind, Decision, Target};
use picket_common::event::FileRef;
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::raw_text::RawText;
use picket_common::record::Outcome;
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use spare::Spare;
use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// How many files are remembered that were decided on.
const REMEMBERED: usize = 4096;
/// When it is tried again to delete what could not be.
const AGAIN: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// How a file leaves the quarantine, other than by going back where it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// It is put back to this place.
    To(RawText),
    /// It is deleted for good.
    Delete,
}

/// A file with a content: when anything of it changes, so does this.
type Version = (u64, u64, i64, i64);

/// See the module.
pub struct Quarantines {
    settings: Respond,
    taker: Box<dyn Taker>,
    vault: Vault,
    spare: Spare,
    held: Vec<Held>,
    /// What findings have had decided: nobody needs to hear it once more.
    decided: LruCache<Version, ()>,
    /// When findings had files taken away within the last minute, the oldest first.
    lately: VecDeque<Timestamp>,
    /// What the finding at hand is about, seen before anything was done to its process.
    found: Option<(RecordId, FileRef)>,
    /// What the ledger says is there, or may be.
    claimed: Vec<Action>,
}

impl Quarantines {
    /// Takes files through `taker`, and never one from the agent's `own` folders.
    pub fn new(settings: &Respond, own: &[std::path::PathBuf], taker: Box<dyn Taker>) -> Self {
        let quarantine = &settings.quarantine;
        Self {
            settings: settings.clone(),
            taker,
            vault: Vault::new(&quarantine.directory, quarantine.quota),
            spare: Spare::new(settings, own),
            held: Vec::new(),
            decided: LruCache::new(REMEMBERED),
            lately: VecDeque::new(),
            found: None,
            claimed: Vec::new(),
        }
    }

    fn wants(&self, finding: &Finding) -> bool {
        let rule = &finding.rule;
        let mut named = self.settings.quarantine.rules.iter();
        finding
            .suggests
            .iter()
            .any(|wanted| wanted == ActionKind::Quarantine.as_str())
            || named.any(|name| *name == rule.id || *name == rule.title)
    }

    /// Counts a file that a finding has taken away; why it is one too many.
    fn one_too_many(&mut self, now: Timestamp) -> Option<String> {
        let max = self.settings.quarantine.max_per_minute;
        self.lately
            .retain(|time| *time <= now && now.since(*time) < MINUTE);
        if self.lately.len() >= max {
            return Some(format!(
                "{max} findings have had files taken away within a minute already (respond.quarantine.max_per_minute): a rule may be wrong"
            ));
        }
        self.lately.push_back(now);
        None
    }

    /// Proves, asks, claims, and does it. The action's target is what was meant.
    fn act(&mut self, mut action: Action, desk: &mut Desk, now: Timestamp) -> Done {
        let Target::Quarantine(meant) = &action.target else {
            return Ok(Vec::new());
        };
        let path = meant.path.as_path().to_owned();
        let subject = match Subject::open(&path, self.settings.quarantine.quota) {
            Ok(subject) => subject,
            Err(error) => {
                let because = error.to_string();
                return Ok(vec![desk.note(action, Decision::Failed { because }, now)?]);
            }
        };
        let refused = subject
            .differs(meant)
            .or_else(|| self.spare.refuses(&subject))
            .or_else(|| action.finding.and_then(|_| self.one_too_many(now)))
            .or_else(|| {
                self.vault
                    .has_room(subject.size)
                    .err()
                    .map(|error| error.to_string())
            });
        action.target = Target::Quarantine(Box::new(subject.named()));
        if let Some(because) = refused {
            return Ok(vec![desk.note(action, Decision::Refused { because }, now)?]);
        }
        let decision = self.taker.decides();
        if subject.links > 1 {
            let left = subject.links - 1;
            action
                .reason
                .push_str(&format!("; {left} other names lead to its content still"));
            let known: Vec<String> = subject
                .other_names
                .iter()
                .take(8)
                .map(ToString::to_string)
                .collect();
            if !known.is_empty() {
                action
                    .reason
                    .push_str(&format!(", in its folder {}", known.join(", ")));
            }
        }
        if decision == Decision::Applied {
            desk.claim(&action, now)?;
        }
        if let Err(error) = self.taker.take(&self.vault, &subject, &action) {
            if matches!(error, VaultError::Stuck { .. }) {
                tracing::error!("{}: {error}", subject.path);
            }
            let because = error.to_string();
            return Ok(vec![desk.note(action, Decision::Failed { because }, now)?]);
        }
        if decision == Decision::Applied {
            self.hold(action.clone());
        }
        let now = (desk.done_at)(now);
        Ok(vec![desk.note(action, decision, now)?])
    }

    fn hold(&mut self, action: Action) {
        let until = action.ttl.map(|ttl| action.time.plus(ttl));
        self.held.push(Held { action, until });
    }

    /// Whether this very file has been taken away.
    fn holds(&self, file: &FileRef) -> bool {
        let mut taken = self.held.iter().filter_map(|held| match &held.action.target {
            Target::Quarantine(taken) => Some(taken),
            _ => None,
        });
        file.sha256.is_some() && taken.any(|taken| **taken == *file)
    }

    /// Where a file of that name or id is among those that are held; the last of several.
    fn position(&self, name: &str) -> Option<usize> {
        let is_it = |held: &Held| {
            let of_path = match &held.action.target {
                Target::Quarantine(file) => file.path.as_bytes() == name.as_bytes(),
                _ => false,
            };
            of_path || held.action.id.to_string() == name
        };
        self.held.iter().rposition(is_it)
    }

    /// Puts a file back, by whatever name it is asked for.
    fn put_back(
        &mut self,
        at: usize,
        to: Option<&Path>,
        desk: &mut Desk,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, UndoError> {
        let mut action = self.held.remove(at).action;
        let restored = self.vault.find(&action.id.to_string()).and_then(|mut record| {
            // The ledger and the record must say the same.
            match &action.target {
                Target::Quarantine(file) if file.sha256.as_deref() == Some(record.sha256.as_str()) => {}
                _ => return Err(VaultError::Tampered),
            }
            self.vault.restore(&mut record, to)
        });
        if let Err(error) = restored {
            let because = error.to_string();
            self.hold(action.clone());
            return Ok(vec![outcome(action, Decision::Failed { because }, now)]);
        }
        if let Some(to) = to {
            action
                .reason
                .push_str(&format!("; put back as {}", RawText::from(to)));
        }
        Ok(vec![desk.note(action, Decision::Undone, now)?])
    }

    fn delete(&mut self, at: usize, desk: &mut Desk, now: Timestamp) -> Result<Vec<Outcome>, UndoError> {
        let mut action = self.held.remove(at).action;
        if let Err(error) = self.vault.delete(action.id) {
            let because = error.to_string();
            self.hold(action.clone());
            return Ok(vec![outcome(action, Decision::Failed { because }, now)]);
        }
        action.reason.push_str("; deleted by hand");
        Ok(vec![desk.note(action, Decision::Expired, now)?])
    }
}

impl Responder for Quarantines {
    fn handles(&self) -> ActionKind {
        ActionKind::Quarantine
    }

    fn describe(&self) -> &'static str {
        self.taker.describe()
    }

    fn resume(&mut self, live: Vec<(Action, Timestamp)>) {
        self.claimed = live.into_iter().map(|(action, _)| action).collect();
    }

    fn take_hold(&mut self, finding: &Finding) {
        let file = match self.wants(finding) {
            true => file_of(finding),
            false => None,
        };
        self.found = file.map(|file| (finding.id, file));
    }

    fn consider(&mut self, finding: &Finding, desk: &mut Desk, now: Timestamp) -> Done {
        let Some((_, file)) = self.found.take().filter(|(id, _)| *id == finding.id) else {
            return Ok(Vec::new());
        };
        // Several rules may find the same file.
        if self.holds(&file) {
            return Ok(Vec::new());
        }
        let path = file.path.clone();
        let action = Action {
            id: RecordId::derived(
                now,
                &[finding.id.to_string().as_bytes(), b"quarantine", path.as_bytes()],
            ),
            time: now,
            target: Target::Quarantine(Box::new(file)),
            ttl: Some(self.settings.quarantine.keep),
            reason: finding.summary.clone(),
            finding: Some(finding.id),
        };
        if !desk.guard.is_live() {
            // The files of a replay are not those of this host.
            return Ok(vec![desk.note(action, self.taker.decides(), now)?]);
        }
        let version = fs::symlink_metadata(path.as_path())
            .ok()
            .map(|data| (data.dev(), data.ino(), data.ctime(), data.ctime_nsec()));
        if let Some(version) = version
            && self.decided.insert(version, ()).is_some()
        {
            return Ok(Vec::new());
        }
        self.act(action, desk, now)
    }

    fn order(&mut self, action: Action, desk: &mut Desk, now: Timestamp) -> Done {
        match desk.guard.is_live() {
            true => self.act(action, desk, now),
            false => Ok(vec![desk.note(action, self.taker.decides(), now)?]),
        }
    }

    fn undo(
        &mut self,
        name: &str,
        desk: &mut Desk,
        now: Timestamp,
    ) -> Option<Result<Vec<Outcome>, UndoError>> {
        let at = self.position(name)?;
        Some(self.put_back(at, None, desk, now))
    }

    fn release(
        &mut self,
        name: &str,
        way: &Release,
        desk: &mut Desk,
        now: Timestamp,
    ) -> Option<Result<Vec<Outcome>, UndoError>> {
        let at = self.position(name)?;
        Some(match way {
            Release::To(path) => self.put_back(at, Some(path.as_path()), desk, now),
            Release::Delete => self.delete(at, desk, now),
        })
    }

    fn held(&self) -> Box<dyn Iterator<Item = &Held> + '_> {
        Box::new(self.held.iter())
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.held.iter().filter_map(|held| held.until).min()
    }

    fn reconcile(&mut self, desk: &mut Desk, now: Timestamp, always: bool) -> Done {
        let mut outcomes = match always {
            true => self.recover(desk, now)?,
            false => Vec::new(),
        };
        outcomes.extend(self.expire(desk, now)?);
        Ok(outcomes)
    }

    fn expire(&mut self, desk: &mut Desk, now: Timestamp) -> Done {
        let mut outcomes = Vec::new();
        let over = |held: &Held| held.until.is_some_and(|until| until <= now);
        // One that cannot be deleted is tried again later.
        let later = Some(now.plus(AGAIN));
        while let Some(at) = self.held.iter().position(over) {
            let mut held = self.held.remove(at);
            if let Err(error) = self.vault.delete(held.action.id) {
                tracing::error!("{}: {error}", held.action.target);
                held.until = later;
                self.held.push(held);
                continue;
            }
            held.action
                .reason
                .push_str("; kept for as long as respond.quarantine.keep says");
            outcomes.push(desk.note(held.action, Decision::Expired, now)?);
        }
        Ok(outcomes)
    }

    fn clock_was_set(&mut self, micros: i64) {
        for held in &mut self.held {
            let shifted = |until: Timestamp| Timestamp::from_micros(until.as_micros().saturating_add(micros));
            held.until = held.until.map(shifted);
        }
    }
}
