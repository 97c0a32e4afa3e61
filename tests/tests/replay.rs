//! What the shipped rules find in a log, and what they leave alone.

use picket_tests::picket;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The titles of the findings in a log, each once for each time that it fired.
fn findings(log: &str) -> Vec<String> {
    run(log, &[shipped()])
        .0
        .iter()
        .map(|finding| finding["rule"]["title"].as_str().unwrap().to_owned())
        .collect()
}

fn run(log: &str, rules: &[PathBuf]) -> (Vec<Value>, String) {
    replay(log, rules, "finding")
}

/// What is printed of one kind, and what is complained of.
fn replay(log: &str, rules: &[PathBuf], kind: &str) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.log");
    fs::write(&file, log).unwrap();
    let mut command = picket();
    command
        .env("TZ", "UTC")
        .args(["replay", "auth", "--json"])
        .arg(&file);
    for folder in rules {
        command.arg("--rules").arg(folder);
    }
    let output = command.output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{complaints}");
    let printed = String::from_utf8(output.stdout).unwrap();
    (
        printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|value: &Value| value["kind"] == kind)
            .collect(),
        complaints,
    )
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules/sigma")
}

/// One line of sshd at a second of a day.
fn sshd(second: u32, message: &str) -> String {
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "2026-03-01T{hour:02}:{minute:02}:{:02}.000000+00:00 web1 sshd[7]: {message}\n",
        second % 60
    )
}

fn failed(second: u32, user: &str, address: &str) -> String {
    sshd(
        second,
        &format!("Failed password for {user} from {address} port 4711 ssh2"),
    )
}

fn accepted(second: u32, user: &str, address: &str) -> String {
    sshd(
        second,
        &format!("Accepted publickey for {user} from {address} port 4711 ssh2: ED25519 SHA256:abc"),
    )
}

/// So many lines, so many seconds apart.
fn times(count: u32, apart: u32, line: impl Fn(u32, u32) -> String) -> String {
    (0..count).map(|number| line(number * apart, number)).collect()
}

#[test]
fn the_shipped_rules_load_without_a_complaint() {
    let (found, complaints) = run("", &[shipped()]);
    let sum = "picket: 0 lines read, 0 understood, 0 findings\n";
    assert_eq!((found.len(), complaints.as_str()), (0, sum));
}

#[test]
fn each_shipped_rule_fires_on_its_attack_and_not_just_below() {
    let bad = "198.51.100.9";
    let brute = |count| times(count, 10, |second, _| failed(second, "bob", bad));
    let slow = |count| times(count, 900, |second, _| failed(second, "bob", bad));
    let spray = |count| {
        times(count, 60, |second, number| {
            failed(second, &format!("user{number}"), bad)
        })
    };
    let spread = |count| {
        times(count, 30, |second, number| {
            failed(second, "bob", &format!("203.0.113.{number}"))
        })
    };
    let names = |count| {
        times(count, 30, |second, number| {
            sshd(second, &format!("Invalid user u{number} from {bad}"))
        })
    };
    let unknown = |count, apart| {
        times(count, apart, |second, _| {
            sshd(second, &format!("Invalid user tutu from {bad} port 1"))
        })
    };
    let given_up = |count| {
        times(count, 10, |second, _| {
            sshd(
                second,
                &format!("Disconnected from authenticating user root {bad} port 1 [preauth]"),
            )
        })
    };
    let broken = |count, said: &'static str| times(count, 30, move |second, _| sshd(second, said));
    let probes = |count| {
        times(count, 20, |second, _| {
            sshd(second, &format!("Connection closed by {bad} port 1 [preauth]"))
        })
    };
    let root = |method| {
        sshd(
            0,
            &format!("Accepted {method} for root from 10.0.0.9 port 1 ssh2"),
        )
    };
    let line = |text: &str| format!("2026-03-01T00:00:00.000000+00:00 web1 {text}\n");
    let sudo = |count, reason: &str| {
        times(count, 60, |second, _| {
            sshd(second, "x").replace(
                "sshd[7]: x",
                &format!("sudo:   bob : {reason} ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh"),
            )
        })
    };
    let cases = [
        ("Many failed logins", brute(5), brute(4)),
        ("Failed logins over hours", slow(20), slow(19)),
        ("One address tries many users", spray(6), spray(5)),
        ("Many addresses try one user", spread(10), spread(9)),
        ("One address tries unknown users", names(4), names(3)),
        ("Many logins of unknown users", unknown(6, 10), unknown(5, 10)),
        (
            "Logins of unknown users over hours",
            unknown(15, 900),
            unknown(14, 900),
        ),
        ("Many logins given up", given_up(6), given_up(5)),
        (
            "Many broken handshakes",
            broken(
                4,
                "Unable to negotiate with 198.51.100.9 port 1: no matching host key type found",
            ),
            broken(
                3,
                "Unable to negotiate with 198.51.100.9 port 1: no matching host key type found",
            ) + &broken(9, "Did not receive identification string from 198.51.100.9"),
        ),
        (
            "Connection refused by the access list",
            sshd(0, "refused connect from example.com (198.51.100.9)"),
            sshd(0, "refused connect from example.com"),
        ),
        ("One address probes the login service", probes(10), probes(9)),
        (
            "Login accepted after many refused",
            brute(5) + &accepted(60, "bob", bad),
            brute(5) + &accepted(60, "bob", "10.0.0.9") + &accepted(4000, "bob", bad),
        ),
        ("Root logged in by password", root("password"), root("publickey")),
        (
            "sudo refused a command",
            sudo(1, "user NOT in sudoers"),
            sudo(1, "a password is required"),
        ),
        (
            "Many refusals of sudo for one user",
            sudo(3, "a password is required"),
            sudo(2, "a password is required"),
        ),
        (
            "Account created or removed",
            line("useradd[1]: new user: name=eve, UID=1, GID=1, home=/, shell=/bin/sh, from=none"),
            line("useradd[1]: failed"),
        ),
        (
            "Member of a privileged group changed",
            line("usermod[1]: add 'eve' to group 'sudo'"),
            line("usermod[1]: add 'eve' to group 'games'"),
        ),
        (
            "Account, group or password changed",
            line("chage[1]: changed password expiry for eve"),
            line("chage[1]: x"),
        ),
        (
            "Login from outside of the known networks",
            accepted(0, "bob", bad),
            accepted(0, "bob", "10.1.2.3"),
        ),
    ];
    for (title, attack, near) in cases {
        let fired = findings(&attack).iter().filter(|found| *found == title).count();
        assert_eq!(fired, 1, "{title}: {:?}", findings(&attack));
        assert!(
            !findings(&near).contains(&title.to_owned()),
            "{title} fired on the near miss"
        );
    }
}

