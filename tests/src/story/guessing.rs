//! Somebody guesses passwords, is cut off, and is let in again when told so.

use super::{millis, time};
use crate::laboratory::Laboratory;
use crate::line::Line;
use crate::network::{ACCOUNT, ATTACKER, HOST, NEIGHBOUR};
use serde_json::Value;

/// What happened to one attacker, each time as RFC 3339 in UTC.
#[derive(Debug)]
pub struct Timeline {
    /// The attacker.
    pub address: String,
    /// The first failed login, by sshd's own log.
    pub first_failure: jiff::Timestamp,
    /// The login that the rule needed.
    pub last_failure: jiff::Timestamp,
    /// When the agent found it.
    pub detected: jiff::Timestamp,
    /// When the block was in force.
    pub blocked: jiff::Timestamp,
    /// When the collector had committed that.
    pub received: jiff::Timestamp,
}

impl Timeline {
    /// From the line in the log to the finding, in milliseconds.
    pub fn time_to_detect(&self) -> f64 {
        millis(self.last_failure, self.detected)
    }

    /// From the finding to the block in force, in milliseconds.
    pub fn time_to_respond(&self) -> f64 {
        millis(self.detected, self.blocked)
    }
}

/// Tells the story once over IPv4 and once over IPv6, on a real sshd, with its log by a real rsyslogd. `say` hears of each step.
pub fn tell(mut say: impl FnMut(&str)) -> Vec<Timeline> {
    let lab = Laboratory::start();
    let log = lab.log(false);
    let mut line = Line::on(Some(lab.host()), Some(&log), "[respond]\nmode = \"enforce\"\n");
    line.start_agent();
    let mut timelines = Vec::new();
    for (at, host) in HOST.iter().enumerate() {
        let (attacker, neighbour) = (ATTACKER[at], NEIGHBOUR[at]);
        say(&format!("{attacker} guesses root's password at {host}"));
        let blocked = |line: &Line| {
            line.operate(&["blocks", "list", "--json"])
                .expect("the agent answers")
                .lines()
                .any(|block| block.contains(&format!("\"{attacker}\"")))
        };
        // A guess takes sshd as long as it likes to; ten are enough for every rule.
        let mut guesses = 0;
        while !blocked(&line) {
            assert!(guesses < 20, "{attacker} is not blocked");
            lab.login(host, "root", "wrong");
            guesses += 1;
        }
        say(&format!("{attacker} is blocked after {guesses} guesses"));
        let outcome = line.wait_for(|value| {
            value["body"]["decision"] == "applied" && value["body"]["action"]["target"]["target"] == attacker
        });
        let wanted = &outcome["body"]["action"]["finding"];
        let finding = line.wait_for(|value| value["record"] == "finding" && value["body"]["id"] == *wanted);

        let refused = lab.login(host, ACCOUNT.0, ACCOUNT.1);
        assert!(
            !refused.status.success(),
            "{attacker} is blocked and still logs in"
        );
        say(&format!("{attacker} cannot even log in with the right password"));
        let allowed = lab.login_from(neighbour, host, ACCOUNT.0, ACCOUNT.1);
        assert!(
            allowed.status.success(),
            "{}",
            String::from_utf8_lossy(&allowed.stderr)
        );
        say(&format!("{neighbour}, beside it, logs in as ever"));

        let action = outcome["body"]["action"]["id"].as_str().expect("an id");
        line.operate(&["undo", action]).expect("it is undone");
        // Its login after all these failures is a finding of its own; the operator's word holds against that.
        let again = lab.login(host, ACCOUNT.0, ACCOUNT.1);
        assert!(
            again.status.success(),
            "{}",
            String::from_utf8_lossy(&again.stderr)
        );
        say(&format!("picket undo {action} lets {attacker} in again"));

        timelines.push(Timeline {
            address: attacker.to_owned(),
            first_failure: first_failure(&line, attacker),
            last_failure: time(&finding["body"]["time"]),
            detected: time(&finding["body"]["detected"]),
            blocked: time(&outcome["body"]["time"]),
            received: time(&outcome["received"]),
        });
    }
    line.end_agent(false);
    line.end_collector(false);
    timelines
}

fn first_failure(line: &Line, attacker: &str) -> jiff::Timestamp {
    let events = line.collect(&["search", attacker, "--text", "--json"]);
    let times = events.lines().filter_map(|text| {
        let value: Value = serde_json::from_str(text).expect("JSON");
        (value["record"] == "event").then(|| time(&value["body"]["time"]))
    });
    times.min().expect("an event")
}
