//! Kills of real processes: caught, spared, or left alone.

use super::*;
use crate::respond::{Guard, HostFacts, Ledger, Response};
use picket_common::finding::{RuleRef, Severity};
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(30);
/// Set for the half of a test that runs in namespaces of its own.
const INSIDE: &str = "PICKET_TEST_INSIDE";

pub(in crate::respond) fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}

/// A stage that kills, or only says so.
fn stage(settings: &Respond, ledger: Ledger, signals: impl Signals + 'static) -> Response {
    let facts = HostFacts {
        networks: Vec::new(),
        live: true,
    };
    let kills = Kills::new(settings, Box::new(signals));
    Response::new(Guard::new(facts, &[]), ledger, vec![Box::new(kills)], |_| now())
}

fn killing() -> Response {
    stage(&Respond::default(), Ledger::in_memory(), Kill)
}

fn finding(process: ProcessId, suggests: &str) -> Finding {
    Finding {
        id: RecordId::derived(now(), &[process.to_string().as_bytes(), suggests.as_bytes()]),
        time: now(),
        detected: now(),
        rule: RuleRef {
            id: "r".to_owned(),
            title: "t".to_owned(),
            attack: Vec::new(),
        },
        severity: Severity::High,
        summary: "a miner".to_owned(),
        group: Vec::new(),
        count: None,
        source: None,
        user: None,
        process: Some(process),
        file: None,
        events: Vec::new(),
        suggests: vec![suggests.to_owned()],
    }
}

/// A process that is none of the test's children, as what an agent kills is none of the agent's, and those that it started.
struct Stray {
    starter: Child,
    said: BufReader<ChildStdout>,
    all: Vec<ProcessId>,
}

impl Stray {
    /// Starts a script of a shell, which says the pids that count, its own first, and `ready`.
    fn start(script: &str) -> Self {
        Self::start_by(Command::new("sh").args(["-c", "\"$@\" &", "sh", "sh", "-c", script]))
    }

    fn start_by(command: &mut Command) -> Self {
        let mut starter = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(starter.stdout.take().unwrap());
        starter.wait().unwrap();
        // As many as say so are ready.
        let script = command.get_args().map(|argument| argument.to_string_lossy());
        let mut waiting: usize = script.map(|text| text.matches("echo ready").count()).sum();
        let (mut all, mut line) = (Vec::new(), String::new());
        while waiting > 0 && said.read_line(&mut line).unwrap() > 0 {
            match line.trim() {
                "ready" => waiting -= 1,
                pid => all.push(Pidfd::hold(pid.parse().unwrap()).unwrap().process()),
            }
            line.clear();
        }
        Self { starter, said, all }
    }

    fn root(&self) -> ProcessId {
        self.all[0]
    }

    /// All of them have ended, and so has whatever has their standard output.
    fn ends(mut self) {
        let mut line = String::new();
        while self.said.read_line(&mut line).unwrap() > 0 {}
        for process in &self.all {
            ends(*process);
        }
        let _ = self.starter;
        self.all.clear();
    }

    fn lives(&self) {
        for process in &self.all {
            let held = Pidfd::open(*process).unwrap();
            assert!(
                !matches!(held.stat.state, b'T' | b't'),
                "{process} was left stopped"
            );
        }
    }
}

impl Drop for Stray {
    fn drop(&mut self) {
        for process in &self.all {
            if let Ok(held) = Pidfd::open(*process) {
                let _ = held.signal(Signal::KILL);
            }
        }
    }
}

/// One process that a script of a shell starts and says the pid of, and that the caller ends.
pub(in crate::respond) fn stray(script: &str) -> ProcessId {
    let mut stray = Stray::start(script);
    let process = stray.root();
    stray.all.clear();
    process
}

fn ends(process: ProcessId) {
    let begun = Instant::now();
    while Pidfd::open(process).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "{process} goes on");
        std::thread::yield_now();
    }
}

fn order(response: &mut Response, process: ProcessId, scope: Scope) -> Outcome {
    let target = Target::Kill { process, scope };
    let mut outcomes = response.order(target, None, "by hand", now()).unwrap();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    outcomes.remove(0)
}

