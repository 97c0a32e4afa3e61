//! Somebody who guessed a password drops a web shell, which is taken away; its owner has it back exactly as it was.

use super::{millis, time};
use crate::facts::{ATTRIBUTE, Facts};
use crate::laboratory::Laboratory;
use crate::line::Line;
use crate::network::{ACCOUNT, ATTACKER, HOST};
use crate::samples;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

/// The rule of ours that is to find it.
const RULE: &str = "php_runs_what_is_asked";

/// What happened, each time as RFC 3339 in UTC.
#[derive(Debug)]
pub struct Dropped {
    /// The attacker.
    pub address: String,
    /// When the file landed, as the agent saw it.
    pub landed: jiff::Timestamp,
    /// When the agent found what it is.
    pub detected: jiff::Timestamp,
    /// When it was gone.
    pub taken: jiff::Timestamp,
    /// When the collector had committed that.
    pub received: jiff::Timestamp,
    /// What `picket explain` tells of it.
    pub explained: String,
    /// What `picket quarantine list` tells of it.
    pub listed: String,
    /// The file as it was dropped.
    pub before: Facts,
    /// The file that was put back.
    pub after: Facts,
}

impl Dropped {
    /// From the landing to the finding, in milliseconds.
    pub fn time_to_detect(&self) -> f64 {
        millis(self.landed, self.detected)
    }

    /// From the finding to the file's end, in milliseconds.
    pub fn time_to_respond(&self) -> f64 {
        millis(self.detected, self.taken)
    }
}

/// Tells the story once. `say` hears of each step.
pub fn tell(mut say: impl FnMut(&str)) -> Dropped {
    let lab = Laboratory::start();
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a mode");
    let (root, aside) = (folder.path().join("www"), folder.path().join("aside"));
    for place in [&root, &aside] {
        fs::create_dir(place).expect("a folder");
        fs::set_permissions(place, Permissions::from_mode(0o1777)).expect("a mode");
    }
    let settings = format!(
        "[process]\nsensor = \"ebpf\"\n[files]\npaths = [\"{}\"]\n[respond]\nmode = \"enforce\"\n\
         [respond.quarantine]\ndirectory = \"{}\"\n",
        root.display(),
        folder.path().join("vault").display()
    );
    let mut line = Line::in_laboratory(&lab, &settings);
    line.start_agent();
    let (attacker, host) = (ATTACKER[0], HOST[0]);
    say(&format!(
        "{attacker} guesses the password of {} at {host}, at the third attempt",
        ACCOUNT.0
    ));
    for _ in 0..2 {
        assert!(!lab.login(host, ACCOUNT.0, "wrong").status.success());
    }
    let run = |commands: &str| {
        let mut session = lab.network().ssh(attacker, host, ACCOUNT.0, ACCOUNT.1);
        let output = session.arg(commands).stdin(Stdio::null()).output();
        let output = output.expect("ssh starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    // Made where nobody looks, with all that a file may have about it.
    let made = aside.join("shell.php");
    fs::write(aside.join("text"), samples::pieces(RULE).concat()).expect("a file");
    run(&format!(
        "cd {} && cp text shell.php && chmod 640 shell.php && touch -d 2020-09-13T12:26:40.5Z shell.php",
        aside.display()
    ));
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&made, ATTRIBUTE, b"elsewhere", flags).expect("an attribute");
    let dropped = root.join("shell.php");
    let mut before = Facts::of(&made);
    let then = std::time::UNIX_EPOCH + std::time::Duration::new(1_600_000_000, 500_000_000);
    before.read = before.modified;
    let file = fs::File::options().write(true).open(&made).expect("it is there");
    file.set_times(fs::FileTimes::new().set_modified(then).set_accessed(then))
        .expect("its times");
    drop(file);
    run(&format!(
        "cp --preserve=all {} {}",
        made.display(),
        dropped.display()
    ));
    say(&format!("the login drops a web shell: {}", dropped.display()));

    let finding = line.wait_for(|value| {
        value["record"] == "finding"
            && value["body"]["rule"]["id"] == format!("yara:{RULE}")
            && value["body"]["file"]["path"] == dropped.display().to_string()
    });
    let id = finding["body"]["id"].as_str().expect("an id").to_owned();
    let outcome = line.wait_for(|value| {
        value["record"] == "outcome"
            && value["body"]["action"]["target"]["action"] == "quarantine"
            && value["body"]["action"]["finding"] == *id
    });
    assert_eq!(outcome["body"]["decision"], "applied", "{outcome}");
    assert!(!dropped.exists());
    say("it is gone before anybody can ask for it");
    let explained = line.operate(&["explain", &id]).expect("it is explained");
    let listed = line.operate(&["quarantine", "list"]).expect("it is listed");
    let action = outcome["body"]["action"]["id"].as_str().expect("an id");
    line.operate(&["quarantine", "restore", action])
        .expect("it comes back");
    let after = Facts::of(&dropped);
    say(&format!(
        "picket quarantine restore {action} brings it back: content, owner, mode, times and attributes are {}",
        if after == before { "as they were" } else { "others" }
    ));
    let told = Dropped {
        address: attacker.to_owned(),
        landed: time(&finding["body"]["time"]),
        detected: time(&finding["body"]["detected"]),
        taken: time(&outcome["body"]["time"]),
        received: time(&outcome["received"]),
        explained,
        listed,
        before,
        after,
    };
    line.end_agent(false);
    line.end_collector(false);
    told
}
