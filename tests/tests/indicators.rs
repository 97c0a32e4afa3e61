//! Lists of indicators, from their file to a finding at the collector.

use picket_tests::line::Line;
use picket_tests::load::{failures, is_found};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// An address guesses a password.
fn guess(address: &str) -> String {
    format!(
        "2026-01-10T10:00:00.000000+00:00 web1 sshd[814]: Failed password for root from {address} port 4711 ssh2\n"
    )
}

fn is_about(value: &Value, rule: &str, text: &str) -> bool {
    let body = &value["body"];
    let summary = body["summary"].as_str().unwrap_or_default();
    value["record"] == "finding" && body["rule"]["id"] == rule && summary.contains(text)
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn an_address_that_logs_in_and_a_file_that_lands_are_found_by_the_lists_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let lists = tempfile::tempdir().unwrap();
    let (addresses, files) = (lists.path().join("c2.csv"), lists.path().join("malware.txt"));
    let sample = lists.path().join("sample");
    fs::write(&sample, "what is known to be bad").unwrap();
    fs::write(
        &addresses,
        "type,value,description\nip,198.51.100.7,C2 of x\nip,broken,\n",
    )
    .unwrap();
    fs::write(&files, format!("{}  sample\n", sha256(&sample))).unwrap();
    let mut line = Line::start(&format!(
        "[files]\npaths = [\"{}\"]\n[indicators]\nfiles = [\"{}\", \"{}\"]\n",
        folder.path().display(),
        addresses.display(),
        files.display()
    ));
    line.start_agent();
    line.log(&(guess("198.51.100.8") + &guess("198.51.100.7")));
    let finding = line.wait_for(|value| is_about(value, "known-bad-address", ""));
    let body = &finding["body"];
    let expected =
        "Known bad address, 198.51.100.7, listed in c2.csv as C2 of x, seen from 198.51.100.7 user root";
    assert_eq!(body["summary"], expected, "{finding}");
    assert_eq!(
        (&body["source"], &body["severity"]),
        (&"198.51.100.7".into(), &"medium".into())
    );

    fs::copy(&sample, folder.path().join("innocent.txt")).unwrap();
    let finding = line.wait_for(|value| is_about(value, "known-bad-file", "innocent.txt"));
    let summary = finding["body"]["summary"].as_str().unwrap();
    assert!(
        summary.contains("listed in malware.txt as sample, seen in "),
        "{summary}"
    );

    let status = line.operate(&["status"]).unwrap();
    assert!(status.contains("indicators 2 in force"), "{status}");
    let wrong = format!("{}:3: 'broken' is no address", addresses.display());
    assert!(status.contains(&wrong), "{status}");
    let about = line.operate(&["explain", "known-bad-address"]).unwrap();
    assert!(about.contains("list of indicators"), "{about}");

    // A list that changes is looked through anew by itself.
    fs::write(&addresses, "198.51.100.9\n").unwrap();
    line.wait_until_agent_says("2 indicators are in force", 2);
    line.log(&guess("198.51.100.9"));
    line.wait_for(|value| is_about(value, "known-bad-address", "198.51.100.9, listed in c2.csv"));
}

