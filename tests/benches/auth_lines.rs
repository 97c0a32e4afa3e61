//! Lines of an sshd log a CPU-second, with fail2ban on the same file in the same run where it is installed.

use nix::sys::resource::{UsageWho, getrusage};
use picket_tests::{attack_log::attack_log, picket};
use std::fs;
use std::process::{Command, Stdio};

const LINES: usize = 260_000;
const RUNS: usize = 5;

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
    row(
        "picket replay auth (typed, judged by all rules)",
        best(RUNS, || {
            let mut command = picket();
            let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules");
            command.args(["replay", "auth", "--rules", rules]).arg(&log);
            command
        }),
    );
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
