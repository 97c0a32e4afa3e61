//! The whole line with a real agent and a real collector: what is logged arrives, once, whatever happens in between.

use picket_tests::line::Line;
use serde_json::Value;
use std::collections::BTreeMap;

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
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_there_twice() {
    let mut line = Line::start("");
    line.log("");
    let mut dice = picket_tests::attack_log::Dice::new(7);
    let mut logged = 0;
    for round in 0..20 {
        if round % 2 == 0 {
            line.start_agent();
        }
        for _ in 0..5 {
            let address = format!("203.0.113.{}", round + 1);
            line.log(&attack(&address, 40));
            logged += 40;
        }
        if round == 0 {
            line.wait_for(|value| is_about(value, "203.0.113.1"));
        }
        match dice.below(3) {
            0 => {
                line.end_collector(true);
                line.start_collector();
            }
            _ if round % 2 == 1 => line.end_agent(true),
            _ => {}
        }
        if round % 2 == 1 {
            line.end_agent(true);
        }
    }
    line.start_agent();
    line.log(&attack("198.51.100.77", 12));
    line.wait_for(|value| is_about(value, "198.51.100.77"));
    line.end_agent(false);
    // What the last finding overtook on the other lane comes with the next run of the courier.
    line.start_agent();
    let kept = |line: &Line| -> BTreeMap<String, u64> {
        let mut kept = BTreeMap::new();
        for text in line
            .collect(&["search", "203.0.113.", "--text", "--json"])
            .lines()
        {
            let value: Value = serde_json::from_str(text).unwrap();
            if value["record"] == "event" {
                *kept
                    .entry(value["body"]["id"].as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
        }
        kept
    };
    let mut ids = kept(&line);
    let started = std::time::Instant::now();
    while ids.len() < logged && started.elapsed() < std::time::Duration::from_secs(30) {
        std::thread::yield_now();
        ids = kept(&line);
    }
    assert_eq!(ids.len(), logged, "lost");
    assert!(ids.values().all(|count| *count == 1), "twice");
}
