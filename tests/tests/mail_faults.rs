//! `picket mail` on mails that are built to hurt it: each has a report, in bounded time and memory.

use picket_agent::detect::mail::{MailPolicy, judge};
use picket_agent::parse::eml::{self, Border};
use picket_tests::attack_log::Dice;
use picket_tests::{mails, picket};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Judges one mail by the program, in 512 MiB of address space, and gives its report.
fn report(bytes: &[u8]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.eml");
    fs::write(&path, bytes).unwrap();
    let started = Instant::now();
    let mut command = Command::new("prlimit");
    command
        .arg("--as=536870912")
        .arg(picket().get_program())
        .args(["mail", "--json"])
        .arg(&path);
    let output = command.output().unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text.lines().count(),
        1,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&text).unwrap()
}

fn limits(report: &Value) -> String {
    report["limits"].to_string()
}

#[test]
fn a_mail_of_100_mb_is_judged_by_what_fits() {
    let mut mail = b"From: a@example.com\nSubject: large\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n\
                     <a href=http://203.0.113.9/>x</a>\n--b\nContent-Type: application/octet-stream; name=f.bin\n\
                     Content-Transfer-Encoding: base64\n\n"
        .to_vec();
    let line = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWkFCQ0RF\n";
    while mail.len() < 100 << 20 {
        mail.extend_from_slice(line);
    }
    mail.extend_from_slice(b"--b--\n");
    let report = report(&mail);
    assert!(limits(&report).contains("longer than 64 MiB"), "{report}");
    assert_eq!(report["urls"][0]["host"], "203.0.113.9");
    assert!(report["attachments"][0]["size"].as_u64().unwrap() > 40 << 20);
    assert_eq!(
        report["attachments"][0]["sha256"],
        Value::Null,
        "no digest of a half"
    );
}

#[test]
fn parts_nested_1000_deep_are_one_part_and_said() {
    let (mut mail, mut inner) = (String::from("From: a@example.com\n"), String::new());
    for depth in 0..1_000 {
        mail += &format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n");
        inner = format!("--b{depth}--\n{inner}");
    }
    let nested = report(format!("{mail}\nhttps://example.net/\n{inner}").as_bytes());
    assert!(limits(&nested).contains("nested"), "{nested}");
    assert!(nested["reasons"].to_string().contains("folded"));
    let forwarded = format!(
        "From: a@example.com\n{}",
        "Content-Type: message/rfc822\n\nSubject: x\n".repeat(100_000)
    );
    report(forwarded.as_bytes());
    let many = format!(
        "From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n{}",
        "--b\n\nx\n".repeat(1_000_000)
    );
    assert!(limits(&report(many.as_bytes())).contains("1,000 parts"));
    // Each part announces a boundary that never comes.
    let lost = "--b\nContent-Type: multipart/mixed; boundary=never\n\n".repeat(200_000);
    report(format!("Content-Type: multipart/mixed; boundary=b\n\n{lost}").as_bytes());
}

#[test]
fn header_lines_of_1_mb_are_read_up_to_their_bounds() {
    let long = "x".repeat(1 << 20);
    for name in [
        "From",
        "Subject",
        "Content-Type",
        "Received",
        "Authentication-Results",
        "Message-ID",
        "Date",
        "DKIM-Signature",
        long.as_str(),
    ] {
        let mail = format!("{name}: {long} <a@example.com>; {long}\nTo: b@example.net\n\nhello\n");
        let report = report(mail.as_bytes());
        assert_eq!(report["headers"]["to"][0]["address"], "b@example.net");
    }
    for piece in [
        "=?utf-8?q?x",
        "=?u?b?",
        "(",
        "\"",
        "<a@b.de>,",
        "a=b;",
        "x*0*=''%41;",
        ";",
        "from a ([1.2.3.4]) by b ",
    ] {
        let value = piece.repeat((1 << 20) / piece.len());
        for name in [
            "From",
            "Subject",
            "Content-Type",
            "Received",
            "Authentication-Results",
            "DKIM-Signature",
        ] {
            report(format!("{name}: {value}\n\nhello\n").as_bytes());
        }
    }
}

#[test]
fn recipients_and_links_by_the_thousand_are_counted_and_cut() {
    let to: Vec<String> = (0..100_000).map(|at| format!("person{at}@example.net")).collect();
    let crowd = report(format!("From: a@example.com\nTo: {}\n\nhello\n", to.join(",\n ")).as_bytes());
    assert_eq!(crowd["headers"]["recipients"], 100_000);
    assert_eq!(crowd["headers"]["to"].as_array().unwrap().len(), 100);
    let links: String = (0..50_000)
        .map(|at| format!("<a href=https://h{at}.example.net/>x</a> www.g{at}.example.net "))
        .collect();
    let led = report(format!("From: a@example.com\nContent-Type: text/html\n\n{links}").as_bytes());
    assert_eq!(led["urls"].as_array().unwrap().len(), 1_000);
    assert!(limits(&led).contains("1,000 different links"));
}

