//! How often a sensor lets itself be woken.

use std::time::{Duration, Instant};

/// So many times at once it is woken at once.
const AT_ONCE: u32 = 32;
/// In the long run it is woken once in this time.
const EACH: Duration = Duration::from_millis(1);
/// How long it waits when it was woken more often.
const PAUSE: Duration = Duration::from_millis(2);

/// Who writes one file after another pays for waking the sensor with each. So it is woken at once as long as that is seldom, and else
/// waits a moment, in which the kernel gathers what happens, and puts together what happens to the same file.
#[derive(Debug)]
pub(in crate::sense) struct Pace {
    left: u32,
    since: Instant,
}

impl Pace {
    pub(in crate::sense) fn new() -> Self {
        Self {
            left: AT_ONCE,
            since: Instant::now(),
        }
    }

    /// It was woken. How long to wait before it looks.
    pub(in crate::sense) fn woken(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.since);
        let more = u32::try_from(passed.as_nanos() / EACH.as_nanos()).unwrap_or(AT_ONCE);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(AT_ONCE);
            self.since = now;
        }
        if self.left == 0 {
            return Some(PAUSE);
        }
        self.left -= 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_alone_is_looked_at_at_once_and_what_comes_in_masses_is_gathered() {
        let mut pace = Pace::new();
        let begun = Instant::now();
        let paused = |pace: &mut Pace, every: u64, count: u64| {
            let begun = begun + Duration::from_secs(every);
            let at = |time| begun + Duration::from_micros(every * time);
            (0..count).filter(|time| pace.woken(at(*time)).is_some()).count()
        };
        assert_eq!(paused(&mut pace, 2000, 1000), 0);
        assert!(paused(&mut pace, 3000, 1000) == 0);
        let mut pace = Pace::new();
        assert!((900..970).contains(&paused(&mut pace, 20, 1000)));
    }
}
