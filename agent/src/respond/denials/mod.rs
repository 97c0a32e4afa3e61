//! Denials: nobody starts a program, for a time. It is known by its file and by its content, so a copy is denied as well.
//!
//! It knows no command lines, and sees neither programs that exist only in memory nor scripts that are given to a shell.

mod breaker;
mod critical;
mod gate;
mod gatekeeper;
mod heard;
pub(super) mod identity;
mod letters;
mod mounts;
mod protocol;
mod refusals;
#[cfg(test)]
mod tests;

pub(super) use critical::Critical;
pub use gate::{Denier, DenyError, Gate, Heard};
pub use gatekeeper::gatekeeper;

use super::desk::{Desk, Held, outcome};
use super::{Done, Responder, UndoError};
use crate::config::Respond;
use breaker::Breaker;
use picket_common::action::{Action, ActionKind, Decision, DeniedFile, Target};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::process::ProcessId;
use picket_common::record::Outcome;
use picket_common::time::Timestamp;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
/// How many files are denied at once.
const MOST: usize = 1000;

/// See the module.
pub struct Denials {
    settings: Respond,
    denier: Box<dyn Denier>,
    critical: Critical,
    held: Vec<Held>,
    breaker: Breaker,
    /// The file of the process that a finding is about, opened before anything is done to that.
    found: Option<Found>,
    /// What an earlier run has denied and this one, which only watches, does not.
    former: Vec<Action>,
    /// What starts whatever is denied, by device and inode, and when it was last looked for.
    spared: Vec<(u64, u64)>,
    looked: Instant,
    unjudged: u64,
    reason: String,
}

/// The program of a process that a finding is about.
struct Found {
    process: ProcessId,
    file: File,
    path: PathBuf,
    /// It is the one that the finding has judged.
    is_judged: bool,
}

impl Denials {
    /// Denies through `denier`.
    pub fn new(settings: &Respond, denier: Box<dyn Denier>) -> Self {
        Self {
            settings: settings.clone(),
            denier,
            critical: Critical::new(&settings.protect_images),
            held: Vec::new(),
            breaker: Breaker::new(),
            found: None,
            former: Vec::new(),
            spared: Vec::new(),
            looked: Instant::now(),
            unjudged: 0,
            reason: String::new(),
        }
    }

    /// A file as it is to be denied, and why it is not.
    fn judge(&self, file: &File, path: &Path) -> io::Result<(DeniedFile, Option<String>)> {
        let mut denied = identity::identify(file, path)?;
        if let Some(because) = self.critical.spares(file, path) {
            return Ok((denied, Some(format!("it is not denied: {because}"))));
        }
        if let Some(twin) = self.critical.twin(&denied) {
            let (path, twin) = (path.display(), twin.display());
            tracing::warn!(
                "a host cannot do without {twin}, which has the content of {path}: its copies start"
            );
            denied.copies_start = true;
        }
        Ok((denied, None))
    }

    fn files(&self) -> Vec<DeniedFile> {
        let files = self.held.iter().filter_map(|held| file_of(&held.action));
        files.cloned().collect()
    }

    fn put(&mut self) -> Result<(), DenyError> {
        let files = self.files();
        self.spared = self.critical.identities();
        self.denier.deny(&files, self.spared.clone())
    }

    /// What the host cannot do without may be another file since: a package was installed.
    fn renew_spared(&mut self) {
        if self.held.is_empty() || self.looked.elapsed() < MINUTE {
            return;
        }
        self.looked = Instant::now();
        if self.critical.identities() == self.spared {
            return;
        }
        if let Err(error) = self.put() {
            tracing::error!("programs start that are denied: {error}");
        }
    }

    fn wanted(&self, finding: &Finding, denied: DeniedFile, now: Timestamp) -> Action {
        let id = finding.id.to_string();
        Action {
            id: RecordId::derived(now, &[id.as_bytes(), b"deny_exec", denied.path.as_bytes()]),
            time: now,
            target: Target::DenyExec(Box::new(denied)),
            ttl: Some(self.settings.deny),
            reason: finding.summary.clone(),
            finding: Some(finding.id),
        }
    }