fn because(outcome: &Outcome) -> &str {
    match &outcome.decision {
        Decision::Refused { because } | Decision::Failed { because } => because,
        _ => panic!("{outcome:?}"),
    }
}

fn hit(outcome: &Outcome) -> Vec<ProcessId> {
    let hits = outcome.hits.as_ref().expect("something was hit");
    let mut hit: Vec<_> = hits.hit.iter().map(|hit| hit.process).collect();
    hit.sort();
    hit
}

/// The rest of a test as the child of the first process of a pid namespace, with mounts of its own. Whether this is the rest.
pub(in crate::respond) fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let own = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args([
            "--pid",
            "--fork",
            "--mount-proc",
            "sh",
            "-c",
            "\"$@\"; exit $?",
            "sh",
        ])
        .arg(own)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("unshare failed") {
        println!("skipped: no pid namespace of its own");
        return false;
    }
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

const TREE: &str =
    "echo $$; sleep 1000 & echo $!; sh -c 'echo $$; sleep 1000 & echo $!; echo ready; wait' & wait";

#[test]
fn a_tree_is_killed_with_all_that_it_started_and_says_what_it_hit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let (ledger, _) = Ledger::open(&path, 0).unwrap();
    let mut response = stage(&Respond::default(), ledger, Kill);
    let stray = Stray::start(TREE);
    let outcomes = response.consider(&finding(stray.root(), "kill"), now()).unwrap();
    assert_eq!(outcomes.len(), 1);
    let outcome = &outcomes[0];
    assert_eq!(outcome.decision, Decision::Applied);
    let mut all = stray.all.clone();
    all.sort();
    assert_eq!(hit(outcome), all);
    let hits = outcome.hits.as_ref().unwrap();
    assert_eq!(hits.hit[0].process, stray.root());
    assert!(hits.hit.iter().all(|hit| hit.executable.is_some()), "{hits:?}");
    let again = response.consider(&finding(stray.root(), "kill"), now()).unwrap();
    assert_eq!(again, []);
    let undone = response.undo(&outcome.action.id.to_string(), now()).unwrap_err();
    assert!(undone.to_string().contains("cannot be undone"), "{undone}");
    stray.ends();
    assert_eq!(response.held().count(), 0);
    drop(response);
    let (mut ledger, _) = Ledger::open(&path, 0).unwrap();
    assert_eq!(ledger.live(), []);
    assert_eq!(ledger.take_unspooled(), [(2, outcome.clone())]);
}

#[test]
fn a_process_alone_leaves_what_it_started() {
    let stray = Stray::start(TREE);
    let mut response = killing();
    let child = stray.all[1];
    let outcome = order(&mut response, child, Scope::Process);
    assert_eq!(hit(&outcome), [child]);
    ends(child);
    for process in stray.all.iter().filter(|process| **process != child) {
        Pidfd::open(*process).unwrap();
    }
}

#[test]
fn what_was_left_to_the_first_process_belongs_to_the_tree_and_a_pipes_other_end_does_not() {
    // The shell leads a session; what it leaves behind has another parent, and one of those a group of its own.
    let mut setsid = Command::new("setsid");
    let script = "echo $$; (sleep 1000 & echo $!); (setpriv --no-new-privs sleep 1000 & echo $!); echo ready; sleep 1000";
    let stray = Stray::start_by(setsid.args(["--fork", "sh", "-c", script]));
    let outcome = order(&mut killing(), stray.root(), Scope::Tree);
    let hit_by_it = hit(&outcome);
    assert!(
        stray.all.iter().all(|process| hit_by_it.contains(process)),
        "{outcome:?}"
    );
    stray.ends();

    // A job of an interactive shell: two processes in one group, one of which is killed.
    let mut interactive = Command::new("bash");
    let script = "set -m; sh -c 'echo $$ >&3; echo ready >&3; exec sleep 1000' | sh -c 'echo $$ >&3; echo ready >&3; exec sleep 1000' & wait";
    let stray = Stray::start_by(interactive.args(["-c", "bash -c \"$0\" 3>&1 &", script]));
    let group = |process: ProcessId| proc::Stat::read(process.pid).unwrap().group;
    let leader = stray.all.iter().find(|process| group(**process) == process.pid);
    let leader = *leader.expect("one of the job leads its group");
    let other = *stray.all.iter().find(|process| **process != leader).unwrap();
    assert_eq!(group(other), leader.pid);
    let outcome = order(&mut killing(), leader, Scope::Tree);
    assert_eq!(hit(&outcome), [leader]);
    assert!(Pidfd::open(other).is_ok());
}

