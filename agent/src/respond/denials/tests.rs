//! Denials by a real gatekeeper, before a file system that the test has alone.

use super::*;
use crate::parse::mount_info;
use crate::respond::kills::tests::{inside, now, stray};
use crate::respond::{Guard, HostFacts, Ledger, Response, Simulated};
use crate::sys::Pidfd;
use crate::sys::{Signal, proc};
use picket_common::event::{FileIdentity, FileRef};
use picket_common::finding::{RuleRef, Severity};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(30);
/// An argument that says that the test binary is the gatekeeper.
const GATEKEEPER: &str = "--skip=gatekeeper-itself";

/// The half of the other tests that waits at the gate; by itself it shows that the gatekeeper ends with the agent.
#[test]
fn the_gatekeeper_ends_when_the_agent_does() {
    use std::os::fd::AsFd as _;
    if std::env::args().any(|argument| argument == GATEKEEPER) {
        let fd = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
        gatekeeper(fd(io::stdin().as_fd()), fd(io::stdout().as_fd())).unwrap();
        return;
    }
    let (wanted, agent) = std::io::pipe().unwrap();
    let (_said, said) = std::io::pipe().unwrap();
    drop(agent);
    match gatekeeper(wanted.into(), said.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(1) => println!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    }
}

/// A file system of the test's own, and a stage that denies there and nowhere else.
struct Lab {
    folder: tempfile::TempDir,
    response: Response,
}

impl Lab {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "mode=755", "none"])
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(mounted.success());
        let gate = gate(folder.path());
        let denials = Denials::new(&Respond::default(), Box::new(gate));
        Self {
            response: desk_of(denials),
            folder,
        }
    }

    /// One whose host has its folders in the file system of the test's own.
    fn with_host() -> Self {
        let mut lab = Self::start();
        let root = fs::canonicalize(lab.folder.path()).unwrap();
        let mut denials = Denials::new(&Respond::default(), Box::new(lab.gate()));
        denials.critical = Critical::below(root, &[]);
        lab.response = desk_of(denials);
        lab
    }

    /// Denies in the file system of the test's own.
    fn gate(&self) -> Gate {
        gate(self.folder.path())
    }

    /// A program that says who it is, and whose content is like no other's.
    fn program(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut bytes = fs::read("/bin/true").unwrap();
        bytes.extend_from_slice(name.as_bytes());
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn deny(&mut self, path: &Path) -> Outcome {
        let file = DeniedFile {
            path: path.display().to_string(),
            device: 0,
            inode: 0,
            size: 0,
            changed: 0,
            sha256: None,
            copies_start: false,
        };
        let target = Target::DenyExec(Box::new(file));
        let mut outcomes = self.response.order(target, None, "by hand", now()).unwrap();
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        outcomes.remove(0)
    }
}

fn gate(folder: &Path) -> Gate {
    let own = std::env::current_exe().unwrap().display().to_string();
    let test = "respond::denials::tests::the_gatekeeper_ends_when_the_agent_does";
    let command = [&own, "--exact", test, "--nocapture", GATEKEEPER].map(str::to_owned);
    Gate::only(command.to_vec(), fs::canonicalize(folder).unwrap())
}

fn stage(settings: &Respond, denier: impl Denier + 'static) -> Response {
    desk_of(Denials::new(settings, Box::new(denier)))
}

fn desk_of(denials: Denials) -> Response {
    let facts = HostFacts {
        networks: Vec::new(),
        live: true,
    };
    Response::new(
        Guard::new(facts, &[]),
        Ledger::in_memory(),
        vec![Box::new(denials)],
        |_| now(),
    )
}