/// What `picket seen` tells of a value.
fn seen(line: &Line, value: &str) -> Vec<Value> {
    let told = line.operate(&["seen", value, "--json"]).unwrap();
    told.lines()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

fn found(line: &Line, text: &str) -> usize {
    let all = line.collect(&["findings", "--json"]);
    all.lines().filter(|finding| finding.contains(text)).count()
}

#[test]
fn what_was_seen_before_a_list_named_it_is_found_when_the_list_comes_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let lists = tempfile::tempdir().unwrap();
    let list = lists.path().join("late.csv");
    let mut line = Line::start(&format!(
        "[files]\npaths = [\"{}\"]\n[indicators]\nfiles = [\"{}\"]\n",
        folder.path().display(),
        list.display()
    ));
    line.start_agent();
    line.log(&failures("198.51.100.7", 3));
    line.log(&failures("203.0.113.5", 5));
    is_found(&line, "203.0.113.5");
    let dropped = folder.path().join("dropped");
    fs::write(&dropped, "what nobody knows to be bad").unwrap();
    let digest = sha256(&dropped);
    let eicar = picket_tests::samples::pieces("eicar_test_file").concat();
    fs::write(folder.path().join("last.com"), eicar).unwrap();
    line.wait_for(|value| is_about(value, "yara:eicar_test_file", "last.com"));

    let [address] = seen(&line, "198.51.100.7").try_into().unwrap();
    assert_eq!(
        (&address["count"], &address["events"][0]),
        (&3.into(), &"login".into())
    );
    let (first, last) = (
        address["first"].as_str().unwrap(),
        address["last"].as_str().unwrap(),
    );
    assert_eq!(
        (&address["with"], &address["listed"]),
        (&"sshd".into(), &false.into())
    );
    // What is looked into comes back in an order of its own.
    let started = Instant::now();
    while seen(&line, &digest).is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "it is not remembered"
        );
    }
    let [file] = seen(&line, &digest).try_into().unwrap();
    assert_eq!(file["with"], dropped.to_str().unwrap(), "{file}");
    assert_eq!(seen(&line, "dropped").len(), 1);
    assert_eq!(seen(&line, "203.0.113.0/24").len(), 1);
    let never = line.operate(&["seen", "198.51.100.8"]).unwrap();
    assert!(never.starts_with("198.51.100.8: not seen since "), "{never}");
    let wrong = line.operate(&["seen", "a/b"]).unwrap_err();
    assert!(wrong.contains("no digest"), "{wrong}");

    // It is remembered over a kill, and what a list names from now on is found in it.
    line.end_agent(true);
    line.start_agent();
    let text = format!("type,value,description\nip,198.51.100.0/24,late C2\nsha256,{digest},late malware\n");
    fs::write(&list, text).unwrap();
    let finding = line.wait_for(|value| is_about(value, "known-bad-address", "late C2"));
    let expected = format!(
        "Known bad address, 198.51.100.7 of 198.51.100.0/24, listed in late.csv as late C2, was seen before the list \
         named it: 3 times, from {first} to {last}, in logins, with sshd"
    );
    assert_eq!(finding["body"]["summary"], expected, "{finding}");
    assert_eq!(finding["body"]["source"], "198.51.100.7");
    let finding = line.wait_for(|value| is_about(value, "known-bad-file", "was seen before"));
    let summary = finding["body"]["summary"].as_str().unwrap();
    assert!(
        summary.contains(&digest) && summary.contains(", in files, with "),
        "{summary}"
    );
    let story = line
        .operate(&["explain", finding["body"]["id"].as_str().unwrap()])
        .unwrap();
    assert!(story.contains("late malware"), "{story}");

    // Told once, however often lists are looked through; another one is told of.
    line.end_agent(false);
    line.start_agent();
    fs::write(&list, "198.51.100.0/24\n203.0.113.5\n").unwrap();
    line.wait_for(|value| {
        is_about(
            value,
            "known-bad-address",
            "203.0.113.5, listed in late.csv, was seen before",
        )
    });
    assert_eq!(found(&line, "198.51.100.7 of"), 1);
    assert_eq!(seen(&line, "198.51.100.7")[0]["listed"], true);
}

#[test]
fn a_history_that_is_damaged_is_set_aside_and_the_agent_goes_on() {
    let mut line = Line::start("");
    line.start_agent();
    line.log(&failures("198.51.100.7", 5));
    is_found(&line, "198.51.100.7");
    line.end_agent(false);
    let file = line.path("state/observables.sqlite");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, vec![b'x'; bytes.len()]).unwrap();
    line.start_agent();
    line.log(&failures("198.51.100.8", 5));
    is_found(&line, "198.51.100.8");
    line.wait_until_agent_says("is damaged; it is set aside as", 1);
    assert_eq!(seen(&line, "198.51.100.0/24").len(), 1);
    assert!(line.path("state/observables.sqlite.damaged").exists());
}

#[test]
fn a_full_disk_under_the_history_is_said_the_agent_goes_on_and_remembers_once_there_is_room() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root for a mount namespace");
        return;
    }
    let mut line = Line::start("");
    line.agent_finds.script =
        "mkdir -p $FOLDER/disk; mount -t tmpfs -o size=4m,mode=700 tmpfs $FOLDER/disk; \
                               cp -a $FOLDER/state/. $FOLDER/disk; mount --bind $FOLDER/disk $FOLDER/state"
            .to_owned();
    line.start_agent();
    line.log(&failures("198.51.100.7", 5));
    is_found(&line, "198.51.100.7");
    let filler = line.seen_by_agent("state/filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);
    for number in 0..200 {
        line.log(&failures(&format!("203.0.113.{number}"), 1));
    }
    line.log(&failures("203.0.113.200", 5));
    is_found(&line, "203.0.113.200");
    line.wait_until_agent_says("is remembered in memory until that is mended", 1);
    let status = line.operate(&["status"]).unwrap();
    assert!(status.contains("trouble    "), "{status}");
    fs::remove_file(filler).unwrap();
    line.wait_until_agent_says("is remembered on disk again", 1);
    assert_eq!(seen(&line, "198.51.100.7").len(), 1);
    assert_eq!(seen(&line, "203.0.113.0/25").len(), 100);
}
