//! The whole line with a real agent and a real collector: what is logged arrives, once, whatever happens in between.

use picket_tests::line::Line;
use picket_tests::load;
use serde_json::Value;

/// `count` failed logins from one address, a second apart, as of now.
fn attack(address: &str, count: u64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    (0..count)
        .map(|at| {
            let time = jiff::Timestamp::from_second((now - count + at).cast_signed()).unwrap();
            format!(
                "{time:.6} host sshd[{}]: Failed password for root from {address} port {} ssh2\n",
                1000 + at,
                2000 + at
            )
        })
        .collect()
}

fn is_about(value: &Value, address: &str) -> bool {
    value["record"] == "finding" && value["body"]["source"] == address
}

#[test]
fn an_attack_in_a_log_is_a_finding_at_the_collector() {
    let mut line = Line::start("");
    line.log("");
    line.start_agent();
    line.log(&attack("198.51.100.9", 12));
    let finding = line.wait_for(|value| is_about(value, "198.51.100.9"));
    assert_eq!(finding["body"]["suggests"][0], "block_ip", "{finding}");
    let would = line.wait_for(|value| value["record"] == "outcome");
    assert_eq!(would["body"]["decision"], "simulated", "{would}");
    assert_eq!(
        would["body"]["action"]["target"]["target"], "198.51.100.9",
        "{would}"
    );

    let status = line.operate(&["status", "--json"]).expect("it answers");
    assert!(status.contains("\"mode\":\"monitor\""), "{status}");
    let refused = line
        .operate(&["blocks", "add", "127.0.0.1"])
        .expect_err("loopback");
    assert!(refused.contains("127.0.0.1 is not blocked"), "{refused}");
    line.operate(&["blocks", "add", "203.0.113.0/24", "--minutes", "5"])
        .expect("it is added");
    let blocks = line.operate(&["blocks", "list", "--json"]).expect("a list");
    assert!(
        blocks.contains("203.0.113.0/24") && blocks.contains("198.51.100.9"),
        "{blocks}"
    );
    let undone = line
        .operate(&["undo", would["body"]["action"]["id"].as_str().unwrap()])
        .expect("undone");
    assert!(undone.contains("198.51.100.9 is let in again"), "{undone}");
    line.operate(&["undo", "198.51.100.9"])
        .expect_err("it is not blocked any more");
    line.wait_for(|value| value["body"]["decision"] == "undone");
    line.end_agent(false);
    line.end_collector(false);
    let found = line.collect(&["search", "\"198.51.100.9\"", "--json"]);
    assert!(found.lines().count() >= 1, "{found}");
    let events = line.collect(&["search", "198.51.100.9", "--text", "--json"]);
    let events = events
        .lines()
        .filter(|line| line.contains("\"record\":\"event\""))
        .count();
    assert_eq!(events, 12);
}

#[test]
fn a_spool_that_was_taken_away_does_not_keep_the_agent_from_starting() {
    let mut line = Line::start("");
    line.log("");
    line.start_agent();
    // More than any queue of the agent holds.
    let attackers = 3000_u32;
    let addresses = (0..attackers).map(|at| std::net::Ipv4Addr::from(0xcb00_0000 + at).to_string());
    line.log(&addresses.map(|address| attack(&address, 5)).collect::<String>());
    let last = std::net::Ipv4Addr::from(0xcb00_0000 + attackers - 1).to_string();
    let outcomes = |line: &Line| {
        line.wait_for(|value| {
            value["record"] == "outcome" && value["body"]["action"]["target"]["target"] == last.as_str()
        })
    };
    let before = outcomes(&line);
    line.end_agent(false);
    std::fs::remove_dir_all(line.path("spool")).unwrap();
    line.start_agent();
    assert_eq!(outcomes(&line)["body"]["id"], before["body"]["id"]);
}

#[test]
fn whoever_asks_slowly_keeps_nobody_waiting() {
    use std::io::{Read as _, Write as _};
    let mut line = Line::start("");
    line.start_agent();
    let socket = line.path("control.sock");
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
            stream.write_all(b"{").unwrap();
            stream
        })
        .collect();
    let started = std::time::Instant::now();
    line.operate(&["status"]).expect("it answers");
    assert!(
        started.elapsed() < std::time::Duration::from_secs(4),
        "it did not wait for them"
    );
    for mut stream in slow {
        let mut answer = String::new();
        // They are hung up on.
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "");
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_there_twice() {
    let mut line = Line::start("");
    line.log("");
    line.start_agent();
    let log = line.path("auth.log");
    let written = load::during(
        |numbers| load::append(&log, numbers),
        |_| load::kill(&mut line, 100, 7),
    );
    assert_eq!(load::missing_and_double(&line, written), (vec![], vec![]));
}

#[test]
fn mistakes_in_the_settings_keep_nobody_from_undoing() {
    let mut line = Line::start("");
    line.start_agent();
    line.operate(&["blocks", "add", "203.0.113.7"]).expect("it acts");
    let never = line.operate(&["blocks", "add", "203.0.113.8", "--minutes", "0"]);
    assert!(never.expect_err("no time").contains("not in 1.."));
    let listed = line.operate(&["blocks", "list"]).expect("it answers");
    let expected = "  203.0.113.7  would be blocked until undone  by hand\n";
    assert!(
        listed.ends_with(expected) && listed.lines().count() == 1,
        "{listed}"
    );
    line.drop_in("[respond]\nmoode = \"enforce\"\n[send\nuser = 7\n");
    let asks: [&[&str]; 5] = [
        &["status"],
        &["findings"],
        &["explain", "No such rule"],
        &["blocks", "list"],
        &["undo", "203.0.113.7"],
    ];
    for ask in asks {
        let output = line.agent(ask).output().expect("picket starts");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), ask[0] != "explain", "{ask:?}: {told}");
        assert_eq!(told.matches("unknown key 'moode'").count(), 1, "{ask:?}: {told}");
        assert!(told.contains("picket: warning: /"), "{told}");
    }
    assert_eq!(line.operate(&["blocks", "list"]).expect("it answers"), "");
    assert!(
        line.agent(&["check"])
            .status()
            .is_ok_and(|status| !status.success())
    );
}

#[test]
fn a_second_agent_is_refused_and_told_which_is_the_first() {
    let mut line = Line::start("");
    line.log("");
    line.start_agent();
    let status = line.operate(&["status", "--json"]).expect("it answers");
    let status: Value = serde_json::from_str(&status).unwrap();
    let second = picket_tests::picket()
        .args(["run", "--config"])
        .arg(line.path("picket.toml"))
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    let first = format!(
        "is in use by process {}: is picket running already?",
        status["pid"]
    );
    assert!(said.contains(&first), "{said}");
    // The first goes on.
    line.log(&attack("198.51.100.9", 12));
    line.wait_for(|value| is_about(value, "198.51.100.9"));
}

#[test]
fn an_agent_that_the_kernel_tells_nothing_says_why_and_goes_on() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root to hide what the kernel offers");
        return;
    }
    let mut line = Line::start("[process]\n");
    line.agent_finds.script = "mount -t tmpfs none /sys/kernel/btf".to_owned();
    line.log("");
    line.start_agent();
    line.log(&attack("198.51.100.9", 12));
    line.wait_for(|value| is_about(value, "198.51.100.9"));
    let log = std::fs::read_to_string(line.path("agent.log")).unwrap();
    assert!(log.contains("/sys/kernel/btf/vmlinux is not there"), "{log}");
}
