//! Programs as they are seen without a program in the kernel: told by the process connector, or looked for in `/proc`.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use picket_agent::observation::ProcessSeen;
use picket_agent::plugs;
use picket_agent::sense::{ExecNetlink, ExecPoll, Notice};
use picket_common::event::ExitStatus;
use picket_tests::programs::Cat;
use picket_tests::watched::Watched;
use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;

#[test]
fn odd_programs_are_seen_as_they_are_with_who_started_them() {
    let own = picket_agent::sys::Process::open(std::process::id())
        .unwrap()
        .stat()
        .unwrap();
    Watched::each(|watched, name| {
        let folder = tempfile::tempdir().unwrap();
        let odd = Cat::with_odd_arguments();
        let exec = watched.exec(odd.pid());
        assert_eq!(exec.args, ["a b\n\u{1b}[31m", "-", "", "\u{fffd}\n"], "{name}");
        assert_eq!(exec.ancestors[0].process, own.process, "{name}");
        assert!(exec.process.start >= own.process.start && exec.file.is_some());
        assert!(!exec.args_cut && exec.environment.is_empty());

        let long = "é".repeat(60_000);
        let long = Cat::start(Command::new("/bin/cat").args(["-", &long]));
        let exec = watched.exec(long.pid());
        let bytes: usize = exec.args.iter().map(|arg| arg.len()).sum();
        assert!(exec.args_cut && bytes <= 32 << 10, "{name}");

        let preloaded = Cat::start(Command::new("/bin/cat").env("LD_PRELOAD", "/nowhere.so"));
        let exec = watched.exec(preloaded.pid());
        assert_eq!(exec.environment, ["LD_PRELOAD=/nowhere.so"], "{name}");

        let memory = Cat::in_memory();
        let exec = watched.exec(memory.pid());
        let file = exec.file.unwrap();
        assert!(file.memfd && file.unlinked, "{name}: {exec:?}");
        assert_eq!(exec.executable, "/memfd:odd", "{name}");

        // It can be removed before anybody looks, but it is still the file that runs.
        let unlinked = Cat::unlinked(folder.path());
        let exec = watched.exec(unlinked.pid());
        assert_eq!(exec.executable, folder.path().join("gone").to_str().unwrap());
        let process = exec.process;
        drop(unlinked);
        let status = match name {
            ExecPoll::NAME => ExitStatus::Unknown,
            _ => ExitStatus::Signal(9),
        };
        assert_eq!(watched.exit(process), status, "{name}");
    });
}

#[test]
fn a_program_that_becomes_another_is_seen_again_and_a_copy_is_none() {
    Watched::each(|watched, name| {
        // It becomes another program where it is, and the copy that it makes before is a shell as well.
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let held = File::options().read(true).write(true).open(&pipe).unwrap();
        let script = "(read wait < $0) & read become; exec cat";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .arg(&pipe)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let first = watched.exec(shell.id());
        assert_eq!(first.args, ["sh", "-c", script, pipe.to_str().unwrap()], "{name}");
        let copy = watched.wait(|what| match what {
            ProcessSeen::Forked { parent, child } if *parent == first.process => Some(*child),
            _ => None,
        });
        shell.stdin.as_mut().unwrap().write_all(b"x\n").unwrap();
        let second = watched.wait(|what| match what {
            ProcessSeen::Exec(exec) if exec.process.pid == copy.pid => panic!("{name}: {exec:?}"),
            ProcessSeen::Exec(exec) if exec.process == first.process => Some(exec.clone()),
            _ => None,
        });
        assert_eq!(second.args, ["cat"], "{name}");
        drop(held);
        watched.exit(copy);
        shell.kill().unwrap();
        shell.wait().unwrap();
    });
}

#[test]
fn a_storm_is_seen_or_counted() {
    let (send, notices) = mpsc::channel();
    let sensor = match ExecNetlink::listen(&[], send) {
        Ok(sensor) => sensor,
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    let mut watched = Watched::start(Box::new(sensor), notices);
    let mut made: Vec<u32> = Vec::new();
    for _ in 0..400 {
        let mut child = Command::new("/bin/true").spawn().unwrap();
        made.push(child.id());
        child.wait().unwrap();
    }
    let last = Cat::with_odd_arguments();
    let mut seen = 0;
    while watched.wait(|what| match what {
        ProcessSeen::Exec(exec) => Some(exec.process.pid),
        _ => None,
    }) != last.pid()
    {
        seen += 1;
    }
    let lost: u64 = watched
        .end()
        .into_iter()
        .map(|notice| match notice {
            Notice::Lost { lost, .. } => lost,
            Notice::Warning(text) => panic!("{text}"),
        })
        .sum();
    println!("400 that ended at once: {seen} seen, {lost} lost");
    assert!(seen > 0 && seen + lost >= 400, "{seen} seen, {lost} lost");
}

#[test]
fn where_the_kernel_tells_nothing_it_is_said_and_processes_are_looked_for() {
    use nix::sched::{CloneFlags, unshare};
    // In a network namespace of its own nobody speaks for the connector.
    let chosen = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map(|()| {
            let (send, notices) = mpsc::channel();
            let mut settings = picket_agent::config::Settings::default();
            settings.auth.files.clear();
            settings.auth.journal = picket_agent::config::Journal::No;
            settings.process.sensor = picket_agent::config::ProcessSensor::Netlink;
            let sensors = plugs::sensors(&settings, &Default::default(), &send);
            let names: Vec<&str> = sensors.iter().map(|sensor| sensor.name()).collect();
            drop((sensors, send));
            (names, notices.iter().collect::<Vec<_>>())
        })
    });
    match chosen.join().unwrap() {
        Ok((names, notices)) => {
            assert_eq!(names, [ExecPoll::NAME]);
            let [Notice::Warning(said)] = notices.as_slice() else {
                panic!("{notices:?}")
            };
            for part in [
                "exec_netlink",
                "namespaces",
                "exec_poll takes its place",
                "between two looks",
            ] {
                assert!(said.contains(part), "{said}");
            }
        }
        Err(error) => println!("skipped: no network namespace of its own: {error}"),
    }
}
