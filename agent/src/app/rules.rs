//! The rules in force, and those that take their place when they are loaded anew.

use super::costs::{EACH, Rule, estimated};
use super::observer::Observer;
use super::rule_watch::RuleWatch;
use super::scanner::Waiting;
use crate::config::Settings;
use crate::detect::{Cost, Exception, Indicators, Sigma, Sources, load};
use crate::history::LastGood;
use crate::observation::Subject;
use crate::scan::{Backlog, Queue};
use crate::sys::Stop;
use picket_common::finding::RuleRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More problems than these are counted and not named, so that a report stays short.
const NAMED: usize = 50;

/// Loads rules for whoever judges by them.
pub(super) struct Rules {
    settings: Settings,
    /// What the sensors see.
    seen: BTreeSet<Subject>,
    /// What is scanned by YARA rules, which lie in the same folders.
    scanned: Option<Arc<Queue<Waiting>>>,
    /// Looks back when lists change.
    observer: Arc<Observer>,
    /// Held while rules are loaded: one after the other.
    loading: Mutex<()>,
    fresh: Mutex<Option<Fresh>>,
    state: Mutex<State>,
}

/// What was loaded and nobody judges by yet.
pub(super) struct Fresh {
    /// Nothing when not one rule could be loaded: then those stay that are in force.
    pub(super) sigma: Option<Sigma>,
    pub(super) indicators: Indicators,
}

/// What is in force.
#[derive(Default)]
struct State {
    rules: usize,
    exceptions: Vec<Exception>,
    indicators: Indicators,
    costs: Vec<(RuleRef, Arc<Cost>)>,
    problems: Vec<String>,
}

/// The rules in force, for an operator.
#[derive(Debug, Serialize, Deserialize)]
pub struct InForce {
    /// How many rules.
    pub rules: usize,
    /// How many indicators, those that have ended among them.
    #[serde(default)]
    pub indicators: usize,
    /// How many exceptions, those whose time is over among them.
    pub exceptions: usize,
    /// How many things are wrong in their files.
    pub problems: usize,
    /// The first of those, each with its place.
    pub named: Vec<String>,
    /// The exceptions that held something back since the agent started.
    pub held_back: Vec<HeldBack>,
}

/// How often an exception held something back.
#[derive(Debug, Serialize, Deserialize)]
pub struct HeldBack {
    /// Its file.
    pub file: PathBuf,
    /// The line on which it begins.
    pub line: usize,
    /// The rule that it names.
    pub rule: String,
    /// How often.
    pub times: u64,
}

impl Rules {
    /// Loads the rules that the settings name, as far as they are about what is seen. What is wrong is said; the rest counts.
    pub(super) fn load(
        settings: &Settings,
        seen: BTreeSet<Subject>,
        scanned: Option<Arc<Queue<Waiting>>>,
        observer: Arc<Observer>,
    ) -> Self {
        let rules = Self {
            settings: settings.clone(),
            seen,
            scanned,
            observer,
            loading: Mutex::default(),
            fresh: Mutex::default(),
            state: Mutex::default(),
        };
        rules.reload();
        rules
    }

