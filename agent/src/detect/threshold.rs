//! Rules that count: Sigma's correlations, in one table of groups that is bounded as a whole.

use compact_str::CompactString;
use hashlink::LruCache;
use picket_common::ids::RecordId;
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::IpAddr;

/// The most events that a finding names.
const NAMED: usize = 16;

/// What a correlation counts, and how many of it make a finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// So many events.
    EventCount(usize),
    /// So many different values of the fields.
    ValueCount(usize, Vec<String>),
    /// All of the rules, in any order.
    Temporal(usize),
    /// All of the rules, one after the other.
    TemporalOrdered(usize),
}

/// The values that a group has in common.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Key {
    /// One address, which is what most rules group by: nothing has to be written out for it.
    Address(IpAddr),
    /// Any other values, as one text.
    Text(CompactString),
}

/// One thing to count.
pub(super) struct Hit {
    /// Microseconds.
    pub(super) time: i64,
    pub(super) event: RecordId,
    /// Which of the correlation's rules matched.
    pub(super) step: usize,
    /// Tells the counted fields' values apart, for a count of values: see [`mark`].
    pub(super) value: Option<u64>,
    /// How many times it happened.
    pub(super) times: usize,
}

/// What a group came to when it fired.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Fired {
    pub(super) count: usize,
    pub(super) events: Vec<RecordId>,
}

/// How much the table did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Groups that had to go, before their time was over, to make room for others.
    pub evicted: u64,
    /// Firings of a group that had fired within its time span: not reported again.
    pub quieted: u64,
}

/// The state of all groups of all correlations. When it is full, the group seen least recently goes.
pub(super) struct Table {
    groups: LruCache<(usize, Key), Group>,
    capacity: usize,
    pub(super) counters: Counters,
}

struct Group {
    seen: VecDeque<Seen>,
    quiet_until: i64,
}

/// Kept so small because there are many: the value only as a hash, the step as an index.
struct Seen {
    time: i64,
    event: RecordId,
    mark: u64,
}

