//! What strangers, old hosts and broken clients try on a real collector, and what a real agent does about it.

use picket_tests::line::Line;
use picket_tests::load;
use picket_tests::surroundings::Surroundings;
use serde_json::Value;
use std::fs;
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn failure(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Tells the agent of one finding's worth of failures and waits until the collector has it.
fn delivers(line: &Line, address: &str) {
    let now = jiff::Timestamp::now();
    let text: String = (0..10)
        .map(|at| {
            format!("{now:.6} host sshd[{at}]: Failed password for root from {address} port 4{at} ssh2\n")
        })
        .collect();
    line.log(&text);
    line.wait_for(|value| value["record"] == "finding" && value["body"]["source"] == address);
}

/// Waits until `picket status` says what keeps records from the collector.
fn trouble(line: &Line, wanted: &str) {
    let started = Instant::now();
    loop {
        let status = line.operate(&["status", "--json"]).expect("it answers");
        let status: Value = serde_json::from_str(&status).unwrap();
        if status["trouble"]
            .as_str()
            .is_some_and(|trouble| trouble.contains(wanted))
        {
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "no trouble with '{wanted}': {status}"
        );
    }
}

#[test]
fn a_used_an_expired_and_a_foreign_token_let_nobody_in() {
    let line = Line::start("");
    fs::remove_file(line.path("state/identity.json")).unwrap();
    assert!(failure(&line.enroll()).contains("the token is used"));
    fs::write(
        line.path("token"),
        line.collect(&["token", "create", "--minutes", "0"]),
    )
    .unwrap();
    assert!(failure(&line.enroll()).contains("the token is expired"));
    fs::write(line.path("token"), "rubbish").unwrap();
    assert!(failure(&line.enroll()).contains("no enrolment token"));

    let other = Line::start("");
    fs::write(line.path("token"), other.collect(&["token", "create"])).unwrap();
    let said = failure(&line.enroll());
    assert!(
        said.contains("not the collector that the token came from"),
        "{said}"
    );
    assert!(!line.path("state/identity.json").exists());
}

#[test]
fn a_revoked_host_is_shut_out_at_once_and_says_so() {
    let mut line = Line::start("");
    line.start_agent();
    delivers(&line, "198.51.100.9");
    let agents: Value = serde_json::from_str(&line.collect(&["agents", "--json"])).unwrap();
    line.collect(&["agents", "--revoke", agents["id"].as_str().unwrap()]);
    line.log("2026-01-01T00:00:00.000000+00:00 host sshd[1]: Failed password for root from 198.51.100.10 port 1 ssh2\n");
    trouble(&line, "revoked");
    let status: Value = serde_json::from_str(&line.operate(&["status", "--json"]).unwrap()).unwrap();
    assert!(
        status["events"]["records"].as_u64().unwrap() > 0,
        "what it holds, it keeps: {status}"
    );
    assert_eq!(line.collect(&["search", "198.51.100.10", "--text"]), "");
}

#[test]
fn a_host_whose_certificate_has_expired_is_told_to_enrol_again_and_then_sends_what_it_kept() {
    // It was let in forty days ago, for thirty.
    let mut line = Line::with_collector(Surroundings::clock("-40d"), "");
    line.end_collector(false);
    line.collector_finds = Surroundings::default();
    line.start_collector();
    line.start_agent();
    line.log(&load::failures("198.51.100.9", 5));
    trouble(&line, "enrol this host again");
    assert_eq!(line.collect(&["search", "198.51.100.9", "--text"]), "");
    line.end_agent(false);
    fs::write(line.path("token"), line.collect(&["token", "create"])).unwrap();
    fs::remove_file(line.path("state/identity.json")).unwrap();
    assert!(line.enroll().status.success());
    line.start_agent();
    load::is_found(&line, "198.51.100.9");
}

#[test]
fn a_collector_whose_certificate_has_expired_gets_nothing_until_it_has_another() {
    let mut line = Line::start("");
    line.end_collector(false);
    // It has run for nine hundred days, on a certificate for eight hundred and twenty-five.
    line.collector_finds = Surroundings::clock("-900d");
    line.start_collector();
    line.start_agent();
    line.log(&load::failures("198.51.100.9", 5));
    trouble(&line, "xpired");
    assert_eq!(line.collect(&["search", "198.51.100.9", "--text"]), "");
    line.end_collector(false);
    line.collector_finds = Surroundings::default();
    line.start_collector();
    load::is_found(&line, "198.51.100.9");
}

#[test]
fn a_collector_with_another_authority_gets_nothing() {
    let mut line = Line::start("");
    line.end_collector(false);
    fs::remove_dir_all(line.path("collector")).unwrap();
    line.start_collector();
    line.start_agent();
    line.log("2026-01-01T00:00:00.000000+00:00 host sshd[1]: Failed password for root from 198.51.100.10 port 1 ssh2\n");
    trouble(&line, "certificate");
    assert_eq!(line.collect(&["search", "198.51.100.10", "--text"]), "");
}

#[test]
fn half_batches_bombs_long_lines_and_strangers_are_refused_and_the_rest_is_served() {
    let mut line = Line::start("");
    let identity: Value =
        serde_json::from_slice(&fs::read(line.path("state/identity.json")).unwrap()).unwrap();
    for part in ["certificate", "key", "authority"] {
        fs::write(line.path(part), identity[part].as_str().unwrap()).unwrap();
    }
    let post = |body: &[u8], with: &[&str]| -> String {
        fs::write(line.path("body"), body).unwrap();
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--write-out",
                " %{http_code}",
                "--cacert",
            ])
            .arg(line.path("authority"))
            .args(["--header", "content-encoding: zstd", "--data-binary"])
            .arg(format!("@{}", line.path("body").display()))
            .args(with)
            .arg(format!("https://{}/v1/records/events", line.address()))
            .output()
            .expect("curl starts");
        String::from_utf8(output.stdout).unwrap()
    };
    let (certificate, key) = (line.path("certificate"), line.path("key"));
    let host = [
        "--header",
        "picket-version: 1",
        "--cert",
        certificate.to_str().unwrap(),
        "--key",
        key.to_str().unwrap(),
    ];
    let pack = |text: &[u8]| zstd::bulk::compress(text, 3).unwrap();

    assert!(post(&pack(b"{}\n"), &host[..2]).ends_with(" 401"));
    assert!(post(&pack(b"{}\n"), &host[2..]).contains("speaks version 1"));
    let noise: Vec<u8> = (0..200_000_u32)
        .flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let whole = pack(&noise);
    assert!(post(&whole[..whole.len() / 2], &host).ends_with(" 400"));
    assert!(post(&pack(&vec![b'\n'; 64 << 20]), &host).ends_with(" 400"));
    assert!(post(&pack(&vec![b'x'; 10_000_000]), &host).ends_with(" 400"));
    // The answer arrives although much of the body is still on its way.
    for _ in 0..8 {
        assert!(post(&vec![b'x'; 10_000_000], &host).ends_with(" 413"));
        assert!(post(&vec![b'x'; 500_000], &host[..2]).ends_with(" 401"));
    }
    let refused = post(&pack(b"{\"sequence\":1}\nnonsense\n"), &host);
    assert!(
        refused.ends_with(" 200") && refused.matches("reason").count() == 2,
        "{refused}"
    );

    let idle: Vec<TcpStream> = (0..1000)
        .map(|_| TcpStream::connect(line.address()).unwrap())
        .collect();
    line.start_agent();
    delivers(&line, "198.51.100.9");
    drop(idle);
}

