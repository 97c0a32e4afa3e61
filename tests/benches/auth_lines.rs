//! Lines of an sshd log a CPU-second, with fail2ban on the same file in the same run where it is installed.

use nix::sys::resource::{UsageWho, getrusage};
use picket_tests::attack_log::{attack_log, rotating_log};
use picket_tests::picket;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const LINES: usize = 260_000;
const RUNS: usize = 5;
const ADDRESSES: usize = 100_000;
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules");

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the log");
    let log = folder.path().join("auth.log");
    fs::write(&log, attack_log(LINES, 7)).expect("room for the log");
    let lines = fs::read(&log)
        .expect("the log")
        .iter()
        .filter(|byte| **byte == b'\n')
        .count();

    println!(
        "{:<44} {:>14} {:>10}",
        "an sshd log of real shapes", "lines/CPU-s", "ratio"
    );
    let peer = installed("fail2ban-regex").then(|| {
        best(1, || {
            let mut command = Command::new("fail2ban-regex");
            command.arg(&log).arg("/etc/fail2ban/filter.d/sshd.conf");
            command
        })
    });
    let row = |name: &str, seconds: f64| {
        let ratio = peer.map_or_else(|| "-".to_owned(), |peer| format!("{:.1}x", peer / seconds));
        println!("{name:<44} {:>14.0} {ratio:>10}", lines as f64 / seconds);
    };
    match peer {
        Some(seconds) => row("fail2ban-regex, its sshd filter", seconds),
        None => println!("fail2ban is not installed: no ratio"),
    }
    let parse = |json: &'static [&'static str]| {
        let log = log.clone();
        move || {
            let mut command = picket();
            command.args(["parse", "auth"]).args(json).arg(&log);
            command
        }
    };
    row("picket parse auth (typed, printed)", best(RUNS, parse(&[])));
    row(
        "picket parse auth --json (typed, printed)",
        best(RUNS, parse(&["--json"])),
    );
    let replay = |log: &Path| {
        let log = log.to_owned();
        move || {
            let mut command = picket();
            command.args(["replay", "auth", "--rules", RULES]).arg(&log);
            command
        }
    };
    row(
        "picket replay auth (typed, judged by all rules)",
        best(RUNS, replay(&log)),
    );

    // Nothing but failures, which all counting rules look at: from few addresses, and from more than they can remember.
    let mut few = None;
    for addresses in [250, ADDRESSES] {
        let log = folder.path().join("rotating.log");
        fs::write(&log, rotating_log(LINES, addresses)).expect("room for the log");
        let seconds = best(RUNS, replay(&log));
        println!(
            "only failures, from {addresses:>6} rotating IPv6 addresses {:>10.0} {:>9.2}x {:>6.0} MiB at most",
            LINES as f64 / seconds,
            *few.get_or_insert(seconds) / seconds,
            most_memory(&log)
        );
    }
}

/// The most memory, in MiB, that judging a log took: fed through a pipe, and asked before its end is told.
fn most_memory(log: &Path) -> f64 {
    let mut judge = picket()
        .args(["replay", "auth", "--rules", RULES, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut input = judge.stdin.take().expect("a pipe");
    input
        .write_all(&fs::read(log).expect("the log"))
        .expect("it reads");
    let status = fs::read_to_string(format!("/proc/{}/status", judge.id())).expect("it runs");
    drop(input);
    assert!(judge.wait().expect("it ends").success());
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = most
        .and_then(|most| most.trim().strip_suffix(" kB"))
        .expect("kilobytes");
    kilobytes.parse::<f64>().expect("a number") / 1024.0
}

/// The least CPU time, user and system, of some runs: what disturbs a run only ever adds.
fn best(runs: usize, make: impl Fn() -> Command) -> f64 {
    let run = || {
        let before = children();
        let status = make()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the program starts");
        assert!(status.success(), "{status}");
        children() - before
    };
    (0..runs).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum()
}

fn installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}
