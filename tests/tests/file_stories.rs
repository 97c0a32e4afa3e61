//! Stories of files that somebody drops. They need root; without it each says so and is not told.

use picket_tests::facts::{ATTRIBUTE, Facts};
use picket_tests::laboratory::Laboratory;
use picket_tests::line::Line;
use picket_tests::network::{ACCOUNT, ATTACKER, HOST, Network};
use picket_tests::samples;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn is_by(value: &Value, rule: &str, path: &Path) -> bool {
    value["record"] == "finding"
        && value["body"]["rule"]["id"] == rule
        && value["body"]["file"]["path"] == path.display().to_string()
}

/// The event behind a finding, as its story tells it.
fn behind(line: &Line, finding: &Value) -> Value {
    let id = finding["body"]["id"].as_str().expect("an id");
    let story = line.operate(&["explain", id, "--json"]).expect("its story");
    let mut story: Value = serde_json::from_str(&story).expect("JSON");
    story["events"][0].take()
}

/// Waits for what became of the file of a finding.
fn taken(line: &mut Line, finding: &Value) -> Value {
    line.wait_for(|value| {
        value["record"] == "outcome" && value["body"]["action"]["finding"] == finding["body"]["id"]
    })
}

#[test]
fn a_web_shell_that_is_dropped_is_taken_away_and_comes_back_exactly_as_it_was() {
    let vault = tempfile::tempdir().expect("a folder");
    taken_away_and_back(vault.path());
}

#[test]
fn so_it_does_where_the_quarantine_lies_in_another_file_system() {
    match tempfile::tempdir_in("/dev/shm") {
        Ok(vault) => taken_away_and_back(vault.path()),
        Err(error) => println!("skipped: there is no other file system: {error}"),
    }
}

