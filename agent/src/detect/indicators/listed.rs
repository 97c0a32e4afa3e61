//! Events in which something is that a list says is bad.

use super::{Indicators, Match};
use crate::detect::about::About;
use crate::detect::found::finding;
use crate::detect::meta::{Meta, meta};
use crate::detect::{Detector, Findings};
use crate::history::{Shown, each, subject};
use hashlink::LruCache;
use picket_common::event::{Event, Outcome};
use picket_common::finding::{Finding, Severity};
use picket_common::ids::RecordId;
use picket_common::time::Timestamp;
use rsigma_parser::Level;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// What is known of a rule about indicators.
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    description: &'static str,
    attack: &'static str,
}

pub(super) const FILE: usize = 0;
pub(super) const ADDRESS: usize = 1;
pub(super) const DOMAIN: usize = 2;
pub(super) const NAME: usize = 3;

pub(super) const RULES: [Rule; 4] = [
    Rule {
        id: "known-bad-file",
        title: "Known bad file",
        description: "A program was started, or a file landed, whose digest is in a list of indicators.",
        attack: "attack.t1204.002",
    },
    Rule {
        id: "known-bad-address",
        title: "Known bad address",
        description: "A login, a connection or a command line has an address that is in a list of indicators.",
        attack: "attack.t1071",
    },
    Rule {
        id: "known-bad-domain",
        title: "Known bad domain",
        description: "A command line, or the log of a login, names a domain that is in a list of indicators, or one under it.",
        attack: "attack.t1071.001",
    },
    Rule {
        id: "known-bad-name",
        title: "Known bad name",
        description: "A program was started, or a file landed, whose path or name is in a list of indicators.",
        attack: "attack.t1204.002",
    },
];

/// The place of the rule with this id or title.
pub(super) fn place(name: &str) -> Option<usize> {
    RULES
        .iter()
        .position(|rule| [rule.id, rule.title].contains(&name))
}

/// What was found once is not told again for so long: whoever guesses passwords does so thousands of times.
const QUIET: Duration = Duration::from_secs(600);
/// So many of what was found last are remembered for that.
const REMEMBERED: usize = 4096;

/// See the module.
pub struct Listed {
    /// What is looked for.
    pub indicators: Indicators,
    /// When it was told, by what it was.
    told: LruCache<Told, Timestamp>,
    /// Whether the last event showed anything that is listed, told or not.
    pub met: bool,
}

/// Rule, value, in what kind of event, who or what it was met with, and how that ended.
type Told = (usize, String, Option<Shown>, String, Option<Outcome>);

impl Default for Listed {
    fn default() -> Self {
        Self {
            indicators: Indicators::default(),
            told: LruCache::new(REMEMBERED),
            met: false,
        }
    }
}

impl Listed {
    /// Whether this was not told a moment ago. Digests always are: each time somebody may have to be stopped.
    fn is_new(&mut self, found: &Match, event: &Event) -> bool {
        if found.rule == FILE {
            return true;
        }
        let outcome = event.auth().map(|auth| auth.outcome);
        let whom = subject(event).unwrap_or_default().to_owned();
        let key = (found.rule, found.value.clone(), Shown::of(event), whom, outcome);
        let is_new = self
            .told
            .get(&key)
            .is_none_or(|told| event.time.since(*told).max(told.since(event.time)) >= QUIET);
        if is_new {
            self.told.insert(key, event.time);
        }
        is_new
    }
}