#[test]
fn a_tree_that_forks_all_the_while_does_not_fork_away() {
    // Each worker starts another and ends, as fast as it can; a counter in the arguments bounds them.
    let worker = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); (:) & wait $!; done; sleep 1000";
    for round in 0..10 {
        let script = format!(
            "echo $$; for worker in 1 2 3 4; do sh -c '{worker}' & done; sh -c 'echo $$; echo ready; exec sleep 1000' & wait"
        );
        let mut setsid = Command::new("setsid");
        let stray = Stray::start_by(setsid.args(["--fork", "sh", "-c", &script]));
        let root = stray.root();
        let outcome = order(&mut killing(), root, Scope::Tree);
        assert_eq!(outcome.decision, Decision::Applied, "{round}");
        assert!(hit(&outcome).len() >= 6, "{outcome:?}");
        // Its standard output is closed: none of them has it any more.
        stray.ends();
        // They have closed what they had open, and are gone a moment later.
        let left = || {
            let mut pids = proc::pids().unwrap().into_iter();
            pids.any(|pid| {
                proc::Stat::read(pid).is_ok_and(|stat| stat.session == root.pid && stat.state != b'Z')
            })
        };
        let begun = Instant::now();
        while left() {
            assert!(begun.elapsed() < PATIENCE, "round {round}");
        }
    }
}