#[test]
fn a_collector_that_is_away_for_longer_than_the_spool_holds_hears_what_was_lost() {
    let mut line = Line::start("quota = \"1MiB\"\n");
    line.end_collector(false);
    line.start_agent();
    let logged = 60_000_u64;
    for at in 0..logged / 1000 {
        let now = jiff::Timestamp::now();
        let text: String = (0..1000)
            .map(|more| {
                let (number, user) = (at * 1000 + more, at.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(more * 0x5851_f42d_4c95));
                format!("{now:.6} host sshd[{number}]: Failed password for invalid user {user:x} from 198.51.100.9 port 4 ssh2\n")
            })
            .collect();
        line.log(&text);
    }
    // An attack at the end tells when all of it was read, and ending the agent that all of it was written: a record that is
    // dropped while it is on its way counts as lost, whether or not it still arrives.
    let now = jiff::Timestamp::now();
    let attack =
        |at| format!("{now:.6} host sshd[{at}]: Failed password for root from 203.0.113.9 port 1 ssh2\n");
    line.log(&(0..8).map(attack).collect::<String>());
    let read = Instant::now();
    loop {
        let blocks = line.operate(&["blocks", "list"]).expect("it answers");
        if blocks.contains("203.0.113.9") {
            break;
        }
        assert!(
            read.elapsed() < Duration::from_secs(60),
            "the attack at the end was not found"
        );
    }
    line.end_agent(false);
    line.start_collector();
    line.start_agent();
    let started = Instant::now();
    loop {
        let status: Value =
            serde_json::from_str(&line.operate(&["status", "--json"]).expect("it answers")).unwrap();
        if status["events"]["records"] == 0 && status["findings"]["records"] == 0 {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "not all was sent: {status}"
        );
    }
    let mut lost = 0;
    for text in line.collect(&["findings", "--json"]).lines() {
        let value: Value = serde_json::from_str(text).unwrap();
        if value["record"] == "gap" {
            lost += value["body"]["lost"].as_u64().unwrap();
        }
    }
    let kept = line.collect(&["search", "198.51.100.9", "--text", "--json"]);
    let kept = kept
        .lines()
        .filter(|text| text.contains("\"record\":\"event\""))
        .count() as u64;
    assert!(lost > 0);
    assert_eq!(kept + lost, logged);
}
