//! Stories of a booted host: real systemd, sshd, rsyslog and journald. Each needs root; without it the story says so and is
//! not told.

use picket_tests::booted::Booted;
use picket_tests::line::Line;
use picket_tests::load;
use picket_tests::network::{ACCOUNT, ATTACKER, HOST, NEIGHBOUR};
use std::collections::BTreeSet;

const ENFORCE: &str = "[respond]\nmode = \"enforce\"\n";

#[test]
fn an_attacker_in_the_journal_is_found_blocked_and_known_to_the_collector() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let mut line = Line::inside(&host, "journal = \"yes\"\n", ENFORCE);
    line.start_agent();
    for (attacker, address) in ATTACKER.into_iter().zip(HOST) {
        guess(&host, address);
        let outcome = line.wait_for(|value| {
            value["body"]["decision"] == "applied" && value["body"]["action"]["target"]["target"] == attacker
        });
        let wanted = &outcome["body"]["action"]["finding"];
        line.wait_for(|value| value["record"] == "finding" && value["body"]["id"] == *wanted);
        let refused = host.login(address, ACCOUNT.0, ACCOUNT.1);
        assert!(
            !refused.status.success(),
            "{attacker} is blocked and still logs in"
        );
    }
    line.end_agent(false);
    line.end_collector(false);
}

#[test]
fn what_is_in_a_file_and_in_the_journal_counts_once() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let both = "files = [\"/var/log/auth.log\", \"/var/log/custom.log\"]\njournal = \"yes\"\n";
    for (auth, source) in [
        ("", "/var/log/auth.log"),
        ("journal = \"no\"\n", "/var/log/auth.log"),
        ("journal = \"yes\"\n", "the journal"),
    ] {
        let mut line = Line::inside(&host, auth, "");
        line.start_agent();
        let status = line.operate(&["status", "--json"]).expect("it answers");
        assert!(status.contains(source), "{auth}: {status}");
        // The last attempt is one too many, and tells that those before it were seen.
        let mut syslog = host.syslog();
        for attempt in 0..4 {
            syslog.log(&failed("203.0.113.4", attempt));
        }
        for attempt in 0..5 {
            syslog.log(&failed("203.0.113.5", attempt));
        }
        syslog.end();
        line.wait_for(|value| value["record"] == "finding" && value["body"]["source"] == "203.0.113.5");
        line.end_agent(false);
        line.start_agent();
        let seen = |address: &str, kind: &str| {
            let found = line.collect(&["search", address, "--text", "--json"]);
            let kind = format!("\"record\":\"{kind}\"");
            found.lines().filter(|text| text.contains(&kind)).count()
        };
        assert_eq!(
            seen("203.0.113.4", "finding"),
            0,
            "{auth}: four attempts counted as more"
        );
        line.end_agent(false);

        // The two named together are a mistake, which the agent names.
        std::fs::write(line.path("picket.toml"), format!("[auth]\n{both}")).unwrap();
        let refused = line.operate(&["check"]).expect_err("both");
        assert!(refused.contains("would count twice"), "{refused}");
    }
}

#[test]
fn restarts_rotation_and_vacuum_of_the_journal_lose_nothing_and_double_nothing() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let mut line = Line::inside(&host, "journal = \"yes\"\n", "");
    line.start_agent();
    let mut syslog = host.syslog();
    // What a journald that is restarted never took in is its own loss, and none of the agent's.
    let journal = || {
        load::numbers(&host.run(
            "journalctl",
            &["--quiet", "--output=cat", "SYSLOG_IDENTIFIER=sshd"],
        ))
    };
    let mut held = BTreeSet::new();
    load::during(
        |numbers| syslog.messages(numbers),
        |_| {
            for _ in 0..4 {
                host.run("systemctl", &["restart", "systemd-journald"]);
                // What is vacuumed before anybody could read it is lost to everybody: of what lies in the files that are
                // about to be removed, the agent has read all.
                host.run("journalctl", &["--rotate"]);
                held.append(&mut journal());
                assert_eq!(load::missing_and_double_of(&line, &held), (vec![], vec![]));
                host.run("journalctl", &["--vacuum-time=1s"]);
                line.end_agent(false);
                line.start_agent();
                host.run("journalctl", &["--rotate"]);
                line.end_agent(true);
                host.run("systemctl", &["restart", "systemd-journald"]);
                line.start_agent();
            }
        },
    );
    syslog.end();
    held.append(&mut journal());
    assert!(held.len() > 500, "{} lines were in the journal", held.len());
    assert_eq!(load::missing_and_double_of(&line, &held), (vec![], vec![]));
}

