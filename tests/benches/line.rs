//! The whole line at work: how fast, how soon, how large. In a network namespace of its own, with real nftables.

use picket_tests::attack_log::attack_log;
use picket_tests::line::Line;
use serde_json::Value;
use std::fs;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LINES: usize = 260_000;
/// Numbers of records begin at a multiple of this.
const STRETCH: u64 = 1 << 20;
const PROBES: u32 = 300;
const IDLE: Duration = Duration::from_secs(60);
const LIVE: u32 = 100_000;
const SETTINGS: &str = "[respond]\nmode = \"enforce\"\nmax_blocks = 200000\n";

fn main() {
    if !nix::unistd::geteuid().is_root() {
        println!("the bench of the whole line needs root for a network namespace");
        return;
    }
    let namespace = format!("pk{}b", std::process::id());
    ip(&["netns", "add", &namespace]);
    ip(&["-n", &namespace, "link", "set", "lo", "up"]);
    println!(
        "{:<60} {:>10} {:>10}",
        "the whole line, agent and collector on the same machine", "p50", "p99"
    );
    fdatasync();
    throughput(&namespace);
    latency(&namespace);
    ip(&["netns", "del", &namespace]);
}

/// The floor of everything that is synced before it is done.
fn fdatasync() {
    let folder = tempfile::tempdir_in(".").expect("a folder beside the program");
    let mut file = fs::File::create(folder.path().join("probe")).expect("a file");
    let times = (0..200).map(|_| {
        file.write_all(&[b'x'; 400]).expect("room");
        let start = Instant::now();
        file.sync_data().expect("it syncs");
        start.elapsed()
    });
    row("fdatasync of 400 bytes", times.collect());
}

fn throughput(namespace: &str) {
    let mut line = Line::on(Some(namespace), None, SETTINGS);
    line.start_agent();
    println!(
        "{:<60} {:>7.1} MiB",
        "agent and courier, idle, PSS",
        line.memory() / 1048576.0
    );
    let before = line.processor_time();
    std::thread::sleep(IDLE);
    let used = line.processor_time() - before;
    println!(
        "{:<60} {:>7.4} %",
        "agent and courier, idle, share of one processor over 60 s",
        used.as_secs_f64() / IDLE.as_secs_f64() * 100.0
    );
    let log = attack_log(LINES, 7);
    let start = Instant::now();
    line.log(&log);
    line.log(&format!(
        "{:.6} host sshd[1]: Failed password for root from 203.0.113.250 port 1 ssh2\n",
        jiff::Timestamp::now()
    ));
    let mut most = 0.0_f64;
    loop {
        most = most.max(line.memory());
        let status: Value =
            serde_json::from_str(&line.operate(&["status", "--json"]).expect("it answers")).expect("JSON");
        let pending = &status["events"];
        let done = pending["records"] == 0
            && line
                .collect(&["search", "203.0.113.250", "--text"])
                .contains("203.0.113.250");
        if done {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{:<60} {:>7.1} MiB",
        "agent and courier, at full rate, PSS",
        most / 1048576.0
    );
    let status: Value =
        serde_json::from_str(&line.operate(&["status", "--json"]).expect("it answers")).expect("JSON");
    let records = [&status["events"], &status["findings"]]
        .map(|lane| lane["acknowledged"].as_u64().expect("a number") % STRETCH)
        .iter()
        .sum::<u64>();
    for (what, count) in [
        (
            "lines a second, from the log to the collector's disk",
            LINES as u64,
        ),
        (
            "records a second, on the collector's disk when acknowledged",
            records,
        ),
    ] {
        println!("{what:<60} {:>10.0}", count as f64 / seconds);
    }
}

fn latency(namespace: &str) {
    let mut line = Line::on(Some(namespace), None, SETTINGS);
    line.start_agent();
    let name = "line written → address in the nftables set, 1,000 lines/s of noise";
    let (found, blocked) = probe(&line, 10);
    row("line written → finding, 1,000 lines/s of noise", found);
    row(name, blocked);
    let start = Instant::now();
    let log = OpenOptions::new()
        .append(true)
        .open(line.path("auth.log"))
        .expect("the log");
    let mut log = std::io::BufWriter::new(log);
    for at in 0..LIVE {
        let now = jiff::Timestamp::now();
        for attempt in 0..5 {
            let address = std::net::Ipv4Addr::from(0x2c00_0000 + at);
            writeln!(
                log,
                "{now:.6} host sshd[{attempt}]: Failed password for root from {address} port 4 ssh2"
            )
            .expect("room");
        }
    }
    log.flush().expect("room");
    drop(log);
    let last = std::net::Ipv4Addr::from(0x2c00_0000 + LIVE - 1).to_string();
    line.wait_for_at_most(Duration::from_secs(300), |value| {
        value["body"]["decision"] == "applied" && value["body"]["action"]["target"]["target"] == last.as_str()
    });
    println!(
        "{:<60} {:>10.0}",
        "blocks a second, ledger synced before each",
        f64::from(LIVE) / start.elapsed().as_secs_f64()
    );
    let (found, blocked) = probe(&line, 20);
    row("line written → finding, with 100,000 live blocks", found);
    row(
        "line written → address in the set, with 100,000 live blocks",
        blocked,
    );
}

/// Attacks from `PROBES` addresses under `net`, one after the other, and says how long after its last line each was found
/// and blocked.
fn probe(line: &Line, net: u32) -> (Vec<Duration>, Vec<Duration>) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                line.log(&"2026-01-01T00:00:00.000000+00:00 host CRON[1]: (root) CMD (true)\n".repeat(10));
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        for at in 0..PROBES {
            let address = std::net::Ipv4Addr::from((net << 24) + at + 1);
            for attempt in 0..5 {
                let now = jiff::Timestamp::now();
                line.log(&format!(
                    "{now:.6} host sshd[{attempt}]: Failed password for root from {address} port 4 ssh2\n"
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let last = std::net::Ipv4Addr::from((net << 24) + PROBES).to_string();
        line.wait_for(|value| {
            value["body"]["decision"] == "applied"
                && value["body"]["action"]["target"]["target"] == last.as_str()
        });
        ended.store(true, Ordering::Relaxed);
    });
    let mut written = std::collections::BTreeMap::new();
    let (mut found, mut blocked) = (Vec::new(), Vec::new());
    for text in line.collect(&["findings", "--json"]).lines() {
        let value: Value = serde_json::from_str(text).expect("JSON");
        let time =
            |value: &Value| -> jiff::Timestamp { value.as_str().expect("a time").parse().expect("a time") };
        if value["record"] == "finding" {
            let times = (time(&value["body"]["time"]), time(&value["body"]["detected"]));
            written.insert(value["body"]["id"].to_string(), times);
        } else if value["body"]["decision"] == "applied"
            && value["body"]["action"]["target"]["target"]
                .as_str()
                .is_some_and(|target| target.starts_with(&format!("{net}.")))
            && let Some((written, detected)) = written.get(&value["body"]["action"]["finding"].to_string())
        {
            let since = |later: jiff::Timestamp| {
                Duration::try_from(later.duration_since(*written)).unwrap_or_default()
            };
            found.push(since(*detected));
            blocked.push(since(time(&value["body"]["time"])));
        }
    }
    assert!(
        blocked.len() >= PROBES as usize / 2,
        "only {} of the probes were blocked",
        blocked.len()
    );
    (found, blocked)
}

fn row(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!("{name:<60} {:>7.3} ms {:>7.3} ms", at(50), at(99));
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("ip starts");
    assert!(status.success(), "ip {arguments:?}");
}
