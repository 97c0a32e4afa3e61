//! What a million indicators cost: to load, to hold, and to ask; beside the plain way, a map of texts.

use picket_agent::config;
use picket_agent::detect::{self, Indicators, Sources};
use picket_agent::history::{LastGood, Observable};
use picket_common::time::Timestamp;
use std::collections::HashMap;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Instant;

const COUNT: u64 = 1_000_000;
const ASKED: u64 = 1_000_000;

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
    println!(
        "{:<28} {:>9} {:>10} {:>11} {:>9} {:>9}",
        "a million of, with words", "load, s", "held, MiB", "peak, MiB", "hit, ns", "miss, ns"
    );
    let folder = tempfile::tempdir().expect("a folder");
    for kind in KINDS {
        let file = folder.path().join("list.csv");
        write(&file, &kind);
        let before = memory("VmRSS:");
        fs::write("/proc/self/clear_refs", "5").expect("the kernel forgets the peak");
        let start = Instant::now();
        let indicators = load(&file);
        let took = start.elapsed().as_secs_f64();
        assert!(
            indicators.len() as u64 > COUNT * 9 / 10,
            "{} are there",
            indicators.len()
        );
        let (held, peak) = (memory("VmRSS:") - before, memory("VmHWM:") - before);
        let hit = ask(&indicators, &kind, 0);
        let miss = ask(&indicators, &kind, COUNT);
        println!(
            "{:<28} {took:>9.2} {:>10.1} {:>11.1} {hit:>9.0} {miss:>9.0}   counted {:.1} MiB",
            kind.name,
            held,
            peak,
            indicators.bytes() as f64 / 1_048_576.0
        );
        drop(indicators);
    }
    plain();
}

/// The same with texts in a map, as they stand in the list.
fn plain() {
    let before = memory("VmRSS:");
    let start = Instant::now();
    let map: HashMap<String, String> = (0..COUNT)
        .map(|number| (digest(number), format!("family {}", number % 1000)))
        .collect();
    let took = start.elapsed().as_secs_f64();
    let held = memory("VmRSS:") - before;
    let asked: Vec<String> = (0..ASKED).map(digest).collect();
    let start = Instant::now();
    let found = asked.iter().filter(|digest| map.contains_key(*digest)).count();
    let hit = start.elapsed().as_nanos() as f64 / found as f64;
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
    let start = Instant::now();
    let found = asked
        .iter()
        .filter(|one| indicators.find(one, now).is_some())
        .count();
    let took = start.elapsed().as_nanos() as f64 / asked.len() as f64;
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
