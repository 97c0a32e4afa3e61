//! What a sensor loses, summed up, so that a flood of losses is no flood of notices.

use super::Notice;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How much time lies between two notices of one sensor.
const BETWEEN: Duration = Duration::from_secs(60);

/// The losses of one sensor.
pub(super) struct Losses {
    place: &'static str,
    notices: Sender<Notice>,
    /// How many for which reason.
    open: Vec<(&'static str, u64)>,
    told: Option<Instant>,
}

impl Losses {
    pub(super) fn new(place: &'static str, notices: Sender<Notice>) -> Self {
        Self {
            place,
            notices,
            open: Vec::new(),
            told: None,
        }
    }

    /// Counts some; the reason goes on after a number: "12 had ended before they were looked at".
    pub(super) fn count(&mut self, lost: u64, reason: &'static str) {
        match self.open.iter_mut().find(|(open, _)| *open == reason) {
            _ if lost == 0 => {}
            Some((_, sum)) => *sum += lost,
            None => self.open.push((reason, lost)),
        }
    }

    /// Tells of all that were counted, at most once in a while. Gives how long it can be waited before the next call.
    pub(super) fn tell(&mut self) -> Duration {
        if self.open.is_empty() {
            return BETWEEN;
        }
        match self.told.map(|told| told.elapsed()) {
            Some(ago) if ago < BETWEEN => BETWEEN - ago,
            _ => {
                self.tell_now();
                BETWEEN
            }
        }
    }

    fn tell_now(&mut self) {
        let reasons: Vec<String> = self
            .open
            .iter()
            .map(|(reason, lost)| format!("{lost} {reason}"))
            .collect();
        let lost = Notice::Lost {
            place: self.place.to_owned(),
            lost: self.open.drain(..).map(|(_, lost)| lost).sum(),
            reason: reasons.join("; "),
        };
        self.told = Some(Instant::now());
        // Nobody listens once the agent is ending.
        drop(self.notices.send(lost));
    }
}

impl Drop for Losses {
    fn drop(&mut self) {
        if !self.open.is_empty() {
            self.tell_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn losses_are_told_at_once_then_summed_and_none_is_forgotten() {
        let (send, receive) = mpsc::channel();
        let mut losses = Losses::new("test", send);
        losses.count(0, "were nothing");
        assert_eq!(losses.tell(), BETWEEN);
        losses.count(2, "were late");
        losses.tell();
        for _ in 0..1000 {
            losses.count(1, "were late");
            losses.count(3, "were early");
            assert!(losses.tell() <= BETWEEN);
        }
        drop(losses);
        let told: Vec<String> = receive.iter().map(|notice| notice.to_string()).collect();
        assert_eq!(
            told,
            [
                "test: lost 2: 2 were late",
                "test: lost 4000: 1000 were late; 3000 were early"
            ]
        );
    }
}
