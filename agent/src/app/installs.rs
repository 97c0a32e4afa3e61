//! What package managers write: what agrees with the package database is told of once for all, and is no finding of its own.
//!
//! Whose a file of a new package is, is known only once its manager has written that down. So what rules find in a file that a
//! manager wrote, and that no package owns yet, waits until that can be asked: no longer than a minute.

use crate::enrich::Enricher;
use crate::observation::{Body, Owned};
use compact_str::CompactString;
use picket_common::event::{Event, InstallEvent, Installed, Payload, Program};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Managers are done when they have written nothing for so long, and none of them runs.
const QUIET: Duration = Duration::from_secs(3);
/// So long a finding waits at most until it is asked whose its file is.
const LONGEST: Duration = Duration::from_secs(60);
/// So long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// So long managers that still run keep the summary from being told.
const OPEN: Duration = Duration::from_secs(1800);
/// So many findings wait; more are told at once.
const HELD: usize = 1024;
/// So many paths wait to be asked for.
const PATHS: usize = 8192;
/// So many paths that no package owns are told.
const TOLD: usize = 8;

/// A finding that waits, with the event that it rests on.
pub(super) type Held = (Event, Vec<Finding>);

/// What became of what waited.
#[derive(Default)]
pub(super) struct Settled {
    /// What is no package's: findings after all.
    pub(super) findings: Vec<Held>,
    /// What was done in one go, once it is over.
    pub(super) summary: Option<Event>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Installs {
    run: Option<Run>,
    held: Vec<Held>,
    /// Since when the first of them waits.
    held_since: Option<Instant>,
    /// Since when an answer is waited for.
    asked: Option<Instant>,
}

/// What managers do in one go.
struct Run {
    manager: Option<Box<Program>>,
    began: Timestamp,
    last: Timestamp,
    opened: Instant,
    /// When something was written last.
    written: Instant,
    owned: BTreeMap<CompactString, u64>,
    /// Paths of which it is not known whose they are, with how often they were told of.
    paths: HashMap<CompactString, u64>,
    /// Those that found no room there.
    more: u64,
    unowned: Vec<CompactString>,
    unowned_files: u64,
    agreed: u64,
}

impl Run {
    fn new(time: Timestamp) -> Self {
        Self {
            manager: None,
            began: time,
            last: time,
            opened: Instant::now(),
            written: Instant::now(),
            owned: BTreeMap::new(),
            paths: HashMap::new(),
            more: 0,
            unowned: Vec::new(),
            unowned_files: 0,
            agreed: 0,
        }
    }

    fn learn(&mut self, path: CompactString, owner: Option<CompactString>, times: u64) {
        match owner {
            Some(name) => *self.owned.entry(name).or_default() += times,
            None => {
                self.unowned_files += times;
                if self.unowned.len() < TOLD {
                    self.unowned.push(path);
                }
            }
        }
    }

    fn summary(self) -> Event {
        let named = self.owned.into_iter();
        let mut packages: Vec<Installed> = named.map(|(name, files)| Installed { name, files }).collect();
        packages.sort_by(|one, other| other.files.cmp(&one.files).then(one.name.cmp(&other.name)));
        let files = packages.iter().map(|package| package.files).sum();
        packages.truncate(InstallEvent::MOST);
        let event = InstallEvent {
            manager: self.manager,
            began: self.began,
            packages,
            files,
            unowned_files: self.unowned_files + self.more,
            unowned: self.unowned,
            agreed: self.agreed,
        };
        let pid = event.manager.as_ref().map_or(0, |manager| manager.process.pid);
        let began = self.began.as_micros().to_le_bytes();
        Event {
            id: RecordId::derived(self.last, &[b"install", &began, &pid.to_le_bytes()]),
            time: self.last,
            observed: jiff::Timestamp::now().into(),
            payload: Payload::Install(event.into()),
        }
    }
}

impl Installs {
    /// Takes note of what a manager wrote.
    pub(super) fn note(&mut self, event: &Event) {
        let Payload::File(file) = &event.payload else {
            return;
        };
        if !file.package_manager {
            return;
        }
        let run = self.run.get_or_insert_with(|| Run::new(event.time));
        // Not every sensor sees who writes.
        if run.manager.is_none() {
            run.manager.clone_from(&file.writer);
        }
        (run.last, run.written) = (run.last.max(event.time), Instant::now());
        if let Some(owner) = &file.package {
            run.learn(file.path.clone(), Some(owner.clone()), 1);
        } else if run.paths.len() < PATHS || run.paths.contains_key(&file.path) {
            *run.paths.entry(file.path.clone()).or_default() += 1;
        } else {
            run.more += 1;
        }
    }