    /// Loads them anew, on the caller's thread. When not one is left, those that are in force stay.
    pub(super) fn reload(&self) {
        let _one_at_a_time = lock(&self.loading);
        self.scanned.iter().for_each(|queue| queue.reload());
        let (before, indicators) = {
            let state = lock(&self.state);
            (state.exceptions.clone(), state.indicators.clone())
        };
        let sources = Sources {
            before: &before,
            indicators_before: indicators,
            ..Sources::from(&self.settings)
        };
        let mut kept = LastGood::read(&self.settings.last_good());
        let loaded = load(&sources, &mut kept, jiff::Timestamp::now().into());
        for problem in &loaded.problems {
            tracing::warn!("{problem}");
        }
        let problems = loaded.problems.iter().map(ToString::to_string).collect();
        let indicators = loaded.indicators;
        if !self.settings.indicators.files.is_empty() {
            let (count, bytes) = (indicators.len(), indicators.bytes());
            tracing::info!("{count} indicators are in force, in {} KiB", bytes / 1024);
        }
        if loaded.sigma.rules() == 0 {
            let mut state = lock(&self.state);
            state.problems = problems;
            state.indicators = indicators.clone();
            drop(state);
            tracing::error!("no rule could be loaded: those that are in force stay");
            // Rules that nobody judges by yet are in force all the same.
            let waiting = lock(&self.fresh).take().and_then(|fresh| fresh.sigma);
            self.bring_in(waiting, indicators);
            return;
        }
        if let Err(error) = kept.save() {
            tracing::warn!("the last good rules cannot be kept: {error}");
        }
        let sigma = loaded.sigma.only(|subject| self.seen.contains(&subject));
        let rules = sigma.rules();
        tracing::info!(
            "{rules} rules and {} exceptions are in force",
            loaded.exceptions.len()
        );
        *lock(&self.state) = State {
            rules,
            exceptions: loaded.exceptions,
            indicators: indicators.clone(),
            costs: sigma.costs(),
            problems,
        };
        self.bring_in(Some(sigma), indicators);
    }

    /// Has all judged by these that comes from now on, and what came before looked through.
    fn bring_in(&self, sigma: Option<Sigma>, indicators: Indicators) {
        let seen_before = indicators.clone();
        *lock(&self.fresh) = Some(Fresh { sigma, indicators });
        self.observer.look_back(&seen_before);
    }

    /// Loads them anew whenever their files change, until told to stop.
    pub(super) fn follow(&self, mut watch: RuleWatch, stop: &Stop) {
        loop {
            match watch.wait(stop) {
                Ok(true) => self.reload(),
                Ok(false) => return,
                Err(error) => {
                    tracing::error!("changes of rules are not noticed any more, SIGHUP loads them: {error}");
                    return;
                }
            }
        }
    }

    /// Rules that were loaded since this was last asked.
    pub(super) fn take(&self) -> Option<Fresh> {
        lock(&self.fresh).take()
    }

    /// What the rules in force cost since they were loaded, as far as they were asked for anything.
    pub(super) fn costs(&self) -> Vec<Rule> {
        let state = lock(&self.state);
        let asked = state
            .costs
            .iter()
            .filter(|(_, cost)| cost.asked() + cost.matches() > 0);
        let rule = |(rule, cost): &(RuleRef, Arc<Cost>)| Rule {
            id: rule.id.clone(),
            title: rule.title.clone(),
            asked: cost.asked() * EACH,
            seconds: estimated(cost.took()),
            matches: cost.matches(),
        };
        asked.map(rule).collect()
    }

    /// What remembers what this host has seen.
    pub(super) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// How many files wait to be scanned, where any are.
    pub(super) fn backlog(&self) -> Option<Backlog> {
        self.scanned.as_ref().map(|queue| queue.backlog())
    }

    /// What is in force.
    pub(super) fn in_force(&self) -> InForce {
        let state = lock(&self.state);
        let held_back = state
            .exceptions
            .iter()
            .filter(|exception| exception.held_back() > 0)
            .map(|exception| HeldBack {
                file: exception.file.clone(),
                line: exception.at.0,
                rule: exception.rule.clone(),
                times: exception.held_back(),
            });
        InForce {
            rules: state.rules,
            indicators: state.indicators.len(),
            exceptions: state.exceptions.len(),
            problems: state.problems.len(),
            named: state.problems.iter().take(NAMED).cloned().collect(),
            held_back: held_back.collect(),
        }
    }
}

/// The watch on the folders that the settings name; it must be there before they are read.
pub(super) fn watch(settings: &Settings) -> Option<RuleWatch> {
    let detect = &settings.detect;
    let folders = detect.rules.iter().chain([&detect.exceptions]);
    // A file is waited for in its folder.
    let folders = folders.chain(&settings.indicators.files).cloned();
    match RuleWatch::new(folders.collect()) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!("changes of rules are not noticed, SIGHUP loads them: {error}");
            None
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
