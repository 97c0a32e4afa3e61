//! Kills: a process ends, and what belongs to it. There is no way back, so each proof comes before the signal.
//!
//! Policy and guard agree, the process is stopped at once, the ledger is synced, what it started is stopped, and only then all
//! of them are killed. Where any of that fails, what was stopped goes on.

mod caught;
mod spare;
#[cfg(test)]
pub(super) mod tests;

use super::blocks::Simulated;
use super::desk::Desk;
use super::{Done, Responder, UndoError};
use crate::config::Respond;
use crate::sys::{Pidfd, PidfdError, Signal, proc};
use caught::Caught;
use hashlink::LruCache;
use picket_common::action::{Action, ActionKind, Decision, Scope, Target};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::process::ProcessId;
use picket_common::record::{Hits, Outcome};
use picket_common::time::Timestamp;
use spare::Spare;
use std::collections::VecDeque;
use std::time::Duration;

/// How many kills, and how many of the killed, are remembered.
const REMEMBERED: usize = 4096;
const MINUTE: Duration = Duration::from_secs(60);

/// What sends signals, or only says so.
pub trait Signals: Send {
    /// What it does, for an operator.
    fn describe(&self) -> &'static str;

    /// What becomes of a kill: [`Decision::Applied`], or [`Decision::Simulated`] when no signal is sent.
    fn decides(&self) -> Decision;

    /// Sends a signal to a process that was proven to be the one that is meant.
    fn send(&self, to: &Pidfd, signal: Signal) -> Result<(), PidfdError>;
}

/// Sends signals.
#[derive(Debug, Default)]
pub struct Kill;

impl Signals for Kill {
    fn describe(&self) -> &'static str {
        "kills processes"
    }

    fn decides(&self) -> Decision {
        Decision::Applied
    }

    fn send(&self, to: &Pidfd, signal: Signal) -> Result<(), PidfdError> {
        to.signal(signal)
    }
}

impl Signals for Simulated {
    fn describe(&self) -> &'static str {
        "reports which processes it would kill and kills none"
    }

    fn decides(&self) -> Decision {
        Decision::Simulated
    }

    fn send(&self, _: &Pidfd, _: Signal) -> Result<(), PidfdError> {
        Ok(())
    }
}

/// See the module.
pub struct Kills {
    settings: Respond,
    signals: Box<dyn Signals>,
    spare: Spare,
    /// What was killed, or would have been: nobody needs to kill it once more, or to say so.
    killed: LruCache<ProcessId, ()>,
    /// The ids of what cannot be undone.
    done: LruCache<RecordId, ()>,
    /// When findings killed within the last minute, the oldest first.
    lately: VecDeque<Timestamp>,
    /// What an earlier run claimed, and nobody knows whether it did it.
    claimed: Vec<(Action, Timestamp)>,
}

impl Kills {
    /// Kills through `signals`.
    pub fn new(settings: &Respond, signals: Box<dyn Signals>) -> Self {
        Self {
            settings: settings.clone(),
            signals,
            spare: Spare::new(settings),
            killed: LruCache::new(REMEMBERED),
            done: LruCache::new(REMEMBERED),
            lately: VecDeque::new(),
            claimed: Vec::new(),
        }
    }

    /// How far a finding asks to kill; `None` when it does not ask.
    fn wanted(&self, finding: &Finding) -> Option<Scope> {
        let kill = &self.settings.kill;
        let suggests = |name: &str| finding.suggests.iter().any(|wanted| wanted == name);
        let rule = &finding.rule;
        if suggests("kill_session") {
            Some(Scope::Session)
        } else if suggests("kill_tree") {
            Some(Scope::Tree)
        } else if suggests("kill")
            || kill
                .rules
                .iter()
                .any(|name| *name == rule.id || *name == rule.title)
        {
            Some(kill.scope)
        } else {
            None
        }
    }

    /// Counts a kill that a finding asks for; why it is one too many.
    fn one_too_many(&mut self, now: Timestamp) -> Option<String> {
        let max = self.settings.kill.max_per_minute;
        // A clock that was set back must not leave the count full.
        self.lately
            .retain(|time| *time <= now && now.since(*time) < MINUTE);
        if self.lately.len() >= max {
            return Some(format!(
                "{max} findings have killed within a minute already (respond.kill.max_per_minute): a rule may be wrong"
            ));
        }
        self.lately.push_back(now);
        None
    }

