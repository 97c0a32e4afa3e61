//! What the sensor of files costs, on file systems of the bench's own: how late a file is told of, how long a burst takes, and how
//! much slower a writer becomes.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{UsageWho, getrusage};
use picket_agent::config::Files;
use picket_agent::observation::{Body, Observation};
use picket_agent::queue::queue;
use picket_agent::sense::{FilesFanotify, Sensor as _};
use picket_agent::sys::Stop;
use picket_agent::sys::fanotify::Grants;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ROUNDS: usize = 11;
const FILES: usize = 5000;

fn main() {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNS) {
        println!("skipped: no mount namespace of its own: {error}");
        return;
    }
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("mounts are made private");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    shell(folder, "mount -t tmpfs -o size=3g,mode=755 tmpfs .");
    shell(
        folder,
        "truncate -s 1G image; mkfs.ext4 -q image; mkdir -p disk memory; mount -o loop image disk",
    );
    shell(
        folder,
        "mkdir -p disk/watched disk/other memory/watched memory/other",
    );
    shell(
        folder,
        "tar --create --file tree.tar --directory /usr/share --ignore-failed-read $(ls /usr/share | head -60) 2> /dev/null || true",
    );
    late(folder);
    burst(folder);
    for place in ["memory", "disk"] {
        slower(folder, place);
        beside(folder, place);
    }
    shell(folder, "umount disk");
    drop(Command::new("umount").arg("--lazy").arg(folder).status());
}

/// How long after its writer closed it a file is told of.
fn late(folder: &Path) {
    let watched = Watched::start(&folder.join("memory/watched"));
    let program = "import sys,time\nfor line in sys.stdin:\n  open('memory/watched/one','w').write('x')\n  print(time.time_ns(),flush=True)";
    let mut writer = Command::new("python3")
        .args(["-c", program])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut input = writer.stdin.take().expect("a pipe");
    let mut output = BufReader::new(writer.stdout.take().expect("a pipe"));
    let mut late = Vec::new();
    for _ in 0..500 {
        // An idle host.
        thread::sleep(Duration::from_millis(5));
        writeln!(input, "on").expect("it reads");
        watched.seen.recv().expect("it is told of");
        let told = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_nanos();
        let mut line = String::new();
        output.read_line(&mut line).expect("it answers");
        let closed: u128 = line.trim().parse().expect("a time");
        late.push(told.saturating_sub(closed));
    }
    drop(input);
    writer.wait().expect("it ends");
    late.sort_unstable();
    let at = |percent: usize| late[late.len() * percent / 100] as f64 / 1e6;
    println!(
        "file closed → told of, p50 {:.3} ms, p99 {:.3} ms",
        at(50),
        at(99)
    );
}

fn burst(folder: &Path) {
    let watched = Watched::start(&folder.join("memory/watched"));
    let (mut all, mut writing) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let script =
            format!("i=0; while [ $i -lt {FILES} ]; do echo $i > memory/watched/f$i; i=$((i+1)); done");
        let mut writer = command(folder, &script).spawn().expect("sh starts");
        for _ in 0..FILES {
            watched.seen.recv().expect("it is told of");
        }
        all = all.min(started.elapsed());
        writer.wait().expect("it ends");
        writing = writing.min(started.elapsed());
        shell(folder, "rm -r memory/watched; mkdir memory/watched");
    }
    println!("{FILES} small files: written in {writing:?}, all told of {all:?} after the first was begun");
}

/// How much slower an archive is unpacked.
fn slower(folder: &Path, place: &str) {
    let unpack = |to: &str| {
        shell(
            folder,
            &format!("rm -rf {place}/{to}; mkdir {place}/{to}; sync -f {place}"),
        );
        let before = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
        let started = Instant::now();
        shell(
            folder,
            &format!("tar --extract --file tree.tar --directory {place}/{to}"),
        );
        let took = started.elapsed().as_secs_f64();
        let after = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
        let seconds = |usage: nix::sys::resource::Usage| {
            let times = [usage.user_time(), usage.system_time()];
            times
                .iter()
                .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
                .sum::<f64>()
        };
        (took, seconds(after) - seconds(before))
    };
    let [mut without, mut read, mut other, mut inside] = [const { Vec::new() }; 4];
    let watch = |grants| Watched::start_with(&folder.join(place).join("watched"), grants).count();
    for _ in 0..ROUNDS {
        without.push(unpack("watched"));
        let watching = watch(Grants::ALL);
        inside.push(unpack("watched"));
        other.push(unpack("other"));
        drop(watching);
        let watching = watch(Grants {
            passing: false,
            ..Grants::ALL
        });
        read.push(unpack("other"));
        drop(watching);
    }
    let files = Command::new("sh")
        .args(["-c", &format!("find {place}/watched -type f | wc -l")])
        .current_dir(folder)
        .output();
    let files = String::from_utf8(files.expect("find runs").stdout).expect("a number");
    let [without, read, other, inside] = [without, read, other, inside].map(medians);
    let ratio = |with: (f64, f64)| {
        (
            100.0 * (with.0 / without.0 - 1.0),
            100.0 * (with.1 / without.1 - 1.0),
        )
    };
    println!(
        "unpack {} files ({place}): {:.3} s, CPU {:.3} s",
        files.trim(),
        without.0,
        without.1
    );
    for (what, figures) in [
        ("in what is watched", inside),
        ("beside it", other),
        ("beside it, where nothing can be passed over", read),
    ] {
        let (time, processor) = ratio(figures);
        println!("  {what}: {time:+.1} %, CPU {processor:+.1} %");
    }
}

