//! Agent and collector killed 100 times under load, at random moments: what is lost, and what is there twice.

use picket_tests::booted::Booted;
use picket_tests::line::Line;
use picket_tests::load;
use std::time::Instant;

const ROUNDS: u64 = 100;

fn main() {
    println!(
        "{:<60} {:>8} {:>6} {:>6}",
        format!("agent and collector killed {ROUNDS} times, at random"),
        "lines",
        "lost",
        "twice"
    );
    // Another run is another draw.
    let seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |since| since.as_secs());
    let mut line = Line::start("");
    line.log("");
    let log = line.path("auth.log");
    row("following a file", &mut line, seed, |numbers| {
        load::append(&log, numbers);
    });
    drop(line);
    if let Some(reason) = Booted::missing() {
        println!("following the journal: skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let mut line = Line::inside(&host, "journal = \"yes\"\n", "");
    let mut syslog = host.syslog();
    row(
        "following the journal of a booted host",
        &mut line,
        seed,
        |numbers| syslog.messages(numbers),
    );
}

fn row(name: &str, line: &mut Line, seed: u64, write: impl FnMut(std::ops::Range<u64>) + Send) {
    let started = Instant::now();
    line.start_agent();
    let written = load::during(write, |_| load::kill(line, ROUNDS, seed));
    let (missing, double) = load::missing_and_double(line, written);
    let name = format!("{name}, {:.0} s, seed {seed}", started.elapsed().as_secs_f64());
    println!("{name:<60} {written:>8} {:>6} {:>6}", missing.len(), double.len());
}
