//! Rules and exceptions from their folders: the one loader that the agent, `picket check` and every other command share.

use super::about::About;
use super::exception_files;
use super::exceptions::Exception;
use super::rule_files::{self, Problem};
use super::rules;
use super::sigma::Sigma;
use crate::config::{self, Detect};
use std::io;
use std::path::{Path, PathBuf};

/// Where rules and exceptions come from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Folders of Sigma rules. Of two rules with one id the later counts.
    pub rules: &'a [PathBuf],
    /// The folder of exceptions.
    pub exceptions: Option<&'a Path>,
    /// How many groups all counting rules keep at once.
    pub groups: usize,
    /// The exceptions that were in force before: those that are still there go on counting.
    pub before: &'a [Exception],
}

impl<'a> From<&'a Detect> for Sources<'a> {
    fn from(settings: &'a Detect) -> Self {
        Self {
            rules: &settings.rules,
            exceptions: Some(&settings.exceptions),
            groups: settings.groups,
            before: &[],
        }
    }
}

/// What the folders came to.
pub struct Loaded {
    /// The rules, ready to judge, with their exceptions.
    pub sigma: Sigma,
    /// What people may want to know of each.
    pub about: Vec<About>,
    /// The exceptions in force, expired ones among them; each counts with the rules.
    pub exceptions: Vec<Exception>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Everything that is wrong in them.
    pub problems: Vec<Problem>,
}

/// The text of a file, or why there is none.
struct Text {
    file: PathBuf,
    text: Result<String, String>,
}

impl Text {
    fn used(&self) -> Option<(&Path, &str)> {
        Some((self.file.as_path(), self.text.as_deref().ok()?))
    }
}

/// Loads what the folders hold. What is wrong is named; the rest counts.
pub fn load(sources: &Sources<'_>) -> Loaded {
    let (mut problems, mut rules, mut exceptions) = (Vec::new(), Vec::new(), Vec::new());
    for folder in sources.rules {
        match rule_files::list(folder) {
            Ok((files, wrong)) => {
                rules.extend(files.into_iter().map(|file| Text {
                    text: rule_files::read(&file),
                    file,
                }));
                problems.extend(wrong);
            }
            // A host need not have both of the folders that are looked into when none is named.
            Err(error) if is_missing(&error) && Detect::default().rules.contains(folder) => {}
            Err(error) => problems.push(unlisted(folder, &error)),
        }
    }
    if let Some(folder) = sources.exceptions {
        match listed(folder) {
            Ok(files) => exceptions.extend(files.into_iter().map(|file| Text {
                text: config::read(&file),
                file,
            })),
            Err(error) => problems.push(unlisted(folder, &error)),
        }
    }
    let mut loaded = compile(&rules, &exceptions, sources);
    loaded.problems.extend(problems);
    loaded.problems.sort();
    loaded
}

fn compile(rules: &[Text], exceptions: &[Text], sources: &Sources<'_>) -> Loaded {
    let mut compiled = rules::compile(rules.iter().filter_map(Text::used));
    let mut problems = std::mem::take(&mut compiled.problems);
    let about = std::mem::take(&mut compiled.about);
    let mut sigma = Sigma::new(compiled, sources.groups);
    let mut held = Vec::new();
    for (file, text) in exceptions.iter().filter_map(Text::used) {
        let (found, wrong) = exception_files::read(file, text);
        problems.extend(wrong);
        for mut exception in found {
            exception.go_on_from(sources.before);
            match sigma.except(exception.clone()) {
                Ok(()) => held.push(exception),
                Err(message) => problems.push(Problem {
                    column: Some(exception.at.1),
                    dangles: true,
                    ..Problem::new(&exception.file, exception.at.0, message)
                }),
            }
        }
    }
    for text in rules.iter().chain(exceptions) {
        if let Err(message) = &text.text {
            problems.push(Problem::new(&text.file, 1, message.clone()));
        }
    }
    let files = rules.iter().chain(exceptions).map(|text| text.file.clone());
    Loaded {
        sigma,
        about,
        exceptions: held,
        files: files.collect(),
        problems,
    }
}

