//! Takes secrets out of command lines, before anything of them is kept, sent or shown. Rules have seen them whole.

use crate::enrich::kept;
use compact_str::CompactString;
use picket_common::event::{Ancestor, Event, Payload, Program};
use picket_common::finding::Finding;
use regex::{Regex, RegexSet};
use std::ops::Range;

/// What stands in the place of a secret.
const MASK: &str = "***";
/// So many new lines of a file are kept.
const LINES: usize = 16;

/// Knows secrets by patterns.
pub(super) struct Mask {
    /// All of them, to ask but once where there is none. `None` where together they are too large: then each is asked.
    any: Option<RegexSet>,
    each: Vec<Regex>,
}

impl Mask {
    /// Patterns that the settings have checked.
    pub(super) fn new(patterns: &[String]) -> Self {
        let each: Vec<Regex> = patterns.iter().filter_map(|text| Regex::new(text).ok()).collect();
        let any = RegexSet::new(each.iter().map(Regex::as_str)).ok();
        Self { any, each }
    }

    /// Masks all that an event holds of command lines.
    pub(super) fn event(&self, event: &mut Event) {
        match &mut event.payload {
            Payload::Auth(auth) => auth.command.iter_mut().for_each(|line| self.line(line)),
            Payload::Exec(exec) => {
                self.args(&mut exec.args);
                exec.environment
                    .iter_mut()
                    .for_each(|variable| self.variable(variable));
                self.ancestors(&mut exec.ancestors);
            }
            Payload::Exit(exit) => self.program(&mut exit.program),
            Payload::Connect(connect) => self.program(&mut connect.program),
            Payload::Privilege(privilege) => self.program(&mut privilege.program),
            Payload::Signal(signal) => {
                self.program(&mut signal.program);
                self.program(&mut signal.target);
            }
            Payload::File(file) => {
                file.writer.iter_mut().for_each(|writer| self.program(writer));
                if let Some(change) = &mut file.change {
                    change.added.truncate(LINES);
                    for line in change.added.iter_mut().chain(&mut change.removed) {
                        self.line(line);
                        *line = kept(line);
                    }
                }
            }
            Payload::Install(install) => {
                install
                    .manager
                    .iter_mut()
                    .for_each(|manager| self.program(manager));
            }
        }
    }

    /// Masks what a finding says of command lines.
    pub(super) fn finding(&self, finding: &mut Finding) {
        let values = finding.group.iter_mut().map(|(_, value)| value);
        for text in values.chain([&mut finding.summary]) {
            if let Some(masked) = self.masked(text) {
                *text = masked;
            }
        }
    }

    /// Masks the command lines of a process.
    pub(super) fn program(&self, program: &mut Program) {
        program.command_line.iter_mut().for_each(|line| self.line(line));
        self.ancestors(&mut program.ancestors);
    }

    fn ancestors(&self, ancestors: &mut [Ancestor]) {
        let lines = ancestors.iter_mut().flat_map(|one| &mut one.command_line);
        lines.for_each(|line| self.line(line));
    }

    fn line(&self, line: &mut CompactString) {
        if let Some(masked) = self.masked(line) {
            *line = masked.into();
        }
    }

    /// All of its value, also where it holds blanks.
    fn variable(&self, variable: &mut CompactString) {
        if let Some(secret) = self.secrets(variable).first() {
            variable.truncate(secret.place.start);
            variable.push_str(MASK);
        }
    }

    fn masked(&self, text: &str) -> Option<String> {
        let secrets = self.secrets(text);
        (!secrets.is_empty()).then(|| replaced(text, 0, &secrets))
    }

    /// A secret may be an argument of its own behind the one that announces it: the patterns see the line that they make. Of an
    /// option, and of an argument that begins with it, all of the rest is the secret, also where it holds blanks.
    fn args(&self, args: &mut [CompactString]) {
        let line = args.join(" ");
        let mut secrets = self.secrets(&line);
        if secrets.is_empty() {
            return;
        }
        let mut start = 0;
        let places: Vec<Range<usize>> = args
            .iter()
            .map(|arg| {
                let place = start..start + arg.len();
                start = place.end + 1;
                place
            })
            .collect();
        for secret in &mut secrets {
            let own = places.iter().find(|place| place.contains(&secret.place.start));
            if let Some(place) = own {
                let is_option = place.start == secret.announced
                    && line.get(place.start..).is_some_and(|arg| arg.starts_with('-'));
                if is_option || place.start == secret.place.start {
                    secret.place.end = secret.place.end.max(place.end);
                }
            }
        }
        for (arg, place) in args.iter_mut().zip(places) {
            let touches = |secret: &&Secret| secret.place.start < place.end && secret.place.end > place.start;
            if secrets.iter().any(|secret| touches(&secret)) {
                *arg = replaced(arg, place.start, &secrets).into();
            }
        }
    }