    /// What comes of taking one back that is no longer denied.
    fn undone(&mut self, held: Held, desk: &mut Desk, now: Timestamp) -> Done {
        let mut outcomes = self.hear(std::slice::from_ref(&held), desk, now)?;
        outcomes.push(desk.note(held.action, Decision::Undone, now)?);
        Ok(outcomes)
    }

    fn act(&mut self, mut action: Action, refused: Option<String>, desk: &mut Desk, now: Timestamp) -> Done {
        let refused = self
            .breaker
            .off()
            .map(|off| format!("nothing is denied: {off}"))
            .or(refused)
            .or_else(|| (self.held.len() >= MOST).then(|| format!("{MOST} files are denied already")));
        if let Some(because) = refused {
            return Ok(vec![desk.note(action, Decision::Refused { because }, now)?]);
        }
        if file_of(&action).is_some_and(|file| file.copies_start) {
            action
                .reason
                .push_str("; this file alone, as the host cannot do without one of the same content");
        }
        let decision = self.denier.decides();
        if decision == Decision::Applied {
            desk.claim(&action, now)?;
        }
        let until = action.ttl.map(|ttl| now.plus(ttl));
        self.held.push(Held {
            action: action.clone(),
            until,
        });
        if let Err(error) = self.put() {
            self.held.pop();
            let because = error.to_string();
            return Ok(vec![desk.note(action, Decision::Failed { because }, now)?]);
        }
        let now = (desk.done_at)(now);
        Ok(vec![desk.note(action, decision, now)?])
    }

    /// Lets everything start that is denied, as something is wrong.
    fn lift_all(&mut self, desk: &mut Desk, now: Timestamp) -> Done {
        let ended = std::mem::take(&mut self.held);
        if let Err(error) = self.put() {
            tracing::error!("{error}");
        }
        let mut outcomes = self.hear(&ended, desk, now)?;
        for mut held in ended {
            held.action
                .reason
                .push_str("; lifted, as too many files were to be denied");
            outcomes.push(desk.note(held.action, Decision::Undone, now)?);
        }
        Ok(outcomes)
    }
}

impl Responder for Denials {
    fn handles(&self) -> ActionKind {
        ActionKind::DenyExec
    }