#[test]
fn lines_and_charsets_that_break_every_rule_are_read_as_far_as_they_go() {
    let returns = report(b"From: a@example.com\rSubject: returns\rContent-Type: text/html\r\r<a href='http://203.0.113.9/'>x</a>\r");
    assert_eq!(returns["headers"]["subject"], "returns");
    assert_eq!(returns["urls"][0]["host"], "203.0.113.9");
    let zeros =
        report(b"From: a@exa\0mple.com\nSub\0ject: x\nSubject: nul \0 here\n\nhttp://203.0.113.9/\0\n");
    assert_eq!(zeros["urls"][0]["host"], "203.0.113.9");
    for charset in [
        "x-none-such",
        "utf-7",
        "utf-16",
        "iso-2022-jp",
        "",
        "\"",
        "shift_jis",
        "utf-8; charset=utf-16",
    ] {
        let mut mail = format!("From: a@example.com\nSubject: =?{charset}?b?/////w==?=\nContent-Type: text/html; charset={charset}\n\n").into_bytes();
        mail.extend((0..=255_u8).cycle().take(4_096));
        report(&mail);
    }
    for nothing in [
        &b""[..],
        b"\n",
        b"\r",
        b"\0",
        b":",
        b"From:",
        b"--\n",
        b" folded\n",
        b"\xff\xfe",
    ] {
        assert_eq!(report(nothing)["reasons"][0]["id"], "from-missing");
    }
}

/// Mails are cut, doubled, spliced and sprinkled with bytes that parsers stumble over.
#[test]
fn what_becomes_of_mails_by_chance_is_judged_in_time() {
    let mut dice = Dice::new(4_711);
    let mut seeds: Vec<Vec<u8>> = mails::ordinary(44, 5)
        .into_iter()
        .map(|mail| mail.bytes)
        .collect();
    seeds.push(b"DKIM-Signature: v=1; a=rsa-sha256; d=x.de; s=s; h=from; bh=; b=;\nFrom: =?utf-8?q?=E2=82?= <a@xn--80ak6aa92e.com>\n\n&#x41;<a href=".to_vec());
    let pieces: &[&[u8]] = &[
        b"\n",
        b"\r",
        b"\0",
        b"--",
        b"=?",
        b"?=",
        b"=",
        b"<",
        b">",
        b"\"",
        b"(",
        b"&#",
        b";",
        b":",
        b"boundary=",
        b"\xff",
        b"\xe2\x80",
        b"multipart/mixed",
        b"message/rfc822",
        b"base64",
        b"xn--",
        b"http://",
        b"@",
        b"%",
        b"[",
        b"PK\x01\x02",
    ];
    let mut border = Border::default();
    border
        .keys
        .insert("s._domainkey.x.de", "k=rsa; p=AAAA".to_owned());
    let policy = MailPolicy {
        domains: vec!["example-bank.com".to_owned()],
    };
    let mut at = |length: usize| usize::try_from(dice.below(u64::try_from(length).unwrap().max(1))).unwrap();
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..6_000 {
        let mut mail = seeds[at(seeds.len())].clone();
        for _ in 0..1 + at(8) {
            let (from, length) = (at(mail.len()), at(200));
            let end = (from + length).min(mail.len());
            match at(5) {
                0 => drop(mail.drain(from..end)),
                1 => {
                    let copy = mail[from..end].to_vec();
                    let place = at(mail.len());
                    mail.splice(place..place, copy);
                }
                2 => mail.truncate(from.max(1)),
                3 => drop(mail.splice(from..from, pieces[at(pieces.len())].repeat(1 + at(3)))),
                _ => {
                    let other = &seeds[at(seeds.len())];
                    let start = at(other.len());
                    mail.splice(from..end, other[start..(start + 300).min(other.len())].to_vec());
                }
            }
        }
        let begun = Instant::now();
        let read = eml::read(&mail, at(2) == 0, &border);
        let judged = judge(&read, &policy);
        slowest = slowest.max(begun.elapsed());
        assert!((0..=100).contains(&judged.score));
        serde_json::to_string(&read).unwrap();
    }
    println!(
        "6,000 mails in {:?}, the slowest in {slowest:?}",
        started.elapsed()
    );
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}
