//! Lists of indicators, from their file to a finding at the collector.

use picket_tests::line::Line;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Two addresses that guess a password, and one that does not.
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
