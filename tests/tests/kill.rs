//! Stories of a real agent that ends processes, and of those that it leaves alone. Each needs root; without it the story says
//! so and is not told.

use picket_tests::booted::Booted;
use picket_tests::line::Line;
use picket_tests::network::Network;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const ENFORCE: &str = "[respond]\nmode = \"enforce\"\n";

/// A shell and what it has started, none of which is a child of the test, and none of the agent's.
struct Miner {
    pids: Vec<u32>,
    started: Vec<String>,
}

impl Miner {
    fn start() -> Self {
        let script =
            "echo $$; sleep 997 & echo $!; sh -c 'echo $$; sleep 997 & echo $!; echo ready; wait' & wait";
        let mut child = Command::new("sh")
            .args(["-c", "\"$@\" &", "sh", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let pids: Vec<u32> = lines
            .map_while(Result::ok)
            .take_while(|line| line != "ready")
            .map(|line| line.parse().expect("a pid"))
            .collect();
        child.wait().expect("it ends");
        let started = pids.iter().map(|pid| start_of(*pid).expect("it lives")).collect();
        Self { pids, started }
    }

    fn root(&self) -> String {
        self.pids[0].to_string()
    }

    fn lives(&self) -> Vec<bool> {
        let both = self.pids.iter().zip(&self.started);
        both.map(|(pid, start)| start_of(*pid).as_ref() == Some(start))
            .collect()
    }

    fn ends(&self) {
        let begun = Instant::now();
        while self.lives().contains(&true) {
            assert!(begun.elapsed() < PATIENCE, "{:?}: {:?}", self.pids, self.lives());
        }
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        for (pid, lives) in self.pids.iter().zip(self.lives()) {
            if lives {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(*pid).expect("a pid"));
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
}

/// When a process was started; `None` when it has ended, be it waited for or not.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    (!matches!(fields[0], "Z" | "X")).then(|| fields[19].to_owned())
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: only root may make a network namespace");
    }
    root
}

#[test]
fn an_operator_kills_a_tree_and_the_collector_knows_what_it_hit() {
    if !is_root() {
        return;
    }
    let network = Network::start();
    let mut line = Line::on(Some(&network.host), None, ENFORCE);
    line.start_agent();
    let miner = Miner::start();
    let alone = miner.pids[1].to_string();
    let said = line.operate(&["kill", &alone, "--reason", "a miner"]).unwrap();
    assert!(
        said.contains(&format!("kill process {alone} was done; hit: ")),
        "{said}"
    );
    while miner.lives() != [true, false, true, true] {}

    let said = line
        .operate(&["kill", &miner.root(), "--tree", "--json"])
        .unwrap();
    let outcome: serde_json::Value = serde_json::from_str(&said).unwrap();
    miner.ends();
    let hits = outcome["hits"]["hit"].as_array().expect("hits");
    assert_eq!(hits.len(), 3, "{said}");
    assert_eq!(hits[0]["process"]["pid"].to_string(), miner.root());
    let known = line.wait_for(|value| value["body"]["id"] == outcome["id"]);
    assert_eq!(known["body"]["hits"], outcome["hits"]);
    assert_eq!(known["body"]["decision"], "applied");

    let id = outcome["action"]["id"].as_str().expect("an id");
    let undone = line.operate(&["undo", id]).unwrap_err();
    assert!(undone.contains("a kill cannot be undone"), "{undone}");
    let told = line.operate(&["explain", id]).unwrap();
    assert!(told.contains("and all that it started was done; hit: "), "{told}");
    assert!(!told.contains("picket undo"), "{told}");
    let again = line.operate(&["kill", &miner.root()]).unwrap_err();
    // As long as nobody has waited for it its number is still its own.
    let gone = ["there is no process", "has ended already"];
    assert!(gone.iter().any(|text| again.contains(text)), "{again}");
    for (pid, reason) in [
        ("1".to_owned(), "it is the first process"),
        (line.agent_pid().to_string(), "it is the agent"),
        (std::process::id().to_string(), "the agent was started by it"),
    ] {
        let refused = line.operate(&["kill", &pid, "--tree"]).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
    // The courier is the child of the thread that started it.
    let threads = fs::read_dir(format!("/proc/{}/task", line.agent_pid())).unwrap();
    let children = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("children")).unwrap());
    let courier: String = children.collect();
    let refused = line.operate(&["kill", courier.trim()]).unwrap_err();
    assert!(refused.contains("it works for the agent"), "{refused}");
    line.end_agent(false);
    line.end_collector(false);
}

#[test]
fn an_agent_that_only_watches_says_whom_it_would_kill() {
    let mut line = Line::start("");
    line.start_agent();
    let miner = Miner::start();
    let said = line.operate(&["kill", &miner.root(), "--tree"]).unwrap();
    assert!(said.contains("would be done: the agent only watches"), "{said}");
    assert!(
        miner
            .pids
            .iter()
            .all(|pid| said.contains(&format!("process {pid}"))),
        "{said}"
    );
    assert_eq!(miner.lives(), [true; 4]);
    line.end_agent(false);
    line.end_collector(false);
}

#[test]
fn what_a_booted_host_stands_on_is_spared_and_what_a_service_starts_is_not() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let settings = format!("{ENFORCE}[respond.kill]\nunits = [\"lab-named.service\"]\n");
    let mut line = Line::inside(&host, "journal = \"yes\"\n", &settings);
    line.start_agent();
    let main = |unit: &str| {
        let pid = host.run("systemctl", &["show", "--property=MainPID", "--value", unit]);
        pid.trim().to_owned()
    };
    let is_there = |pid: &str| {
        host.command("test")
            .args(["-d", &format!("/proc/{pid}")])
            .status()
            .unwrap()
            .success()
    };
    let refused = line.operate(&["kill", &main("ssh"), "--tree"]).unwrap_err();
    assert!(refused.contains("the sshd that listens"), "{refused}");
    for unit in ["rsyslog", "systemd-journald"] {
        for scope in ["--tree", "--reason=x"] {
            let refused = line.operate(&["kill", &main(unit), scope]).unwrap_err();
            let wanted = format!("it is the main process of {unit}.service");
            assert!(refused.contains(&wanted), "{refused}");
            assert!(is_there(&main(unit)));
        }
    }
    // A web server's shell has left a process behind, which is systemd's child as the server is.
    let run = |unit: &str| {
        let unit = format!("--unit={unit}");
        let script = "sh -c 'setsid sh -c \"echo \\$\\$ > /run/left; exec sleep 997\" &'; exec sleep 997";
        host.run("systemd-run", &["--quiet", &unit, "sh", "-c", script]);
    };
    run("lab-web.service");
    let begun = Instant::now();
    let left = loop {
        assert!(begun.elapsed() < PATIENCE);
        let said = host.command("cat").arg("/run/left").output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        if said.ends_with('\n') {
            break said.trim().to_owned();
        }
    };
    let server = main("lab-web.service");
    let parent = host.run("ps", &["-o", "ppid=", "-p", &left]);
    assert_eq!(parent.trim(), "1");
    let refused = line.operate(&["kill", &server, "--tree"]).unwrap_err();
    assert!(
        refused.contains("it is the main process of lab-web.service"),
        "{refused}"
    );
    line.operate(&["kill", &left, "--tree"]).unwrap();
    let begun = Instant::now();
    while is_there(&left) {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(is_there(&server));
    // A unit that the settings name.
    run("lab-named.service");
    line.operate(&["kill", &main("lab-named.service")]).unwrap();
    line.end_agent(false);
    line.end_collector(false);
}