#[test]
fn everyday_life_stays_silent() {
    let mut log = String::new();
    for hour in 0..10 {
        let second = hour * 3600;
        log += &failed(second, "alice", "10.0.0.5");
        log += &accepted(second + 10, "alice", "10.0.0.5");
        log += &sshd(
            second + 10,
            "pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)",
        );
        log += &sshd(
            second + 20,
            "Received disconnect from 10.0.0.5 port 4711:11: disconnected by user",
        );
        log += &sshd(
            second + 20,
            "Close session: user ansible from 10.0.0.5 port 34928 id 0",
        );
    }
    assert_eq!(findings(&log), [] as [&str; 0]);
}

#[test]
fn a_finding_says_who_what_and_why_and_repeats_its_id() {
    let log = times(6, 1, |second, _| failed(second, "root", "2001:db8::9"));
    let (found, _) = run(&log, &[shipped()]);
    let finding = &found[0];
    assert_eq!(finding["kind"], "finding");
    assert_eq!(finding["source"], "2001:db8::9");
    assert_eq!(
        finding["group"],
        serde_json::json!([["source.ip", "2001:db8::9"]])
    );
    assert_eq!(
        (&finding["severity"], &finding["count"], &finding["line"]),
        (&"high".into(), &5.into(), &5.into())
    );
    assert_eq!(finding["rule"]["attack"], serde_json::json!(["T1110.001"]));
    assert_eq!(finding["suggests"], serde_json::json!(["block_ip"]));
    assert_eq!(finding["events"].as_array().unwrap().len(), 5);
}

#[test]
fn a_wrong_rule_is_named_with_its_line_and_the_rest_load() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(shipped().join("login_guessing.yml")).unwrap();
    let wrong = [
        (
            "a.yml",
            "title: broken\nlogsource:\n    product: linux\ndetection:\n    selection:\n        a: b\n    condition: selektion and\n",
        ),
        ("b.yml", "title: x\n  bad: [indent\n"),
        (
            "c.yml",
            "title: c\nid: c\ncorrelation:\n    type: event_count\n    rules: [nobody]\n    group-by: [source.ip]\n    timespan: 1m\n    condition:\n        gte: 2\n",
        ),
        (
            "d.yml",
            "title: d\nid: d\ncorrelation:\n    type: event_count\n    rules: [login_failed]\n    group-by: [source.address]\n    timespan: 1m\n    condition:\n        gte: 2\n",
        ),
        (
            "e.yml",
            "title: e\nid: e\ncorrelation:\n    type: event_count\n    rules: [login_failed]\n    group-by: [source.ip]\n    timespan: 1m\n    condition:\n        lt: 2\n",
        ),
    ];
    for (name, text) in wrong {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::write(folder.path().join("f.yml"), b"\xff\xfe").unwrap();
    fs::write(
        folder.path().join("g.yml"),
        format!("{good}---\ntitle: late\ndetection: 7\n"),
    )
    .unwrap();
    let log = times(5, 1, |second, _| failed(second, "root", "198.51.100.9"));
    let (found, complaints) = run(&log, &[folder.path().to_owned()]);
    assert_eq!(found.len(), 1, "{complaints}");
    for name in [
        "a.yml:1:", "b.yml:1:", "c.yml:1:", "d.yml:1:", "e.yml:1:", "f.yml:1:", "g.yml:",
    ] {
        assert!(complaints.contains(name), "{name} in {complaints}");
    }
    assert!(
        complaints.contains("'nobody'") && complaints.contains("'source.address'"),
        "{complaints}"
    );
    assert!(!complaints.contains("g.yml:1:"), "{complaints}");
}