impl Table {
    pub(super) fn new(capacity: usize) -> Self {
        // The cache grows as it fills; its own bound is never reached, as room is made, and counted, before.
        Self {
            groups: LruCache::new_unbounded(),
            capacity: capacity.max(1),
            counters: Counters::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Forgets all groups of some correlations.
    pub(super) fn forget(&mut self, rules: &HashSet<usize>) {
        if !rules.is_empty() {
            self.groups.retain(|(rule, _), _| !rules.contains(rule));
        }
    }

    /// Counts a hit of the correlation numbered `rule` for the group `key`; tells when that makes a finding.
    pub(super) fn hit(&mut self, rule: usize, key: Key, kind: &Kind, span: i64, hit: &Hit) -> Option<Fired> {
        let slot = (rule, key);
        let group = match self.groups.get_mut(&slot) {
            Some(group) => group,
            None => {
                if self.groups.len() >= self.capacity {
                    self.groups.remove_lru();
                    self.counters.evicted += 1;
                }
                self.groups.entry(slot).or_insert_with(|| Group {
                    seen: VecDeque::new(),
                    quiet_until: i64::MIN,
                })
            }
        };
        // The log's clock may step back: what lies in the future by more than the span is of another time, too.
        group
            .seen
            .retain(|seen| hit.time.abs_diff(seen.time) <= span.unsigned_abs());
        let count = group.count(kind, hit);
        let needed = match kind {
            Kind::EventCount(needed) | Kind::ValueCount(needed, _) => *needed,
            Kind::Temporal(steps) | Kind::TemporalOrdered(steps) => *steps,
        };
        if count < needed {
            return None;
        }
        let quiet = hit.time < group.quiet_until && group.quiet_until.saturating_sub(hit.time) <= span;
        if quiet {
            self.counters.quieted += 1;
            return None;
        }
        group.quiet_until = hit.time.saturating_add(span);
        // A folded line was seen many times and is one event.
        let mut events: Vec<RecordId> = group.seen.iter().map(|seen| seen.event).collect();
        events.dedup();
        events.drain(..events.len().saturating_sub(NAMED));
        Some(Fired { count, events })
    }
}

impl Group {
    fn count(&mut self, kind: &Kind, hit: &Hit) -> usize {
        match kind {
            Kind::EventCount(needed) => {
                for _ in 0..hit.times.min(*needed) {
                    self.keep(hit, 0, *needed);
                }
                self.seen.len()
            }
            Kind::ValueCount(needed, _) => {
                let Some(mark) = hit.value else { return 0 };
                self.seen.retain(|seen| seen.mark != mark);
                self.keep(hit, mark, *needed);
                self.seen.len()
            }
            Kind::Temporal(steps) => {
                let mark = hit.step as u64;
                self.seen.retain(|seen| seen.mark != mark);
                self.keep(hit, mark, *steps);
                self.seen.len()
            }
            Kind::TemporalOrdered(steps) => {
                // Kept are the steps of the one chain that began last: a later first step begins it anew, another step
                // counts only when all before it are there.
                let mark = hit.step as u64;
                if hit.step == 0 {
                    self.seen.clear();
                } else if self.seen.len() < hit.step {
                    return 0;
                }
                self.seen.retain(|seen| seen.mark < mark);
                self.keep(hit, mark, *steps);
                self.seen.len()
            }
        }
    }

    fn keep(&mut self, hit: &Hit, mark: u64, most: usize) {
        while self.seen.len() >= most.max(1) {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen {
            time: hit.time,
            event: hit.event,
            mark,
        });
    }
}

/// What a value is remembered by.
pub(super) fn mark(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::time::Timestamp;

    const SPAN: i64 = 60_000_000;

    fn hit(seconds: i64, step: usize, value: Option<&str>) -> Hit {
        let time = seconds * 1_000_000;
        let event = RecordId::derived(Timestamp::from_micros(time), &[&step.to_le_bytes()]);
        Hit {
            time,
            event,
            step,
            value: value.map(|value| mark(&value)),
            times: 1,
        }
    }

    fn key(text: &str) -> Key {
        Key::Text(text.into())
    }

    fn fires(table: &mut Table, kind: &Kind, hits: &[(i64, usize, Option<&str>)]) -> Vec<i64> {
        let feed = |(seconds, step, value): &(i64, usize, Option<&str>)| {
            table
                .hit(0, key("a"), kind, SPAN, &hit(*seconds, *step, *value))
                .map(|_| *seconds)
        };
        hits.iter().filter_map(feed).collect()
    }

    #[test]
    fn events_count_within_their_span_and_not_beyond() {
        let kind = Kind::EventCount(3);
        let at = |seconds: &[i64]| -> Vec<_> { seconds.iter().map(|second| (*second, 0, None)).collect() };
        assert_eq!(fires(&mut Table::new(9), &kind, &at(&[0, 30, 60])), [60]);
        assert_eq!(
            fires(&mut Table::new(9), &kind, &at(&[0, 30, 61])),
            [] as [i64; 0]
        );
        assert_eq!(
            fires(&mut Table::new(9), &kind, &at(&[0, 1, 2, 3, 4, 61, 62, 63])),
            [2, 62],
            "quiet for a span"
        );
    }

    #[test]
    fn a_clock_that_steps_back_neither_fires_nor_silences() {
        let kind = Kind::EventCount(3);
        let at = |seconds: &[i64]| -> Vec<_> { seconds.iter().map(|second| (*second, 0, None)).collect() };
        let mut table = Table::new(9);
        assert_eq!(fires(&mut table, &kind, &at(&[1000, 1001, 1002])), [1002]);
        assert_eq!(fires(&mut table, &kind, &at(&[100, 101, 102])), [102]);
    }

    #[test]
    fn values_count_once_each() {
        let kind = Kind::ValueCount(3, Vec::new());
        let hits = [
            (0, 0, Some("a")),
            (1, 0, Some("b")),
            (2, 0, Some("a")),
            (3, 0, None),
            (4, 0, Some("c")),
        ];
        assert_eq!(fires(&mut Table::new(9), &kind, &hits), [4]);
    }

    #[test]
    fn order_matters_only_where_it_is_asked_for() {
        let backwards = [(0, 1, None), (1, 0, None)];
        assert_eq!(fires(&mut Table::new(9), &Kind::Temporal(2), &backwards), [1]);
        assert_eq!(
            fires(&mut Table::new(9), &Kind::TemporalOrdered(2), &backwards),
            [] as [i64; 0]
        );
        let forwards = [(0, 0, None), (5, 0, None), (6, 1, None), (66, 1, None)];
        assert_eq!(
            fires(&mut Table::new(9), &Kind::TemporalOrdered(2), &forwards),
            [6]
        );
    }

    #[test]
    fn a_full_table_lets_the_least_recent_go_and_counts_it() {
        let mut table = Table::new(2);
        let kind = Kind::EventCount(2);
        for key in ["a", "b", "a", "c"] {
            table.hit(0, self::key(key), &kind, SPAN, &hit(0, 0, None));
        }
        assert_eq!((table.len(), table.counters.evicted), (2, 1));
        assert!(
            table.hit(0, key("b"), &kind, SPAN, &hit(1, 0, None)).is_none(),
            "b was forgotten"
        );
    }

    #[test]
    fn a_folded_line_counts_as_often_as_it_happened_and_is_one_event() {
        let mut folded = hit(1, 0, None);
        folded.times = usize::MAX;
        let (first, kind, mut table) = (hit(0, 0, None), Kind::EventCount(5), Table::new(2));
        assert_eq!(table.hit(0, key("a"), &kind, SPAN, &first), None);
        let fired = table.hit(0, key("a"), &kind, SPAN, &folded).unwrap();
        assert_eq!((fired.count, fired.events), (5, vec![folded.event]));
        folded.times = 4;
        assert_eq!(table.hit(0, key("b"), &kind, SPAN, &first), None);
        let fired = table.hit(0, key("b"), &kind, SPAN, &folded).unwrap();
        assert_eq!((fired.count, fired.events), (5, vec![first.event, folded.event]));
    }
}
