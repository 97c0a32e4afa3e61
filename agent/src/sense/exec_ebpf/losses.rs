//! What the program in the kernel could not tell, by the kernel's own count.

use crate::sense::losses::Losses;
use crate::sys::bpf::KINDS;

/// What found no room in the ring, by kind of record; the others are of no interest to anybody.
const FULL: [(usize, &str); 7] = [
    (
        1,
        "programs that started found no room in the kernel's ring (process.ring)",
    ),
    (
        2,
        "processes that began found no room in the kernel's ring (process.ring)",
    ),
    (
        3,
        "processes that ended found no room in the kernel's ring (process.ring)",
    ),
    (
        4,
        "connections that were asked for found no room in the kernel's ring (process.ring)",
    ),
    (
        5,
        "connections that were accepted found no room in the kernel's ring (process.ring)",
    ),
    (
        6,
        "sockets that began to listen found no room in the kernel's ring (process.ring)",
    ),
    (7, "signals found no room in the kernel's ring (process.ring)"),
];

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
    /// Processes that became root while what could explain it was lost.
    pub(super) unexplained: u64,
}

impl Counts {
    /// How much was lost that may have told why somebody is root: programs that started, processes that began.
    pub(super) fn could_explain(&self) -> (&[u64], u64) {
        (self.full.get(1..3).unwrap_or_default(), self.missed)
    }

    /// Counts what came since an earlier look.
    pub(super) fn add_since(&self, before: &Self, losses: &mut Losses) {
        for (kind, reason) in FULL {
            let of = |counts: &Self| counts.full.get(kind).copied().unwrap_or_default();
            losses.count(of(self).saturating_sub(of(before)), reason);
        }
        for (now, before, reason) in [
            (
                self.missed,
                before.missed,
                "times the kernel passed over the program",
            ),
            (self.broken, before.broken, "records were not what they should be"),
            (
                self.unowned,
                before.unowned,
                "connections were accepted by nobody who is known to listen",
            ),
            (
                self.unexplained,
                before.unexplained,
                "processes became root while what may explain it was lost",
            ),
        ] {
            losses.count(now.saturating_sub(before), reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sense::Notice;
    use std::sync::mpsc;

    #[test]
    fn only_what_is_new_since_the_last_look_is_counted() {
        let (send, receive) = mpsc::channel();
        let mut losses = Losses::new("test", send);
        let counts = |execs: u64, missed: u64| {
            let mut counts = Counts {
                missed,
                ..Counts::default()
            };
            counts.full[1] = execs;
            counts
        };
        counts(0, 0).add_since(&counts(0, 0), &mut losses);
        losses.tell();
        assert_eq!(receive.try_iter().count(), 0);
        counts(3, 0).add_since(&counts(0, 0), &mut losses);
        losses.tell();
        counts(12, 1).add_since(&counts(3, 0), &mut losses);
        drop(losses);
        let told: Vec<Notice> = receive.iter().collect();
        let ring = "programs that started found no room in the kernel's ring (process.ring)";
        assert_eq!(told[0].to_string(), format!("test: lost 3: 3 {ring}"));
        let rest = format!("test: lost 10: 9 {ring}; 1 times the kernel passed over the program");
        assert_eq!(told[1].to_string(), rest);
        assert_eq!(told.len(), 2);
    }
}
