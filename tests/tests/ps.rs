//! `picket ps`: what runs is shown as a tree, with the findings about it, and without secrets.

use picket_tests::line::Line;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

#[test]
fn what_runs_is_shown_as_a_tree_with_the_findings_about_it() {
    let mut line = Line::start("[process]\nsensor = \"ebpf\"\n");
    let program = line.path("xmrig");
    fs::copy("/bin/sleep", &program).unwrap();
    line.start_agent();
    // Its options mean nothing to a shell that reads its program from them; the child is what a rule is about.
    let script = format!(
        "\"{}\" 1000 & echo $!; wait; : --password=hunter2",
        program.display()
    );
    let mut shell = Command::new("sh")
        .args(["-c", &script, "\u{1b}[2J"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(shell.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    let pid: u64 = said.trim().parse().unwrap();
    let finding = line.wait_for(|value| {
        value["record"] == "finding"
            && value["body"]["rule"]["title"] == "Miner of coins"
            && value["body"]["process"]["pid"] == pid
    });
    let id = finding["body"]["id"].as_str().unwrap();

    let listed = line.operate(&["ps", "--json"]).unwrap();
    let listed: Vec<Value> = listed
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    let of = |pid: u64| listed.iter().find(|row| row["process"]["pid"] == pid);
    let found = of(pid).expect("it runs");
    assert_eq!(found["executable"], program.to_str().unwrap());
    assert_eq!(found["findings"][0]["id"], id);
    assert_eq!(found["findings"][0]["title"], "Miner of coins");
    assert_eq!(found["user"], "root");
    let started: jiff::Timestamp = found["started"].as_str().unwrap().parse().unwrap();
    let age = jiff::Timestamp::now().duration_since(started).as_secs();
    assert!((0..60).contains(&age), "{found}");
    assert_eq!(found["ancestors"][0]["process"]["pid"], shell.id());
    let parent = of(u64::from(shell.id())).expect("it runs");
    let command_line = parent["command_line"].as_str().unwrap();
    assert!(
        !command_line.contains("hunter2") && command_line.contains("--password"),
        "{parent}"
    );
    assert!(parent["findings"].is_null(), "{parent}");
    // What ran before the agent is there as well.
    assert!(of(u64::from(std::process::id())).is_some());

    let shown = line.operate(&["ps"]).unwrap();
    assert!(
        !shown.contains('\u{1b}') && !shown.contains("hunter2"),
        "{shown:?}"
    );
    let rows: Vec<&str> = shown.lines().collect();
    let at = rows
        .iter()
        .position(|row| row.split_whitespace().next() == Some(&pid.to_string()))
        .expect("it is shown");
    let path = program.to_str().unwrap();
    let (own, above) = (rows[at].find(path).unwrap(), rows[at - 1].find("sh -c").unwrap());
    assert_eq!(own, above + 2, "{shown}");
    assert!(
        rows[at + 1].contains("Miner of coins") && rows[at + 1].contains(id),
        "{shown}"
    );

    let killed = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap()),
        nix::sys::signal::Signal::SIGKILL,
    );
    killed.unwrap();
    shell.wait().unwrap();
    let listed = line.operate(&["ps", "--json"]).unwrap();
    assert!(!listed.contains(id), "what has ended is not shown");
    line.end_agent(false);
}

#[test]
fn where_no_sensor_watches_it_is_said() {
    let mut line = Line::start("");
    line.start_agent();
    assert_eq!(line.operate(&["ps", "--json"]).unwrap(), "");
    assert!(line.operate(&["ps"]).unwrap().contains("no sensor watches them"));
    line.end_agent(false);
}
