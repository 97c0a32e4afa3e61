//! The last findings with the events behind them and what was done, for an operator on the host.
//!
//! Two files of JSON lines, the newer one appended to and the older one thrown away when the newer has grown. Nothing is
//! kept in memory: whoever asks has both read through. It is no record for evidence, the collector has that, so nothing waits
//! for the disk.

use super::recent::Recent;
use picket_common::event::Event;
use picket_common::finding::Finding;
use picket_common::ids::RecordId;
use picket_common::ndjson;
use picket_common::record::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How long the newer file may grow.
const LONGEST: u64 = 2 << 20;
/// A finding whose line with the events is longer is kept without them.
const LONGEST_LINE: usize = 64 << 10;
/// A line that is longer without them is not kept.
const LONGEST_ALONE: usize = 8 << 10;

/// See the module.
#[derive(Debug)]
pub struct Findings {
    path: PathBuf,
    file: File,
    length: u64,
    /// The last line was not written to its end.
    torn: bool,
}

/// One thing to keep.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A rule fired.
    Finding {
        /// What it found.
        finding: Finding,
        /// Those of the events behind it that were at hand.
        events: Vec<Event>,
    },
    /// Something was done, or was not.
    Outcome(Outcome),
}

/// A finding and what came of it; or what an operator did, without a finding.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Story {
    /// What was found.
    pub finding: Option<Finding>,
    /// Those of the events behind it that were at hand, in their order.
    pub events: Vec<Event>,
    /// What was done or was not, and how it ended, in that order.
    pub outcomes: Vec<Outcome>,
}

impl Findings {
    /// Goes on with the file `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let (mut file, length) = open(path)?;
        let mut last = [b'\n'];
        if length > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            torn: last != *b"\n",
        })
    }

    /// Keeps an entry. Whether it could be.
    pub fn keep(&mut self, mut entry: Entry) -> io::Result<bool> {
        let mut line = self.line(&entry)?;
        let mut longest = LONGEST_ALONE;
        if let Entry::Finding { events, .. } = &mut entry
            && !events.is_empty()
        {
            if line.len() > LONGEST_LINE {
                events.iter_mut().for_each(Recent::short);
                line = self.line(&entry)?;
            }
            if line.len() > LONGEST_LINE {
                if let Entry::Finding { events, .. } = &mut entry {
                    events.clear();
                }
                line = self.line(&entry)?;
            } else {
                longest = LONGEST_LINE;
            }
        }
        if line.len() > longest {
            return Ok(false);
        }
        if self.length + line.len() as u64 > LONGEST {
            fs::rename(&self.path, self.older())?;
            (self.file, self.length) = open(&self.path)?;
        }
        self.torn = true;
        self.file.write_all(&line)?;
        self.torn = false;
        self.length += line.len() as u64;
        Ok(true)
    }

    /// The last findings, the newest last, without the events behind them.
    pub fn last(&self, count: usize) -> io::Result<Vec<Story>> {
        let mut found: VecDeque<Finding> = VecDeque::new();
        let mut known = HashSet::new();
        self.read(|entry| {
            // What is judged again after a crash has the id that it had.
            if let Entry::Finding { finding, .. } = entry
                && known.insert(finding.id)
            {
                found.push_back(finding);
                if found.len() > count {
                    found.pop_front();
                }
            }
        })?;
        let mut stories: Vec<Story> = found
            .into_iter()
            .map(|finding| Story {
                finding: Some(finding),
                ..Story::default()
            })
            .collect();
        self.read(|entry| {
            let Entry::Outcome(outcome) = entry else { return };
            let is_told = |story: &&mut Story| story.id() == outcome.action.finding;
            if outcome.action.finding.is_some()
                && let Some(story) = stories.iter_mut().find(is_told)
            {
                story.add(outcome);
            }
        })?;
        Ok(stories)
    }

    /// The story of a finding, or of an action, by its id.
    pub fn find(&self, id: RecordId) -> io::Result<Option<Story>> {
        // An action may have been done for a finding, which then is what is asked for.
        let mut wanted = id;
        self.read(|entry| {
            if let Entry::Outcome(outcome) = entry
                && outcome.action.id == id
            {
                wanted = outcome.action.finding.unwrap_or(id);
            }
        })?;
        let mut story = Story::default();
        self.read(|entry| match entry {
            Entry::Finding { finding, events } => {
                if finding.id == wanted {
                    story.finding = Some(finding);
                    // What is judged again after a crash may have fewer of them at hand.
                    if events.len() > story.events.len() {
                        story.events = events;
                    }
                }
            }
            Entry::Outcome(outcome) => {
                if outcome.action.id == id || outcome.action.finding == Some(wanted) {
                    story.add(outcome);
                }
            }
        })?;
        let is_known = story.finding.is_some() || !story.outcomes.is_empty();
        Ok(is_known.then_some(story))
    }

    fn line(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        if self.torn {
            line.push(b'\n');
        }
        ndjson::write(&mut line, entry)?;
        Ok(line)
    }

    fn older(&self) -> PathBuf {
        self.path.with_extension("1.ndjson")
    }

    /// Reads all entries, the oldest first; a line that means nothing is passed over.
    fn read(&self, mut each: impl FnMut(Entry)) -> io::Result<()> {
        for path in [self.older(), self.path.clone()] {
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // No longer than we make it, whoever wrote it.
            let mut input = BufReader::new(file.take(LONGEST));
            let mut line = Vec::new();
            while input.read_until(b'\n', &mut line)? > 0 {
                if let Ok(entry) = serde_json::from_slice(&line) {
                    each(entry);
                }
                line.clear();
            }
        }
        Ok(())
    }
}

