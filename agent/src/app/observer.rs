//! The thread that remembers what this host has seen, and looks back when a list names something new.
//!
//! The judge adds what an event shows to a map in memory, which costs it no more than a look-up; this thread writes the map every
//! few seconds. Whatever is written and no finding tells of is looked up in the lists in force, and so is all of the history when
//! lists change: then nothing is missed between the two.

use super::historian::Note;
use super::judge::show;
use super::keeper::Kept;
use super::look_back::Found;
use super::mask::Mask;
use crate::config::Settings;
use crate::detect::Indicators;
use crate::history::{Entry, Observables, ObservablesError, Question, Seen, Shown, Sightings};
use crate::queue::Sender;
use picket_common::event::Event;
use picket_common::record::Record;
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// How long what was seen may wait to be written.
const UNWRITTEN: Duration = Duration::from_secs(5);
/// How often what is old is looked for.
const PRUNED: Duration = Duration::from_secs(3600);

/// What the history tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Remembered {
    /// What was seen of what was asked for, the last first; at most a hundred.
    pub seen: Vec<Seen>,
    /// Since when the history is whole.
    pub since: Timestamp,
}

/// What all that tell or ask it share with the thread.
#[derive(Default)]
pub(super) struct Observer {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    sightings: Sightings,
    /// When the first of them came.
    since: Option<Instant>,
    /// Lists that are in force from now on.
    indicators: Option<Indicators>,
    questions: Vec<(Question, mpsc::Sender<Result<Remembered, String>>)>,
    /// They could not be written a moment ago.
    held_up: bool,
    ended: bool,
    report: Report,
}

/// How the history is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// How many bytes it takes.
    pub bytes: u64,
    /// How many sightings found no room in memory.
    pub lost: u64,
    /// Why it cannot be written now.
    pub trouble: Option<String>,
}

impl Observer {
    /// Takes note of what an event shows, on the judge's thread. Where a finding tells of something in it, `indicators` say of what.
    /// `amended`: it was noted before, and its digest is what is new.
    pub(super) fn note(&self, event: &Event, amended: bool, indicators: Option<&Indicators>) {
        if Shown::of(event).is_none() {
            return;
        }
        let mut waiting = self.lock();
        let was_half_full = waiting.sightings.is_half_full();
        waiting.sightings.add(event, amended, |observable| {
            indicators.is_some_and(|indicators| indicators.find(observable, event.time).is_some())
        });
        let is_first = waiting.since.is_none() && !waiting.sightings.is_empty();
        if is_first {
            waiting.since = Some(Instant::now());
        }
        if is_first || waiting.sightings.is_half_full() != was_half_full {
            self.wake.notify_one();
        }
    }

    /// Other lists are in force.
    pub(super) fn look_back(&self, indicators: &Indicators) {
        self.lock().indicators = Some(indicators.clone());
        self.wake.notify_one();
    }

    /// What is known of a value, behind everything that was noted.
    pub(super) fn ask(&self, value: &str, patience: Duration) -> Result<Remembered, String> {
        let question = Question::parse(value).map_err(|error| error.to_string())?;
        let (reply, answered) = mpsc::channel();
        self.lock().questions.push((question, reply));
        self.wake.notify_one();
        let told = answered.recv_timeout(patience);
        told.unwrap_or_else(|_| Err("the agent is ending, or too busy to answer".to_owned()))
    }

    /// How the history is.
    pub(super) fn report(&self) -> Report {
        let waiting = self.lock();
        let lost = waiting.report.lost + waiting.sightings.lost;
        Report {
            lost,
            ..waiting.report.clone()
        }
    }

