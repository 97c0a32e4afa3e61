//! What was not seen, said at most once a minute.

use crate::sense::Notice;
use crate::sys::bpf::KINDS;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// So often is said what was lost.
const PERIOD: Duration = Duration::from_secs(60);
/// What there is in the singular and the plural, by kind of record; the others are of no interest to anybody.
const NAMES: [(usize, &str); 7] = [
    (1, "programs that started"),
    (2, "processes that began"),
    (3, "processes that ended"),
    (4, "connections that were asked for"),
    (5, "connections that were accepted"),
    (6, "sockets that began to listen"),
    (7, "signals"),
];

/// What was lost, and how much of it has been said.
#[derive(Debug)]
pub(super) struct Losses {
    source: &'static str,
    said: Counts,
    at: Option<Instant>,
}

/// How much was lost since the program was loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    /// There was no room in the ring, by kind of record.
    pub(super) full: [u64; KINDS],
    /// The kernel passed over the program.
    pub(super) missed: u64,
    /// A record was not what it should be.
    pub(super) broken: u64,
    /// Connections that nobody is known to have accepted.
    pub(super) unowned: u64,
}

impl Counts {
    fn sum(&self) -> u64 {
        self.full.iter().sum::<u64>() + self.missed + self.broken + self.unowned
    }
}

impl Losses {
    pub(super) fn new(source: &'static str) -> Self {
        Self {
            source,
            said: Counts::default(),
            at: None,
        }
    }

    /// Says what was lost, unless that was done less than a minute ago and this is not the last time.
    pub(super) fn tell(&mut self, now: Instant, counts: Counts, last: bool, notices: &mpsc::Sender<Notice>) {
        let lost = counts.sum().saturating_sub(self.said.sum());
        let early = self.at.is_some_and(|at| now.duration_since(at) < PERIOD);
        if lost == 0 || (early && !last) {
            return;
        }
        let reason = reason(&counts, &self.said);
        self.said = counts;
        self.at = Some(now);
        // Nobody listens any more when the agent is ending.
        let _ = notices.send(Notice::Lost {
            place: self.source.to_owned(),
            lost,
            reason,
        });
    }
}

fn reason(now: &Counts, before: &Counts) -> String {
    let mut reasons = Vec::new();
    let full: Vec<String> = NAMES
        .into_iter()
        .filter_map(|(kind, name)| {
            let more = now.full.get(kind)?.saturating_sub(*before.full.get(kind)?);
            (more > 0).then(|| format!("{more} {name}"))
        })
        .collect();
    if !full.is_empty() {
        let full = full.join(", ");
        reasons.push(format!(
            "the ring in the kernel (process.ring) had no room for {full}"
        ));
    }
    for (now, before, what) in [
        (
            now.missed,
            before.missed,
            "times the kernel passed over the program",
        ),
        (now.broken, before.broken, "records were not what they should be"),
        (
            now.unowned,
            before.unowned,
            "connections were accepted by nobody who is known to listen",
        ),
    ] {
        if now > before {
            reasons.push(format!("{} {what}", now - before));
        }
    }
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(execs: u64, missed: u64) -> Counts {
        let mut counts = Counts {
            missed,
            ..Counts::default()
        };
        counts.full[1] = execs;
        counts
    }

    #[test]
    fn losses_are_summed_to_one_notice_a_minute_and_the_last_one_holds_the_rest() {
        let (send, receive) = mpsc::channel();
        let mut losses = Losses::new("test");
        let begin = Instant::now();
        let mut tell = |seconds, counts, last| {
            losses.tell(begin + Duration::from_secs(seconds), counts, last, &send);
            receive.try_iter().collect::<Vec<_>>()
        };
        assert_eq!(tell(0, counts(0, 0), false), []);
        let said = tell(1, counts(3, 0), false);
        assert_eq!(
            said[0].to_string(),
            "test: lost 3: the ring in the kernel (process.ring) had no room for 3 programs that started"
        );
        assert_eq!(tell(2, counts(10, 1), false), []);
        let said = tell(61, counts(12, 1), false);
        assert!(
            matches!(&said[..], [Notice::Lost { lost: 10, reason, .. }] if reason.contains("9 programs") && reason.ends_with("1 times the kernel passed over the program")),
            "{said:?}"
        );
        assert_eq!(tell(62, counts(13, 1), false), []);
        assert!(matches!(
            tell(63, counts(13, 1), true)[..],
            [Notice::Lost { lost: 1, .. }]
        ));
        assert_eq!(tell(64, counts(13, 1), true), []);
    }
}
