//! `picket check`: the daemon's own loader, without the daemon.

use super::Failure;
use crate::config;
use crate::detect::{self, Sources};
use crate::history::LastGood;
use clap::Args;
use picket_common::terminal::Plain;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Checks the configuration, the rules and the exceptions, and names every mistake with its place.
#[derive(Args)]
pub struct Check {
    /// The main file; `conf.d/*.toml` beside it is read as well.
    #[arg(long, default_value = "/etc/picket/picket.toml")]
    config: PathBuf,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let loaded = config::load(&self.config);
        let mut problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        let now = jiff::Timestamp::now().into();
        // The agent's own, so that it can be said what it goes on with; the agent alone writes it.
        let mut kept = LastGood::read(&loaded.settings.last_good());
        let rules = detect::load(&Sources::from(&loaded.settings), &mut kept, now);
        problems.extend(rules.problems.iter().map(ToString::to_string));
        let mut complaints = io::stderr().lock();
        for problem in &problems {
            writeln!(complaints, "{}", Plain(problem))?;
        }
        if !problems.is_empty() {
            return Err(Failure::Check(problems.len()));
        }
        let mut output = io::stdout().lock();
        for file in loaded.files.iter().chain(&rules.files) {
            writeln!(output, "{}: good", Plain(&file.display().to_string()))?;
        }
        if rules.sigma.rules() == 0 {
            return Err(Failure::Unruled(folders(&loaded.settings.detect.rules)));
        }
        let (indicators, exceptions) = (&rules.indicators, &rules.exceptions);
        let rules = rules.sigma.rules();
        writeln!(output, "{rules} rules and {} exceptions", exceptions.len())?;
        if !indicators.is_empty() {
            let (count, bytes) = (indicators.len(), indicators.bytes());
            writeln!(output, "{count} indicators, in {} KiB of memory", bytes / 1024)?;
        }
        for exception in exceptions.iter().filter(|exception| !exception.holds(now)) {
            let text = format!(
                "{}:{}: its time is over, it can go: {}",
                exception.file.display(),
                exception.at.0,
                exception.reason
            );
            writeln!(output, "{}", Plain(&text))?;
        }
        Ok(())
    }
}

fn folders(folders: &[PathBuf]) -> String {
    let shown: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    shown.join(", ")
}