    /// Writes what waits, and ends.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.wake.notify_one();
    }

    /// Waits until there is something to do, and takes it.
    fn take(&self) -> Waiting {
        let mut waiting = self.lock();
        loop {
            let left = waiting
                .since
                .map(|since| UNWRITTEN.saturating_sub(since.elapsed()));
            // What cannot be written is not tried again at once, however little room there is.
            let is_due = left.is_some_and(|left| left.is_zero())
                || (waiting.sightings.is_half_full() && !waiting.held_up);
            let is_asked = waiting.ended || waiting.indicators.is_some() || !waiting.questions.is_empty();
            if is_due || is_asked {
                let (ended, report) = (waiting.ended, waiting.report.clone());
                return std::mem::replace(
                    &mut *waiting,
                    Waiting {
                        ended,
                        report,
                        ..Waiting::default()
                    },
                );
            }
            waiting = match left {
                Some(left) => {
                    let woken = self.wake.wait_timeout(waiting, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where findings go.
pub(super) struct Ways {
    pub(super) keeper: Sender<Kept>,
    pub(super) historian: Sender<Note>,
}

/// The thread's own.
struct Memory<'a> {
    settings: &'a Settings,
    history: Option<Observables>,
    /// The lists in force.
    indicators: Indicators,
    mask: Mask,
    ways: Ways,
    /// How many sightings were lost since the agent started.
    lost: u64,
    trouble: Option<String>,
}

/// Remembers until told to end.
pub(super) fn observe(observer: &Observer, settings: &Settings, ways: Ways) {
    let mut memory = Memory {
        settings,
        history: None,
        indicators: Indicators::default(),
        mask: Mask::new(&settings.process.mask),
        ways,
        lost: 0,
        trouble: None,
    };
    let mut pruned: Option<Instant> = None;
    loop {
        let mut waiting = observer.take();
        memory.lost += std::mem::take(&mut waiting.sightings.lost);
        if let Some(unwritten) = memory.write(waiting.sightings) {
            let mut now_waiting = observer.lock();
            now_waiting.sightings.restore(unwritten);
            now_waiting.since = Some(Instant::now());
            now_waiting.held_up = true;
        }
        if let Some(indicators) = waiting.indicators {
            memory.indicators = indicators;
            memory.look_back();
        }
        for (question, reply) in waiting.questions {
            // Whoever asked may have gone.
            drop(reply.send(memory.tell(&question)));
        }
        let is_due = pruned.is_none_or(|last| last.elapsed() >= PRUNED);
        if memory.prune(is_due) {
            pruned = Some(Instant::now());
        }
        observer.lock().report = memory.report();
        if waiting.ended {
            return;
        }
    }
}

impl Memory<'_> {
    /// The history, opened anew if need be.
    fn history(&mut self) -> Option<&mut Observables> {
        if self.history.is_none() {
            let (path, history) = (self.settings.observables(), &self.settings.history);
            match Observables::open(&path, (history.keep, history.quota), now()) {
                Ok((opened, aside)) => {
                    if let Some(aside) = aside {
                        let (path, aside) = (path.display(), aside.display());
                        tracing::warn!(
                            "{path}: what this host has seen is damaged; it is set aside as {aside} and begun anew"
                        );
                    }
                    self.history = Some(opened);
                }
                Err(error) => self.complain(&error),
            }
        }
        self.history.as_mut()
    }

    /// Said once, until it is well again. One that is damaged is opened anew, which sets it aside.
    fn complain(&mut self, error: &ObservablesError) {
        let text = error.to_string();
        if self.trouble.is_none() {
            tracing::warn!(
                "{text}; what this host sees is remembered in memory until that is mended, as far as there is room"
            );
        }
        self.trouble = Some(text);
        if error.is_damage() {
            self.history = None;
        }
    }

    /// Writes what was seen; gives it back where that cannot be.
    fn write(&mut self, mut sightings: Sightings) -> Option<Sightings> {
        if sightings.is_empty() {
            return None;
        }
        let mut found = Found::default();
        let indicators = self.indicators.clone();
        sightings.each_untold(|observable, sighting| found.add(&indicators, observable, sighting, now()));
        self.tell_of(found);
        let Some(history) = self.history() else {
            return Some(sightings);
        };
        match history.write(&mut sightings) {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!("what this host sees is remembered on disk again");
                }
                None
            }
            Err(error) => {
                self.complain(&error);
                Some(sightings)
            }
        }
    }

    /// Looks through all that was seen for what lists name, and tells of each indicator once.
    fn look_back(&mut self) {
        if self.indicators.is_empty() {
            return;
        }
        let indicators = self.indicators.clone();
        let Some(history) = self.history() else { return };
        let (mut found, mut keys) = (Found::default(), Vec::new());
        let looked = history.each_untold(|key, observable, sighting| {
            if found.add(&indicators, observable, sighting, now()) {
                keys.push(key.to_vec());
            }
        });
        if let Err(error) = looked {
            self.complain(&error);
        }
        if found.more > 0 {
            let more = found.more;
            tracing::warn!(
                "{more} further things that were seen before are listed by now; the next look back tells of them"
            );
        }
        // Rather told twice, under the same name, than not at all.
        self.tell_of(found);
        let told = self.history().map(|history| history.tell(&keys));
        if let Some(Err(error)) = told {
            self.complain(&error);
        }
    }

    fn tell_of(&mut self, found: Found) {
        for mut finding in found.findings(now()) {
            self.mask.finding(&mut finding);
            show(&finding);
            let entry = Entry::Finding {
                events: Vec::new(),
                finding: finding.clone(),
            };
            let kept = Kept {
                records: vec![Record::Finding(finding)],
                cursor: None,
            };
            // A closed queue means that the agent is ending.
            let _ = self.ways.historian.offer(Note::Keep(Box::new(entry)));
            let _ = self.ways.keeper.wait(kept);
        }
    }

    fn tell(&mut self, question: &Question) -> Result<Remembered, String> {
        let Some(history) = self.history() else {
            let why = self.trouble.as_deref().unwrap_or_default();
            return Err(format!("the agent keeps no history: {why}"));
        };
        let found = history.find(question);
        let told = found.map(|(seen, since)| Remembered { seen, since });
        told.map_err(|error| {
            self.complain(&error);
            format!("the history cannot be read: {error}")
        })
    }

    /// Whether it was done.
    fn prune(&mut self, is_due: bool) -> bool {
        let Some(history) = &mut self.history else {
            return false;
        };
        if !is_due && !history.is_full() {
            return false;
        }
        match history.prune(now()) {
            Ok(_) => true,
            Err(error) => {
                self.complain(&error);
                false
            }
        }
    }

    fn report(&self) -> Report {
        let history = self.history.as_ref();
        let bytes = history
            .and_then(|history| history.bytes().ok())
            .unwrap_or_default();
        Report {
            bytes,
            lost: self.lost,
            trouble: self.trouble.clone(),
        }
    }
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}