#[test]
fn killed_at_any_moment_nothing_of_the_journal_is_lost_and_nothing_is_there_twice() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let mut line = Line::inside(&host, "journal = \"yes\"\n", "");
    line.start_agent();
    let mut syslog = host.syslog();
    let written = load::during(
        |numbers| syslog.messages(numbers),
        |_| load::kill(&mut line, 100, 11),
    );
    syslog.end();
    assert_eq!(load::missing_and_double(&line, written), (vec![], vec![]));
    // What a killed agent had started has ended as well.
    assert_eq!(
        host.run("pgrep", &["--count", "--exact", "journalctl"]).trim(),
        "1"
    );
    assert_eq!(
        host.run("pgrep", &["--count", "--full", "picket courier"]).trim(),
        "1"
    );
}

#[test]
fn whoever_carries_the_operator_is_never_blocked_neither_for_a_finding_nor_by_hand() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    host.run("ip", &["route", "add", "default", "via", "198.51.100.254"]);
    host.run("ip", &["-6", "route", "add", "default", "via", "2001:db8::fe"]);
    host.run("sh", &["-c", "echo nameserver 203.0.113.53 >/etc/resolv.conf"]);
    let mut line = Line::inside(&host, "journal = \"yes\"\n", ENFORCE);
    line.start_agent();
    // An administrator who is logged in, and stays.
    let administrator = NEIGHBOUR[1];
    let mut session = host
        .network()
        .session(administrator, HOST[1], ACCOUNT.0, ACCOUNT.1);
    session.say("echo here");

    let mut syslog = host.syslog();
    for (address, reason) in [
        ("127.0.0.1", "it is this host's own address (lo)"),
        ("127.0.0.2", "it is loopback"),
        ("::1", "it is this host's own address (lo)"),
        (HOST[0], "it is this host's own address"),
        (HOST[1], "it is this host's own address"),
        ("198.51.100.254", "it is this host's gateway"),
        ("2001:db8::fe", "it is this host's gateway"),
        ("203.0.113.53", "it is a resolver of this host"),
        (NEIGHBOUR[0], "it is the collector"),
        (administrator, "logged in and is connected now"),
    ] {
        (0..5).for_each(|attempt| syslog.log(&failed(address, attempt)));
        let outcome = line.wait_for(|value| {
            value["record"] == "outcome" && value["body"]["action"]["target"]["target"] == address
        });
        let because = outcome["body"]["because"].as_str();
        assert!(
            because.is_some_and(|because| because.contains(reason)),
            "{outcome}"
        );
        let by_hand = line.operate(&["blocks", "add", address]).expect_err(address);
        assert!(by_hand.contains(reason), "{by_hand}");
    }
    // Nor a network around one of them; and whoever is none of them is blocked.
    for network in ["198.51.100.0/24", "2001:db8::/32", "0.0.0.0/0"] {
        line.operate(&["blocks", "add", network]).expect_err(network);
    }
    line.operate(&["blocks", "add", "203.0.113.54"])
        .expect("a stranger");
    let rules = host.run("nft", &["list", "table", "inet", "picket"]);
    assert!(
        rules.contains("203.0.113.54") && !rules.contains("198.51.100.254"),
        "{rules}"
    );
    // Once the administrator has gone, the address is one like any other.
    session.end();
    let mut added = line.operate(&["blocks", "add", administrator]);
    while added.is_err() {
        added = line.operate(&["blocks", "add", administrator]);
    }
}

fn failed(address: &str, attempt: u16) -> String {
    format!(
        "Failed password for root from {address} port {} ssh2\n",
        4000 + attempt
    )
}

/// Wrong passwords for root, all at once: as many as every rule about them needs.
fn guess(host: &Booted, address: &str) {
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| host.login(address, "root", "wrong"));
        }
    });
}
