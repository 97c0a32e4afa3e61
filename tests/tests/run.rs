//! What `make run` watches on machines that log in different ways, and how the agent speaks to who runs it.

use picket_tests::picket;
use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A machine with these log files, and this in its journal.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(logs: &[&str], journal: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for folder in ["bin", "logs"] {
            fs::create_dir(machine.path(folder)).unwrap();
        }
        for log in logs {
            fs::write(machine.path("logs").join(log), "").unwrap();
        }
        let journalctl = machine.path("bin/journalctl");
        fs::write(&journalctl, format!("#!/bin/sh\nprintf %s '{journal}'\n")).unwrap();
        fs::set_permissions(&journalctl, Permissions::from_mode(0o755)).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bash(&self, arguments: &[&str]) -> String {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("bash")
            .args(arguments)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("PICKET_RUN", self.path("run"))
            .env("PICKET_RUN_LOGS", self.path("logs"))
            .output()
            .unwrap();
        said(&output)
    }

    /// Lets the script choose, and the agent's own loader judge its choice. What it says, and the settings.
    fn choose(&self) -> (String, String) {
        let says = self.bash(&[&format!("{REPOSITORY}/packaging/run.sh"), "--settings"]);
        let config = self.path("run/picket.toml");
        said(
            &picket()
                .arg("check")
                .arg("--config")
                .arg(&config)
                .output()
                .unwrap(),
        );
        (says, fs::read_to_string(config).unwrap())
    }

    /// Does what it says one can try; that shows as a finding in its own log.
    fn try_it(&self, says: &str) {
        let own = self.path("run/auth.log");
        let lines: Vec<&str> = says.lines().filter(|line| line.starts_with("  ")).collect();
        self.bash(&["-c", &lines.join("\n")]);
        let mut replay = picket();
        replay.args(["replay", "auth"]).arg(&own);
        replay.args(["--rules", &format!("{REPOSITORY}/packaging/rules")]);
        let found = said(&replay.output().unwrap());
        assert!(found.contains("198.51.100.9"), "{found}");
    }
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn files(settings: &str, paths: &[&Path]) {
    let quoted: Vec<String> = paths.iter().map(|path| format!("{path:?}")).collect();
    let line = format!("files = [{}]\n", quoted.join(", "));
    assert!(settings.contains(&line), "{line} {settings}");
}

#[test]
fn log_files_that_are_there_are_watched_with_a_log_of_its_own() {
    let machine = Machine::new(&["auth.log", "secure"], "an entry");
    let (says, settings) = machine.choose();
    let own = machine.path("run/auth.log");
    files(
        &settings,
        &[&machine.path("logs/auth.log"), &machine.path("logs/secure"), &own],
    );
    assert!(settings.contains("journal = \"no\"\n"), "{settings}");
    assert!(says.contains("logs/auth.log ") && says.contains(&format!("and {}", own.display())));
    machine.try_it(&says);
}

#[test]
fn a_journal_without_log_files_is_watched_alone() {
    let machine = Machine::new(&[], "an entry");
    let (says, settings) = machine.choose();
    files(&settings, &[]);
    assert!(settings.contains("journal = \"yes\"\n"), "{settings}");
    assert!(says.starts_with("Picket watches the journal in monitor mode"));
    assert!(says.contains("as root (journald") && says.contains("    logger -p auth.info -t sshd \"Failed"));
    assert!(!machine.path("run/auth.log").exists(), "nobody would read it");
}

#[test]
fn a_machine_without_any_log_is_given_one_that_is_watched() {
    // journalctl is there and shows nothing: nobody writes that journal.
    let machine = Machine::new(&[], "");
    let (says, settings) = machine.choose();
    let own = machine.path("run/auth.log");
    files(&settings, &[&own]);
    assert!(settings.contains("journal = \"no\"\n"), "{settings}");
    assert!(says.starts_with(&format!("Picket watches {} alone, as", own.display())));
    machine.try_it(&says);
}

#[test]
fn each_line_that_the_agent_says_is_written_in_one_piece() {
    let machine = Machine::new(&[], "");
    machine.choose();
    // A datagram for each write.
    let (heard, errors) = UnixDatagram::pair().unwrap();
    heard.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut agent = picket()
        .arg("run")
        .arg("--config")
        .arg(machine.path("run/picket.toml"))
        .stdout(Stdio::null())
        .stderr(OwnedFd::from(errors))
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    while !said.iter().any(|line: &String| line.contains("watching ")) {
        let mut line = [0; 4096];
        let read = heard.recv(&mut line).unwrap();
        said.push(String::from_utf8(line[..read].to_vec()).unwrap());
    }
    agent.kill().unwrap();
    agent.wait().unwrap();
    for line in said {
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
    }
}
