//! Programs: what is seen of a storm of them, what it costs, how soon one is found and killed.

use picket_tests::line::Line;
use picket_tests::storm::Storm;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const STORM: Storm = Storm {
    programs: 20_000,
    workers: 4,
};
/// What it blocks and whom it reaches is none of this machine's network.
const NAMESPACE: &str = "picket-bench";
const ROUNDS: usize = 5;
const PROBES: u32 = 300;
/// So much time lies between two of them: the agent is idle when one starts.
const APART: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(60);
/// A folder of Sigma rules beside ours, as a clone of SigmaHQ's `rules/linux`.
const MORE_RULES: &str = "PICKET_BENCH_RULES";
/// A rule of the bench: what it finds is killed.
const RULE: &str = "title: Bench\nid: 5f0c9d0a-6a0f-4a83-9d0b-0e5d8a9f7c11\nstatus: test\nlevel: high\n\
    logsource:\n  category: process_creation\n  product: linux\ndetection:\n  probe:\n    CommandLine|contains: ' picket-bench-probe'\n  condition: probe\n\
    picket:\n  respond: [kill_tree]\n";

fn main() {
    if !nix::unistd::geteuid().is_root() {
        println!("the bench of programs needs root, as the agent does");
        return;
    }
    ip(&["netns", "add", NAMESPACE]);
    ip(&["-n", NAMESPACE, "link", "set", "lo", "up"]);
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let wanted = |part: &str| only.as_ref().is_none_or(|only| only == part);
    println!(
        "{:<60} {:>10} {:>10}",
        "programs, agent and collector on the same machine", "p50", "p99"
    );
    if wanted("storm") {
        storm();
    }
    if wanted("seen") {
        seen();
    }
    if wanted("latency") {
        latency();
    }
    if wanted("gaps") {
        gaps();
    }
    if wanted("peers") {
        peers();
    }
    ip(&["netns", "del", NAMESPACE]);
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).status().expect("ip starts");
    assert!(done.success(), "ip {arguments:?}");
}

fn line(settings: &str) -> Line {
    let settings = match settings.contains("[process]") {
        true => settings.to_owned(),
        false => format!("[process]\n{settings}"),
    };
    let line = Line::on(Some(NAMESPACE), None, &settings);
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules");
    fs::create_dir(line.path("rules")).expect("a folder");
    fs::write(line.path("rules/bench.yml"), RULE).expect("a file");
    let more = std::env::var(MORE_RULES).map_or_else(
        |_| {
            println!("{MORE_RULES} names no folder of more rules: ours alone are loaded");
            String::new()
        },
        |more| format!(", \"{more}\""),
    );
    let here = line.path("rules");
    line.drop_in(&format!(
        "[detect]\nrules = [\"{own}\", \"{}\"{more}]\n",
        here.display()
    ));
    line
}

/// The storm with and without the agent, by turns.
fn storm() {
    let mut line = line("");
    line.start_agent();
    println!(
        "{:<60} {:>7.1} MiB",
        "agent and courier, idle, PSS",
        mebibytes(&line)
    );
    let before = line.processor_time();
    std::thread::sleep(IDLE);
    let used = line.processor_time() - before;
    println!(
        "{:<60} {:>7.4} %",
        "agent and courier, idle, share of one processor over 60 s",
        used.as_secs_f64() / IDLE.as_secs_f64() * 100.0
    );
    line.end_agent(false);
    let (mut without, mut with, mut used, mut most) = (Vec::new(), Vec::new(), Vec::new(), 0.0_f64);
    for round in 0..ROUNDS {
        without.push(STORM.rage("calm"));
        line.start_agent();
        let before = line.processor_time();
        with.push(STORM.rage(&format!("storm{round}")));
        // What is still in the ring is looked at as well.
        settle(&line);
        used.push(line.processor_time() - before);
        most = most.max(mebibytes(&line));
        line.end_agent(false);
    }
    let (without, with) = (median(without), median(with));
    println!(
        "{:<60} {:>7.1} µs, {:.1} µs without",
        "a program of the storm takes",
        per_program(with),
        per_program(without)
    );
    println!(
        "{:<60} {:>7.1} %",
        "slow-down of the storm",
        (with.as_secs_f64() / without.as_secs_f64() - 1.0) * 100.0
    );
    println!(
        "{:<60} {:>7.1} µs",
        "processor time of the agent for a program",
        per_program(median(used))
    );
    println!("{:<60} {:>7.1} MiB", "agent and courier, after storms, PSS", most);
}

