//! Programs that start and end by the thousand, each with arguments that no other has.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// See the module.
pub struct Storm {
    /// How many programs.
    pub programs: u32,
    /// How many start one after the other, at the same time.
    pub workers: u32,
}

impl Storm {
    /// Starts all of them, marked by a word, and waits for the end of each. Gives how long that took.
    pub fn rage(&self, mark: &str) -> Duration {
        let next = AtomicU32::new(0);
        let start = Instant::now();
        std::thread::scope(|threads| {
            for _ in 0..self.workers {
                threads.spawn(|| {
                    while let number = next.fetch_add(1, Ordering::Relaxed)
                        && number < self.programs
                    {
                        let status = Command::new("/bin/true")
                            .args(arguments(mark, number))
                            .env_clear()
                            .stdin(Stdio::null())
                            .status();
                        assert!(status.expect("it starts").success());
                    }
                });
            }
        });
        start.elapsed()
    }

    /// How many of a storm's programs are among events as `picket-collector search --json` prints them, each with all of
    /// its arguments.
    pub fn seen(&self, mark: &str, events: &str) -> usize {
        let seen: BTreeSet<u32> = events
            .lines()
            .filter_map(|line| {
                let value: Value = serde_json::from_str(line).expect("JSON");
                let arguments = value["body"]["payload"]["args"].as_array()?.clone();
                let number = arguments.get(2)?.as_str()?.parse().ok()?;
                let wanted = ["/bin/true".to_owned()]
                    .into_iter()
                    .chain(self::arguments(mark, number));
                wanted
                    .eq(arguments.iter().filter_map(Value::as_str))
                    .then_some(number)
            })
            .collect();
        seen.len()
    }
}

/// The arguments of the program of that number: of a usual length, and one that is long.
fn arguments(mark: &str, number: u32) -> [String; 4] {
    [
        format!("--{mark}"),
        number.to_string(),
        format!("--output=/var/tmp/{mark}/{number}.part"),
        "lorem-ipsum-".repeat(usize::try_from(number % 16).unwrap_or_default()),
    ]
}
