//! What the tests share.

pub mod attack_log;
pub mod booted;
pub mod facts;
pub mod fuzz;
pub mod inside;
pub mod judged;
pub mod laboratory;
pub mod line;
pub mod load;
pub mod mails;
pub mod network;
pub mod programs;
pub mod samples;
pub mod sensor;
pub mod storm;
pub mod story;
pub mod surroundings;
pub mod watched;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// `picket` as the tests' own build made it.
pub fn picket() -> Command {
    Command::new(binary("picket"))
}

/// A binary of the workspace: it lies beside the folder of the running test's own.
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own path");
    let path = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path: &PathBuf| path.is_file());
    path.unwrap_or_else(|| {
        panic!(
            "{name} was not built; run `cargo build` first ({})",
            Path::new(&own).display()
        )
    })
}

/// Waits until `count` lines of a growing file hold `text`, and gives them; else all others, when none has come for `patience`.
fn follow(file: &Path, text: &str, count: usize, patience: Duration) -> Result<Vec<String>, Vec<String>> {
    let mut tail = Command::new("tail")
        .args(["--lines=+1", "--follow=name", "--retry", "--quiet"])
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("tail starts");
    let lines = BufReader::new(tail.stdout.take().expect("a pipe"));
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        lines
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| send.send(line))
    });
    let (mut found, mut others) = (Vec::new(), Vec::new());
    while found.len() < count {
        match receive.recv_timeout(patience) {
            Ok(line) if line.contains(text) => found.push(line),
            Ok(line) => others.push(line),
            Err(_) => break,
        }
    }
    drop(tail.kill());
    drop(tail.wait());
    if found.len() < count {
        Err(others)
    } else {
        Ok(found)
    }
}