/// How much slower somebody writes one file after another where nothing is watched.
fn beside(folder: &Path, place: &str) {
    const WRITER: &str = "import os,sys,time
begun=time.process_time()
for i in range(20000):
  f=os.open(f'{sys.argv[1]}/f{i % 500}',os.O_WRONLY|os.O_CREAT); os.write(f,b'words'); os.fchmod(f,0o600); os.close(f)
print(time.process_time()-begun)";
    let write = || {
        let mut command = Command::new("python3");
        command.args(["-c", WRITER, &format!("{place}/other")]);
        let output = command
            .current_dir(folder)
            .output()
            .expect("python3 starts")
            .stdout;
        let text = String::from_utf8(output).expect("a number");
        text.trim().parse::<f64>().expect("a number")
    };
    let reads = Grants {
        passing: false,
        ..Grants::ALL
    };
    let [mut without, mut read, mut passed] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        without.push((0.0, write()));
        for (grants, figures) in [(reads, &mut read), (Grants::ALL, &mut passed)] {
            let watching = Watched::start_with(&folder.join(place).join("watched"), grants).count();
            figures.push((0.0, write()));
            drop(watching);
        }
    }
    let [without, read, passed] = [without, read, passed].map(|figures| medians(figures).1);
    println!(
        "20,000 files written where nothing is watched ({place}), CPU {without:.3} s: {:+.1} %; {:+.1} % where nothing can be passed over",
        100.0 * (passed / without - 1.0),
        100.0 * (read / without - 1.0)
    );
}

/// The middle of each.
fn medians(figures: Vec<(f64, f64)>) -> (f64, f64) {
    let middle = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (times, processor) = figures.into_iter().unzip();
    (middle(times), middle(processor))
}

struct Watched {
    seen: Receiver<Observation>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

/// A thread that takes what is told of, and gives it up.
struct Counted {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Watched {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, Grants::ALL)
    }

    fn start_with(folder: &Path, grants: Grants) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let files = Files {
            paths: vec![folder.to_owned()],
            ..Files::default()
        };
        let (notice, notices) = mpsc::channel();
        // Nobody listens to notices.
        std::mem::forget(notices);
        let (sender, seen) = queue("observed", 1024);
        let stop = Stop::new().expect("an event");
        let mut sensor = FilesFanotify::new(&files, &[], &BTreeMap::new(), notice).granted(grants);
        sensor.begin();
        let thread = {
            let stop = stop.clone();
            thread::spawn(move || sensor.run(&sender, &stop).expect("it works"))
        };
        Self {
            seen,
            stop,
            thread: Some(thread),
        }
    }

    fn count(mut self) -> Counted {
        let (_, nothing) = mpsc::sync_channel(0);
        let seen = std::mem::replace(&mut self.seen, nothing);
        let sensor = self.thread.take().expect("it runs");
        let taker = thread::spawn(move || {
            for seen in seen {
                assert!(matches!(seen.body, Body::File(_)));
            }
        });
        Counted {
            stop: self.stop.clone(),
            threads: vec![sensor, taker],
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stop.raise();
            while self.seen.recv_timeout(Duration::from_millis(100)).is_ok() {}
            thread.join().expect("it ends");
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.stop.raise();
        for thread in self.threads.drain(..) {
            thread.join().expect("it ends");
        }
    }
}

fn command(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(folder);
    command
}

fn shell(folder: &Path, script: &str) {
    assert!(
        command(folder, script).status().expect("sh starts").success(),
        "{script}"
    );
}