impl Detector for Listed {
    fn name(&self) -> &'static str {
        "indicators"
    }

    fn describe(&self) -> &'static str {
        "finds what lists of indicators say is bad"
    }

    fn inspect(&mut self, event: &Event, findings: &mut Findings) {
        self.met = false;
        if self.indicators.is_empty() {
            return;
        }
        // One finding of a rule for an event: the first that is met.
        let mut met: [Option<Match>; RULES.len()] = Default::default();
        let indicators = &self.indicators;
        each(event, |observable| {
            if let Some(found) = indicators.find(&observable, event.time)
                && let Some(place) = met.get_mut(found.rule)
            {
                place.get_or_insert(found);
            }
        });
        for found in met.into_iter().flatten() {
            self.met = true;
            let exceptions = self.indicators.0.exceptions.get(found.rule);
            if exceptions.is_some_and(|exceptions| exceptions.hold_back(event)) || !self.is_new(&found, event)
            {
                continue;
            }
            if let Some(meta) = found.meta(severity(&found, event), suggests(&found, event)) {
                let title = meta.rule.title.clone();
                let mut finding = finding(&meta, event, Vec::new(), None, vec![event.id]);
                finding.rule.title = found.rule().map_or(title, |rule| rule.title.to_owned());
                findings.found.push(finding);
            }
        }
    }
}

/// How bad it is: an address that guesses is everyday life, one that got in, or that a program calls, is not.
fn severity(found: &Match, event: &Event) -> Level {
    let got_in = event.auth().is_none_or(|auth| auth.outcome == Outcome::Success);
    match (found.rule, Shown::of(event)) {
        (NAME, _) | (ADDRESS, Some(Shown::Inbound)) => Level::Medium,
        _ if got_in => Level::High,
        _ => Level::Medium,
    }
}

/// The response that fits: never one that hits who only was called, or who only carried something here.
fn suggests(found: &Match, event: &Event) -> Vec<String> {
    let response = match (found.rule, Shown::of(event)) {
        (FILE, Some(Shown::Program)) => "kill_tree",
        (FILE, Some(Shown::File)) => "quarantine",
        (ADDRESS, Some(Shown::Login | Shown::Inbound)) => "block_ip",
        _ => return Vec::new(),
    };
    vec![response.to_owned()]
}

impl Match {
    /// What a finding of it is called: ` seen in …` follows.
    fn title(&self) -> Option<String> {
        let rule = self.rule()?;
        let lists = self.lists.iter().map(|(file, words)| {
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
            match words.as_str() {
                "" => name.escape_debug().to_string(),
                words => format!("{} as {}", name.escape_debug(), words.escape_debug()),
            }
        });
        let lists: Vec<String> = lists.collect();
        let (title, value) = (rule.title, self.value.escape_debug());
        Some(format!("{title}, {value}, listed in {}", lists.join(" and in ")))
    }

    fn rule(&self) -> Option<&'static Rule> {
        RULES.get(self.rule)
    }

    fn meta(&self, level: Level, suggests: Vec<String>) -> Option<Meta> {
        let rule = self.rule()?;
        let title = format!("{}, seen", self.title()?);
        Some(meta(
            Some(rule.id),
            &title,
            Some(level),
            &[rule.attack.to_owned()],
            suggests,
        ))
    }

    /// The finding that something was seen before a list named it: `last` is when that was the last time, `seen` tells of it, as
    /// `3 times from … to …, in logins (sshd)`. The same sighting gives the same finding.
    pub fn seen_before(
        &self,
        source: Option<IpAddr>,
        last: Timestamp,
        now: Timestamp,
        seen: &str,
    ) -> Option<Finding> {
        let meta = self.meta(Level::High, Vec::new())?;
        let rule = self.rule()?;
        let title = self.title()?;
        Some(Finding {
            id: RecordId::derived(last, &[rule.id.as_bytes(), b"seen before", self.value.as_bytes()]),
            time: last,
            detected: now,
            rule: picket_common::finding::RuleRef {
                title: rule.title.to_owned(),
                ..meta.rule
            },
            severity: Severity::High,
            summary: format!("{title}, was seen before the list named it: {seen}"),
            group: Vec::new(),
            count: None,
            source,
            user: None,
            process: None,
            file: None,
            events: Vec::new(),
            suggests: Vec::new(),
        })
    }
}

/// What people may want to know of each rule.
pub(super) fn about(file: &Path) -> Vec<About> {
    let about = |rule: &Rule| {
        let tags = [rule.attack.to_owned()];
        let meta = meta(Some(rule.id), rule.title, Some(Level::High), &tags, Vec::new());
        About::of_indicators(&meta, rule.description, file)
    };
    RULES.iter().map(about).collect()
}