fn starts(path: &Path) -> bool {
    match Command::new(path).status() {
        Ok(status) => {
            assert!(status.success());
            true
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            assert_eq!(error.raw_os_error(), Some(1), "EPERM, and not EACCES");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_denied_program_and_its_copies_do_not_start_until_it_is_undone() {
    if !inside("respond::denials::tests::a_denied_program_and_its_copies_do_not_start_until_it_is_undone") {
        return;
    }
    let mut lab = Lab::start();
    let (miner, other) = (lab.program("miner"), lab.program("other"));
    assert!(starts(&miner));
    let outcome = lab.deny(&miner);
    assert_eq!(outcome.decision, Decision::Applied, "{outcome:?}");
    for _ in 0..3 {
        assert!(!starts(&miner));
        assert!(starts(&other));
    }
    let copy = lab.folder.path().join("copy");
    fs::copy(&miner, &copy).unwrap();
    assert!(!starts(&copy), "what has its content is denied as well");
    // What was judged once is judged again once it was written.
    fs::copy(&miner, &other).unwrap();
    assert!(!starts(&other));
    let mut bytes = fs::read(&miner).unwrap();
    bytes.push(b'.');
    fs::write(&copy, bytes).unwrap();
    assert!(starts(&copy));
    // Each that was kept from starting is told of.
    let (begun, mut hits) = (Instant::now(), 0);
    while hits < 5 {
        assert!(begun.elapsed() < PATIENCE, "{hits}");
        hits += refused(&lab.response.reconcile(now(), false).unwrap());
    }
    assert_eq!(hits, 5);
    assert!(
        lab.deny(&miner).decision != Decision::Applied,
        "it is denied already"
    );
    let undone = lab.response.undo(&outcome.action.id.to_string(), now()).unwrap();
    assert_eq!(undone[0].decision, Decision::Undone);
    assert!(starts(&miner) && starts(&other));
    assert_eq!(lab.response.take_lost(), []);
}

#[test]
fn a_copy_of_the_hosts_shell_is_denied_and_the_shell_starts() {
    if !inside("respond::denials::tests::a_copy_of_the_hosts_shell_is_denied_and_the_shell_starts") {
        return;
    }
    let mut lab = Lab::with_host();
    let folder = lab.folder.path().to_owned();
    let (shell, copy, image) = (
        folder.join("bin/sh"),
        folder.join("x"),
        folder.join("image/bin/sh"),
    );
    for path in [&shell, &copy, &image] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy("/bin/sh", path).unwrap();
    }
    let runs = |path: &Path| match Command::new(path).args(["-c", "exit 0"]).status() {
        Ok(status) => status.success(),
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(1), "{error}");
            false
        }
    };
    let outcome = lab.deny(&copy);
    assert_eq!(outcome.decision, Decision::Applied, "{outcome:?}");
    assert!(outcome.action.reason.contains("this file alone"), "{outcome:?}");
    assert!(runs(&shell) && runs(&image));
    assert!(!runs(&copy));
    // A new time, a new mode and another name are no other file; another inode is one.
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).unwrap();
    let renamed = folder.join("y");
    fs::rename(&copy, &renamed).unwrap();
    assert!(!runs(&renamed));
    fs::remove_file(&renamed).unwrap();
    assert!(runs(&shell));

    // The gatekeeper itself lets it start, should its content be denied all the same: only while nobody but root could have
    // written it.
    let mut gate = lab.gate();
    let mut denied = identity::identify(&File::open(&image).unwrap(), &image).unwrap();
    denied.inode = 0;
    let data = fs::metadata(&shell).unwrap();
    gate.deny(&[denied], vec![(data.dev(), data.ino())]).unwrap();
    assert!(runs(&shell) && !runs(&image));
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o777)).unwrap();
    drop(gate);
    let mut gate = lab.gate();
    let mut denied = identity::identify(&File::open(&image).unwrap(), &image).unwrap();
    denied.inode = 0;
    gate.deny(&[denied], vec![(data.dev(), data.ino())]).unwrap();
    assert!(!runs(&shell));
}

/// The gatekeeper of this test: its one child that has that argument.
fn gatekeeper_pid() -> u32 {
    let children = proc::children(std::process::id()).unwrap();
    let is_it = |pid: &u32| {
        proc::arguments(*pid)
            .iter()
            .any(|argument| argument == GATEKEEPER)
    };
    children.into_iter().find(is_it).expect("a gatekeeper")
}

/// How many were kept from starting anything.
fn refused(outcomes: &[Outcome]) -> u64 {
    let hits = outcomes.iter().filter_map(|outcome| outcome.hits.as_ref());
    hits.map(|hits| hits.hit.len() as u64 + hits.more).sum()
}

