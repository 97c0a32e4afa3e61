//! What a million indicators cost: to load, to hold, and to ask; beside the plain way, a map of texts.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use picket_agent::config;
use picket_agent::detect::{self, Indicators, Sources};
use picket_agent::history::{LastGood, Observable, Observables, Sighting, Sightings};
use picket_common::event::{Credentials, Event, ExecEvent, Payload};
use picket_common::ids::RecordId;
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use std::collections::HashMap;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const COUNT: u64 = 1_000_000;
const ASKED: u64 = 1_000_000;
/// Which kind a process of its own is to measure.
const KIND: &str = "PICKET_BENCH_KIND";

/// A kind of indicator: how the one with a number is written, and asked for.
struct Kind {
    name: &'static str,
    column: &'static str,
    written: fn(u64) -> String,
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "SHA-256",
        column: "sha256",
        written: digest,
    },
    Kind {
        name: "IPv4 addresses",
        column: "ip",
        written: |number| v4(number).to_string(),
    },
    Kind {
        name: "networks, of both versions",
        column: "ip",
        written: network,
    },
    Kind {
        name: "domains",
        column: "domain",
        written: |number| format!("host{:x}.example{}.com", mixed(number) >> 24, number % 5000),
    },
    Kind {
        name: "paths",
        column: "path",
        written: |number| format!("/var/tmp/.cache-{:x}/kworker", mixed(number)),
    },
];

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("list.csv");
    if let Some(number) = std::env::var_os(KIND) {
        let number: usize = number
            .to_str()
            .and_then(|text| text.parse().ok())
            .expect("a number");
        return of_kind(&KINDS[number], &list);
    }
    println!(
        "{:<28} {:>9} {:>10} {:>10} {:>9} {:>9}",
        "a million of, with words", "load, s", "held, MiB", "peak, MiB", "hit, ns", "miss, ns"
    );
    for number in 0..KINDS.len() {
        // In a process of its own, whose memory nothing else has used.
        let own = std::env::current_exe().expect("its own path");
        let status = Command::new(own).env(KIND, number.to_string()).status();
        assert!(status.expect("it starts").success());
    }
    plain();
    write(&list, &KINDS[0]);
    history(&list, folder.path());
}

fn of_kind(kind: &Kind, list: &Path) {
    write(list, kind);
    let before = memory("VmRSS:");
    fs::write("/proc/self/clear_refs", "5").expect("the kernel forgets the peak");
    let start = used();
    let indicators = load(list);
    let took = (used() - start).as_secs_f64();
    assert!(
        indicators.len() as u64 > COUNT * 9 / 10,
        "{} are there",
        indicators.len()
    );
    let (held, peak) = (memory("VmRSS:") - before, memory("VmHWM:") - before);
    let (hit, miss) = (ask(&indicators, kind, 0), ask(&indicators, kind, COUNT));
    let name = kind.name;
    println!("{name:<28} {took:>9.2} {held:>10.1} {peak:>10.1} {hit:>9.0} {miss:>9.0}");
}

/// What it costs to remember, and to look back.
fn history(list: &Path, folder: &Path) {
    let program = |number: u64| {
        let path = format!("/usr/bin/tool{number}");
        let process = ProcessId { pid: 7, start: 1 };
        let mut exec = ExecEvent::new(process, &path, Credentials::default());
        exec.args = [path.as_str(), "--quiet", "input", "output"]
            .map(Into::into)
            .to_vec();
        exec.sha256 = Some(digest(number).into());
        let time = Timestamp::from_micros(1_800_000_000_000_000);
        Event {
            id: RecordId::derived(time, &[]),
            time,
            observed: time,
            payload: Payload::Exec(exec.into()),
        }
    };
    let known: Vec<Event> = (0..1000).map(program).collect();
    let mut sightings = Sightings::default();
    let start = used();
    for _ in 0..1000 {
        known
            .iter()
            .for_each(|event| sightings.add(event, false, |_| false));
    }
    let noted = (used() - start).as_nanos() as f64 / 1e6;
    println!("a program that was seen before is noted in {noted:.0} ns, with its digest");

    let bounds = (Duration::from_secs(86_400), 64 << 20);
    let now = Timestamp::from_micros(1_800_000_000_000_000);
    let (mut history, _) = Observables::open(&folder.join("seen.sqlite"), bounds, now).expect("a file");
    let mut took = Duration::ZERO;
    for batch in 0..50 {
        let mut sightings = Sightings::default();
        for number in 0..2000 {
            sightings.add(&program(1_000_000 + batch * 2000 + number), false, |_| false);
        }
        let start = used();
        history.write(&mut sightings).expect("room");
        took += used() - start;
    }
    let (count, bytes) = (
        history.count().expect("it is well"),
        history.bytes().expect("it is well"),
    );
    let (each, size) = (took.as_secs_f64() * 1e6 / count as f64, bytes / count);
    println!("{count} new things are written in {each:.1} µs each, and take {size} bytes each");
    let indicators = load(list);
    let (start, mut found) = (used(), 0);
    let look = |_: &[u8], observable: &Observable<'_>, _: &Sighting| {
        found += usize::from(indicators.find(observable, now).is_some());
    };
    history.each_untold(look).expect("it is well");
    let took = (used() - start).as_secs_f64() * 1e6;
    println!(
        "a look back takes {:.2} µs for each of them, in a million indicators; found {found}",
        took / count as f64
    );
}