#[test]
fn a_number_that_is_anothers_by_now_is_never_killed() {
    if !inside("respond::kills::tests::a_number_that_is_anothers_by_now_is_never_killed") {
        return;
    }
    let stray = Stray::start("echo $$; echo ready; exec sleep 1000");
    let before = stray.root();
    Pidfd::open(before).unwrap().signal(Signal::KILL).unwrap();
    stray.ends();
    while Path::new(&format!("/proc/{}", before.pid)).exists() {
        std::thread::yield_now();
    }
    // Forced: the next process gets the number of the one that has ended.
    let begun = Instant::now();
    let other = loop {
        assert!(begun.elapsed() < PATIENCE);
        fs::write("/proc/sys/kernel/ns_last_pid", (before.pid - 1).to_string()).unwrap();
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        if child.id() == before.pid && proc::Stat::read(child.id()).unwrap().process.start != before.start {
            break child;
        }
        kill(child);
    };
    let mut response = killing();
    for scope in [Scope::Process, Scope::Tree, Scope::Session] {
        let outcome = order(&mut response, before, scope);
        let because = because(&outcome);
        assert!(because.contains("is that of another process now"), "{because}");
    }
    assert!(Pidfd::hold(before.pid).is_ok());
    kill(other);
    let outcome = order(&mut response, before, Scope::Tree);
    assert!(because(&outcome).contains("has ended already"), "{outcome:?}");
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_number_that_was_found_in_a_tree_and_is_anothers_by_now_is_left_alone() {
    let (stray, other) = (Stray::start(TREE), Stray::start(TREE));
    let facts = HostFacts {
        networks: Vec::new(),
        live: true,
    };
    let (guard, spare) = (Guard::new(facts, &[]), Spare::new(&Respond::default()));
    let view = spare.look();
    let caught = Caught::catch(stray.root(), Scope::Tree, &view, &guard, &Simulated);
    let (mut caught, session) = caught.unwrap_or_else(|decision| panic!("{decision:?}"));
    assert_eq!(session, None);
    caught.take(other.root().pid, session, &view, &Simulated);
    caught.take(other.all[1].pid, session, &view, &Simulated);
    assert_eq!(caught.processes().collect::<Vec<_>>(), [stray.root()]);
    caught.take(stray.all[1].pid, session, &view, &Simulated);
    assert_eq!(
        caught.processes().collect::<Vec<_>>(),
        [stray.root(), stray.all[1]]
    );
}

#[test]
fn what_nobody_is_certain_of_is_left_alone() {
    let stray = Stray::start(TREE);
    let uncertain = ProcessId::uncertain(stray.root().pid);
    let mut response = killing();
    assert_eq!(response.consider(&finding(uncertain, "kill"), now()).unwrap(), []);
    let outcome = order(&mut response, uncertain, Scope::Tree);
    assert!(because(&outcome).contains("not certain"), "{outcome:?}");
    let mut nameless = finding(stray.root(), "kill");
    nameless.process = None;
    assert_eq!(response.consider(&nameless, now()).unwrap(), []);
    let other = finding(stray.root(), "block_ip");
    assert_eq!(response.consider(&other, now()).unwrap(), []);
    stray.lives();
}

#[test]
fn an_agent_that_only_watches_says_whom_it_would_kill_and_stops_nobody() {
    let stray = Stray::start(TREE);
    let mut response = stage(&Respond::default(), Ledger::in_memory(), Simulated);
    let outcomes = response
        .consider(&finding(stray.root(), "kill_tree"), now())
        .unwrap();
    assert_eq!(outcomes[0].decision, Decision::Simulated);
    let mut all = stray.all.clone();
    all.sort();
    assert_eq!(hit(&outcomes[0]), all);
    stray.lives();
}

#[test]
fn the_policy_names_rules_that_suggest_nothing_and_bounds_them_by_the_minute() {
    let mut settings = Respond::default();
    settings.kill.rules.push("t".to_owned());
    settings.kill.max_per_minute = 1;
    settings.kill.scope = Scope::Process;
    let mut response = stage(&settings, Ledger::in_memory(), Kill);
    let (first, second) = (Stray::start(TREE), Stray::start(TREE));
    let time = now();
    let outcomes = response
        .consider(&finding(first.root(), "block_ip"), time)
        .unwrap();
    assert_eq!(hit(&outcomes[0]), [first.root()]);
    let outcomes = response
        .consider(&finding(second.root(), "block_ip"), time)
        .unwrap();
    assert!(because(&outcomes[0]).contains("max_per_minute"), "{outcomes:?}");
    second.lives();
    let later = time.plus(MINUTE);
    let outcomes = response
        .consider(&finding(second.root(), "block_ip"), later)
        .unwrap();
    assert_eq!(outcomes[0].decision, Decision::Applied);
    // An operator is not bounded.
    let third = Stray::start(TREE);
    assert_eq!(
        order(&mut response, third.root(), Scope::Tree).decision,
        Decision::Applied
    );
    third.ends();
}

#[test]
fn where_nothing_can_be_written_down_what_was_stopped_goes_on() {
    if !inside("respond::kills::tests::where_nothing_can_be_written_down_what_was_stopped_goes_on") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "none"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(mounted.success());
    let (ledger, _) = Ledger::open(&folder.path().join("ledger"), 0).unwrap();
    let mut full = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.path().join("full"))
        .unwrap();
    while full.write_all(&[0; 4096]).is_ok() {}
    let mut response = stage(&Respond::default(), ledger, Kill);
    let stray = Stray::start(TREE);
    let target = Target::Kill {
        process: stray.root(),
        scope: Scope::Tree,
    };
    let error = response.order(target, None, "by hand", now()).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    let begun = Instant::now();
    while proc::stands_still(stray.root().pid) {
        assert!(begun.elapsed() < PATIENCE);
    }
    stray.lives();
}

