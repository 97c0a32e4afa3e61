//! Stories of a real sshd under attack. Each needs root; without it the story says so and is not told.

use picket_tests::laboratory::Laboratory;
use picket_tests::network::{ACCOUNT, ATTACKER, HOST};
use picket_tests::picket;
use serde_json::Value;

#[test]
fn what_a_real_sshd_logs_is_understood() {
    if let Some(reason) = Laboratory::missing() {
        println!("skipped: {reason}");
        return;
    }
    let lab = Laboratory::start();
    let hostile = "root from 203.0.113.1 port 22";
    for host in HOST {
        assert!(!lab.login(host, "root", "wrong").status.success());
        assert!(!lab.login(host, hostile, "wrong").status.success());
        let legitimate = lab.login(host, ACCOUNT.0, ACCOUNT.1);
        assert!(
            legitimate.status.success(),
            "{}",
            String::from_utf8_lossy(&legitimate.stderr)
        );
    }
    lab.wait_for("Failed password for", 4);
    lab.wait_for("session closed for user alice", 2);

    for traditional in [false, true] {
        let events = events(&lab, traditional);
        for address in ATTACKER {
            let logins = |outcome: &str| {
                let mut users: Vec<&str> = events
                    .iter()
                    .filter(|event| {
                        event["event"]["action"] == "login" && event["event"]["outcome"] == outcome
                    })
                    .filter(|event| event["source"]["ip"] == address)
                    .map(|event| event["user"]["name"].as_str().unwrap())
                    .collect();
                users.sort_unstable();
                users
            };
            assert_eq!(logins("failure"), ["root", hostile], "{address} {traditional}");
            assert_eq!(logins("success"), ["alice"], "{address} {traditional}");
        }
        let forged = events.iter().find(|event| event["source"]["ip"] == "203.0.113.1");
        assert_eq!(forged, None, "a user name forged an address");
        let sessions = events
            .iter()
            .filter(|event| event["event"]["action"] == "session-opened")
            .count();
        assert_eq!(sessions, 2);
    }
}

fn events(lab: &Laboratory, traditional: bool) -> Vec<Value> {
    let output = picket()
        .args(["parse", "auth", "--json"])
        .arg(lab.log(traditional))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn an_attacker_is_cut_off_a_neighbour_is_not_and_undo_lets_the_attacker_in_again() {
    if let Some(reason) = Laboratory::missing() {
        println!("skipped: {reason}");
        return;
    }
    let timelines = picket_tests::story::tell_of_guessing(|_| ());
    assert_eq!(timelines.len(), 2);
    for timeline in timelines {
        assert!(timeline.first_failure < timeline.last_failure, "{timeline:?}");
        assert!(timeline.detected <= timeline.blocked, "{timeline:?}");
        assert!(timeline.blocked <= timeline.received, "{timeline:?}");
    }
}
