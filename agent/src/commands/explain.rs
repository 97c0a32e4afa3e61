//! `picket explain`: a rule, with or without a running agent; a finding or an action of a running one.

use super::blocks::Agent;
use super::{Failure, story};
use crate::app::control::{Reply, Request};
use crate::config::Settings;
use crate::detect::{self, About, Exception, Loaded, Sources};
use crate::history::LastGood;
use clap::Args;
use picket_common::ids::RecordId;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Explains a rule, a finding or an action.
#[derive(Args)]
pub struct Explain {
    /// The id or the title of a rule, or the id of a finding or an action.
    id: String,
    #[command(flatten)]
    agent: Agent,
}

impl Explain {
    pub(super) fn run(self) -> Result<(), Failure> {
        let settings = self.agent.settings();
        let rules = Rules::load(settings);
        let mut output = io::stdout().lock();
        if let Some(about) = rules.find(&self.id) {
            let held = self.held_back();
            let exceptions = rules.exceptions(about, &held);
            if self.agent.is_json() {
                let value = json!({ "kind": "rule", "rule": about, "exceptions": values(&exceptions) });
                return Ok(ndjson::write(&mut output, &value)?);
            }
            return show(&mut output, about, &exceptions);
        }
        let unknown = || Failure::Unknown(self.id.escape_debug().to_string());
        let id: RecordId = self.id.parse().map_err(|_| unknown())?;
        let Reply::Story(story) = self.agent.ask(&Request::Story { id })? else {
            return Err(Failure::Answer);
        };
        let story = story.ok_or_else(unknown)?;
        let about = story
            .finding
            .as_ref()
            .and_then(|finding| rules.find(&finding.rule.id));
        let held = self.held_back();
        let exceptions = about.map_or_else(Vec::new, |about| rules.exceptions(about, &held));
        if self.agent.is_json() {
            let value = json!({
                "kind": "story",
                "finding": story.finding,
                "events": story.events,
                "outcomes": story.outcomes,
                "rule": about,
                "exceptions": values(&exceptions),
            });
            return Ok(ndjson::write(&mut output, &value)?);
        }
        story::show(&mut output, &story, about, &exceptions)
    }

    /// How often exceptions held something back, by file and line; nothing when no agent runs.
    fn held_back(&self) -> Option<Vec<(String, u64)>> {
        let Ok(Reply::Status(report)) = self.agent.ask(&Request::Status) else {
            return None;
        };
        let held = report.rules.held_back.iter();
        Some(
            held.map(|held| (format!("{}:{}", held.file.display(), held.line), held.times))
                .collect(),
        )
    }
}

/// The rules that the settings name, as the agent loads them.
struct Rules {
    loaded: Loaded,
    now: Timestamp,
}

/// An exception, for a person.
pub(super) struct Shown<'a> {
    exception: &'a Exception,
    /// It is one to a rule that the rule counts.
    of_counted: bool,
    holds: bool,
    /// How often it held something back, where an agent says so.
    times: Option<u64>,
}

impl Rules {
    fn load(settings: &Settings) -> Self {
        let now = jiff::Timestamp::now().into();
        let mut kept = LastGood::read(&settings.last_good());
        let loaded = detect::load(&Sources::from(settings), &mut kept, now);
        Self { loaded, now }
    }

    /// By id, then by title or name.
    fn find(&self, id: &str) -> Option<&About> {
        let all = &self.loaded.about;
        all.iter().find(|about| about.id == id).or_else(|| {
            all.iter()
                .find(|about| about.title == id || about.name.as_deref() == Some(id))
        })
    }

    /// The exceptions of a rule, and of those that it counts.
    fn exceptions<'a>(&'a self, about: &About, held: &Option<Vec<(String, u64)>>) -> Vec<Shown<'a>> {
        let counted = about.counted.iter().filter_map(|id| self.find(id));
        let rules: Vec<&About> = std::iter::once(about).chain(counted).collect();
        let names = |rule: &About, name: &str| rule.id == name || rule.title == name;
        let all = self.loaded.exceptions.iter();
        all.filter(|exception| rules.iter().any(|rule| names(rule, &exception.rule)))
            .map(|exception| {
                let place = format!("{}:{}", exception.file.display(), exception.at.0);
                let times = held.as_ref().map(|held| {
                    let found = held.iter().find(|(other, _)| *other == place);
                    found.map_or(0, |(_, times)| *times)
                });
                Shown {
                    exception,
                    of_counted: !names(about, &exception.rule),
                    holds: exception.holds(self.now),
                    times,
                }
            })
            .collect()
    }
}

fn show(output: &mut impl Write, about: &About, exceptions: &[Shown<'_>]) -> Result<(), Failure> {
    writeln!(output, "{}", Plain(&about.title))?;
    let mut line = |name: &str, text: &str| writeln!(output, "  {name:<14}{}", Plain(text));
    line("id", &about.id)?;
    line("file", &format!("{}:{}", about.file.display(), about.line))?;
    line("severity", json!(about.severity).as_str().unwrap_or_default())?;
    if !about.attack.is_empty() {
        line("ATT&CK", &about.attack.join(", "))?;
    }
    if let Some(description) = &about.description {
        line("finds", description.trim())?;
    }
    if let Some(counts) = &about.counts {
        line("counts", counts)?;
    }
    if !about.reports {
        line("reports", "nothing itself: it is only counted by other rules")?;
    }
    for harmless in &about.false_positives {
        line("may be", harmless.trim())?;
    }
    let suggests = match about.suggests.as_slice() {
        [] => "no response".to_owned(),
        some => some.join(", "),
    };
    line("suggests", &suggests)?;
    show_exceptions(output, exceptions)
}

/// The exceptions of a rule, a line each.
pub(super) fn show_exceptions(output: &mut impl Write, exceptions: &[Shown<'_>]) -> Result<(), Failure> {
    if exceptions.is_empty() {
        writeln!(output, "  {:<14}none", "exceptions")?;
    }
    for shown in exceptions {
        let exception = shown.exception;
        let until = match (exception.until, shown.holds) {
            (None, _) => "without end".to_owned(),
            (Some(until), true) => format!("until {until}"),
            (Some(until), false) => format!("its time was over at {until}"),
        };
        let times = shown.times.map_or_else(String::new, |times| {
            format!("; held back {times} times since the agent started")
        });
        let what = if shown.of_counted {
            format!("not counted as \"{}\": ", exception.rule)
        } else {
            String::new()
        };
        let text = format!(
            "{what}{} ({}), {until}{times}; {}:{}",
            exception.condition(),
            exception.reason,
            exception.file.display(),
            exception.at.0,
        );
        writeln!(output, "  {:<14}{}", "exception", Plain(&text))?;
    }
    Ok(())
}

fn values(exceptions: &[Shown<'_>]) -> Vec<Value> {
    let value = |shown: &Shown<'_>| {
        json!({
            "file": shown.exception.file.display().to_string(),
            "line": shown.exception.at.0,
            "rule": shown.exception.rule,
            "condition": shown.exception.condition(),
            "reason": shown.exception.reason,
            "until": shown.exception.until,
            "holds": shown.holds,
            "held_back": shown.times,
        })
    };
    exceptions.iter().map(value).collect()
}