    /// A process that was claimed and is not killed any more must not stand still for ever.
    fn let_go(&self, action: &Action, desk: &Desk) {
        let Target::Kill { process, scope } = action.target else {
            return;
        };
        let view = self.spare.look();
        // What cannot be caught has ended, or was never stopped.
        if let Ok((mut caught, session)) = Caught::catch(process, scope, &view, &desk.guard, &LetGo)
            && scope != Scope::Process
        {
            caught.gather(session, &view, &LetGo);
        }
    }

    fn act(&mut self, action: Action, desk: &mut Desk, now: Timestamp) -> Done {
        let Target::Kill { process, scope } = action.target else {
            return Ok(Vec::new());
        };
        if !desk.guard.is_live() {
            // The processes of a replay are not those of this host.
            return Ok(vec![desk.note(action, self.signals.decides(), now)?]);
        }
        let (signals, view) = (self.signals.as_ref(), self.spare.look());
        let (mut caught, session) = match Caught::catch(process, scope, &view, &desk.guard, signals) {
            Ok(caught) => caught,
            Err(decision) => return Ok(vec![desk.note(action, decision, now)?]),
        };
        let decision = signals.decides();
        if decision == Decision::Applied
            && let Err(error) = desk.claim(&action, now)
        {
            caught.release(signals);
            return Err(error);
        }
        if scope != Scope::Process {
            caught.gather(session, &view, signals);
        }
        if decision == Decision::Applied {
            caught.kill(signals);
            self.done.insert(action.id, ());
        }
        for process in caught.processes() {
            self.killed.insert(process, ());
        }
        let now = (desk.done_at)(now);
        let hits: Hits = caught.into();
        Ok(vec![desk.note_hits(
            action,
            decision,
            Some(Box::new(hits)),
            now,
        )?])
    }
}

/// Lets go on what an earlier run has stopped, wherever it would be stopped.
struct LetGo;

impl Signals for LetGo {
    fn describe(&self) -> &'static str {
        "lets go on what was stopped"
    }

    fn decides(&self) -> Decision {
        Decision::Simulated
    }

    fn send(&self, to: &Pidfd, _: Signal) -> Result<(), PidfdError> {
        to.signal(Signal::CONT)
    }
}

impl Responder for Kills {
    fn handles(&self) -> ActionKind {
        ActionKind::Kill
    }

    fn describe(&self) -> &'static str {
        self.signals.describe()
    }

    fn resume(&mut self, live: Vec<(Action, Timestamp)>) {
        self.claimed = live;
    }

    fn consider(&mut self, finding: &Finding, desk: &mut Desk, now: Timestamp) -> Done {
        let Some((scope, process)) = self.wanted(finding).zip(finding.process) else {
            return Ok(Vec::new());
        };
        if !process.is_certain() || self.killed.contains_key(&process) {
            return Ok(Vec::new());
        }
        let target = Target::Kill { process, scope };
        let parts = [
            finding.id.to_string(),
            process.to_string(),
            self.handles().as_str().to_owned(),
        ];
        let action = Action {
            id: RecordId::derived(now, &parts.each_ref().map(|part| part.as_bytes())),
            time: now,
            target,
            ttl: None,
            reason: finding.summary.clone(),
            finding: Some(finding.id),
        };
        match self.one_too_many(now) {
            Some(because) => Ok(vec![desk.note(action, Decision::Refused { because }, now)?]),
            None => self.act(action, desk, now),
        }
    }

    fn order(&mut self, action: Action, desk: &mut Desk, now: Timestamp) -> Done {
        self.act(action, desk, now)
    }

    fn undo(&mut self, name: &str, _: &mut Desk, _: Timestamp) -> Option<Result<Vec<Outcome>, UndoError>> {
        let id = name.parse::<RecordId>().ok()?;
        self.done
            .contains_key(&id)
            .then(|| Err(UndoError::Final(name.to_owned())))
    }

    /// An agent that ended between claim and kill has left processes that stand still: it is done now, if they are of this
    /// boot and this agent acts.
    fn reconcile(&mut self, desk: &mut Desk, now: Timestamp, always: bool) -> Done {
        let mut outcomes = Vec::new();
        if !always {
            return Ok(outcomes);
        }
        for (action, time) in std::mem::take(&mut self.claimed) {
            let of_this_boot = proc::uptime().is_some_and(|uptime| now.since(time) < uptime);
            if self.signals.decides() == Decision::Applied && of_this_boot && desk.guard.is_live() {
                outcomes.extend(self.act(action, desk, now)?);
            } else {
                if of_this_boot && desk.guard.is_live() {
                    self.let_go(&action, desk);
                }
                let because = "the agent ended before it could tell whether it was done".to_owned();
                outcomes.push(desk.note(action, Decision::Failed { because }, now)?);
            }
        }
        Ok(outcomes)
    }
}
