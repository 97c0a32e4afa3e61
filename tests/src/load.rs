//! Numbered log lines by the thousand, and a count of what a collector has of them: nothing lost, nothing twice.

use crate::attack_log::Dice;
use crate::line::Line;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long nothing that is missed may arrive before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What sshd says when somebody whose name is the number fails to log in.
pub fn message(number: u64) -> String {
    format!(
        "Failed password for invalid user load{number} from 203.0.113.{} port 4711 ssh2",
        number % 250
    )
}

/// Appends such lines to a log.
pub fn append(log: &Path, numbers: Range<u64>) {
    let now = jiff::Timestamp::now();
    let lines: String = numbers
        .map(|number| format!("{now:.6} host sshd[7]: {}\n", message(number)))
        .collect();
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .expect("a log");
    file.write_all(lines.as_bytes()).expect("room");
}

/// `count` failed logins from one address, all of them now.
pub fn failures(address: &str, count: u32) -> String {
    failures_at(jiff::Timestamp::now(), address, count)
}

/// The same at a time.
pub fn failures_at(time: jiff::Timestamp, address: &str, count: u32) -> String {
    let line = |port: u32| {
        format!("{time:.6} host sshd[7]: Failed password for root from {address} port {port} ssh2\n")
    };
    (4000..4000 + count).map(line).collect()
}

/// Waits until the collector has a finding about an address.
pub fn is_found(line: &Line, address: &str) -> Value {
    line.wait_for(|value| value["record"] == "finding" && value["body"]["source"] == address)
}

/// Writes numbered lines, by `write`, from a thread of its own for as long as `meanwhile` takes, which can ask how many there
/// are by now. Gives how many there were.
pub fn during(mut write: impl FnMut(Range<u64>) + Send, meanwhile: impl FnOnce(&dyn Fn() -> u64)) -> u64 {
    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|threads| {
        let writer = threads.spawn(|| {
            let mut next = 0;
            while !done.load(Ordering::Relaxed) {
                write(next..next + 5);
                next += 5;
                written.store(next, Ordering::Relaxed);
                // A rate, not a wait: about what a host sees that is under a heavy attack.
                thread::sleep(Duration::from_millis(10));
            }
            next
        });
        let ended = Ended(&done);
        meanwhile(&|| written.load(Ordering::Relaxed));
        drop(ended);
        writer.join().expect("the writer writes")
    })
}

/// Ends the writer also when the test panics.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Kills agent and collector in turn or together, `rounds` times, each at a random moment, and starts them again.
pub fn kill(line: &mut Line, rounds: u64, seed: u64) {
    let mut dice = Dice::new(seed);
    for _ in 0..rounds {
        thread::sleep(Duration::from_millis(dice.below(150)));
        let (agent, collector) = [(true, false), (false, true), (true, true)][dice.below(3) as usize];
        if agent {
            line.end_agent(true);
        }
        if collector {
            line.end_collector(true);
            line.start_collector();
        }
        if agent {
            line.start_agent();
        }
    }
}

/// Waits until the collector has the lines `0..written`, and gives those that it never got and those that it has twice.
pub fn missing_and_double(line: &Line, written: u64) -> (Vec<u64>, Vec<u64>) {
    missing_and_double_of(line, &(0..written).collect())
}

/// The same for these lines.
pub fn missing_and_double_of(line: &Line, wanted: &BTreeSet<u64>) -> (Vec<u64>, Vec<u64>) {
    let (mut least, mut since) = (usize::MAX, Instant::now());
    loop {
        let kept = kept(line);
        let missing = wanted.iter().copied().filter(|number| !kept.contains_key(number));
        let missing: Vec<u64> = missing.collect();
        if missing.is_empty() || since.elapsed() > PATIENCE {
            let double = kept.iter().filter(|(_, times)| **times > 1);
            return (missing, double.map(|(number, _)| *number).collect());
        }
        if missing.len() < least {
            (least, since) = (missing.len(), Instant::now());
        }
    }
}

/// The numbers of the lines that a text holds, such as what a journal prints.
pub fn numbers(text: &str) -> BTreeSet<u64> {
    let number = |line: &str| {
        let rest = line.split_once("invalid user load")?.1;
        rest.split_once(' ')?.0.parse().ok()
    };
    text.lines().filter_map(number).collect()
}

/// How often the collector has each of the lines.
fn kept(line: &Line) -> BTreeMap<u64, u64> {
    let mut kept = BTreeMap::new();
    for text in line
        .collect(&["search", "\"user\":\"load", "--text", "--json"])
        .lines()
    {
        let value: Value = serde_json::from_str(text).expect("JSON");
        if value["record"] != "event" {
            continue;
        }
        let user = value["body"]["payload"]["user"].as_str().expect("a user");
        let number = user.strip_prefix("load").and_then(|number| number.parse().ok());
        *kept.entry(number.expect("a number")).or_default() += 1;
    }
    kept
}
