//! What judging a program that was started costs, by the shipped rules, and with those of the folder `PICKET_RULES`.

use picket_agent::detect::{self, Detector as _, Findings, Sigma, Sources};
use picket_agent::history::LastGood;
use picket_common::event::{Ancestor, Credentials, Event, ExecEvent, Payload};
use picket_common::ids::RecordId;
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules/sigma");
const EVERYDAY: &str = include_str!("../corpora/everyday_processes.tsv");
const ROUNDS: usize = 200;
const RUNS: usize = 5;

fn main() {
    let everyday: Vec<Event> = EVERYDAY.lines().map(line).collect();
    let storm: Vec<Event> = (0..100)
        .map(|number| started("/bin/bash", "/usr/bin/true", &format!("/usr/bin/true {number}")))
        .collect();
    println!(
        "{:<44} {:>6} {:>13} {:>13}",
        "microseconds a program", "rules", "everyday life", "storm of true"
    );
    let shipped = PathBuf::from(SHIPPED);
    let more = std::env::var_os("PICKET_RULES").map(PathBuf::from);
    let folders = [
        ("shipped rules", Some(vec![shipped.clone()])),
        ("rules of PICKET_RULES", more.clone().map(|more| vec![more])),
        ("both", more.map(|more| vec![shipped, more])),
    ];
    for (name, folders) in folders {
        let Some(folders) = folders else { continue };
        let mut sigma = load(&folders);
        let (one, other) = (cost(&mut sigma, &everyday), cost(&mut sigma, &storm));
        let micros = |cost: Duration| cost.as_secs_f64() * 1e6;
        println!(
            "{name:<44} {:>6} {:>13.2} {:>13.2}",
            sigma.rules(),
            micros(one),
            micros(other)
        );
    }
}

fn load(folders: &[PathBuf]) -> Sigma {
    let sources = Sources {
        rules: folders,
        exceptions: None,
        groups: 100_000,
        indicators: None,
        indicators_before: Default::default(),
        before: &[],
    };
    detect::load(&sources, &mut LastGood::default(), Timestamp::default()).sigma
}

/// Of one event, in the best of some runs.
fn cost(sigma: &mut Sigma, events: &[Event]) -> Duration {
    let mut findings = Findings::default();
    let run = |_| {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            for event in events {
                sigma.inspect(event, &mut findings);
            }
        }
        findings.found.clear();
        start.elapsed()
    };
    let best = (0..RUNS).map(run).min().unwrap_or_default();
    best / u32::try_from(ROUNDS * events.len()).expect("not so many")
}

fn line(line: &str) -> Event {
    let parts: Vec<&str> = line.splitn(3, '\t').collect();
    started(parts[0], parts[1], parts[2])
}

fn started(parent: &str, path: &str, line: &str) -> Event {
    let process = |pid| ProcessId { pid, start: 1000 };
    let ancestor = |pid, path: &str| Ancestor {
        process: process(pid),
        executable: Some(path.into()),
        command_line: Some(path.into()),
    };
    let exec = ExecEvent {
        args: line.split(' ').map(Into::into).collect(),
        working_directory: Some("/root".into()),
        ancestors: vec![ancestor(5, parent), ancestor(1, "/usr/lib/systemd/systemd")],
        user: Some("root".into()),
        host: Some("web1".into()),
        ..ExecEvent::new(process(7), path, Credentials::default())
    };
    let time = Timestamp::default();
    Event {
        id: RecordId::derived(time, &[line.as_bytes()]),
        time,
        observed: time,
        payload: Payload::Exec(exec.into()),
    }
}