impl Story {
    fn id(&self) -> Option<RecordId> {
        self.finding.as_ref().map(|finding| finding.id)
    }

    fn add(&mut self, outcome: Outcome) {
        // What had not reached the spool is told again after a restart.
        if self.outcomes.iter().all(|other| other.id != outcome.id) {
            self.outcomes.push(outcome);
        }
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::action::{Action, Decision, Target};
    use picket_common::event::{AuthAction, AuthEvent, Outcome as Result, Payload};
    use picket_common::finding::{RuleRef, Severity};
    use picket_common::time::Timestamp;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn finding(second: i64, summary: &str) -> Finding {
        let rule = RuleRef {
            id: "r".to_owned(),
            title: "R".to_owned(),
            attack: Vec::new(),
        };
        Finding {
            id: RecordId::derived(at(second), &[b"finding"]),
            time: at(second),
            detected: at(second),
            rule,
            severity: Severity::High,
            summary: summary.to_owned(),
            group: Vec::new(),
            count: None,
            source: None,
            process: None,
            file: None,
            user: None,
            events: Vec::new(),
            suggests: Vec::new(),
        }
    }

    fn found(second: i64, summary: &str) -> Entry {
        let event = Event {
            id: RecordId::derived(at(second), &[b"event"]),
            time: at(second),
            observed: at(second),
            payload: Payload::Auth(AuthEvent::new(AuthAction::Login, Result::Failure, "sshd").into()),
        };
        Entry::Finding {
            finding: finding(second, summary),
            events: vec![event],
        }
    }

    fn outcome(finding: Option<RecordId>, second: i64, decision: Decision) -> Outcome {
        let action = Action {
            id: RecordId::derived(at(0), &[b"action", format!("{finding:?}").as_bytes()]),
            time: at(second),
            target: Target::BlockIp("198.51.100.9".parse().unwrap()),
            ttl: None,
            reason: "why".to_owned(),
            finding,
        };
        let id = RecordId::derived(at(second), &[b"outcome", action.id.to_string().as_bytes()]);
        Outcome {
            id,
            time: at(second),
            action,
            decision,
            hits: None,
        }
    }

    #[test]
    fn a_story_is_told_by_its_finding_and_by_its_action_and_across_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/history.ndjson");
        let id = finding(1, "").id;
        let (done, ended) = (
            outcome(Some(id), 2, Decision::Applied),
            outcome(Some(id), 3, Decision::Expired),
        );
        let by_hand = outcome(None, 4, Decision::Applied);
        let mut history = Findings::open(&path).unwrap();
        // The actor may be faster than the judge.
        for entry in [
            Entry::Outcome(done.clone()),
            found(1, "one"),
            found(2, "two"),
            Entry::Outcome(by_hand.clone()),
        ] {
            assert!(history.keep(entry).unwrap());
        }
        let mut history = Findings::open(&path).unwrap();
        for again in [
            found(1, "one"),
            Entry::Outcome(done.clone()),
            Entry::Outcome(ended.clone()),
        ] {
            assert!(history.keep(again).unwrap());
        }
        let story = history.find(id).unwrap().unwrap();
        assert_eq!(story.finding, Some(finding(1, "one")));
        assert_eq!(
            (story.events.len(), &story.outcomes),
            (1, &vec![done.clone(), ended])
        );
        assert_eq!(history.find(done.action.id).unwrap(), Some(story));
        let story = history.find(by_hand.action.id).unwrap().unwrap();
        assert_eq!((story.finding, story.outcomes), (None, vec![by_hand]));
        assert_eq!(history.find(at_random()).unwrap(), None);
        let summaries = |count| -> Vec<(String, usize)> {
            let last = history.last(count).unwrap().into_iter();
            last.map(|story| (story.finding.unwrap().summary, story.outcomes.len()))
                .collect()
        };
        assert_eq!(summaries(9), [("one".to_owned(), 2), ("two".to_owned(), 0)]);
        assert_eq!(summaries(1), [("two".to_owned(), 0)]);
    }

    fn at_random() -> RecordId {
        RecordId::random(at(9), [7; 10])
    }

    #[test]
    fn it_stays_small_and_forgets_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.ndjson");
        let mut history = Findings::open(&path).unwrap();
        let long = "x".repeat(20_000);
        for second in 0..400 {
            assert!(history.keep(found(second, &long)).unwrap());
        }
        let bytes: u64 = folder
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(bytes <= 2 * LONGEST, "{bytes}");
        assert!(history.find(finding(0, "").id).unwrap().is_none());
        assert!(history.find(finding(399, "").id).unwrap().is_some());
        assert!(history.last(1000).unwrap().len() > 100);
        assert!(!history.keep(found(500, &"x".repeat(LONGEST_LINE))).unwrap());
        let alone = finding(501, &"x".repeat(LONGEST_ALONE));
        let alone = Entry::Finding {
            finding: alone,
            events: Vec::new(),
        };
        assert!(!history.keep(alone).unwrap());
    }

    #[test]
    fn a_line_that_a_crash_cut_short_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.ndjson");
        let mut history = Findings::open(&path).unwrap();
        history.keep(found(1, "one")).unwrap();
        history.file.write_all(b"{\"finding\":{\"find").unwrap();
        let mut history = Findings::open(&path).unwrap();
        history.keep(found(2, "two")).unwrap();
        assert_eq!(history.last(9).unwrap().len(), 2);
    }
}
