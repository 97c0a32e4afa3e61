//! Rules and exceptions from their folders: the one loader that the agent, `picket check` and every other command share.

use super::about::About;
use super::exception_files;
use super::exceptions::Exception;
use super::indicators::Indicators;
use super::rule_files::{self, Problem};
use super::rules;
use super::sigma::Sigma;
use crate::config::{self, Detect, Settings};
use crate::history::{Good, LastGood};
use picket_common::time::Timestamp;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// Where rules and exceptions come from.
#[derive(Clone)]
pub struct Sources<'a> {
    /// Folders of Sigma rules. Of two rules with one id the later counts.
    pub rules: &'a [PathBuf],
    /// The folder of exceptions.
    pub exceptions: Option<&'a Path>,
    /// How many groups all counting rules keep at once.
    pub groups: usize,
    /// Lists of indicators.
    pub indicators: Option<&'a config::Indicators>,
    /// The indicators that were in force before: of a file that cannot be read they stay.
    pub indicators_before: Indicators,
    /// The exceptions that were in force before: those that are still there go on counting.
    pub before: &'a [Exception],
}

impl<'a> From<&'a Settings> for Sources<'a> {
    fn from(settings: &'a Settings) -> Self {
        let detect = &settings.detect;
        Self {
            rules: &detect.rules,
            exceptions: Some(&detect.exceptions),
            groups: detect.groups,
            indicators: Some(&settings.indicators),
            indicators_before: Indicators::default(),
            before: &[],
        }
    }
}

/// What the folders came to.
pub struct Loaded {
    /// The rules, ready to judge, with their exceptions.
    pub sigma: Sigma,
    /// The indicators, ready to judge, with their exceptions.
    pub indicators: Indicators,
    /// What people may want to know of each.
    pub about: Vec<About>,
    /// The exceptions in force, expired ones among them; each counts with the rules.
    pub exceptions: Vec<Exception>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Everything that is wrong in them.
    pub problems: Vec<Problem>,
}

/// A file, and which version of it is used.
struct Text {
    file: PathBuf,
    /// What is in it, or why that cannot be known.
    text: Result<String, String>,
    /// The version that is used instead.
    good: Option<Good>,
}

impl Text {
    fn new(file: PathBuf, text: Result<String, String>) -> Self {
        let good = None;
        Self { file, text, good }
    }

    fn used(&self) -> Option<(&Path, &str)> {
        let text = match &self.good {
            Some(good) => &good.text,
            None => self.text.as_ref().ok()?,
        };
        Some((self.file.as_path(), text))
    }
}

/// The files of all folders.
#[derive(Default)]
struct Texts {
    rules: Vec<Text>,
    exceptions: Vec<Text>,
    problems: Vec<Problem>,
}

/// Loads what the folders hold. What is wrong is named; the rest counts.
///
/// Of a file in which something is wrong the last good version is used, where `kept` has one. What is good now is kept, what
/// is gone is forgotten; the caller saves it.
pub fn load(sources: &Sources<'_>, kept: &mut LastGood, now: Timestamp) -> Loaded {
    let mut texts = Texts::read(sources, kept);
    let mut loaded = compile(&texts, sources);
    let mut told = std::mem::take(&mut texts.problems);
    // What names something that is not there may be right as soon as another file is.
    for also_dangling in [false, true] {
        let wrong = loaded
            .problems
            .iter()
            .filter(|problem| also_dangling || !problem.dangles);
        let fallen_back = fall_back(&mut texts, &wrong.collect::<Vec<_>>(), kept);
        if !fallen_back.is_empty() {
            told.extend(fallen_back);
            loaded = compile(&texts, sources);
        }
    }
    remember(&texts, &loaded.problems, kept, now);
    loaded.problems.extend(told);
    if let Some(lists) = sources.indicators {
        let (mut indicators, wrong) = Indicators::load(lists, &sources.indicators_before);
        indicators.except(&loaded.exceptions);
        loaded.about.extend(indicators.about());
        loaded.indicators = indicators;
        loaded.problems.extend(wrong);
    }
    loaded.problems.sort();
    loaded
}

impl Texts {
    fn read(sources: &Sources<'_>, kept: &LastGood) -> Self {
        let mut all = Self::default();
        for folder in sources.rules {
            match rule_files::list(folder) {
                Ok((files, wrong)) => {
                    let read = |file: PathBuf| Text::new(file.clone(), rule_files::read(&file));
                    all.rules.extend(files.into_iter().map(read));
                    all.rules
                        .extend(wrong.iter().flat_map(|problem| hidden(&problem.file, kept)));
                    all.problems.extend(wrong);
                }
                Err(error) if is_missing(&error) => {
                    // A host need not have both of the folders that are looked into when none is named.
                    if !Detect::default().rules.contains(folder) {
                        all.problems.push(unlisted(folder, &error));
                    }
                }
                Err(error) => {
                    all.rules.extend(hidden(folder, kept));
                    all.problems.push(unlisted(folder, &error));
                }
            }
        }
        if let Some(folder) = sources.exceptions {
            match listed(folder) {
                Ok(files) => {
                    let read = |file: PathBuf| Text::new(file.clone(), config::read(&file));
                    all.exceptions.extend(files.into_iter().map(read));
                }
                Err(error) => {
                    if !is_missing(&error) {
                        all.exceptions.extend(hidden(folder, kept));
                    }
                    all.problems.push(unlisted(folder, &error));
                }
            }
        }
        all
    }

