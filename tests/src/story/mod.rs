//! The stories that Picket is for, each told on a real host by a real attacker.

mod guessing;
mod miner;
mod web_shell;

pub use guessing::{Timeline, tell as tell_of_guessing};
pub use miner::{Killing, tell as tell_of_a_miner};
pub use web_shell::{Dropped, tell as tell_of_a_web_shell};

use serde_json::Value;

fn millis(from: jiff::Timestamp, to: jiff::Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1000.0
}

fn time(value: &Value) -> jiff::Timestamp {
    value.as_str().expect("a time").parse().expect("a time")
}
