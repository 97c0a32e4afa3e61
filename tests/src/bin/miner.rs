//! What a miner looks like from outside: a program that starts more of itself, and stays until it is killed.

use std::process::{Command, exit};

/// A miner that nobody stops gives up by itself.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(120);

fn main() {
    let mut workers = Vec::new();
    if std::env::args().nth(1).as_deref() != Some("worker") {
        let own = std::env::current_exe().expect("a program knows its path");
        workers.extend((0..2).map(|_| Command::new(&own).arg("worker").spawn().expect("a worker")));
    }
    std::thread::sleep(LONGEST);
    for mut worker in workers {
        // It has given up as well.
        drop(worker.wait());
    }
    exit(1);
}
