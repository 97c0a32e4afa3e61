//! What the sensor of processes costs: a storm of programs with and without it.

use picket_agent::config::Process as Settings;
use picket_agent::observation::{Body, Observation, ProcessSeen};
use picket_agent::queue::queue;
use picket_agent::sense::{ExecEbpf, Sensor as _};
use picket_agent::sys::Stop;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const EXECS: usize = 20_000;
const WORKERS: usize = 4;
const ROUNDS: usize = 5;

fn main() {
    if !nix::unistd::geteuid().is_root() {
        println!("exec: skipped: programs for the kernel are loaded by root alone");
        return;
    }
    let spans = latency();
    println!(
        "exec → handed to the judge, idle: p50 {:.3?}, p99 {:.3?}",
        spans[spans.len() / 2],
        spans[spans.len() * 99 / 100]
    );
    let (mut bare, mut watched) = (Vec::new(), Vec::new());
    let (mut cpu, mut seen) = (Duration::ZERO, 0);
    storm(EXECS / 10);
    for _ in 0..ROUNDS {
        bare.push(storm(EXECS));
        let (took, spent, counted) = with_sensor();
        watched.push(took);
        cpu += spent;
        seen += counted;
    }
    let (bare, watched) = (median(bare), median(watched));
    println!("storm of {EXECS} by {WORKERS} workers: {bare:.2?} bare, {watched:.2?} with the sensor");
    println!(
        "slow-down {:.1} %, CPU of the sensor's thread {:.1} µs an exec, seen with full argv {:.3} %",
        (watched.as_secs_f64() / bare.as_secs_f64() - 1.0) * 100.0,
        cpu.as_secs_f64() * 1e6 / (EXECS * ROUNDS) as f64,
        seen as f64 / (EXECS * ROUNDS) as f64 * 100.0
    );
}

/// How long after it happened a program that starts on an idle machine is handed on.
fn latency() -> Vec<Duration> {
    let (notice, _notices) = channel();
    let mut sensor = ExecEbpf::open(&Settings::default(), notice).expect("the kernel takes it");
    let stop = Stop::new().expect("an eventfd");
    let (send, observed) = queue::<Observation>("bench", 1024);
    let stopped = stop.clone();
    let sensor = std::thread::spawn(move || sensor.run(&send, &stopped).expect("it sees"));
    let storming = std::thread::spawn(move || {
        for _ in 0..500 {
            assert!(
                Command::new("/bin/true")
                    .arg("now")
                    .status()
                    .expect("it starts")
                    .success()
            );
            // Idle is what is measured: the reader is to fall asleep in between.
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.raise();
    });
    let mut spans = Vec::new();
    for observation in observed {
        let now = picket_common::time::Timestamp::from(jiff::Timestamp::now());
        let Body::Processes(sightings) = observation.body else {
            continue;
        };
        for sighting in sightings {
            if let ProcessSeen::Exec(event) = sighting.what
                && event.args.get(1).is_some_and(|arg| arg == "now")
            {
                spans.push(now.since(sighting.time));
            }
        }
    }
    storming.join().expect("no panic");
    sensor.join().expect("no panic");
    spans.sort();
    spans
}

/// How long it took, what CPU time the sensor's thread took, and how many it saw.
fn with_sensor() -> (Duration, Duration, usize) {
    let (notice, _notices) = channel();
    let mut sensor = ExecEbpf::open(&Settings::default(), notice).expect("the kernel takes it");
    let stop = Stop::new().expect("an eventfd");
    let (send, observed) = queue::<Observation>("bench", 1024);
    let stopped = stop.clone();
    let sensor = std::thread::spawn(move || {
        sensor.run(&send, &stopped).expect("it sees");
        // Nanoseconds on the CPU come first.
        let spent = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts");
        let spent = spent.split(' ').next().and_then(|spent| spent.parse().ok());
        Duration::from_nanos(spent.expect("a number"))
    });
    let judge = std::thread::spawn(move || {
        let mut seen = 0;
        for observation in observed {
            let Body::Processes(sightings) = observation.body else {
                continue;
            };
            let storm = sightings.iter().filter(|sighting| match &sighting.what {
                ProcessSeen::Exec(event) => event.args.len() == 4 && event.args[1] == "one argument",
                _ => false,
            });
            seen += storm.count();
        }
        seen
    });
    let took = storm(EXECS);
    stop.raise();
    let spent = sensor.join().expect("no panic");
    (took, spent, judge.join().expect("no panic"))
}

fn storm(execs: usize) -> Duration {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                for number in 0..execs / WORKERS {
                    let mut command = Command::new("/bin/true");
                    command.args(["one argument", "another"]).arg(number.to_string());
                    assert!(command.status().expect("it starts").success());
                }
            });
        }
    });
    begin.elapsed()
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort();
    of[of.len() / 2]
}
