//! What the tests share.

pub mod attack_log;
pub mod laboratory;
pub mod line;
pub mod network;
pub mod story;

use std::path::{Path, PathBuf};
use std::process::Command;

/// `picket` as the tests' own build made it.
pub fn picket() -> Command {
    Command::new(binary("picket"))
}

/// A binary of the workspace: it lies beside the folder of the running test's own.
fn binary(name: &str) -> PathBuf {
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