/// The files of exceptions. The folder that is looked into when none is named need not be there.
fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if folder != Detect::default().exceptions {
        folder.read_dir()?;
    }
    config::drop_ins(folder)
}

fn unlisted(folder: &Path, error: &io::Error) -> Problem {
    Problem::new(folder, 1, format!("cannot be listed: {error}"))
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Detector as _;
    use picket_common::event::{AuthAction, AuthEvent, Event, Outcome, Payload, Peer};
    use picket_common::ids::RecordId;
    use picket_common::time::Timestamp;
    use std::fs;

    const FAILED: &str = "title: Failed\nid: failed\nlogsource: {product: linux, category: authentication}\ndetection:\n    selection: {event.action: login, event.outcome: failure}\n    condition: selection\n";

    fn counting(id: &str, title: &str, least: u32) -> String {
        format!(
            "---\ntitle: {title}\nid: {id}\ncorrelation:\n    type: event_count\n    rules: [failed]\n    group-by: [source.ip]\n    timespan: 1m\n    condition: {{gte: {least}}}\n"
        )
    }

    /// Failed logins at these seconds: the rules that fire.
    fn judge(sigma: &mut Sigma, seconds: std::ops::Range<i64>) -> Vec<String> {
        let mut findings = Vec::new();
        for second in seconds {
            let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Failure, "sshd");
            auth.source = Some(Peer::new("198.51.100.9".parse().unwrap(), None));
            let time = Timestamp::from_micros(second * 1_000_000);
            let event = Event {
                id: RecordId::derived(time, &[b"test"]),
                time,
                observed: time,
                payload: Payload::Auth(auth),
            };
            sigma.inspect(&event, &mut findings);
        }
        findings.into_iter().map(|finding| finding.rule.id).collect()
    }

    fn load_text(folder: &Path, rules: &str) -> Sigma {
        fs::write(folder.join("rules.yml"), rules).unwrap();
        let loaded = load(&Sources {
            rules: &[folder.to_owned()],
            exceptions: None,
            groups: 100,
            before: &[],
        });
        assert_eq!(loaded.problems, []);
        loaded.sigma
    }

    #[test]
    fn what_is_unchanged_goes_on_counting_after_a_reload_and_what_is_changed_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let both =
            |title: &str, least| [FAILED, &counting("a", title, 5), &counting("b", "B", least)].concat();
        let mut sigma = load_text(folder.path(), &both("A", 5));
        assert_eq!(judge(&mut sigma, 0..4), [] as [&str; 0]);

        // Other words for one, another count for the other, and a third before both.
        let changed = both("Other words", 4).replacen("---\n", &format!("{}---\n", counting("c", "C", 5)), 1);
        let mut fresh = load_text(folder.path(), &changed);
        fresh.go_on_from(sigma);
        assert_eq!(fresh.groups(), 1, "the group of b was forgotten");
        assert_eq!(judge(&mut fresh, 4..5), ["a"]);
        assert_eq!(judge(&mut fresh, 5..8), ["b"]);
        assert_eq!(judge(&mut fresh, 8..9), ["c"]);

        // What a rule counts is part of what it is.
        let mut sigma = load_text(folder.path(), &both("A", 5));
        judge(&mut sigma, 100..104);
        let mut fresh = load_text(
            folder.path(),
            &both("A", 5).replace("outcome: failure", "outcome: [failure, unknown]"),
        );
        fresh.go_on_from(sigma);
        assert_eq!((fresh.groups(), judge(&mut fresh, 104..108)), (0, vec![]));
    }

    #[test]
    fn of_two_correlations_with_one_id_the_later_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut sigma = load_text(
            folder.path(),
            &[FAILED, &counting("a", "A", 2), &counting("a", "A", 3)].concat(),
        );
        assert_eq!(sigma.rules(), 2);
        assert_eq!(judge(&mut sigma, 0..2), [] as [&str; 0]);
        assert_eq!(judge(&mut sigma, 2..3), ["a"]);
    }
}