    fn all(&self) -> impl Iterator<Item = &Text> {
        self.rules.iter().chain(&self.exceptions)
    }
}

/// The files of a folder that cannot be looked into, as far as they are known: nobody says that they are gone.
fn hidden(folder: &Path, kept: &LastGood) -> Vec<Text> {
    let files = kept.files().filter(|file| file.starts_with(folder));
    let text = |file: &Path| Text::new(file.to_owned(), Err("cannot be seen".to_owned()));
    files.map(text).collect()
}

/// Puts the last good version in the place of each wrong file that has one; gives what was wrong with those.
fn fall_back(texts: &mut Texts, wrong: &[&Problem], kept: &LastGood) -> Vec<Problem> {
    let mut told = Vec::new();
    for text in texts.rules.iter_mut().chain(&mut texts.exceptions) {
        let mut wrong = wrong
            .iter()
            .filter(|problem| problem.file == text.file)
            .peekable();
        if wrong.peek().is_none() || text.good.is_some() {
            continue;
        }
        let Some(good) = kept.get(&text.file) else {
            continue;
        };
        if text.text.as_ref() == Ok(&good.text) {
            continue;
        }
        told.extend(wrong.map(|problem| {
            let message = format!(
                "{}; the last good version of the file, of {}, is used",
                problem.message, good.since
            );
            Problem {
                message,
                ..(*problem).clone()
            }
        }));
        text.good = Some(good.clone());
    }
    told
}

/// Keeps what is good now, and forgets what is gone.
fn remember(texts: &Texts, problems: &[Problem], kept: &mut LastGood, now: Timestamp) {
    let wrong: HashSet<&Path> = problems.iter().map(|problem| problem.file.as_path()).collect();
    for text in texts.all() {
        if let (Ok(good), None, false) = (&text.text, &text.good, wrong.contains(text.file.as_path()))
            && !kept.keep(&text.file, good, now)
        {
            tracing::warn!(
                "{}: there is no room to keep its last good version",
                text.file.display()
            );
        }
    }
    let there: HashSet<&Path> = texts.all().map(|text| text.file.as_path()).collect();
    let gone: Vec<PathBuf> = kept
        .files()
        .filter(|file| !there.contains(file))
        .map(Path::to_owned)
        .collect();
    gone.iter().for_each(|file| kept.forget(file));
}