    /// Takes what rules found in a file that a manager wrote and that is nobody's yet. What cannot wait stays.
    pub(super) fn hold(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        let Payload::File(file) = &event.payload else {
            return;
        };
        if file.package_manager && file.package.is_none() && !findings.is_empty() && self.held.len() < HELD {
            self.held.push((event.clone(), std::mem::take(findings)));
            self.held_since.get_or_insert_with(Instant::now);
        }
    }

    /// How long until something has to be done; `None` while managers do nothing.
    pub(super) fn patience(&self) -> Option<Duration> {
        if self.run.is_none() && self.held.is_empty() {
            return None;
        }
        Some(self.due().saturating_duration_since(Instant::now()))
    }

    fn due(&self) -> Instant {
        if let Some(asked) = self.asked {
            return asked + PATIENCE;
        }
        let quiet = self.run.as_ref().map(|run| run.written + QUIET);
        let longest = self.held_since.map(|since| since + LONGEST);
        let due = quiet.into_iter().chain(longest).min();
        due.unwrap_or_else(Instant::now)
    }

    /// Does what is due.
    pub(super) fn look(&mut self, enricher: &mut Enricher) -> Settled {
        if self.patience() != Some(Duration::ZERO) {
            return Settled::default();
        }
        let paths = self.paths();
        if self.asked.is_none() && !paths.is_empty() && enricher.ask_owners(paths.clone()) {
            self.asked = Some(Instant::now());
            return Settled::default();
        }
        // Nobody answers, or there is nothing to ask: as far as is known, what waits is nobody's.
        let unknown = paths.into_iter().map(|path| (path, None)).collect();
        self.learn(Owned(unknown), enricher)
    }