#[test]
fn a_flood_of_refused_starts_is_counted_to_the_last_and_the_gatekeeper_stays() {
    if !inside(
        "respond::denials::tests::a_flood_of_refused_starts_is_counted_to_the_last_and_the_gatekeeper_stays",
    ) {
        return;
    }
    const FLOOD: u64 = 2000;
    let mut lab = Lab::start();
    // What is said of it is longer than what goes into a pipe as a whole.
    let deep = lab.folder.path().join(vec!["\"".repeat(250); 14].join("/"));
    fs::create_dir_all(&deep).unwrap();
    let (miner, other) = (lab.program("miner"), lab.program("other"));
    let far = deep.join("miner");
    fs::rename(&miner, &far).unwrap();
    let first = lab.deny(&far);
    assert_eq!(first.decision, Decision::Applied, "{first:?}");
    let keeper = Pidfd::hold(gatekeeper_pid()).unwrap();
    // Nobody hears it meanwhile.
    for _ in 0..FLOOD {
        assert!(!starts(&far));
    }
    let second = lab.deny(&other);
    assert_eq!(second.decision, Decision::Applied);
    assert!(!keeper.has_ended(), "it was not silent");
    let told = lab.response.reconcile(now(), false).unwrap();
    assert_eq!(refused(&told), FLOOD);
    assert_eq!(told.len(), 1, "of one file at once");
    // What is taken back, or over, has told the last before.
    assert!(!starts(&far) && !starts(&other));
    let undone = lab.response.undo(&first.action.id.to_string(), now()).unwrap();
    assert_eq!(refused(&undone), 2, "{undone:?}");
    assert_eq!(undone.last().unwrap().decision, Decision::Undone);
    assert!(!starts(&other));
    let undone = lab.response.undo(&second.action.id.to_string(), now()).unwrap();
    assert_eq!(refused(&undone), 1, "{undone:?}");
    assert_eq!(lab.response.take_lost(), []);
}

#[test]
fn a_file_system_that_is_mounted_after_the_denial_is_watched_as_well() {
    if !inside("respond::denials::tests::a_file_system_that_is_mounted_after_the_denial_is_watched_as_well") {
        return;
    }
    let mut lab = Lab::start();
    let miner = lab.program("miner");
    lab.deny(&miner);
    let stick = lab.folder.path().join("a stick");
    fs::create_dir(&stick).unwrap();
    let mount = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .arg(&stick)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || said.contains("busy"), "{said}");
        output.status.success()
    };
    // The second may have the device's number that the first had.
    for _ in 0..2 {
        assert!(mount("mount", &["-t", "tmpfs", "none"]));
        let copy = stick.join("copy");
        fs::copy(&miner, &copy).unwrap();
        let begun = Instant::now();
        while starts(&copy) {
            assert!(begun.elapsed() < PATIENCE);
        }
        // The gatekeeper may have the file open until it has answered.
        let begun = Instant::now();
        while !mount("umount", &[]) {
            assert!(begun.elapsed() < PATIENCE);
        }
    }
}

#[test]
fn a_gatekeeper_that_is_stopped_or_killed_holds_nobody_up_and_comes_back() {
    if !inside(
        "respond::denials::tests::a_gatekeeper_that_is_stopped_or_killed_holds_nobody_up_and_comes_back",
    ) {
        return;
    }
    let mut lab = Lab::start();
    let (miner, other) = (lab.program("miner"), lab.program("other"));
    lab.deny(&miner);
    for (signal, most) in [(Signal::STOP, 3), (Signal::KILL, 3)] {
        assert!(!starts(&miner));
        let held = Pidfd::hold(gatekeeper_pid()).unwrap();
        held.signal(signal).unwrap();
        // Nobody helps: the agent, which is this test, does nothing but wait.
        let begun = Instant::now();
        assert!(starts(&other));
        assert!(
            begun.elapsed() < Duration::from_secs(most),
            "{:?}",
            begun.elapsed()
        );
        println!("with {signal:?} it took {:?}", begun.elapsed());
        let begun = Instant::now();
        while !held.has_ended() {
            assert!(begun.elapsed() < PATIENCE);
        }
        assert!(starts(&miner), "nobody keeps it from starting");
        lab.response.reconcile(now(), false).unwrap();
        assert!(!starts(&miner), "it is denied again");
        let lost = lab.response.take_lost();
        assert_eq!(lost.len(), 1);
        assert!(
            lost[0].1 >= 1 && lost[0].2.contains("gatekeeper had ended"),
            "{lost:?}"
        );
    }
}

