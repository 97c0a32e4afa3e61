//! A process and what belongs to it, stopped, so that none of them starts more while the others are looked for.

use super::Signals;
use super::spare::View;
use crate::respond::guard::Guard;
use crate::sys::{Pidfd, PidfdError, Signal, proc};
use nix::unistd::{Pid, getpgid, getsid};
use picket_common::action::{Decision, Scope};
use picket_common::process::ProcessId;
use picket_common::record::{Hit, Hits};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// How many are caught at once.
const MOST: usize = 16_384;
/// How many are told of.
const TOLD: usize = 32;
/// How long it is looked for more of them, and how long until all of them stand still. A process that waits for its child of
/// `vfork`, or for a disk, does so only when that is over; it cannot start anything meanwhile either.
const LOOK: Duration = Duration::from_secs(1);
const STILL: Duration = Duration::from_millis(20);

/// One of them.
struct Member {
    process: ProcessId,
    executable: Option<String>,
    /// By this agent, and not by somebody before.
    stopped: bool,
    /// None of its threads can run: what it has started is all there will be.
    still: bool,
    leads_group: bool,
    leads_session: bool,
}

/// See the module. It is to be killed, or released.
pub(super) struct Caught {
    /// The one that is aimed at first.
    members: Vec<Member>,
    spared: Vec<Hit>,
    known: BTreeSet<u32>,
    /// Looking for more of them ended before all of them stood still.
    cut: bool,
}

impl Caught {
    /// Stops a process, which is the first of those that `scope` says. Where it is not to be killed at all nothing has been
    /// stopped, and the decision says why.
    pub(super) fn catch(
        process: ProcessId,
        scope: Scope,
        view: &View<'_>,
        guard: &Guard,
        signals: &dyn Signals,
    ) -> Result<(Self, Option<u32>), Decision> {
        let failed = |error: PidfdError| Decision::Failed {
            because: error.to_string(),
        };
        let root = Pidfd::open(process).map_err(failed)?;
        let refused = |because: String| {
            let because = format!("process {} is not killed: {because}", process.pid);
            Err(Decision::Refused { because })
        };
        if let Some(because) = view.spares(&root) {
            return refused(because);
        }
        let session = match scope {
            Scope::Process | Scope::Tree => None,
            Scope::Session => match proc::login_session(process.pid) {
                None => return refused("it belongs to no login session".to_owned()),
                session => session,
            },
        };
        if let Some(because) = session.and_then(|session| view.spares_session(session, guard)) {
            return refused(because);
        }
        let mut caught = Self {
            members: Vec::new(),
            spared: Vec::new(),
            known: BTreeSet::new(),
            cut: false,
        };
        caught.stop(&root, signals).map_err(failed)?;
        Ok((caught, session))
    }

    /// Which ones.
    pub(super) fn processes(&self) -> impl Iterator<Item = ProcessId> {
        self.members.iter().map(|member| member.process)
    }

    /// Kills all of them.
    pub(super) fn kill(&mut self, signals: &dyn Signals) {
        let members = std::mem::take(&mut self.members);
        for member in members {
            match send(&member, Signal::KILL, signals) {
                // What has ended meanwhile is what was wanted.
                Ok(()) | Err(PidfdError::Gone(_) | PidfdError::Another { .. }) => self.members.push(member),
                Err(error) => {
                    // What is not killed is not left standing either.
                    if member.stopped && send(&member, Signal::CONT, signals).is_err() {
                        tracing::warn!("process {} was stopped, and stays so", member.process.pid);
                    }
                    self.spared.push(Hit {
                        process: member.process,
                        executable: member.executable,
                        because: Some(error.to_string()),
                    });
                }
            }
        }
    }

    /// Lets go on what was stopped.
    pub(super) fn release(&mut self, signals: &dyn Signals) {
        for member in self.members.iter().filter(|member| member.stopped) {
            if let Err(error) = send(member, Signal::CONT, signals) {
                tracing::warn!("what was stopped does not go on: {error}");
            }
        }
    }

    fn stop(&mut self, held: &Pidfd, signals: &dyn Signals) -> Result<(), PidfdError> {
        signals.send(held, Signal::STOP)?;
        let (process, stat) = (held.process(), &held.stat);
        self.known.insert(process.pid);
        self.members.push(Member {
            process,
            executable: executable(process.pid),
            stopped: stat.state != b'T',
            still: signals.decides() != Decision::Applied,
            leads_group: stat.group == process.pid,
            leads_session: stat.session == process.pid,
        });
        Ok(())
    }

    /// Stops what belongs to them, all but what is to be spared: what they have started, or all of a login session. Looks for
    /// more until all of them stand still and no other belongs to them.
    pub(super) fn gather(&mut self, session: Option<u32>, view: &View<'_>, signals: &dyn Signals) {
        let begun = Instant::now();
        let mut last = begun;
        while begun.elapsed() < LOOK && self.members.len() < MOST {
            // Before it is looked: what stands still by then has started all that it will.
            let still = self.members.iter_mut().fold(true, |still, member| {
                member.still = member.still || proc::stands_still(member.process.pid);
                still && member.still
            });
            let found = match session {
                Some(session) => self.of_session(session),
                None => self.started(),
            };
            if found.is_empty() {
                if still || last.elapsed() > STILL {
                    self.cut = !still;
                    return;
                }
                thread::yield_now();
                continue;
            }
            last = Instant::now();
            for pid in found {
                self.take(pid, session, view, signals);
            }
        }
        self.cut = true;
    }

