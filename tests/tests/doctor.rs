//! `picket doctor` on hosts that are well and on hosts that are not, with a real agent and without one.

use picket_tests::line::Line;
use picket_tests::network::{Network, run};
use picket_tests::picket;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

/// What it says of each thing, by name.
struct Checks(BTreeMap<String, Value>);

impl Checks {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
        let list: Vec<Value> = serde_json::from_str(&text).unwrap();
        let named = list
            .into_iter()
            .map(|check| (check["check"].as_str().unwrap().to_owned(), check));
        let checks = Self(named.collect());
        let any_failed = checks.0.values().any(|check| check["state"] == "failed");
        assert_eq!(output.status.success(), !any_failed, "{:?}", output.status);
        for check in checks.0.values() {
            assert_eq!(check["state"] == "ok", check["advice"] == "", "{check}");
        }
        checks
    }

    /// The thing must be in this state, for this reason.
    fn hold(&self, name: &str, state: &str, found: &str) {
        let Some(check) = self.0.get(name) else {
            panic!("nothing is said of '{name}': {:#?}", self.0)
        };
        let said = check["found"].as_str().unwrap();
        assert!(check["state"] == state && said.contains(found), "{check}");
    }
}

fn doctor(line: &Line) -> Checks {
    let mut command = picket();
    command.args(["doctor", "--json", "--config"]);
    Checks::of(&command.arg(line.path("picket.toml")).output().unwrap())
}

fn attack() -> String {
    let now = jiff::Timestamp::now();
    let failure =
        |at| format!("{now:.6} host sshd[{at}]: Failed password for root from 198.51.100.9 port 1 ssh2\n");
    (0..10).map(failure).collect()
}

fn log_of(line: &Line) -> String {
    format!("log {}", line.path("auth.log").display())
}

#[test]
fn a_host_that_is_well_is_told_so_with_and_without_its_agent() {
    let mut line = Line::start("");
    line.log("");
    line.start_agent();
    line.log(&attack());
    line.wait_for(|value| value["record"] == "finding");
    let checks = doctor(&line);
    checks.hold("configuration", "ok", "picket.toml");
    checks.hold("rules", "ok", " files");
    checks.hold("agent", "ok", concat!("version ", env!("CARGO_PKG_VERSION")));
    checks.hold(&log_of(&line), "ok", "10 of its last 10 lines");
    checks.hold("firewall", "ok", "only watches");
    checks.hold("identity", "ok", "https://127.0.0.1:");
    checks.hold("certificate", "ok", "29 days left");
    checks.hold("collector", "ok", "records wait");
    checks.hold("gaps", "ok", "nothing was lost");
    for name in ["rights", "spool", "courier user", "clock"] {
        assert!(checks.0.contains_key(name), "{name}");
    }
    let shown = line.operate(&["doctor"]).unwrap();
    assert!(shown.contains("ok        configuration: /"), "{shown}");

    line.end_agent(false);
    let checks = doctor(&line);
    checks.hold("agent", "failed", "none answers at");
    checks.hold("collector", "degraded", "without an agent");
    checks.hold(&log_of(&line), "ok", "10 of its last 10 lines");
    let said = line.operate(&["doctor"]).unwrap_err();
    assert!(said.contains("1 of the checks failed"), "{said}");
}

#[test]
fn what_is_wrong_is_named_and_nothing_of_it_steers_the_terminal() {
    let mut line = Line::start("");
    fs::remove_file(line.path("state/identity.json")).unwrap();
    line.log(&"<p>no log at all</p>\n".repeat(30));
    let rules = line.path("rules");
    fs::create_dir(&rules).unwrap();
    fs::write(rules.join("bad\u{1b}[2J\u{202e}.yml"), "title: [\n").unwrap();
    let file = line.path("picket.toml");
    let text = fs::read_to_string(&file).unwrap();
    let more = format!("rules = [\"{}\", ", rules.display());
    fs::write(&file, text.replace("rules = [", &more)).unwrap();
    line.start_agent();
    let checks = doctor(&line);
    checks.hold("configuration", "ok", "picket.toml");
    checks.hold("rules", "degraded", "bad\u{1b}[2J");
    checks.hold(&log_of(&line), "failed", "form of a log");
    checks.hold("identity", "degraded", "not enrolled");
    checks.hold("collector", "degraded", "not enrolled");
    let shown = picket()
        .arg("doctor")
        .arg("--config")
        .arg(&file)
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(r"bad\u{1b}[2J\u{202e}.yml"), "{shown}");
    line.end_agent(false);

    fs::write(&file, "[auth]\nfile = []\n").unwrap();
    doctor(&line).hold("configuration", "failed", ":2:1: unknown key 'file' in [auth]");
}

