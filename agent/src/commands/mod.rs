//! The subcommands of `picket`, a file each.

mod auth_log;
mod check;
mod parse;
mod replay;

use clap::Parser;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Watches, judges and acts on one Linux host.
#[derive(Parser)]
#[command(name = "picket", version, about, arg_required_else_help = true)]
pub enum Command {
    /// Check the configuration and name every mistake.
    Check(check::Check),
    /// Show how a log is understood, line by line.
    #[command(subcommand)]
    Parse(parse::Parse),
    /// Judge an old log by today's rules, on the log's own time.
    #[command(subcommand)]
    Replay(replay::Replay),
}

impl Command {
    /// Runs it and gives the exit status: 0 when all went well, 1 when it failed.
    pub fn run(self) -> ExitCode {
        let done = match self {
            Self::Check(check) => check.run(),
            Self::Parse(parse) => parse.run(),
            Self::Replay(replay) => replay.run(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            // Whoever reads our output has seen enough (`picket … | head`).
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(failure) => {
                // Nothing is left to tell if standard error is gone too.
                drop(writeln!(io::stderr(), "picket: {failure}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// Why a command gave up.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot read {path}: {error}")]
    Input { path: String, error: io::Error },
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{0} of the files could not be read")]
    Some(usize),
    #[error("the configuration has mistakes: {0}")]
    Config(usize),
    #[error("no rule could be loaded; name folders of Sigma rules with --rules DIR")]
    NoRules,
}
