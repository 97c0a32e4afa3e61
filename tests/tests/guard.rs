//! Whom a real agent leaves alone. Each story needs root; without it the story says so and is not told.

use picket_tests::laboratory::Laboratory;
use picket_tests::line::Line;
use picket_tests::network::{HOST, NEIGHBOUR, Network};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Failed logins from an address, as of now: enough for a finding.
fn attack(address: &str) -> String {
    let now = jiff::Timestamp::now();
    let failure =
        |at| format!("{now:.6} host sshd[{at}]: Failed password for root from {address} port 1 ssh2\n");
    (0..10).map(failure).collect()
}

fn is_about(value: &Value, address: &str) -> bool {
    value["record"] == "outcome" && value["body"]["action"]["target"]["target"] == address
}

#[test]
fn an_administrator_who_was_there_before_the_agent_is_not_cut_off() {
    if let Some(reason) = Laboratory::missing() {
        println!("skipped: {reason}");
        return;
    }
    let lab = Laboratory::start();
    let administrator = lab.stay(NEIGHBOUR[0], HOST[0]);
    let mut line = Line::on(Some(lab.host()), None, "[respond]\nmode = \"enforce\"\n");
    line.log("");
    line.start_agent();
    line.log(&attack(NEIGHBOUR[0]));
    let outcome = line.wait_for(|value| is_about(value, NEIGHBOUR[0]));
    assert_eq!(outcome["body"]["decision"], "refused", "{outcome}");
    let because = outcome["body"]["because"].as_str().unwrap();
    assert!(because.contains("may be an administrator"), "{because}");

    // Once they are gone it is an address like any other.
    administrator.end();
    lab.wait_for("session closed for user alice", 1);
    let started = Instant::now();
    loop {
        let again = line.operate(&["blocks", "add", NEIGHBOUR[0]]);
        if again.is_ok() {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{again:?}");
    }
    line.end_agent(false);
}

#[test]
fn an_address_that_the_host_got_a_moment_ago_is_its_own() {
    if let Some(reason) = Laboratory::missing() {
        println!("skipped: {reason}");
        return;
    }
    let network = Network::start();
    let mut line = Line::on(Some(&network.host), None, "[respond]\nmode = \"enforce\"\n");
    line.log("");
    line.start_agent();
    line.operate(&["blocks", "add", "203.0.113.1"]).unwrap();
    for address in ["203.0.113.1", "203.0.113.2"] {
        let mut ip = std::process::Command::new("ip");
        ip.args(["-n", &network.host, "addr", "add", address, "dev", "eth0"]);
        picket_tests::network::run(&mut ip);
        line.log(&attack(address));
        let outcome =
            line.wait_for(|value| is_about(value, address) && value["body"]["decision"] == "refused");
        let because = outcome["body"]["because"].as_str().unwrap();
        assert!(because.contains("own address"), "{because}");
    }
    // The block that was there before it was its own is gone.
    assert_eq!(line.operate(&["blocks", "list"]).unwrap(), "");
    let lifted =
        line.wait_for(|value| is_about(value, "203.0.113.1") && value["body"]["decision"] == "undone");
    let reason = lifted["body"]["action"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("lifted, as it is this host's own address"),
        "{reason}"
    );
    line.end_agent(false);
}

/// A line whose agent knows the collector by a name alone, and what runs a program where that name means something.
fn named(network: &Network, collector: &str, settings: &str) -> (Line, Vec<String>) {
    let far = (Some(&*network.attacker), collector);
    let mut line = Line::between(Some(&network.host), far, None, settings);
    // The name is in the certificate, and nothing but a file tells where that is.
    let identity = fs::read_to_string(line.path("state/identity.json")).unwrap();
    assert!(identity.contains(&format!("https://{collector}:")));
    let identity = identity.replace(&format!("https://{collector}:"), "https://localhost:");
    fs::write(line.path("state/identity.json"), identity).unwrap();
    let hosts = line.path("hosts");
    fs::write(&hosts, format!("{collector} localhost\n")).unwrap();
    let script = format!("mount --bind {} /etc/hosts\nexec \"$@\"", hosts.display());
    let through = ["unshare", "--mount", "sh", "-euc", &script, "sh"];
    line.run_through(&through);
    (line, through.map(str::to_owned).to_vec())
}

#[test]
fn a_collector_with_a_name_is_protected_where_it_was_reached() {
    if let Some(reason) = Laboratory::missing() {
        println!("skipped: {reason}");
        return;
    }
    let network = Network::start();
    let collector = NEIGHBOUR[0];
    let (mut line, _) = named(&network, collector, "");
    line.log("");
    line.start_agent();
    // Nothing was sent yet, so nobody knows; the block is taken back as soon as somebody does.
    line.operate(&["blocks", "add", collector]).unwrap();
    line.log(&attack("203.0.113.9"));
    let lifted = line.wait_for(|value| is_about(value, collector) && value["body"]["decision"] == "undone");
    let reason = lifted["body"]["action"]["reason"].as_str().unwrap();
    assert_eq!(reason, "by hand; lifted, as it is the collector");
    let refused = line.operate(&["blocks", "add", collector]).unwrap_err();
    assert!(refused.contains("it is the collector"), "{refused}");

    // It is known at the next start, before it could be reached.
    line.end_agent(false);
    line.end_collector(false);
    line.start_agent();
    let refused = line.operate(&["blocks", "add", "198.51.100.16/29"]).unwrap_err();
    assert!(refused.contains("it is the collector"), "{refused}");
    line.end_agent(false);
}

#[test]
fn a_collector_that_was_blocked_before_it_was_ever_reached_is_named_by_the_doctor() {
    if let Some(reason) = Laboratory::missing() {
        println!("skipped: {reason}");
        return;
    }
    let network = Network::start();
    let collector = NEIGHBOUR[0];
    let (mut line, through) = named(&network, collector, "[respond]\nmode = \"enforce\"\n");
    line.log("");
    line.start_agent();
    line.operate(&["blocks", "add", "198.51.100.16/29"]).unwrap();
    line.log(&attack("203.0.113.9"));
    let started = Instant::now();
    let doctor = || {
        let mut command = std::process::Command::new("ip");
        command.args(["netns", "exec", &network.host]).args(&through);
        let program = picket_tests::picket();
        command.arg(program.get_program()).args(["doctor", "--config"]);
        let output = command.arg(line.path("picket.toml")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    loop {
        let said = doctor();
        if said.contains("this host itself blocks 198.51.100.16/29, where the collector is") {
            assert!(said.contains("▶ picket undo 198.51.100.16/29"), "{said}");
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{said}");
    }
    line.operate(&["undo", "198.51.100.16/29"]).unwrap();
    line.wait_for(|value| value["record"] == "finding");
    line.end_agent(false);
}