#[test]
fn what_was_claimed_and_not_done_is_done_by_the_next_start_unless_it_only_watches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let claim = |process: ProcessId, time: Timestamp| {
        let (mut ledger, _) = Ledger::open(&path, 0).unwrap();
        let action = Action {
            id: RecordId::derived(time, &[process.to_string().as_bytes()]),
            time,
            target: Target::Kill {
                process,
                scope: Scope::Tree,
            },
            ttl: None,
            reason: "a miner".to_owned(),
            finding: None,
        };
        ledger.claim(&action, time).unwrap();
    };
    let start = |simulated: bool| {
        let (ledger, _) = Ledger::open(&path, 0).unwrap();
        let mut response = match simulated {
            true => stage(&Respond::default(), ledger, Simulated),
            false => stage(&Respond::default(), ledger, Kill),
        };
        response.reconcile(now(), true).unwrap()
    };
    let stray = Stray::start(TREE);
    for process in &stray.all {
        Pidfd::open(*process).unwrap().signal(Signal::STOP).unwrap();
    }
    claim(stray.root(), now());
    let outcomes = start(true);
    assert!(because(&outcomes[0]).contains("the agent ended"), "{outcomes:?}");
    // Nobody else would let go on what the earlier run had stopped.
    stray.lives();
    // One of an earlier boot may be anybody.
    claim(stray.root(), Timestamp::from_micros(1_000_000_000_000_000));
    let outcomes = start(false);
    assert!(because(&outcomes[0]).contains("the agent ended"), "{outcomes:?}");
    stray.lives();
    Pidfd::open(stray.root()).unwrap().signal(Signal::STOP).unwrap();
    claim(stray.root(), now());
    let outcomes = start(false);
    assert_eq!(outcomes[0].decision, Decision::Applied);
    stray.ends();
    assert_eq!(start(false), []);
}

#[test]
fn what_the_host_and_the_agent_stand_on_is_never_killed() {
    let mut response = killing();
    let own = std::process::id();
    let parent = proc::Stat::read(own).unwrap().parent;
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut wanted = vec![
        (1, "it is the first process"),
        (own, "it is the agent"),
        (parent, "the agent was started by it"),
        (child.id(), "it works for the agent"),
    ];
    match proc::Stat::read(2) {
        Ok(stat) if stat.is_kernel => wanted.push((2, "it is a thread of the kernel")),
        _ => println!("skipped: the kernel's threads are not seen here"),
    }
    for (pid, reason) in wanted {
        let process = Pidfd::hold(pid).unwrap().process();
        for scope in [Scope::Process, Scope::Tree, Scope::Session] {
            let outcome = order(&mut response, process, scope);
            assert!(
                matches!(outcome.decision, Decision::Refused { .. }),
                "{outcome:?}"
            );
            assert!(because(&outcome).contains(reason), "{outcome:?}");
        }
    }
    kill(child);
}