#[test]
fn a_collector_that_is_away_and_a_log_that_is_gone_are_named() {
    let mut line = Line::start("");
    line.log("");
    line.start_agent();
    line.end_collector(false);
    line.log(&attack());
    let started = std::time::Instant::now();
    loop {
        let status: Value = serde_json::from_str(&line.operate(&["status", "--json"]).unwrap()).unwrap();
        if status["trouble"].is_string() {
            break;
        }
        assert!(started.elapsed().as_secs() < 30, "{status}");
    }
    let checks = doctor(&line);
    checks.hold("collector", "degraded", "no connection to https://127.0.0.1:");
    checks.hold("collector", "degraded", "the oldest for ");
    fs::remove_file(line.path("auth.log")).unwrap();
    doctor(&line).hold("logs", "failed", "nothing can be seen");
    line.end_agent(false);
}

#[test]
fn as_another_user_than_root_it_says_what_it_cannot_see() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root to become somebody else");
        return;
    }
    let mut line = Line::start("");
    line.log(&attack());
    line.start_agent();
    let folder = line.path("");
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    // Where the tests' own build lies, others may not walk.
    let own = line.path("picket");
    fs::copy(picket().get_program(), &own).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(&own).args(["doctor", "--json", "--config"]);
    let output = command.arg(line.path("picket.toml")).output().unwrap();
    let checks = Checks::of(&output);
    for name in ["agent", "identity", "spool"] {
        checks.hold(name, "degraded", "this user may not see it");
    }
    checks.hold(
        "rights",
        "degraded",
        "user 65534 and lacks CAP_NET_ADMIN (no address can be blocked)",
    );
    checks.hold(&log_of(&line), "ok", "10 of its last 10 lines");
    line.end_agent(false);
}

#[test]
fn the_firewall_is_seen_as_it_is_and_other_tables_are_named() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root for a network namespace");
        return;
    }
    let network = Network::start();
    let in_namespace = |program: &str| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &network.host, program]);
        command
    };
    let nft = |arguments: &str| drop(run(in_namespace("nft").args(arguments.split(' '))));
    let mut line = Line::on(Some(&network.host), None, "[respond]\nmode = \"enforce\"\n");
    let doctor = |line: &Line| {
        let program = picket();
        let mut command = in_namespace(program.get_program().to_str().unwrap());
        command
            .args(["doctor", "--json", "--config"])
            .arg(line.path("picket.toml"));
        Checks::of(&command.output().unwrap())
    };
    line.log("");
    nft("add table inet foreign");
    doctor(&line).hold("firewall", "ok", "nftables answers");
    doctor(&line).hold("denials", "ok", "can be kept from starting");
    line.start_agent();
    let checks = doctor(&line);
    checks.hold(
        "firewall",
        "ok",
        "the agent blocks addresses in the nftables table inet picket",
    );
    checks.hold(
        "firewall tables",
        "ok",
        "1 of others, none of which Picket touches: inet foreign",
    );
    nft("delete table inet picket");
    doctor(&line).hold("firewall", "degraded", "the table is gone");
    line.operate(&["blocks", "add", "203.0.113.9"]).unwrap();
    doctor(&line).hold("firewall", "ok", "the agent blocks addresses");
    line.end_agent(false);
    let file = line.path("picket.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"enforce\"", "\"monitor\"")).unwrap();
    doctor(&line).hold(
        "firewall",
        "degraded",
        "of an earlier run is there and may still block",
    );
}

#[test]
fn what_keeps_the_kernel_from_telling_of_processes_is_named_with_what_it_costs() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root to hide what the kernel offers");
        return;
    }
    let mut line = Line::start("[process]\nsensor = \"auto\"\n");
    line.log("");
    let configuration = line.path("picket.toml");
    let hidden = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-ec", &format!("{script}\nexec \"$@\""), "sh"])
            .arg(picket().get_program())
            .args(["doctor", "--json", "--config"])
            .arg(&configuration);
        Checks::of(&command.output().unwrap())
    };
    hidden("").hold(
        "processes",
        "ok",
        "an agent would watch processes, by a program in the kernel",
    );
    let checks = hidden("mount -t tmpfs none /sys/kernel/btf");
    checks.hold("processes", "degraded", "/sys/kernel/btf/vmlinux is not there");
    checks.hold(
        "processes",
        "degraded",
        "process connector tells; not seen are programs that end",
    );
    // What a kernel that is locked down says of itself.
    let locked = "mount -t tmpfs none /sys/kernel/security; echo 'none integrity [confidentiality]' > /sys/kernel/security/lockdown";
    hidden(locked).hold("processes", "degraded", "locked down for confidentiality");

    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin"])
        .arg(picket().get_program())
        .args(["doctor", "--json", "--config"])
        .arg(&configuration);
    let checks = Checks::of(&command.output().unwrap());
    checks.hold("processes", "degraded", "take CAP_BPF and CAP_PERFMON");
    checks.hold(
        "rights",
        "degraded",
        "CAP_BPF (processes are not seen from within the kernel)",
    );

    line.start_agent();
    let checks = doctor(&line);
    checks.hold(
        "processes",
        "ok",
        "the agent watches processes, by a program in the kernel",
    );
    line.end_agent(false);
}