    /// The paths that it is to be asked for, once each.
    fn paths(&self) -> Vec<CompactString> {
        let held = self.held.iter().filter_map(|(event, _)| path(event));
        let quiet = self.run.as_ref().filter(|run| run.written.elapsed() >= QUIET);
        let seen = quiet.into_iter().flat_map(|run| run.paths.keys());
        let mut paths: Vec<CompactString> = held.chain(seen).cloned().collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// Takes an answer.
    pub(super) fn learn(&mut self, owned: Owned, enricher: &mut Enricher) -> Settled {
        self.asked = None;
        let owners: HashMap<CompactString, Option<CompactString>> = owned.0.into_iter().collect();
        let mut settled = Settled::default();
        let answered = |(event, _): &mut Held| path(event).is_some_and(|path| owners.contains_key(path));
        for (event, findings) in self.held.extract_if(.., answered) {
            let owner = path(&event)
                .and_then(|path| owners.get(path))
                .and_then(Option::as_ref);
            match (owner, &mut self.run) {
                (Some(_), Some(run)) => run.agreed += findings.len() as u64,
                (Some(_), None) => {}
                (None, _) => settled.findings.push((event, findings)),
            }
        }
        self.held_since = (!self.held.is_empty()).then(Instant::now);
        if let Some(run) = &mut self.run {
            for (path, owner) in owners {
                if let Some(times) = run.paths.remove(&path) {
                    run.learn(path, owner, times);
                }
            }
            let quiet = run.written.elapsed() >= QUIET && run.paths.is_empty();
            if quiet && (!enricher.installs() || run.opened.elapsed() >= OPEN) {
                settled.summary = self.run.take().map(Run::summary);
            } else if quiet {
                // It is looked again whether they still run.
                run.written = Instant::now();
            }
        }
        settled
    }

    /// Ends: what still waits is told.
    pub(super) fn end(&mut self) -> Settled {
        Settled {
            findings: std::mem::take(&mut self.held),
            summary: self.run.take().map(|mut run| {
                for (path, times) in std::mem::take(&mut run.paths) {
                    run.learn(path, None, times);
                }
                run.summary()
            }),
        }
    }
}

/// The answer in an observation, if it is one.
pub(super) fn answer(body: &mut Body) -> Option<Owned> {
    match body {
        Body::Owned(owned) => Some(std::mem::take(owned)),
        _ => None,
    }
}

fn path(event: &Event) -> Option<&CompactString> {
    match &event.payload {
        Payload::File(file) => Some(&file.path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use picket_common::event::{FileAction, FileEvent};
    use picket_common::finding::{RuleRef, Severity};
    use picket_common::process::ProcessId;

    fn written(path: &str, package: Option<&str>) -> Event {
        let time = Timestamp::from_micros(7);
        let mut file = FileEvent::new(path, FileAction::Written);
        file.package_manager = true;
        file.package = package.map(Into::into);
        file.writer = Some(Program::unknown(ProcessId { pid: 7, start: 9 }).into());
        Event {
            id: RecordId::derived(time, &[path.as_bytes()]),
            time,
            observed: time,
            payload: Payload::File(file.into()),
        }
    }

    fn found(event: &Event) -> Vec<Finding> {
        vec![Finding {
            id: event.id,
            time: event.time,
            detected: event.time,
            rule: RuleRef {
                id: "x".into(),
                title: "x".into(),
                attack: Vec::new(),
            },
            severity: Severity::High,
            summary: String::new(),
            group: Vec::new(),
            count: None,
            source: None,
            process: None,
            file: None,
            user: None,
            events: Vec::new(),
            suggests: Vec::new(),
        }]
    }

    fn long_ago(installs: &mut Installs) {
        let run = installs.run.as_mut().unwrap();
        run.written = Instant::now().checked_sub(QUIET).unwrap();
    }

    #[test]
    fn what_is_a_packages_is_let_go_of_and_told_once_and_the_rest_is_found() {
        // It has nobody to ask, so that the answers are the test's.
        let mut enricher = Enricher::new(TimeZone::UTC, Timestamp::from_micros(0));
        let mut installs = Installs::default();
        assert_eq!(installs.patience(), None);
        for (path, package) in [("/usr/bin/a", Some("a")), ("/usr/bin/a.dpkg-new", Some("a"))] {
            installs.note(&written(path, package));
        }
        for path in ["/usr/bin/b", "/usr/bin/b", "/opt/c"] {
            let event = written(path, None);
            installs.note(&event);
            let mut findings = found(&event);
            installs.hold(&event, &mut findings);
            assert!(findings.is_empty());
        }
        assert!(
            installs
                .patience()
                .is_some_and(|patience| patience > Duration::ZERO)
        );
        assert!(
            installs.look(&mut enricher).findings.is_empty(),
            "it is not time yet"
        );
        long_ago(&mut installs);
        assert_eq!(installs.paths(), ["/opt/c", "/usr/bin/b"]);
        let owned = Owned(vec![
            ("/usr/bin/b".into(), Some("b".into())),
            ("/opt/c".into(), None),
        ]);
        let settled = installs.learn(owned, &mut enricher);
        let paths: Vec<_> = settled
            .findings
            .iter()
            .map(|(event, _)| path(event).unwrap().as_str())
            .collect();
        assert_eq!(paths, ["/opt/c"]);
        let Payload::Install(summary) = settled.summary.unwrap().payload else {
            panic!("a summary");
        };
        let packages: Vec<_> = summary
            .packages
            .iter()
            .map(|package| (package.name.as_str(), package.files))
            .collect();
        assert_eq!(packages, [("a", 2), ("b", 2)]);
        assert_eq!((summary.files, summary.unowned_files, summary.agreed), (4, 1, 2));
        assert_eq!(summary.unowned, ["/opt/c"]);
        assert_eq!(installs.patience(), None);
    }

    #[test]
    fn what_nobody_can_be_asked_about_is_found() {
        let mut enricher = Enricher::new(TimeZone::UTC, Timestamp::from_micros(0));
        let mut installs = Installs::default();
        let event = written("/opt/c", None);
        installs.note(&event);
        installs.hold(&event, &mut found(&event));
        long_ago(&mut installs);
        let settled = installs.look(&mut enricher);
        assert_eq!((settled.findings.len(), settled.summary.is_some()), (1, true));
        let mut installs = Installs::default();
        installs.note(&event);
        installs.hold(&event, &mut found(&event));
        let settled = installs.end();
        assert_eq!((settled.findings.len(), settled.summary.is_some()), (1, true));
        assert_eq!(installs.patience(), None);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut installs = Installs::default();
        for at in 0..PATHS + 9 {
            let event = written(&format!("/opt/{at}"), None);
            installs.note(&event);
            installs.hold(&event, &mut found(&event));
        }
        assert_eq!(installs.held.len(), HELD);
        let run = installs.run.as_ref().unwrap();
        assert_eq!((run.paths.len(), run.more), (PATHS, 9));
    }
}
