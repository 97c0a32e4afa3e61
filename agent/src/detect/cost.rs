//! What a rule costs: how long it takes, in some of the events, and how often it matches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A clock, lent to a detector for some of the events: what it shows changes no finding. Time since whenever.
pub type Watch = fn() -> Duration;

/// What one rule cost since it was loaded.
#[derive(Default, Debug)]
pub struct Cost {
    asked: AtomicU64,
    nanoseconds: AtomicU64,
    matches: AtomicU64,
}

impl Cost {
    /// How often it was asked with a watch at hand. A correlation never is: its cost is that of what it counts.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// How long that took.
    pub fn took(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    /// How often it matched, in all events; of a correlation how often it fired.
    pub fn matches(&self) -> u64 {
        self.matches.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn matched(&self) {
        self.matches.fetch_add(1, Ordering::Relaxed);
    }
}
