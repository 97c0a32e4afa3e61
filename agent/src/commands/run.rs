//! `picket run`: the agent itself.

use super::Failure;
use crate::config::{self, Settings};
use crate::{app, logging, sys};
use clap::Args;
use picket_common::terminal::Plain;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Watches, judges and acts until it gets SIGTERM or SIGINT. Rules that change are loaded anew, as on SIGHUP.
#[derive(Args)]
pub struct Run {
    /// The main file; `conf.d/*.toml` beside it is read as well.
    #[arg(long, default_value = "/etc/picket/picket.toml")]
    config: PathBuf,
}

impl Run {
    pub(super) fn run(self) -> Result<(), Failure> {
        sys::keep_small();
        logging::start();
        Ok(app::run(&load(&self.config)?)?)
    }
}

/// The settings, or every mistake in them.
pub(super) fn load(file: &Path) -> Result<Settings, Failure> {
    let loaded = config::load(file);
    for problem in &loaded.problems {
        writeln!(io::stderr(), "{}", Plain(&problem.to_string()))?;
    }
    if loaded.problems.is_empty() {
        Ok(loaded.settings)
    } else {
        Err(Failure::Config(loaded.problems.len()))
    }
}