fn taken_away_and_back(vault: &Path) {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root may make a network namespace");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (watched, aside) = (folder.path().join("www"), folder.path().join("aside"));
    fs::create_dir(&watched).expect("a folder");
    fs::create_dir(&aside).expect("a folder");
    let network = Network::start();
    let settings = format!(
        "[files]\npaths = [\"{}\"]\n[respond]\nmode = \"enforce\"\n[respond.quarantine]\ndirectory = \"{}\"\n\
         rules = [\"yara:perl_runs_what_is_asked\"]\n",
        watched.display(),
        vault.join("vault").display()
    );
    let mut line = Line::on(Some(&network.host), None, &settings);
    line.start_agent();

    let rule = "php_runs_what_is_asked";
    let original = aside.join("shell.php");
    fs::write(&original, samples::pieces(rule).concat()).expect("a file");
    fs::set_permissions(&original, Permissions::from_mode(0o640)).expect("a mode");
    std::os::unix::fs::chown(&original, Some(33), Some(34)).expect("an owner");
    let flags = rustix::fs::XattrFlags::empty();
    if let Err(error) = rustix::fs::setxattr(&original, ATTRIBUTE, b"elsewhere", flags) {
        println!("skipped: files here have no attributes: {error}");
        return;
    }
    let times = fs::FileTimes::new();
    let then = std::time::UNIX_EPOCH + std::time::Duration::new(1_600_000_000, 123_456_789);
    let file = fs::File::options()
        .write(true)
        .open(&original)
        .expect("it is there");
    file.set_times(times.set_modified(then).set_accessed(then))
        .expect("its times");
    drop(file);
    // As it lies there once it was dropped: to read it changes when it was read last.
    let dropped = watched.join("shell.php");
    let mut before = Facts::of(&original);
    before.read = (1_600_000_000, 123_456_789);
    let file = fs::File::options()
        .write(true)
        .open(&original)
        .expect("it is there");
    file.set_times(times.set_modified(then).set_accessed(then))
        .expect("its times");
    drop(file);
    let copied = Command::new("cp")
        .arg("--preserve=all")
        .args([&original, &dropped])
        .status();
    assert!(copied.expect("cp starts").success());

    let finding = line.wait_for(|value| is_by(value, &format!("yara:{rule}"), &dropped));
    assert_eq!(finding["body"]["suggests"][0], "quarantine", "{finding}");
    assert_eq!(finding["body"]["rule"]["attack"][0], "T1505.003", "{finding}");
    let outcome = taken(&mut line, &finding);
    assert_eq!(outcome["body"]["decision"], "applied", "{outcome}");
    assert!(!dropped.exists());
    let id = outcome["body"]["action"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let said = line
        .operate(&["quarantine", "restore", &id])
        .expect("it comes back");
    assert!(said.contains("was put back"), "{said}");
    assert_eq!(Facts::of(&dropped), before);

    // A rule that suggests nothing itself, but that the settings name.
    let named = watched.join("run.cgi");
    fs::write(&named, samples::pieces("perl_runs_what_is_asked").concat()).expect("a file");
    let finding = line.wait_for(|value| is_by(value, "yara:perl_runs_what_is_asked", &named));
    assert!(finding["body"]["suggests"].is_null(), "{finding}");
    let outcome = taken(&mut line, &finding);
    assert_eq!(outcome["body"]["decision"], "applied", "{outcome}");
    assert!(!named.exists());
    // What came back stays: it is no news. Nor is anything on its way there and back.
    assert_eq!(Facts::of(&dropped).content, before.content);
    let found = line.collect(&["findings", "--json"]);
    let of_files = found.lines().filter(|text| text.contains("yara:"));
    assert_eq!(of_files.count(), 2, "{found}");
    line.end_agent(false);
    line.end_collector(false);
}

/// A rule of somebody's own about files.
const RULE: &str = "title: a file that has no business there
id: 3f0a3c1e-6c0e-4a52-9a49-5c3c1c6f1f11
logsource: {category: file_event, product: linux}
detection:
    selection:
        TargetFilename|endswith: /story-of-a-file.sh
        event.action: written
    condition: selection
level: high
picket: {respond: [quarantine]}
";

#[test]
fn what_is_dropped_through_ssh_is_tied_to_the_login_and_its_address() {
    if let Some(reason) = Laboratory::missing() {
        println!("skipped: {reason}");
        return;
    }
    let lab = Laboratory::start();
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).expect("a mode");
    let rules = tempfile::tempdir().expect("a folder");
    fs::write(rules.path().join("story.yml"), RULE).expect("a rule");
    let settings = format!(
        "[process]\nsensor = \"ebpf\"\n[files]\npaths = [\"{}\"]\n",
        folder.path().display()
    );
    let mut line = Line::in_laboratory(&lab, &settings);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules");
    line.drop_in(&format!(
        "[detect]\nrules = [\"{}\", \"{}\"]\n",
        shipped.display(),
        rules.path().display()
    ));
    line.start_agent();
    let (script, keys) = (
        folder.path().join("story-of-a-file.sh"),
        folder.path().join(".ssh/authorized_keys"),
    );
    let commands = format!(
        "echo id > {}; mkdir {}; echo 'ssh-ed25519 AAAA mallory@elsewhere' > {}",
        script.display(),
        folder.path().join(".ssh").display(),
        keys.display()
    );
    let mut session = lab.network().ssh(ATTACKER[0], HOST[0], ACCOUNT.0, ACCOUNT.1);
    let done = session
        .arg(commands)
        .stdin(Stdio::null())
        .output()
        .expect("ssh starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let own = "3f0a3c1e-6c0e-4a52-9a49-5c3c1c6f1f11";
    for (rule, path) in [(own, &script), ("8f4d7c0a-5a51-5d0c-9a3f-0d8d0a4b7e01", &keys)] {
        let finding = line.wait_for(|value| is_by(value, rule, path));
        let body = &finding["body"];
        assert_eq!(body["user"], ACCOUNT.0, "{finding}");
        assert_eq!(body["source"], ATTACKER[0], "{finding}");
        let summary = body["summary"].as_str().expect("a text");
        let wanted = format!(", logged in as {} from {}", ACCOUNT.0, ATTACKER[0]);
        assert!(summary.ends_with(&wanted), "{summary}");
        // The event behind it names the process, and who started it up to sshd.
        let event = behind(&line, &finding);
        let writer = &event["payload"]["writer"];
        let told = writer.to_string();
        assert_eq!(writer["process"]["pid"], body["process"]["pid"], "{told}");
        assert!(
            writer["executable"]
                .as_str()
                .is_some_and(|path| path.ends_with("sh")),
            "{told}"
        );
        assert_eq!(writer["login"]["user"], ACCOUNT.0, "{told}");
        assert_eq!(writer["login"]["source"], ATTACKER[0], "{told}");
        let ancestors = writer["ancestors"].as_array().expect("ancestors");
        let is_sshd = |one: &&Value| {
            one["executable"]
                .as_str()
                .is_some_and(|path| path.contains("/sshd"))
        };
        assert!(ancestors.iter().any(|one| is_sshd(&one)), "{told}");
        let told = line
            .operate(&["explain", body["id"].as_str().expect("an id")])
            .expect("its story");
        for part in [
            "  file          ",
            "  program       ",
            "  started by    ",
            "  login         \"alice\" from 198.51.100.9",
        ] {
            assert!(told.contains(part), "{told}");
        }
        if *path == keys {
            assert!(
                told.contains("  new line      \"ssh-ed25519 AAAA mallory@elsewhere\""),
                "{told}"
            );
            let change = &event["payload"]["change"];
            assert_eq!(
                change["added"][0], "ssh-ed25519 AAAA mallory@elsewhere",
                "{event}"
            );
        }
    }
    // In monitor mode a file that a rule wants away is only told of.
    let outcome = line.wait_for(|value| {
        value["record"] == "outcome" && value["body"]["action"]["target"]["action"] == "quarantine"
    });
    assert_eq!(outcome["body"]["decision"], "simulated", "{outcome}");
    assert!(script.exists());
    line.end_agent(false);
    line.end_collector(false);
}

#[test]
fn a_web_shell_that_a_guessed_login_drops_is_gone_and_its_owner_has_it_back() {
    if let Some(reason) = Laboratory::missing() {
        println!("skipped: {reason}");
        return;
    }
    let told = picket_tests::story::tell_of_a_web_shell(|_| ());
    assert!(told.landed <= told.detected, "{told:?}");
    assert!(told.detected <= told.taken, "{told:?}");
    assert!(told.taken <= told.received, "{told:?}");
    assert_eq!(told.before, told.after);
    for part in [
        told.address.as_str(),
        ACCOUNT.0,
        "shell.php",
        "matches the YARA rule php_runs_what_is_asked",
        "sshd",
        "quarantine",
    ] {
        assert!(
            told.explained.contains(part),
            "{part} is missing in:\n{}",
            told.explained
        );
    }
    assert!(told.listed.contains("shell.php"), "{}", told.listed);
}