/// The same with texts in a map, as they stand in the list.
fn plain() {
    let before = memory("VmRSS:");
    let start = used();
    let map: HashMap<String, String> = (0..COUNT)
        .map(|number| (digest(number), format!("family {}", number % 1000)))
        .collect();
    let took = (used() - start).as_secs_f64();
    let held = memory("VmRSS:") - before;
    let asked: Vec<String> = (0..ASKED).map(digest).collect();
    let start = used();
    let found = asked.iter().filter(|digest| map.contains_key(*digest)).count();
    let hit = (used() - start).as_nanos() as f64 / found as f64;
    println!(
        "{:<28} {took:>9.2} {held:>10.1} {:>11} {hit:>9.0}",
        "SHA-256, as texts in a map", ""
    );
}

fn write(file: &Path, kind: &Kind) {
    let mut output = BufWriter::new(fs::File::create(file).expect("a file"));
    writeln!(output, "type,value,description").expect("room");
    for number in 0..COUNT {
        let value = (kind.written)(number);
        writeln!(output, "{},{value},family {}", kind.column, number % 1000).expect("room");
    }
    output.flush().expect("room");
}

fn load(file: &Path) -> Indicators {
    let lists = config::Indicators {
        files: vec![file.to_owned()],
        allow: Vec::new(),
    };
    let sources = Sources {
        rules: &[],
        exceptions: None,
        groups: 100,
        indicators: Some(&lists),
        indicators_before: Indicators::default(),
        before: &[],
    };
    let loaded = detect::load(&sources, &mut LastGood::default(), Timestamp::default());
    loaded.indicators
}

/// Nanoseconds a question, of those with the numbers from `first` on, in an order that no cache knows.
fn ask(indicators: &Indicators, kind: &Kind, first: u64) -> f64 {
    let texts: Vec<String> = (0..ASKED)
        .map(|number| first + mixed(number) % COUNT)
        .map(kind.written)
        .map(|text| {
            text.split('/')
                .next()
                .filter(|start| !start.is_empty())
                .unwrap_or(&text)
                .to_owned()
        })
        .collect();
    let asked: Vec<Observable<'_>> = texts
        .iter()
        .map(|text| match kind.column {
            "sha256" => Observable::Digest(text),
            "ip" => Observable::Address(text.parse::<IpAddr>().expect("an address")),
            "domain" => Observable::Domain(text.as_str().into()),
            _ => Observable::Path(text),
        })
        .collect();
    let now = Timestamp::default();
    let start = used();
    let found = asked
        .iter()
        .filter(|one| indicators.find(one, now).is_some())
        .count();
    let took = (used() - start).as_nanos() as f64 / asked.len() as f64;
    // Networks hold some of the addresses that none was made for.
    assert!(
        if first == 0 {
            found as u64 > ASKED * 9 / 10
        } else {
            (found as u64) < ASKED / 2
        },
        "{found}"
    );
    took
}

fn digest(number: u64) -> String {
    let [a, b, c, d] = [1, 2, 3, 4].map(|part| mixed(number.wrapping_mul(4).wrapping_add(part)));
    format!("{a:016x}{b:016x}{c:016x}{d:016x}")
}

/// Public ones only, each number another.
fn v4(number: u64) -> Ipv4Addr {
    let number = u32::try_from(number.wrapping_mul(7919) % (95 << 24)).expect("32 bits");
    Ipv4Addr::from_bits((11 << 24) + number % (88 << 24))
}

fn network(number: u64) -> String {
    match number % 2 {
        0 => format!("{}/{}", v4(number), 24 + number % 9),
        _ => format!(
            "{}/{}",
            Ipv6Addr::from_bits((0x2a00_u128 << 112) | (u128::from(mixed(number) >> 4) << 52)),
            48 + number % 17
        ),
    }
}

fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The processor time of this thread: the same however busy the machine is.
fn used() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("the kernel knows");
    let times = [usage.user_time(), usage.system_time()];
    times
        .iter()
        .map(|time| Duration::from_micros(u64::try_from(time.num_microseconds()).expect("time")))
        .sum()
}

/// A line of what the kernel says of this process, in MiB.
fn memory(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect("the line");
    line.trim()
        .trim_end_matches(" kB")
        .parse::<f64>()
        .expect("a number")
        / 1024.0
}
