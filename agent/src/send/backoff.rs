//! How long to wait before the next try.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// Doubles with each failure up to a minute; the wait is drawn from the whole span, so that a thousand hosts that lost
/// one collector do not come back in step.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait.
    pub(super) fn after_failure(&mut self) -> Duration {
        let span = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Never nothing: a refused connection would be tried again at once.
        FIRST / 5 + span.mul_f64(fastrand::f64())
    }

    /// It worked: the next failure is the first again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_over() {
        let mut backoff = Backoff::default();
        assert!(backoff.after_failure() <= FIRST + FIRST / 5);
        for _ in 0..100 {
            let wait = backoff.after_failure();
            assert!(wait >= FIRST / 5 && wait <= LONGEST + FIRST / 5);
        }
        backoff.reset();
        assert!(backoff.after_failure() <= FIRST + FIRST / 5);
    }
}