fn compile(texts: &Texts, sources: &Sources<'_>) -> Loaded {
    let mut compiled = rules::compile(texts.rules.iter().filter_map(Text::used));
    let mut problems = std::mem::take(&mut compiled.problems);
    let about = std::mem::take(&mut compiled.about);
    let mut sigma = Sigma::new(compiled, sources.groups);
    let mut held = Vec::new();
    for (file, text) in texts.exceptions.iter().filter_map(Text::used) {
        let (found, wrong) = exception_files::read(file, text);
        problems.extend(wrong);
        for mut exception in found {
            exception.go_on_from(sources.before);
            if Indicators::has_rule(&exception.rule) {
                held.push(exception);
                continue;
            }
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
    for text in texts.all() {
        if let (Err(message), None) = (&text.text, &text.good) {
            problems.push(Problem::new(&text.file, 1, message.clone()));
        }
    }
    Loaded {
        sigma,
        indicators: Indicators::default(),
        about,
        exceptions: held,
        files: texts.all().map(|text| text.file.clone()).collect(),
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
    use std::fs;

    const FAILED: &str = "title: Failed\nid: failed\nlogsource: {product: linux, category: authentication}\ndetection:\n    selection: {event.action: login, event.outcome: failure}\n    condition: selection\n";

    fn counting(id: &str, title: &str, least: u32) -> String {
        format!(
            "---\ntitle: {title}\nid: {id}\ncorrelation:\n    type: event_count\n    rules: [failed]\n    group-by: [source.ip]\n    timespan: 1m\n    condition: {{gte: {least}}}\n"
        )
    }

    /// Failed logins at these seconds: the rules that fire.
    fn judge(sigma: &mut Sigma, seconds: std::ops::Range<i64>) -> Vec<String> {
        let mut findings = crate::detect::Findings::default();
        for second in seconds {
            let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Failure, "sshd");
            auth.source = Some(Peer::new("198.51.100.9".parse().unwrap(), None));
            let time = Timestamp::from_micros(second * 1_000_000);
            let event = Event {
                id: RecordId::derived(time, &[b"test"]),
                time,
                observed: time,
                payload: Payload::Auth(auth.into()),
            };
            sigma.inspect(&event, &mut findings);
        }
        findings
            .found
            .into_iter()
            .map(|finding| finding.rule.id)
            .collect()
    }

    /// The rules and the exceptions of a folder, at a second.
    fn load_all(folder: &Path, kept: &mut LastGood, second: i64) -> Loaded {
        let sources = Sources {
            rules: &[folder.to_owned()],
            exceptions: Some(folder),
            groups: 100,
            indicators: None,
            indicators_before: Indicators::default(),
            before: &[],
        };
        load(&sources, kept, Timestamp::from_micros(second * 1_000_000))
    }

    fn load_text(folder: &Path, rules: &str) -> Sigma {
        fs::write(folder.join("rules.yml"), rules).unwrap();
        let loaded = load_all(folder, &mut LastGood::default(), 0);
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
    fn two_that_are_alike_and_have_no_id_do_not_count_into_one_another() {
        let folder = tempfile::tempdir().unwrap();
        let one = counting("a", "A", 4).replace("id: a\n", "");
        let text = [FAILED, &one, &one].concat();
        let mut sigma = load_text(folder.path(), &text);
        for start in [0, 2] {
            assert_eq!(judge(&mut sigma, start..start + 2 - start / 2), [] as [&str; 0]);
            let mut fresh = load_text(folder.path(), &text);
            fresh.go_on_from(sigma);
            sigma = fresh;
        }
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

    #[test]
    fn a_file_that_becomes_wrong_stays_in_force_as_it_was_and_one_that_is_removed_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let mut kept = LastGood::default();
        let mut load = |second| {
            let loaded = load_all(folder.path(), &mut kept, second);
            let problems: Vec<String> = loaded
                .problems
                .iter()
                .map(|problem| {
                    problem
                        .to_string()
                        .replace(&format!("{}/", folder.path().display()), "")
                })
                .collect();
            (loaded.sigma.rules(), loaded.exceptions.len(), problems)
        };
        let exception = "[[exception]]\nrule = \"a\"\nreason = \"b\"\nuntil = \"never\"\n";
        write("failed.yml", FAILED);
        write("counting.yml", &counting("a", "A", 5));
        write("exceptions.toml", exception);
        assert_eq!(load(0), (2, 1, vec![]));

        // What depends on a broken file is not broken; both files are named where both are.
        write("failed.yml", "title: x\n  bad: [indent\n");
        write("exceptions.toml", &format!("{exception}[[exception]]\n"));
        let (rules, exceptions, problems) = load(1);
        assert_eq!((rules, exceptions, problems.len()), (2, 1, 4), "{problems:?}");
        let suffix = "; the last good version of the file, of 1970-01-01T00:00:00.000000Z, is used";
        assert!(
            problems.iter().all(|problem| problem.ends_with(suffix)),
            "{problems:?}"
        );
        assert!(
            problems[0].starts_with("exceptions.toml:5:1: ") && problems[3].starts_with("failed.yml:1: ")
        );

        // What was never good has nothing to fall back on: its good documents count.
        write(
            "new.yml",
            &[counting("b", "B", 5), counting("c", "C", 0)].concat(),
        );
        let (rules, _, problems) = load(2);
        assert_eq!((rules, problems.len()), (3, 5), "{problems:?}");
        assert!(
            problems[4].starts_with("new.yml:") && !problems[4].contains("last good"),
            "{problems:?}"
        );

        fs::remove_file(folder.path().join("new.yml")).unwrap();
        fs::remove_file(folder.path().join("failed.yml")).unwrap();
        write("exceptions.toml", exception);
        let (rules, exceptions, problems) = load(3);
        assert_eq!((rules, exceptions), (0, 0), "{problems:?}");
        assert!(
            problems[1].contains("there is no rule") && problems[1].ends_with('\''),
            "{problems:?}"
        );
        write("failed.yml", &FAILED.replace("Failed", "Other"));
        assert_eq!(load(4), (2, 1, vec![]));
        for wrong in ["detection: 7", ""] {
            write("failed.yml", wrong);
            let (rules, _, problems) = load(5);
            assert!(
                rules == 2 && problems[0].contains("of 1970-01-01T00:00:04"),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn a_rename_that_leaves_a_reference_behind_names_it_and_a_wrong_edit_of_it_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let mut kept = LastGood::default();
        write("failed.yml", FAILED);
        write("counting.yml", &counting("a", "A", 5));
        assert_eq!(load_all(folder.path(), &mut kept, 0).problems, []);
        write(
            "counting.yml",
            &counting("a", "A", 5).replace("[failed]", "[faild]"),
        );
        let mut loaded = load_all(folder.path(), &mut kept, 1);
        assert_eq!(judge(&mut loaded.sigma, 0..5), ["a"]);
        assert!(
            loaded.problems[0]
                .to_string()
                .contains("counts the rule 'faild', which is not there; the last")
        );
    }
}
