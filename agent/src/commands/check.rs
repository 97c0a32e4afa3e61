//! `picket check`: the daemon's own loader, without the daemon.

use super::Failure;
use crate::config;
use clap::Args;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Checks the configuration and names every mistake with its place.
#[derive(Args)]
pub struct Check {
    /// The main file; `conf.d/*.toml` beside it is read as well.
    #[arg(long, default_value = "/etc/picket/picket.toml")]
    config: PathBuf,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let loaded = config::load(&self.config);
        let mut complaints = io::stderr().lock();
        for problem in &loaded.problems {
            writeln!(complaints, "{problem}")?;
        }
        if !loaded.problems.is_empty() {
            return Err(Failure::Config(loaded.problems.len()));
        }
        let mut output = io::stdout().lock();
        for file in &loaded.files {
            writeln!(output, "{}: good", file.display())?;
        }
        Ok(())
    }
}
