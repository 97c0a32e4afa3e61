//! What the agent costs, and whom it spends that on.

use compact_str::CompactString;
use picket_common::event::{Event, Payload, Program};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Of so many events one is measured: a prime, as what comes by turns, starts and ends of programs, would else be measured by halves.
pub(super) const EACH: u64 = 61;
/// So many executables are told apart; all others count together.
const MOST: usize = 1024;
/// So many executables and rules are told of.
const TOLD: usize = 50;

/// What the agent costs, since it started. What is measured in one of 61 events is told as if it had been in all.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// For how long it runs, in seconds.
    pub seconds: f64,
    /// The processor time of the process that senses, judges and acts, in seconds.
    pub processor: f64,
    /// How many events were judged.
    pub events: u64,
    /// How long they took the thread that judges, in seconds of its processor time, without sensing and enriching.
    pub judging: f64,
    /// The rules since they were loaded, those that took longest first; those that were asked for nothing are left out.
    pub rules: Vec<Rule>,
    /// The executables that the events are about, those that took longest first; `others` are all for which there is no room.
    pub images: Vec<Image>,
    /// What was lost on the way, in the kernel or in a queue, by its place.
    pub lost: BTreeMap<String, u64>,
}

/// What a rule costs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How many events it was asked about, beyond those that its candidates' index had ruled out.
    pub asked: u64,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// How often it matched; counted in all events.
    pub matches: u64,
}

/// What an executable's events cost.
#[derive(Debug, Serialize, Deserialize)]
pub struct Image {
    /// Its path, or the name that a log gives it.
    pub image: String,
    /// How many events; all are counted.
    pub events: u64,
    /// How long it took to judge them, in seconds.
    pub seconds: f64,
}

/// Counts.
pub(super) struct Costs {
    began: Instant,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    events: u64,
    judging: Duration,
    images: HashMap<CompactString, Use>,
    others: Use,
    lost: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Default)]
struct Use {
    events: u64,
    /// In those that were measured.
    took: Duration,
}

/// An event that is measured.
pub(super) struct Measured {
    image: CompactString,
    began: Duration,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            counted: Mutex::default(),
        }
    }
}

impl Costs {
    /// Counts an event before it is judged. Gives something for those that are to be measured.
    pub(super) fn count(&self, event: &Event) -> Option<Measured> {
        let image = image(event);
        let is_measured = {
            let mut counted = self.lock();
            counted.events += 1;
            counted.of(image).events += 1;
            counted.events.is_multiple_of(EACH)
        };
        is_measured.then(|| Measured {
            image: image.into(),
            began: time(ClockId::ThreadCPUTime),
        })
    }

    /// Adds what was measured, on the same thread.
    pub(super) fn add(&self, measured: &Measured) {
        let took = time(ClockId::ThreadCPUTime).saturating_sub(measured.began);
        let mut counted = self.lock();
        counted.judging += took;
        counted.of(&measured.image).took += took;
    }

    /// Counts what was lost at a place.
    pub(super) fn lost(&self, place: &str, lost: u64) {
        let mut counted = self.lock();
        if counted.lost.len() < MOST || counted.lost.contains_key(place) {
            let sum = counted.lost.entry(place.to_owned()).or_default();
            *sum = sum.saturating_add(lost);
        }
    }