    fn secrets(&self, text: &str) -> Vec<Secret> {
        let mut found = Vec::new();
        let matches = self.any.as_ref().map(|any| any.matches(text));
        for (at, regex) in self.each.iter().enumerate() {
            if matches.as_ref().is_some_and(|matches| !matches.matched(at)) {
                continue;
            }
            for captures in regex.captures_iter(text) {
                let Some(whole) = captures.get(0) else { continue };
                let place = captures.iter().skip(1).flatten().last().unwrap_or(whole).range();
                let blanks = whole.as_str().len() - whole.as_str().trim_start().len();
                found.push(Secret {
                    announced: whole.start() + blanks,
                    place,
                });
            }
        }
        found.sort_by_key(|secret| secret.place.start);
        found
    }
}

/// A secret in a text.
struct Secret {
    /// Where what announces it begins.
    announced: usize,
    place: Range<usize>,
}

/// A part of a text that begins at `start` of it, without the secrets, which stand in their order.
fn replaced(part: &str, start: usize, secrets: &[Secret]) -> String {
    let (mut text, mut done) = (String::new(), 0);
    for Secret { place, .. } in secrets {
        let from = place.start.saturating_sub(start).min(part.len());
        let to = place.end.saturating_sub(start).min(part.len());
        if place.end <= start || from >= part.len() || to <= done {
            continue;
        }
        // One that lies in another, or runs into it, is part of it.
        if from >= done {
            text.push_str(part.get(done..from).unwrap_or_default());
            text.push_str(MASK);
        }
        done = to;
    }
    text.push_str(part.get(done..).unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use picket_common::event::{
        AuthAction, AuthEvent, ChangeKind, Credentials, ExecEvent, FileAction, FileChange, FileEvent, Outcome,
    };
    use picket_common::ids::RecordId;
    use picket_common::process::ProcessId;
    use picket_common::time::Timestamp;

    fn mask() -> Mask {
        Mask::new(&Settings::default().process.mask)
    }

    fn event(payload: Payload) -> Event {
        let time = Timestamp::default();
        Event {
            id: RecordId::derived(time, &[]),
            time,
            observed: time,
            payload,
        }
    }

    fn args(mask: &Mask, args: &[&str]) -> Vec<String> {
        let mut args: Vec<CompactString> = args.iter().map(|arg| (*arg).into()).collect();
        mask.args(&mut args);
        args.into_iter().map(|arg| arg.into_string()).collect()
    }

    #[test]
    fn secrets_go_and_all_else_stays() {
        let mask = mask();
        for (given, expected) in [
            (
                &["mysql", "-uroot", "-pHunter2", "db"][..],
                &["mysql", "-uroot", "-p***", "db"][..],
            ),
            (&["x", "--password=Hunter2", "y"], &["x", "--password=***", "y"]),
            (
                &["x", "--password=Hunter2 Hunter2", "y"],
                &["x", "--password=***", "y"],
            ),
            (
                &["x", "--api-key", "Hunter2 Hunter2", "y"],
                &["x", "--api-key", "***", "y"],
            ),
            (
                &["x", "--token", "a", "--token", "b"],
                &["x", "--token", "***", "--token", "***"],
            ),
            (
                &["sh", "-c", "PGPASSWORD=Hunter2 psql -h db"],
                &["sh", "-c", "PGPASSWORD=*** psql -h db"],
            ),
            (
                &[
                    "curl",
                    "-H",
                    "Authorization: Bearer Hunter2",
                    "https://bob:Hunter2@a/?token=Hunter2&b=c",
                ],
                &[
                    "curl",
                    "-H",
                    "Authorization: Bearer ***",
                    "https://bob:***@a/?token=***&b=c",
                ],
            ),
            (
                &["curl", "-u", "bob:Hunter2", "http://a/"],
                &["curl", "-u", "bob:***", "http://a/"],
            ),
            (
                &["sshpass", "-p", "Hunter2", "ssh", "a"],
                &["sshpass", "-p", "***", "ssh", "a"],
            ),
            (
                &["docker", "login", "--password-stdin"],
                &["docker", "login", "--password-stdin"],
            ),
            (&["mysqldump", "-p", "db"], &["mysqldump", "-p", "db"]),
            (&["passwd", "bob"], &["passwd", "bob"]),
            (&["ssh", "-p", "22", "a"], &["ssh", "-p", "22", "a"]),
            (&["x", "eyJhbGciOiJI.eyJzdWIi.c2ln"], &["x", "***"]),
        ] {
            assert_eq!(args(&mask, given), expected);
        }
    }

    #[test]
    fn all_that_an_event_holds_is_masked() {
        let line = || CompactString::from("x --token=Hunter2");
        let ancestor = Ancestor {
            process: ProcessId::uncertain(1),
            executable: None,
            command_line: Some(line()),
        };
        let exec = ExecEvent {
            args: vec!["x".into(), "--token=Hunter2".into()],
            environment: vec!["API_TOKEN=a Hunter2".into()],
            ancestors: vec![ancestor.clone()],
            ..ExecEvent::new(ProcessId::uncertain(7), "/x", Credentials::default())
        };
        let program = Program {
            command_line: Some(line()),
            ancestors: vec![ancestor],
            ..Program::unknown(ProcessId::uncertain(7))
        };
        let mut auth = AuthEvent::new(AuthAction::Sudo, Outcome::Success, "sudo");
        auth.command = Some(line());
        let mut file = FileEvent::new("/etc/cron.d/x", FileAction::Written);
        let mut change = FileChange::new(ChangeKind::Cron);
        change.added = vec![
            "* * * * * root x --token=Hunter2".into(),
            "PASSWORD=Hunter2".into(),
        ];
        (file.change, file.writer) = (Some(change.into()), Some(program.clone().into()));
        let signal = picket_common::event::SignalEvent {
            target: program.clone(),
            program,
            signal: 9,
        };
        for payload in [
            Payload::Exec(exec.into()),
            Payload::Auth(auth.into()),
            Payload::Signal(signal.into()),
            Payload::File(file.into()),
        ] {
            let mut event = event(payload);
            assert!(serde_json::to_string(&event).unwrap().contains("Hunter2"));
            mask().event(&mut event);
            let text = serde_json::to_string(&event).unwrap();
            assert!(!text.contains("Hunter2") && text.contains("***"), "{text}");
        }
    }

    #[test]
    fn own_patterns_take_the_place_of_the_others_and_nothing_makes_it_panic() {
        let own = Mask::new(&["pin (é+)".to_owned(), "(b)|c".to_owned()]);
        assert_eq!(
            args(&own, &["pin", "ééé", "--token=Hunter2"]),
            ["pin", "***", "--token=Hunter2"]
        );
        assert_eq!(args(&own, &["abcd"]), ["a******d"]);
        assert_eq!(args(&Mask::new(&[]), &["--token=x"]), ["--token=x"]);
        // Each for itself is a pattern, and together they are too much for one.
        let large: Vec<String> = (0..40).map(|at| format!("k{at}=([a-z]{{1,20000}})")).collect();
        let large = Mask::new(&large);
        assert!(large.any.is_none());
        assert_eq!(args(&large, &["k7=hunter", "x"]), ["k7=***", "x"]);
        let (mask, mut random) = (mask(), fastrand::Rng::with_seed(7));
        let pieces = [
            "--token",
            "=",
            " ",
            "é",
            "password",
            "-p",
            "mysql",
            "://",
            ":",
            "@",
            "\"",
            "x",
            "Authorization: ",
        ];
        for _ in 0..2_000 {
            let arg = |random: &mut fastrand::Rng| -> String {
                (0..random.usize(..6))
                    .map(|_| *random.choice(&pieces).unwrap())
                    .collect()
            };
            let given: Vec<String> = (0..random.usize(..5)).map(|_| arg(&mut random)).collect();
            let given: Vec<&str> = given.iter().map(String::as_str).collect();
            assert_eq!(args(&mask, &given).len(), given.len());
        }
    }
}