#[test]
fn a_finding_of_steps_counts_nothing_and_names_each_event_once() {
    let folded = sshd(
        3,
        "message repeated 4 times: [ Failed password for bob from 198.51.100.9 port 1 ssh2]",
    );
    let log = failed(0, "bob", "198.51.100.9") + &folded + &accepted(60, "bob", "198.51.100.9");
    let (found, _) = run(&log, &[shipped()]);
    let said: Vec<_> = found
        .iter()
        .map(|finding| {
            (
                finding["summary"].as_str().unwrap(),
                finding["events"].as_array().unwrap().len(),
            )
        })
        .collect();
    let expected = [
        ("Many failed logins, 5 times from 198.51.100.9 user bob", 2),
        ("Login accepted after many refused from 198.51.100.9 user bob", 2),
    ];
    for one in expected {
        assert!(said.contains(&one), "{one:?} in {said:?}");
    }
}

#[test]
fn what_is_no_log_is_told_from_a_quiet_one() {
    let quiet = sshd(1, "Server listening on 0.0.0.0 port 22.");
    let log = failed(0, "root", "198.51.100.9") + &quiet + "nothing\n";
    let (found, told) = run(&log, &[shipped()]);
    assert_eq!(found.len(), 0);
    assert_eq!(told, "picket: 3 lines read, 1 understood, 0 findings\n");
    let log: String = (0..6)
        .map(|second| failed(second, "root", "198.51.100.9"))
        .collect();
    let (_, told) = run(&log, &[shipped()]);
    assert_eq!(told, "picket: 6 lines read, 6 understood, 1 findings\n");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("some.log");
    for (text, good, expected) in [
        ("", true, "0 lines read"),
        (quiet.as_str(), true, "1 lines read, 0 understood"),
        ("1\n\u{0}2\n", false, "seems to be no authentication log"),
    ] {
        fs::write(&file, text).unwrap();
        let mut command = picket();
        command.args(["replay", "auth", "--rules"]).arg(shipped());
        let output = command.arg(&file).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), good, "{told}");
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn ever_new_attackers_stay_within_the_bound_and_are_counted() {
    let log = times(30_000, 1, |second, number| {
        failed(second, "root", &format!("2001:db8::{number:x}"))
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.log");
    fs::write(&file, log).unwrap();
    let output = picket()
        .args(["replay", "auth", "--groups", "1000", "--rules"])
        .arg(shipped())
        .arg(&file)
        .output()
        .unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(complaints.contains("groups had to make room"), "{complaints}");
}

#[test]
fn what_would_be_done_is_said_with_each_finding() {
    let mut log: String = (0..6)
        .map(|second| failed(second, "root", "198.51.100.9"))
        .collect();
    log += &sshd(10, "Accepted password for alice from 203.0.113.7 port 4711 ssh2");
    log += &(20..26)
        .map(|second| failed(second, "root", "203.0.113.7"))
        .collect::<String>();
    // After its ten minutes the address comes back, and would be blocked for longer.
    log += &(700..706)
        .map(|second| failed(second, "root", "198.51.100.9"))
        .collect::<String>();
    let (actions, _) = replay(&log, &[shipped()], "action");
    let said: Vec<_> = actions
        .iter()
        .map(|action| {
            assert_eq!(action["action"], "block_ip");
            (
                action["target"].as_str().unwrap(),
                action["decision"].as_str().unwrap(),
                action["ttl"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("198.51.100.9", "simulated", 600),
            ("203.0.113.7", "refused", 600),
            ("198.51.100.9", "simulated", 3600),
        ]
    );
    assert!(
        actions[1]["reason"].as_str().unwrap().contains("administrator"),
        "{}",
        actions[1]
    );
}