fn finding(process: ProcessId) -> Finding {
    Finding {
        id: RecordId::derived(now(), &[process.to_string().as_bytes()]),
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
        file: Some(Box::new(FileRef {
            path: proc::executable(process.pid).unwrap().as_path().into(),
            identity: proc::executable_file(process.pid)
                .map(|(device, inode)| FileIdentity { device, inode }),
            sha256: None,
        })),
        events: Vec::new(),
        suggests: vec!["deny_exec".to_owned()],
    }
}

/// A program that goes on, under a path and with a content of its own.
fn lasting(folder: &Path, name: &str) -> (ProcessId, PathBuf) {
    let path = folder.join(name);
    let mut bytes = fs::read("/bin/sleep").unwrap();
    bytes.extend_from_slice(name.as_bytes());
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let pid = stray(&format!("{} 1000 & echo $!; echo ready; wait", path.display()));
    let begun = Instant::now();
    while proc::executable(pid.pid).as_deref() != Some(&path) {
        assert!(begun.elapsed() < PATIENCE);
    }
    (pid, path)
}

#[test]
fn a_finding_denies_the_program_of_its_process_and_six_in_a_minute_are_too_many() {
    if !inside(
        "respond::denials::tests::a_finding_denies_the_program_of_its_process_and_six_in_a_minute_are_too_many",
    ) {
        return;
    }
    let mut lab = Lab::start();
    for number in 1..=7 {
        let (process, path) = lasting(lab.folder.path(), &format!("miner{number}"));
        let outcomes = lab.response.consider(&finding(process), now()).unwrap();
        match number {
            1..6 => {
                assert_eq!(outcomes.len(), 1, "{outcomes:?}");
                assert_eq!(outcomes[0].decision, Decision::Applied);
                assert_eq!(outcomes[0].action.ttl, Some(Duration::from_secs(86_400)));
                assert!(Command::new(&path).arg("0").status().is_err());
                let again = lab.response.consider(&finding(process), now()).unwrap();
                assert_eq!(again, [], "one that is denied is no other");
            }
            6 => {
                let undone = outcomes
                    .iter()
                    .filter(|outcome| outcome.decision == Decision::Undone);
                assert_eq!(undone.count(), 5);
                assert!(
                    matches!(&outcomes.last().unwrap().decision, Decision::Refused { because } if because.contains("6 different files"))
                );
                assert!(Command::new(&path).arg("0").status().is_ok());
            }
            _ => assert!(matches!(
                &outcomes[..],
                [Outcome {
                    decision: Decision::Refused { .. },
                    ..
                }]
            )),
        }
        Pidfd::open(process).unwrap().signal(Signal::KILL).unwrap();
    }
    assert_eq!(lab.response.held().count(), 0);
    assert!(lab.response.describe().contains("lets every program start"));
    // Once, with the rules that are to be mended.
    let found = lab.response.take_found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].rule.id, "picket-denials-off");
    assert!(
        found[0].summary.contains("within a minute, by r,"),
        "{}",
        found[0].summary
    );
    let off = lab.response.off();
    assert!(
        matches!(&off[..], [(ActionKind::DenyExec, why)] if why.contains("6 different files")),
        "{off:?}"
    );
}