    fn describe(&self) -> &'static str {
        match self.breaker.off() {
            None => self.denier.describe(),
            Some(_) => "lets every program start",
        }
    }

    fn resume(&mut self, live: Vec<(Action, Timestamp)>) {
        if self.denier.decides() != Decision::Applied || self.breaker.off().is_some() {
            self.former = live.into_iter().map(|(action, _)| action).collect();
            return;
        }
        let held = live.into_iter().map(|(action, _)| Held {
            until: action.ttl.map(|ttl| action.time.plus(ttl)),
            action,
        });
        self.held = held.collect();
    }

    fn take_hold(&mut self, finding: &Finding) {
        let wanted = finding
            .suggests
            .iter()
            .any(|wanted| wanted == self.handles().as_str());
        self.found = finding.process.filter(|_| wanted).and_then(|process| {
            let (file, path) = identity::open_program(process)?;
            Some(Found {
                process,
                is_judged: identity::is_judged(finding, process, &file),
                file,
                path,
            })
        });
    }

    fn consider(&mut self, finding: &Finding, desk: &mut Desk, now: Timestamp) -> Done {
        let Some(found) = self.found.take() else {
            return Ok(Vec::new());
        };
        if !desk.guard.is_live() || finding.process != Some(found.process) {
            return Ok(Vec::new());
        }
        let (file, path) = (found.file, found.path);
        if !found.is_judged {
            let action = self.wanted(finding, identity::judged(finding, &path), now);
            let because = "its process runs another program by now than the one that was judged".to_owned();
            return Ok(vec![desk.note(action, Decision::Failed { because }, now)?]);
        }
        let known = self.files();
        if let Ok(Some(_)) = identity::find(&known, &file, || {}) {
            return Ok(Vec::new());
        }
        let (denied, refused) = match self.judge(&file, &path) {
            Ok(judged) => judged,
            Err(error) => {
                tracing::warn!("{} is not denied, as it cannot be read: {error}", path.display());
                return Ok(Vec::new());
            }
        };
        let mut outcomes = Vec::new();
        if refused.is_none()
            && let Some(found) = self.breaker.count(finding, now)
        {
            desk.find(found);
            outcomes = self.lift_all(desk, now)?;
        }
        let action = self.wanted(finding, denied, now);
        outcomes.extend(self.act(action, refused, desk, now)?);
        Ok(outcomes)
    }

    fn order(&mut self, mut action: Action, desk: &mut Desk, now: Timestamp) -> Done {
        let Some(path) = file_of(&action).map(|file| PathBuf::from(&file.path)) else {
            return Ok(Vec::new());
        };
        // The agent looks itself: it is to be the file that lies there now.
        let judged = identity::open_file(&path).and_then(|file| self.judge(&file, &path));
        match judged {
            Ok((denied, refused)) => {
                let held = self.files().contains(&denied);
                let refused = refused.or_else(|| held.then(|| "it is denied already".to_owned()));
                action.target = Target::DenyExec(Box::new(denied));
                self.act(action, refused, desk, now)
            }
            Err(error) => {
                let because = error.to_string();
                Ok(vec![desk.note(action, Decision::Failed { because }, now)?])
            }
        }
    }

    fn undo(
        &mut self,
        name: &str,
        desk: &mut Desk,
        now: Timestamp,
    ) -> Option<Result<Vec<Outcome>, UndoError>> {
        let is_it = |held: &Held| {
            held.action.id.to_string() == name || file_of(&held.action).is_some_and(|file| file.path == name)
        };
        let at = self.held.iter().position(is_it)?;
        let held = self.held.remove(at);
        Some(match self.put() {
            Ok(()) => self.undone(held, desk, now).map_err(UndoError::from),
            Err(error) => {
                let because = format!("it could not be taken back: {error}");
                let action = held.action.clone();
                self.held.push(held);
                Ok(vec![outcome(action, Decision::Failed { because }, now)])
            }
        })
    }

    fn held(&self) -> Box<dyn Iterator<Item = &Held> + '_> {
        Box::new(self.held.iter())
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.held.iter().filter_map(|held| held.until).min()
    }

    fn reconcile(&mut self, desk: &mut Desk, now: Timestamp, always: bool) -> Done {
        let mut outcomes = self.hear(&[], desk, now)?;
        for mut action in std::mem::take(&mut self.former) {
            let because = self
                .breaker
                .off()
                .unwrap_or("the agent was started in monitor mode");
            action.reason.push_str(&format!("; lifted, as {because}"));
            outcomes.push(desk.note(action, Decision::Undone, now)?);
        }
        outcomes.extend(self.expire(desk, now)?);
        if always
            && !self.held.is_empty()
            && let Err(error) = self.put()
        {
            tracing::error!("programs start that are denied: {error}");
        }
        self.renew_spared();
        Ok(outcomes)
    }

    fn expire(&mut self, desk: &mut Desk, now: Timestamp) -> Done {
        let over = |held: &mut Held| held.until.is_some_and(|until| until <= now);
        let over: Vec<Held> = self.held.extract_if(.., over).collect();
        if over.is_empty() {
            return Ok(Vec::new());
        }
        if let Err(error) = self.put() {
            tracing::error!("what is over is still denied: {error}");
        }
        let mut outcomes = self.hear(&over, desk, now)?;
        for held in over {
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

    fn off(&self) -> Option<&str> {
        self.breaker.off()
    }

    fn take_lost(&mut self) -> Option<(u64, String)> {
        let count = std::mem::take(&mut self.unjudged);
        (count > 0).then(|| (count, std::mem::take(&mut self.reason)))
    }
}

/// What a denial hits; `None` for an act of another kind.
fn file_of(action: &Action) -> Option<&DeniedFile> {
    match &action.target {
        Target::DenyExec(file) => Some(file),
        Target::BlockIp(_) | Target::Kill { .. } | Target::Quarantine(_) => None,
    }
}
