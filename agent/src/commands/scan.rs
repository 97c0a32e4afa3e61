//! `picket scan`: look into files now.

use super::Failure;
use super::scan_report::{Report, Totals};
use crate::config;
use crate::scan::{self, Limits, Options, Queue, Submitted, Task, Walk};
use crate::sys::unprivileged;
use clap::Args;
use nix::unistd::{Uid, User};
use rustix::fs::fstat;
use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Looks into files: YARA rules, hashes, archives. Links are not followed.
///
/// The exit status is 1 when a rule matched, else 2 when something could not be scanned, else 0.
#[derive(Args)]
pub struct Scan {
    /// A folder of YARA rules, or a file of them, in the place of those that the agent uses; may be given more than once.
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// The main file of settings, which says where the agent's rules are.
    #[arg(long, default_value = "/etc/picket/picket.toml")]
    config: PathBuf,
    /// Print a JSON object for each file.
    #[arg(long)]
    json: bool,
    /// How many files to look into at once [default: one for each processor, up to 4].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,
    /// Files and folders.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// So many files are open and wait, at most.
const WAITING: usize = 256;

impl Scan {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let loaded = config::load(&self.config);
        let settings = loaded.settings;
        let mut limits = Limits::default();
        if let Some(threads) = self.threads {
            limits.threads = threads.into();
        }
        let options = Options {
            program: "/proc/self/exe".into(),
            user: unprivileged(&settings.send.user),
            limits,
            rules: if self.rules.is_empty() {
                settings.detect.rules
            } else {
                self.rules
            },
        };
        let queue = Queue::new(WAITING)?;
        let totals = Totals::default();
        let report = Mutex::new(Report::new(self.json, &totals));
        thread::scope(|scope| {
            if io::stderr().is_terminal() {
                scope.spawn(|| totals.count(Walk::new(self.paths.clone())));
            }
            scope.spawn(|| submit(self.paths.clone(), &queue, &report));
            scan::run(&queue, &options, |heard| {
                if !lock(&report).hear(heard) {
                    queue.stop();
                }
            });
            totals.stop();
            queue.stop();
        });
        let report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.end(queue.backlog().unscanned)
    }
}

/// Opens all files and lets them wait.
fn submit(paths: Vec<PathBuf>, queue: &Queue<(String, u64)>, report: &Mutex<Report<'_>>) {
    let mut owners = HashMap::new();
    for (path, size) in Walk::new(paths) {
        if !queue.wait_for_room() {
            return;
        }
        let name = path.to_string_lossy().into_owned();
        let submitted = size.and_then(|size| {
            let file = scan::open(&path)?;
            let owner = owner(&file, &mut owners);
            let (path, what) = (name.clone(), (name.clone(), size));
            queue.submit(Task {
                file,
                path,
                owner,
                what,
            })
        });
        match submitted {
            Ok(Submitted::Waits) => {}
            // Nobody else fills it, and a path is not given twice but in two arguments.
            Ok(Submitted::Replaces(_)) => lock(report).is_double(),
            Ok(Submitted::Full(_)) => lock(report).unreadable(&name, "there was no room for it"),
            Err(error) => lock(report).unreadable(&name, &error.to_string()),
        }
    }
    queue.finish();
}

/// The name of a file's owner, looked up once.
fn owner(file: &OwnedFd, known: &mut HashMap<u32, String>) -> String {
    let Ok(stat) = fstat(file) else {
        return String::new();
    };
    let name = |uid| {
        User::from_uid(Uid::from_raw(uid))
            .ok()
            .flatten()
            .map(|user| user.name)
    };
    let uid = stat.st_uid;
    known
        .entry(uid)
        .or_insert_with(|| name(uid).unwrap_or_default())
        .clone()
}

fn lock<'a, 'b>(report: &'a Mutex<Report<'b>>) -> MutexGuard<'a, Report<'b>> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}