#[test]
fn a_process_that_runs_another_program_by_now_has_none_denied() {
    if !inside("respond::denials::tests::a_process_that_runs_another_program_by_now_has_none_denied") {
        return;
    }
    let mut lab = Lab::start();
    let folder = lab.folder.path();
    let (miner, other) = (folder.join("miner"), folder.join("other"));
    for (path, more) in [(&miner, "1"), (&other, "2")] {
        let mut bytes = fs::read("/bin/bash").unwrap();
        bytes.extend_from_slice(more.as_bytes());
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (go, never) = (folder.join("go"), folder.join("never"));
    for path in [&go, &never] {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let script = format!(
        "{} -c 'echo $$; echo ready; read line < {}; exec {} -c \"read line < {}\"' &",
        miner.display(),
        go.display(),
        other.display(),
        never.display()
    );
    let process = stray(&script);
    let judged = finding(process);
    fs::write(&go, "\n").unwrap();
    let begun = Instant::now();
    while proc::executable(process.pid).as_deref() != Some(&other) {
        assert!(begun.elapsed() < PATIENCE);
    }
    let outcomes = lab.response.consider(&judged, now()).unwrap();
    assert!(
        matches!(&outcomes[..], [Outcome { decision: Decision::Failed { because }, action, .. }]
            if because.contains("another program by now") && action.target.to_string().contains("miner")),
        "{outcomes:?}"
    );
    assert_eq!(lab.response.held().count(), 0);
    // The finding of the program that it runs does.
    let outcomes = lab.response.consider(&finding(process), now()).unwrap();
    assert_eq!(outcomes[0].decision, Decision::Applied, "{outcomes:?}");
    Pidfd::open(process).unwrap().signal(Signal::KILL).unwrap();
}

#[test]
fn a_program_on_an_overlay_is_known_by_the_device_that_a_sensor_in_the_kernel_tells() {
    if !inside(
        "respond::denials::tests::a_program_on_an_overlay_is_known_by_the_device_that_a_sensor_in_the_kernel_tells",
    ) {
        return;
    }
    let lab = Lab::start();
    // Its layers lie in two file systems, so `stat` cannot tell one device for both.
    let script = "mkdir low up root && mount -t tmpfs none low && mount -t tmpfs none up && mkdir up/up up/work && \
        mount -t overlay -o lowerdir=low,upperdir=up/up,workdir=up/work none root";
    let mounted = Command::new("sh")
        .args(["-c", script])
        .current_dir(lab.folder.path())
        .status();
    if !mounted.unwrap().success() {
        println!("skipped: no overlay");
        return;
    }
    let root = fs::canonicalize(lab.folder.path().join("root")).unwrap();
    let (process, path) = lasting(&root, "miner");
    let mounts = mount_info::mounts(&fs::read("/proc/self/mountinfo").unwrap());
    let mount = mounts.iter().find(|mount| mount.point == root).unwrap();
    let (major, minor) = mount.device.split_once(':').unwrap();
    let device = nix::sys::stat::makedev(major.parse().unwrap(), minor.parse().unwrap());
    assert_ne!(device, fs::metadata(&path).unwrap().dev());
    let mut told = finding(process);
    let mut judged = |device, inode| {
        let identity = Some(FileIdentity { device, inode });
        told.file.as_mut().unwrap().identity = identity;
        identity::is_judged(&told, process, &File::open(&path).unwrap())
    };
    let inode = fs::metadata(&path).unwrap().ino();
    assert!(judged(device, inode));
    assert!(!judged(device, inode + 1) && !judged(u64::MAX, inode));
    Pidfd::open(process).unwrap().signal(Signal::KILL).unwrap();
}

#[test]
fn what_a_host_cannot_do_without_is_spared_and_what_only_calls_itself_so_is_not() {
    let mut settings = Respond::default();
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("tool");
    fs::copy("/bin/true", &tool).unwrap();
    settings.protect_images.push(tool.clone());
    let mut response = stage(&settings, Simulated);
    let mut order = |path: &Path| {
        let file = DeniedFile {
            path: path.display().to_string(),
            device: 0,
            inode: 0,
            size: 0,
            changed: 0,
            sha256: None,
            copies_start: false,
        };
        let target = Target::DenyExec(Box::new(file));
        let outcomes = response.order(target, None, "by hand", now()).unwrap();
        outcomes[0].decision.clone()
    };
    let own = std::env::current_exe().unwrap();
    for path in [
        Path::new("/bin/sh"),
        Path::new("/usr/bin/dpkg"),
        Path::new("/lib64/ld-linux-x86-64.so.2"),
        &own,
        &tool,
    ] {
        if !path.exists() {
            println!("skipped: there is no {}", path.display());
            continue;
        }
        let decision = order(path);
        assert!(
            matches!(&decision, Decision::Refused { because } if because.contains("it is not denied")),
            "{path:?}: {decision:?}"
        );
    }
    let fake = folder.path().join("sshd");
    fs::copy("/bin/sh", &fake).unwrap();
    assert_eq!(order(&fake), Decision::Simulated);
    assert_eq!(order(Path::new("/usr/bin/true")), Decision::Simulated);
    assert!(
        matches!(order(folder.path()), Decision::Failed { because } if because.contains("it is no file"))
    );
    assert!(matches!(order(Path::new("/nowhere")), Decision::Failed { .. }));
}
