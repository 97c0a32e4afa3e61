//! Programs as they are seen without a program in the kernel: told by the process connector, or looked for in `/proc`.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use picket_agent::observation::{Body, Observation, ProcessSeen, Sighting};
use picket_agent::plugs;
use picket_agent::queue::queue;
use picket_agent::sense::{ExecNetlink, ExecPoll, Notice, Sensor};
use picket_agent::sys::Stop;
use picket_common::event::{ExecEvent, ExitStatus};
use picket_common::process::ProcessId;
use picket_tests::programs::Cat;
use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A sensor at work.
struct Watched {
    seen: Receiver<Observation>,
    sightings: Vec<Sighting>,
    notices: Receiver<Notice>,
    stop: Stop,
    sensor: Option<JoinHandle<()>>,
}

impl Watched {
    /// Each fallback that this machine has, once it has told of what was there before.
    fn each(test: impl Fn(&mut Self, &str)) {
        let (send, notices) = mpsc::channel();
        let poll = ExecPoll::new(Duration::from_millis(100), &["LD_PRELOAD".into()], send);
        let mut watched = Self::start(Box::new(poll), notices);
        test(&mut watched, ExecPoll::NAME);
        drop(watched);
        let (send, notices) = mpsc::channel();
        match ExecNetlink::listen(&["LD_PRELOAD".into()], send) {
            Ok(sensor) => {
                let mut watched = Self::start(Box::new(sensor), notices);
                test(&mut watched, ExecNetlink::NAME);
            }
            Err(error) => println!("skipped: {error}"),
        }
    }

    fn start(mut sensor: Box<dyn Sensor>, notices: Receiver<Notice>) -> Self {
        let (send, seen) = queue("seen", 100_000);
        let stop = Stop::new().unwrap();
        let stopped = stop.clone();
        let sensor = std::thread::spawn(move || sensor.run(&send, &stopped).unwrap());
        let mut watched = Self {
            seen,
            sightings: Vec::new(),
            notices,
            stop,
            sensor: Some(sensor),
        };
        // It tells of what was there before it looks for what is new.
        let own = std::process::id();
        watched.wait(|what| match what {
            ProcessSeen::Running(exec) if exec.process.pid == own => Some(()),
            _ => None,
        });
        watched
    }

    /// The first that is wanted, of those that were not looked at before.
    fn wait<T>(&mut self, wanted: impl Fn(&ProcessSeen) -> Option<T>) -> T {
        loop {
            while !self.sightings.is_empty() {
                if let Some(found) = wanted(&self.sightings.remove(0).what) {
                    return found;
                }
            }
            let seen = self.seen.recv_timeout(PATIENCE).expect("it is seen");
            let Body::Processes(sightings) = seen.body else {
                panic!("no sighting")
            };
            self.sightings = sightings;
        }
    }

    fn exec(&mut self, pid: u32) -> ExecEvent {
        self.wait(|what| match what {
            ProcessSeen::Exec(exec) if exec.process.pid == pid => Some(exec.as_ref().clone()),
            _ => None,
        })
    }

    fn exit(&mut self, process: ProcessId) -> ExitStatus {
        self.wait(|what| match what {
            ProcessSeen::Exited {
                process: ended,
                status,
            } if *ended == process => Some(*status),
            _ => None,
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.raise();
        let ended = self.sensor.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

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
    watched.stop.raise();
    watched.sensor.take().unwrap().join().unwrap();
    watched.sensor = Some(std::thread::spawn(|| ()));
    let lost: u64 = watched
        .notices
        .try_iter()
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
