//! The story of a file that is taken away and comes back. It needs root; without it the story says so and is not told.

use picket_tests::line::Line;
use picket_tests::network::Network;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Child, Command};

const RULE: &str = "title: a program that is none of ours
id: 2f6f4f1e-57c7-4f4c-9c55-6b1a4f2f9d10
logsource: {category: process_creation, product: linux}
detection:
    selection:
        Image|endswith: /quarantine-story-miner
    condition: selection
level: high
picket: {respond: [quarantine]}
";

/// A file's facts that are to come back.
fn facts(path: &Path) -> (Vec<u8>, u32, u32, u32, i64, i64) {
    let data = fs::metadata(path).expect("a file");
    let content = fs::read(path).expect("its content");
    (
        content,
        data.uid(),
        data.gid(),
        data.mode(),
        data.mtime(),
        data.mtime_nsec(),
    )
}

struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_program_that_a_rule_finds_and_a_file_that_an_operator_names_go_and_come_back() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root may make a network namespace");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let vault = folder.path().join("vault");
    let settings = format!(
        "[process]\nsensor = \"auto\"\n[respond]\nmode = \"enforce\"\n[respond.quarantine]\ndirectory = \"{}\"\n",
        vault.display()
    );
    let network = Network::start();
    let mut line = Line::on(Some(&network.host), None, &settings);
    let rules = folder.path().join("rules");
    fs::create_dir(&rules).expect("a folder");
    fs::write(rules.join("story.yml"), RULE).expect("a rule");
    line.drop_in(&format!("[detect]\nrules = [\"{}\"]\n", rules.display()));
    line.start_agent();

    // By a rule: the program's file goes, and the process does not.
    let miner = folder.path().join("quarantine-story-miner");
    fs::copy("/bin/sleep", &miner).expect("a program");
    let before = facts(&miner);
    let mut runs = Ends(Command::new(&miner).arg("1000").spawn().expect("it starts"));
    let taken = line.wait_for(|value| {
        value["record"] == "outcome" && value["body"]["action"]["target"]["action"] == "quarantine"
    });
    assert_eq!(taken["body"]["decision"], "applied", "{taken}");
    let finding = &taken["body"]["action"]["finding"];
    let found = line.wait_for(|value| value["record"] == "finding" && value["body"]["id"] == *finding);
    assert_eq!(
        found["body"]["file"]["path"],
        miner.display().to_string(),
        "{found}"
    );
    assert!(!miner.exists());
    assert!(runs.0.try_wait().expect("its state").is_none(), "it goes on");
    let id = taken["body"]["action"]["id"].as_str().expect("an id").to_owned();
    let told = line.operate(&["explain", &id]).expect("it is told");
    assert!(
        told.contains("quarantine") && told.contains("was done, for 90d"),
        "{told}"
    );

    // By an operator; it outlives the agent.
    let shell = folder.path().join("shell.php");
    fs::write(&shell, "<?php system($_GET['c']); ?>").expect("a file");
    chown(&shell, Some(33), Some(33)).expect("an owner");
    fs::set_permissions(&shell, Permissions::from_mode(0o640)).expect("a mode");
    let shell_before = facts(&shell);
    let name = shell.display().to_string();
    let said = line
        .operate(&["quarantine", "add", &name, "--reason", "a web shell", "--json"])
        .expect("it is taken");
    let outcome: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(outcome["decision"], "applied");
    line.end_agent(true);
    let listed = line.operate(&["quarantine", "list"]).expect("a list");
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("shell.php\"  28 bytes  a web shell"), "{listed}");
    let shown = line.operate(&["quarantine", "show", &name]).expect("all of it");
    assert!(
        shown.contains("owner      33:33") && shown.contains("mode       0640"),
        "{shown}"
    );
    let out = folder.path().join("out");
    let exported = ["quarantine", "export", &name, "--to", &out.display().to_string()];
    line.operate(&exported).expect("its content");
    assert_eq!(fs::read(&out).expect("its content"), shell_before.0);
    line.start_agent();

    fs::write(&shell, "another").expect("a file");
    let failed = line
        .operate(&["quarantine", "restore", &name])
        .expect_err("it is there already");
    assert!(failed.contains("not overwritten"), "{failed}");
    fs::remove_file(&shell).expect("it is gone");
    let said = line
        .operate(&["quarantine", "restore", &name])
        .expect("it comes back");
    assert!(said.contains("was put back"), "{said}");
    assert_eq!(facts(&shell), shell_before);
    let there = folder.path().join("there").display().to_string();
    let said = line
        .operate(&["quarantine", "restore", &id, "--to", &there])
        .expect("it comes back");
    assert!(said.contains("was put back"), "{said}");
    assert_eq!(facts(Path::new(&there)), before);

    for (path, reason) in [
        ("/etc/passwd", "a host cannot do without it"),
        ("/etc", "it is a folder"),
        ("/dev/null", "it is no regular file"),
        ("/usr/bin/sh", "cannot do without"),
    ] {
        let refused = line.operate(&["quarantine", "add", path]).expect_err(path);
        assert!(
            refused.contains(reason) || refused.contains("symbolic link"),
            "{path}: {refused}"
        );
    }
    line.operate(&["quarantine", "add", &name]).expect("it is taken");
    let said = line
        .operate(&["quarantine", "delete", &name])
        .expect("it is deleted");
    assert!(said.contains("the file was deleted"), "{said}");
    assert_eq!(fs::read_dir(&vault).expect("the quarantine").count(), 0);
    line.end_agent(false);
    line.end_collector(false);
}
