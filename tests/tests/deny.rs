//! Stories of a real agent that keeps programs from starting, on a booted host. Each needs root; without it the story says so
//! and is not told.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use picket_tests::booted::Booted;
use picket_tests::line::Line;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
/// Nobody who starts a program may have to wait for longer, whatever happens to the agent.
const WAIT: Duration = Duration::from_secs(3);
const ENFORCE: &str = "[respond]\nmode = \"enforce\"\n";

/// Whether a program of the host starts; nobody waits for long.
fn starts(host: &Booted, program: &str) -> bool {
    let begun = Instant::now();
    let output = host.command(program).output().expect("nsenter starts");
    assert!(begun.elapsed() < WAIT, "{program} took {:?}", begun.elapsed());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || said.contains("Operation not permitted"),
        "{said}"
    );
    output.status.success()
}

fn gatekeeper(line: &Line) -> Option<Pid> {
    let threads = fs::read_dir(format!("/proc/{}/task", line.agent_pid())).ok()?;
    let children = threads
        .map_while(Result::ok)
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: String = children.collect();
    let is_it = |pid: &&str| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments
            .split(|byte| *byte == 0)
            .any(|argument| argument == b"deny-guard")
    };
    let pid = children.split_ascii_whitespace().find(is_it)?;
    Some(Pid::from_raw(pid.parse().ok()?))
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
    }
}

#[test]
fn a_denied_program_does_not_start_and_whatever_happens_to_the_agent_holds_nobody_up() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let mut line = Line::inside(&host, "journal = \"yes\"\n", ENFORCE);
    line.start_agent();
    let (miner, other) = ("/var/miner", "/var/other");
    for program in [miner, other] {
        let script = format!("cp /bin/true {program}; echo {program} >> {program}");
        host.run("sh", &["-c", &script]);
    }
    assert!(
        gatekeeper(&line).is_none(),
        "as long as nothing is denied nobody asks"
    );
    assert!(starts(&host, miner));
    let said = line
        .operate(&["deny", "add", miner, "--minutes", "5", "--json"])
        .unwrap();
    let outcome: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(outcome["decision"], "applied");
    assert!(!starts(&host, miner) && starts(&host, other));
    let listed = line.operate(&["deny", "list"]).unwrap();
    assert!(
        listed.contains("\"/var/miner\"  may not start until "),
        "{listed}"
    );
    // Who was kept from it is told to the collector.
    let id = &outcome["action"]["id"];
    line.wait_for(|value| value["body"]["action"]["id"] == *id && value["body"]["hits"].is_object());

    // The agent is stopped: the gatekeeper needs nobody.
    let agent = Pid::from_raw(line.agent_pid());
    kill(agent, Signal::SIGSTOP).unwrap();
    assert!(!starts(&host, miner) && starts(&host, other));
    // Both are stopped, one right after the other: nobody is left to help, and all go on.
    let keeper = gatekeeper(&line).expect("a gatekeeper");
    kill(keeper, Signal::SIGSTOP).unwrap();
    assert!(starts(&host, "/bin/true") && starts(&host, miner));
    kill(agent, Signal::SIGCONT).unwrap();
    // `nsenter` stops with its child, and nobody but us lets it go on.
    let stat = fs::read_to_string(format!("/proc/{agent}/stat")).unwrap();
    let parent = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_ascii_whitespace()
        .nth(1)
        .unwrap();
    kill(Pid::from_raw(parent.parse().unwrap()), Signal::SIGCONT).unwrap();
    wait_until("it is denied again", || !starts(&host, miner));
    let gap = line.wait_for(|value| value["record"] == "gap" && value["body"]["place"] == "deny_exec");
    assert!(
        gap["body"]["reason"]
            .as_str()
            .unwrap()
            .contains("gatekeeper had ended"),
        "{gap}"
    );

    // The agent is killed: its gatekeeper ends with it, and the next start denies again.
    line.end_agent(true);
    wait_until("the gatekeeper ends", || starts(&host, miner));
    assert!(starts(&host, other));
    line.start_agent();
    assert!(!starts(&host, miner));
    let undone = line.operate(&["deny", "remove", miner]).unwrap();
    assert!(undone.contains("was taken back"), "{undone}");
    assert!(starts(&host, miner));
    wait_until("nobody asks any more", || gatekeeper(&line).is_none());
    // A copy of the host's own shell is denied; the shell is not.
    host.run("cp", &["/bin/sh", "/var/x"]);
    let shell = |program: &str| {
        let output = host.command(program).args(["-c", "exit 0"]).output();
        output.expect("nsenter starts").status.success()
    };
    assert!(shell("/var/x"));
    line.operate(&["deny", "add", "/var/x", "--minutes", "5"])
        .unwrap();
    assert!(!shell("/var/x") && shell("/bin/sh"));
    line.operate(&["deny", "remove", "/var/x"]).unwrap();
    for program in ["/bin/sh", "/usr/sbin/sshd"] {
        let refused = line.operate(&["deny", "add", program]).unwrap_err();
        assert!(refused.contains("a host cannot do without"), "{refused}");
    }
    line.end_agent(false);
    line.end_collector(false);
}

const WRONG: &str = "title: programs that are none of an attacker's
id: 0c1a2b3c-8f0e-4c6c-9a0e-5b1d2c3e4f50
logsource: {category: process_creation, product: linux}
detection:
    selection:
        Image|startswith: /var/wrong
    condition: selection
level: high
picket: {respond: [deny_exec]}
";

#[test]
fn a_rule_that_denies_too_much_ends_all_denials_and_is_told_as_a_finding_and_by_the_doctor() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let mut line = Line::inside(&host, "journal = \"yes\"\n", &format!("{ENFORCE}[process]\n"));
    fs::create_dir(line.path("rules")).unwrap();
    fs::write(line.path("rules/wrong.yml"), WRONG).unwrap();
    line.drop_in(&format!(
        "[detect]\nrules = [\"{}\"]\n",
        line.path("rules").display()
    ));
    line.start_agent();
    let doctor = || {
        let output = line.agent(&["doctor", "--json"]).output().unwrap();
        let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let mut checks = checks.into_iter();
        checks.find(|check| check["check"] == "denials").unwrap()
    };
    assert_eq!(doctor()["state"], "ok");
    let programs: Vec<String> = (1..=6).map(|number| format!("/var/wrong{number}")).collect();
    for program in &programs {
        let script = format!("cp /bin/sleep {program}; echo {program} >> {program}");
        host.run("sh", &["-c", &script]);
    }
    let mut running = Vec::new();
    for program in &programs {
        running.push(host.command(program).arg("60").spawn().unwrap());
    }
    let found = line.wait_for(|value| {
        value["record"] == "finding" && value["body"]["rule"]["id"] == "picket-denials-off"
    });
    let summary = found["body"]["summary"].as_str().unwrap();
    assert!(
        summary.contains("by 0c1a2b3c-8f0e-4c6c-9a0e-5b1d2c3e4f50, so a rule is wrong"),
        "{summary}"
    );
    assert!(
        line.operate(&["deny", "list"])
            .unwrap()
            .lines()
            .all(|line| !line.contains("/var/wrong"))
    );
    let told = line.operate(&["findings"]).unwrap();
    assert!(told.contains("keeps no program from starting any more"), "{told}");
    let check = doctor();
    assert!(
        check["state"] == "degraded" && check["found"].as_str().unwrap().contains("6 different files"),
        "{check}"
    );
    for child in &mut running {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    line.end_agent(false);
    line.end_collector(false);
}
