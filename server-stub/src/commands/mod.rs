//! The subcommands of `picket-collector`, a file each.

mod agents;
mod findings;
mod search;
mod serve;
mod show;
mod token;

use clap::{Args, Parser};
use picket_common::terminal::Plain;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Receives what Picket's agents found, keeps it, and shows it.
#[derive(Parser)]
#[command(name = "picket-collector", version, about, arg_required_else_help = true)]
pub enum Command {
    /// Receive from agents until told to stop.
    Serve(serve::Serve),
    /// Make and take back the tokens that let hosts in.
    #[command(subcommand)]
    Token(token::Token),
    /// Show the hosts that were let in, or shut one out.
    Agents(agents::Agents),
    /// Show findings, and what was done about them.
    Findings(findings::Findings),
    /// Look for words in all that was received.
    Search(search::Search),
}

/// Where the collector keeps what it has.
#[derive(Args)]
pub struct Data {
    /// The folder of the collector's data.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/picket-collector")]
    data: PathBuf,
}

impl Data {
    /// The folder of what was received.
    fn records(&self) -> Result<PathBuf, Failure> {
        let folder = self.data.join("records");
        match folder.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::Empty(folder)),
            _ => Ok(folder),
        }
    }
}

impl Command {
    /// Runs it and gives the exit status: 0 when all went well, 1 when it failed.
    pub fn run(self) -> ExitCode {
        let done = match self {
            Self::Serve(serve) => serve.run(),
            Self::Token(token) => token.run(),
            Self::Agents(agents) => agents.run(),
            Self::Findings(findings) => findings.run(),
            Self::Search(search) => search.run(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            // Whoever reads our output has seen enough.
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(failure) => {
                // Nothing is left to tell if standard error is gone too.
                // It may repeat what was given.
                drop(writeln!(
                    io::stderr(),
                    "picket-collector: {}",
                    Plain(&failure.to_string())
                ));
                ExitCode::FAILURE
            }
        }
    }
}

/// Why a command gave up.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error(
        "there is no {}: nothing was received here yet; `picket-collector serve` receives, and --data names its folder",
        .0.display()
    )]
    Empty(PathBuf),
    #[error(transparent)]
    Serve(#[from] crate::receive::ServeError),
    #[error(transparent)]
    Authority(#[from] crate::authority::AuthorityError),
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_folder_in_which_nothing_was_received_says_how_it_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let data = super::Data {
            data: folder.path().to_owned(),
        };
        let told = data.records().unwrap_err().to_string();
        assert!(told.contains("picket-collector serve"), "{told}");
        std::fs::create_dir(folder.path().join("records")).unwrap();
        assert_eq!(data.records().unwrap(), folder.path().join("records"));
    }
}