/// A program of the host's own, at a place where only root can put it.
fn install(path: &str) {
    let folder = Path::new(path).parent().unwrap();
    if !Path::new("/usr/local/sbin/.picket-test").exists() && folder == Path::new("/usr/local/sbin") {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "mode=755", "none", "/usr/local/sbin"])
            .status()
            .unwrap();
        assert!(mounted.success());
        fs::write("/usr/local/sbin/.picket-test", "").unwrap();
    }
    fs::copy("/bin/sh", path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A shell under another name, which has a shell of the same name, and that one a `sleep`.
fn named(path: &str) -> Stray {
    let script = format!("echo $$; {path} -c 'echo $$; sleep 1000 & echo $!; echo ready; wait' & wait");
    Stray::start_by(Command::new("sh").args(["-c", "\"$@\" &", "sh", path, "-c", &script]))
}

#[test]
fn a_program_is_spared_for_where_it_lies_and_never_for_its_name() {
    if !inside("respond::kills::tests::a_program_is_spared_for_where_it_lies_and_never_for_its_name") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &str, reason: &str| {
        let stray = named(path);
        let outcome = order(&mut killing(), stray.root(), Scope::Tree);
        assert!(because(&outcome).contains(reason), "{outcome:?}");
        stray.lives();
        stray
    };
    // sshd: the one that listens, and not those that it starts.
    install("/usr/local/sbin/sshd");
    let sshd = refused("/usr/local/sbin/sshd", "the sshd that listens");
    assert_eq!(
        order(&mut killing(), sshd.all[1], Scope::Tree).decision,
        Decision::Applied
    );
    for name in ["dpkg", "apt-get", "rpm", "unattended-upgrade"] {
        let path = format!("/usr/local/sbin/{name}");
        install(&path);
        refused(&path, &format!("{name} is at work"));
    }
    // The same names elsewhere are worth nothing, and nor are files that others may write, or somebody else's.
    for name in ["sshd", "dpkg"] {
        let path = folder.path().join(name).display().to_string();
        install(&path);
        let stray = named(&path);
        assert_eq!(
            order(&mut killing(), stray.root(), Scope::Tree).decision,
            Decision::Applied
        );
        stray.ends();
    }
    fs::set_permissions("/usr/local/sbin/rpm", fs::Permissions::from_mode(0o775)).unwrap();
    let stray = named("/usr/local/sbin/rpm");
    assert_eq!(
        order(&mut killing(), stray.root(), Scope::Tree).decision,
        Decision::Applied
    );
    stray.ends();
    // In a view of the file system of its own, anybody can lay anything anywhere.
    let script = "echo $$; /usr/local/sbin/dpkg -c 'echo $$; sleep 1000 & echo ready; wait' & wait";
    let stray = Stray::start_by(Command::new("sh").args([
        "-c",
        "\"$@\" &",
        "sh",
        "unshare",
        "--mount",
        "/usr/local/sbin/dpkg",
        "-c",
        script,
    ]));
    assert_eq!(
        order(&mut killing(), stray.root(), Scope::Tree).decision,
        Decision::Applied
    );
    stray.ends();
    // A package manager within a tree goes on with what works for it, and the rest is killed.
    let script =
        "echo $$; /usr/local/sbin/apt-get -c 'echo $$; sleep 1000 & echo $!; echo ready; wait' & wait";
    let stray = Stray::start(script);
    let outcome = order(&mut killing(), stray.root(), Scope::Tree);
    assert_eq!(hit(&outcome), [stray.root()]);
    let spared = &outcome.hits.as_ref().unwrap().spared;
    assert_eq!(spared.len(), 1);
    assert_eq!(spared[0].process, stray.all[1]);
    assert!(spared[0].because.as_ref().unwrap().contains("apt-get is at work"));
    ends(stray.root());
    for process in &stray.all[1..] {
        assert!(!proc::stands_still(Pidfd::open(*process).unwrap().process().pid));
    }
    // What the settings name is spared wherever it lies.
    let mut settings = Respond::default();
    let path = folder.path().join("sshd");
    settings.protect_images.push(path.clone());
    let stray = named(&path.display().to_string());
    let mut response = stage(&settings, Ledger::in_memory(), Kill);
    let outcome = order(&mut response, stray.root(), Scope::Tree);
    assert!(
        because(&outcome).contains("respond.protect_images"),
        "{outcome:?}"
    );
    stray.lives();
}

#[test]
fn a_services_main_process_is_spared_and_what_its_processes_leave_behind_is_not() {
    const UNIT: &str = "picket-test-kill.service";
    if !inside(
        "respond::kills::tests::a_services_main_process_is_spared_and_what_its_processes_leave_behind_is_not",
    ) {
        return;
    }
    let group = Path::new("/sys/fs/cgroup/systemd").join(UNIT);
    if fs::create_dir_all(&group).is_err() {
        println!("skipped: no control group can be made");
        return;
    }
    // A service, and a process that it has left to the first one.
    let script = format!(
        "echo $$ > {}/cgroup.procs; echo $$; sleep 1000 & echo $!; (sh -c 'echo $$; echo ready; sleep 1000' &); sleep 1000",
        group.display()
    );
    let stray = Stray::start(&script);
    let [main, worker, left] = stray.all[..] else {
        panic!("{:?}", stray.all)
    };
    let outcome = order(&mut killing(), main, Scope::Tree);
    assert!(
        because(&outcome).contains(&format!("main process of {UNIT}")),
        "{outcome:?}"
    );
    stray.lives();
    for process in [left, worker] {
        assert_eq!(
            order(&mut killing(), process, Scope::Tree).decision,
            Decision::Applied
        );
        ends(process);
    }
    let mut settings = Respond::default();
    settings.kill.units.push(UNIT.to_owned());
    let mut response = stage(&settings, Ledger::in_memory(), Kill);
    assert_eq!(
        order(&mut response, main, Scope::Tree).decision,
        Decision::Applied
    );
    stray.ends();
    let begun = Instant::now();
    while fs::remove_dir(&group).is_err() {
        assert!(begun.elapsed() < PATIENCE);
    }
}

/// A login session as PAM begins one, with a process in a session and a group of its own, and one left to the first process.
fn login(more: &str) -> Option<Stray> {
    let script = format!(
        "echo 0 > /proc/self/loginuid || exit; echo $$; (setsid sh -c 'echo $$; echo ready; exec sleep 1000' &); sleep 1000 & echo $!; {more} sh -c 'echo $$; echo ready; exec sleep 1000' & wait"
    );
    let stray = Stray::start(&script);
    let logged_in = !stray.all.is_empty() && proc::login_session(stray.root().pid).is_some();
    if !logged_in {
        println!("skipped: no login session can be begun here");
    }
    logged_in.then_some(stray)
}

#[test]
fn a_session_is_killed_with_all_that_has_left_its_tree_but_never_one_in_which_picket_runs() {
    let Some(stray) = login("") else { return };
    let other = Stray::start(TREE);
    let outcome = order(&mut killing(), other.root(), Scope::Session);
    assert!(
        because(&outcome).contains("belongs to no login session"),
        "{outcome:?}"
    );
    let child = *stray.all.last().unwrap();
    let outcome = order(&mut killing(), child, Scope::Session);
    assert_eq!(outcome.decision, Decision::Applied);
    assert!(hit(&outcome).len() >= 4, "{outcome:?}");
    stray.ends();
    other.lives();

    // A command of picket's, which waits for somebody to read what it says: here the test is the agent.
    let own = std::env::current_exe().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let filler = OpenOptions::new()
        .write(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(format!("/proc/self/fd/{}", writer.as_raw_fd()));
    let mut filler = filler.unwrap();
    while filler.write(&[b'\n'; 4096]).is_ok() {}
    let more = format!(
        "{} --list > /proc/{}/fd/{} & echo $!;",
        own.display(),
        std::process::id(),
        writer.as_raw_fd()
    );
    let Some(stray) = login(&more) else { return };
    let runs = || {
        let mut all = stray.all.iter();
        all.any(|process| proc::executable_file(process.pid) == proc::executable_file(std::process::id()))
    };
    let begun = Instant::now();
    while !runs() {
        assert!(begun.elapsed() < PATIENCE);
    }
    let outcome = order(&mut killing(), stray.root(), Scope::Session);
    assert!(
        because(&outcome).contains("picket itself runs in its login session"),
        "{outcome:?}"
    );
    stray.lives();
    drop(reader);
}

#[test]
fn from_the_finding_to_the_last_signal_it_takes_a_moment() {
    const ROUNDS: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(&folder.path().join("ledger"), 0).unwrap();
    let settings = Respond {
        kill: crate::config::Kill {
            max_per_minute: ROUNDS,
            ..crate::config::Kill::default()
        },
        ..Respond::default()
    };
    let mut response = stage(&settings, ledger, Kill);
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let stray = Stray::start(TREE);
        let finding = finding(stray.root(), "kill");
        let begun = Instant::now();
        let outcomes = response.consider(&finding, now()).unwrap();
        took.push(begun.elapsed());
        assert_eq!(outcomes[0].decision, Decision::Applied);
        assert_eq!(hit(&outcomes[0]).len(), stray.all.len());
        stray.ends();
    }
    took.sort();
    let (half, most) = (took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
    println!("a tree of four is killed within {half:?} (p50), {most:?} (p99)");
    assert!(most < Duration::from_millis(500), "{most:?}");
}