    /// Tells of all, with what is known of rules.
    pub(super) fn report(&self, mut rules: Vec<Rule>) -> Report {
        let counted = self.lock();
        let others = Some((CompactString::const_new("others"), counted.others));
        let others = others.filter(|(_, others)| others.events > 0);
        let images = counted.images.iter().map(|(image, used)| (image.clone(), *used));
        let mut images: Vec<_> = images.chain(others).collect();
        images.sort_unstable_by_key(|(_, used)| std::cmp::Reverse((used.took, used.events)));
        images.truncate(TOLD);
        rules.sort_unstable_by(|one, other| {
            let order = other.seconds.total_cmp(&one.seconds);
            order.then(other.matches.cmp(&one.matches))
        });
        rules.truncate(TOLD);
        let image = |(image, used): (CompactString, Use)| Image {
            image: image.into_string(),
            events: used.events,
            seconds: estimated(used.took),
        };
        Report {
            seconds: self.began.elapsed().as_secs_f64(),
            processor: time(ClockId::ProcessCPUTime).as_secs_f64(),
            events: counted.events,
            judging: estimated(counted.judging),
            rules,
            images: images.into_iter().map(image).collect(),
            lost: counted.lost.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn of(&mut self, image: &str) -> &mut Use {
        // Asked twice where it is new, which is rare.
        if !self.images.contains_key(image) && self.images.len() < MOST {
            self.images.insert(image.into(), Use::default());
        }
        self.images.get_mut(image).unwrap_or(&mut self.others)
    }
}

/// The clock by which rules are measured: reading it is no system call.
pub(super) fn watch() -> Duration {
    time(ClockId::Monotonic)
}

/// For all events what some of them took, in seconds.
#[expect(clippy::cast_precision_loss, reason = "61 is small")]
pub(super) fn estimated(took: Duration) -> f64 {
    took.as_secs_f64() * EACH as f64
}

fn time(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

fn image(event: &Event) -> &str {
    match &event.payload {
        Payload::Auth(auth) => &auth.program,
        Payload::Exec(exec) => &exec.executable,
        Payload::Exit(exit) => of(&exit.program),
        Payload::Connect(connect) => of(&connect.program),
        Payload::Privilege(privilege) => of(&privilege.program),
        Payload::Signal(signal) => of(&signal.program),
        Payload::File(file) => file.writer.as_deref().map_or("", of),
        Payload::Install(install) => install.manager.as_deref().map_or("", of),
    }
}

fn of(program: &Program) -> &str {
    program.executable.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{Credentials, ExecEvent};
    use picket_common::ids::RecordId;
    use picket_common::process::ProcessId;
    use picket_common::time::Timestamp;

    fn exec(path: &str) -> Event {
        let time = Timestamp::from_micros(0);
        let exec = ExecEvent::new(ProcessId { pid: 7, start: 1 }, path, Credentials::default());
        Event {
            id: RecordId::derived(time, &[b"x"]),
            time,
            observed: time,
            payload: Payload::Exec(exec.into()),
        }
    }

    #[test]
    fn all_events_are_counted_some_measured_and_executables_have_an_end() {
        let costs = Costs::default();
        let measured = (0..EACH * 10).filter_map(|_| costs.count(&exec("/bin/a")));
        assert_eq!(measured.map(|measured| costs.add(&measured)).count(), 10);
        for number in 0..MOST * 2 {
            costs.count(&exec(&format!("/bin/{number}")));
        }
        costs.lost("exec_ebpf", 3);
        costs.lost("exec_ebpf", 4);
        let report = costs.report(Vec::new());
        assert_eq!(report.events, EACH * 10 + 2 * MOST as u64);
        assert_eq!(report.lost, BTreeMap::from([("exec_ebpf".to_owned(), 7)]));
        let of = |name: &str| report.images.iter().find(|image| image.image == name).unwrap();
        assert_eq!(of("/bin/a").events, EACH * 10);
        assert!(of("/bin/a").seconds > 0.0 && report.judging >= of("/bin/a").seconds);
        assert_eq!(of("others").events, MOST as u64 + 1);
        assert_eq!(report.images.len(), TOLD);
    }

    #[test]
    fn counting_costs_next_to_nothing() {
        const TIMES: u32 = 200_000;
        let (costs, events) = (Costs::default(), ["/usr/bin/true", "/usr/bin/false"].map(exec));
        let began = Instant::now();
        for at in 0..TIMES {
            let event = &events[usize::try_from(at % 2).unwrap()];
            if let Some(measured) = costs.count(event) {
                costs.add(&measured);
            }
        }
        let each = began.elapsed() / TIMES;
        println!("an event: {each:?}");
        // Of a build for tests, on a machine that does other things as well; an optimised one takes 0.14 µs.
        assert!(each < Duration::from_micros(10), "{each:?}");
    }
}