/// All programs of a storm arrive at the collector, with all of their arguments.
fn seen() {
    let mut line = line("[process]\nkeep = \"all\"\n");
    line.start_agent();
    let before = line.processor_time();
    STORM.rage("kept");
    settle(&line);
    let used = line.processor_time() - before;
    println!(
        "{:<60} {:>7.1} µs",
        "processor time for a program when all are sent",
        per_program(used)
    );
    let seen = STORM.seen(
        "kept",
        &line.collect(&["search", "--text", "--json", "--", "--kept"]),
    );
    println!(
        "{:<60} {:>7} of {}",
        "seen with all arguments", seen, STORM.programs
    );
}

/// How soon one is found, and killed.
fn latency() {
    let mut line = line("[respond]\nmode = \"enforce\"\n[respond.kill]\nmax_per_minute = 100000\n");
    line.start_agent();
    let mut killed = Vec::new();
    for number in 0..PROBES {
        let mut child = Command::new("/bin/sh")
            .args([
                "-c",
                "echo; exec sleep 600",
                &format!("picket-bench-probe{number}"),
            ])
            .args(["", " picket-bench-probe"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let start = Instant::now();
        let status = child.wait().expect("it ends");
        killed.push(start.elapsed());
        std::thread::sleep(APART);
        assert!(!status.success(), "it was not killed");
    }
    let mut found = Vec::new();
    let findings = line.collect(&["findings", "--json"]);
    let mut detected = BTreeMap::new();
    let mut responded = Vec::new();
    for text in findings.lines() {
        let value: Value = serde_json::from_str(text).expect("JSON");
        let time =
            |value: &Value| -> jiff::Timestamp { value.as_str().expect("a time").parse().expect("a time") };
        if value["record"] == "finding" && value["body"]["rule"]["title"] == "Bench" {
            let (at, seen) = (time(&value["body"]["time"]), time(&value["body"]["detected"]));
            found.push(Duration::try_from(seen.duration_since(at)).unwrap_or_default());
            detected.insert(value["body"]["id"].to_string(), at);
        } else if value["body"]["decision"] == "applied"
            && let Some(at) = detected.get(&value["body"]["action"]["finding"].to_string())
        {
            let done = time(&value["body"]["time"]).duration_since(*at);
            responded.push(Duration::try_from(done).unwrap_or_default());
        }
    }
    assert!(found.len() >= PROBES as usize, "{} were found", found.len());
    row("program started → finding", found);
    row("program started → killed, by the agent's account", responded);
    row("program started → its parent knows that it is dead", killed);
}

/// A ring that is too small: what is not seen is counted.
fn gaps() {
    let storm = Storm {
        programs: 200_000,
        workers: 4,
    };
    let mut line = line("[process]\nsensor = \"ebpf\"\nkeep = \"all\"\nring = \"64KiB\"\n");
    line.start_agent();
    storm.rage("gaps");
    settle(&line);
    line.end_agent(false);
    let text = line.collect(&["search", "--text", "--json", "--", "--gaps"]);
    let seen = storm.seen("gaps", &text);
    let lost: u64 = line
        .collect(&["findings", "--json"])
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|value| value["record"] == "gap")
        .filter_map(|value| value["body"]["lost"].as_u64())
        .sum();
    println!(
        "{:<60} {seen} seen, {lost} lost of all kinds",
        "200,000 programs, a ring of 64 KiB"
    );
}

/// The same storm under auditd, where it is installed.
fn peers() {
    if !Path::new("/usr/sbin/auditd").exists() {
        println!("auditd is not installed: no ratio");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("audit.log");
    fs::create_dir(folder.path().join("plugins")).expect("a folder");
    fs::write(
        folder.path().join("auditd.conf"),
        format!(
            "local_events = yes\nwrite_logs = yes\nlog_file = {}\nlog_format = RAW\nflush = INCREMENTAL_ASYNC\nfreq = 50\n\
             max_log_file = 900\nmax_log_file_action = KEEP_LOGS\nspace_left = 75\nspace_left_action = SYSLOG\nadmin_space_left = 50\n\
             admin_space_left_action = SUSPEND\ndisk_full_action = SUSPEND\ndisk_error_action = SUSPEND\nplugin_dir = {}\n",
            log.display(),
            folder.path().join("plugins").display()
        ),
    )
    .expect("a file");
    let auditctl = |arguments: &[&str]| {
        let done = Command::new("/usr/sbin/auditctl").args(arguments).output();
        done.expect("auditctl starts")
    };
    let (mut without, mut with, mut used) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        without.push(STORM.rage("calm"));
        let mut auditd = Command::new("/usr/sbin/auditd")
            .args(["-n", "-s", "enable", "-c"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("auditd starts");
        while !String::from_utf8_lossy(&auditctl(&["-s"]).stdout).contains(&format!("pid {}", auditd.id())) {
            assert!(auditd.try_wait().expect("a child").is_none(), "auditd ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        auditctl(&["-b", "65536"]);
        auditctl(&["-a", "always,exit", "-F", "arch=b64", "-S", "execve"]);
        let before = processor_time(auditd.id()) + kauditd();
        with.push(STORM.rage(&format!("audit{round}")));
        used.push(processor_time(auditd.id()) + kauditd() - before);
        auditctl(&["-D"]);
        auditctl(&["-e", "0"]);
        let pid = i32::try_from(auditd.id()).expect("a pid");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM)
            .expect("it runs");
        auditd.wait().expect("it ends");
    }
    let mut text = String::new();
    fs::File::open(&log)
        .and_then(|mut file| file.read_to_string(&mut text))
        .expect("a log");
    let seen = text
        .lines()
        .filter(|line| line.starts_with("type=EXECVE") && line.contains("--audit0"))
        .count();
    let (without, with) = (median(without), median(with));
    println!(
        "{:<60} {seen} of {}",
        "auditd: seen in the first storm", STORM.programs
    );
    println!(
        "{:<60} {:>7.1} %",
        "auditd: slow-down of the storm",
        (with.as_secs_f64() / without.as_secs_f64() - 1.0) * 100.0
    );
    println!(
        "{:<60} {:>7.1} µs",
        "auditd and kauditd: processor time for a program",
        per_program(median(used))
    );
}

/// The kernel's own thread of the audit system.
fn kauditd() -> Duration {
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    let named =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "kauditd\n");
    let pid = pids
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(named);
    pid.map_or(Duration::ZERO, processor_time)
}

fn processor_time(pid: u32) -> Duration {
    let used = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    Duration::from_nanos(tasks.filter_map(used).sum())
}

/// Waits until the agent has nothing left to do.
fn settle(line: &Line) {
    let mut before = line.processor_time();
    loop {
        std::thread::sleep(Duration::from_millis(250));
        let now = line.processor_time();
        if now - before < Duration::from_millis(2) {
            return;
        }
        before = now;
    }
}

fn mebibytes(line: &Line) -> f64 {
    line.memory() / 1048576.0
}

fn per_program(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(STORM.programs)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn row(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!("{name:<60} {:>7.3} ms {:>7.3} ms", at(50), at(99));
}