    /// Stops one that was found to belong to them, if it still does and is not to be spared.
    pub(super) fn take(&mut self, pid: u32, session: Option<u32>, view: &View<'_>, signals: &dyn Signals) {
        if self.members.len() >= MOST || self.known.contains(&pid) {
            return;
        }
        let Ok(held) = Pidfd::hold(pid) else { return };
        // The one that was found may have ended meanwhile, and its number be another's.
        if !self.owns(&held, session) || held.has_ended() {
            return;
        }
        self.known.insert(pid);
        let spared = view.spares(&held).or_else(|| {
            let stopped = self.stop(&held, signals);
            stopped
                .err()
                .filter(|_| !held.has_ended())
                .map(|error| error.to_string())
        });
        if let Some(because) = spared {
            self.spared.push(Hit {
                process: held.process(),
                executable: executable(pid),
                because: Some(because),
            });
        }
    }

    /// Whether a process belongs to them: by its login session, or as it was found by [`Caught::started`].
    fn owns(&self, held: &Pidfd, session: Option<u32>) -> bool {
        if let Some(session) = session {
            return proc::login_session(held.process().pid) == Some(session);
        }
        let is_parent = |member: &Member| member.process.pid == held.stat.parent;
        self.members.iter().any(is_parent)
            || is_orphan_of(
                held.process().pid,
                &self.leaders(|member| member.leads_group),
                &self.leaders(|member| member.leads_session),
            )
    }

    fn leaders(&self, leads: fn(&Member) -> bool) -> BTreeSet<u32> {
        let leaders = self.members.iter().filter(|member| leads(member));
        leaders.map(|member| member.process.pid).collect()
    }

    fn of_session(&self, session: u32) -> Vec<u32> {
        let others = proc::pids()
            .unwrap_or_default()
            .into_iter()
            .filter(|pid| !self.known.contains(pid));
        others
            .filter(|pid| proc::login_session(*pid) == Some(session))
            .collect()
    }

    /// What they have started, as far as it is not known. What a spared one has started works for it, and is none of them.
    fn started(&self) -> Vec<u32> {
        let (mut found, mut listed) = (Vec::new(), true);
        for member in &self.members {
            match proc::children(member.process.pid) {
                Some(children) => found.extend(children),
                None => listed = false,
            }
        }
        let groups = self.leaders(|member| member.leads_group);
        let sessions = self.leaders(|member| member.leads_session);
        if !listed || !groups.is_empty() {
            let parents: BTreeSet<u32> = self.processes().map(|process| process.pid).collect();
            let others = proc::pids()
                .unwrap_or_default()
                .into_iter()
                .filter(|pid| !self.known.contains(pid));
            found.extend(others.filter(|pid| {
                is_orphan_of(*pid, &groups, &sessions)
                    || (!listed && proc::Stat::read(*pid).is_ok_and(|stat| parents.contains(&stat.parent)))
            }));
        }
        found.retain(|pid| !self.known.contains(pid));
        found
    }
}

/// Whether a process was started by one that has ended since, below one of those that lead a group or a session: both numbers
/// are inherited, and cannot become another's while anybody has them. A pipe's other end shares the group of a job, but has a
/// parent that lives, the shell.
fn is_orphan_of(pid: u32, groups: &BTreeSet<u32>, sessions: &BTreeSet<u32>) -> bool {
    let number = |pid: Pid| u32::try_from(pid.as_raw()).ok();
    let session_of = |pid: u32| number(getsid(Some(Pid::from_raw(pid.try_into().ok()?))).ok()?);
    let group_of = |pid: u32| number(getpgid(Some(Pid::from_raw(pid.try_into().ok()?))).ok()?);
    let session = session_of(pid);
    if session.is_some_and(|session| sessions.contains(&session)) {
        return true;
    }
    group_of(pid).is_some_and(|group| groups.contains(&group))
        && proc::Stat::read(pid).is_ok_and(|stat| session_of(stat.parent) != session)
}

fn send(to: &Member, signal: Signal, signals: &dyn Signals) -> Result<(), PidfdError> {
    signals.send(&Pidfd::open(to.process)?, signal)
}

fn executable(pid: u32) -> Option<String> {
    proc::executable(pid).map(|path| path.to_string_lossy().into_owned())
}

impl From<Caught> for Hits {
    fn from(caught: Caught) -> Self {
        let more = caught.members.len().saturating_sub(TOLD);
        let members = caught.members.into_iter().take(TOLD);
        Self {
            hit: members
                .map(|member| Hit {
                    process: member.process,
                    executable: member.executable,
                    because: None,
                })
                .collect(),
            spared: caught.spared.into_iter().take(TOLD).collect(),
            more: more.try_into().unwrap_or(u64::MAX),
            cut: caught.cut,
        }
    }
}
