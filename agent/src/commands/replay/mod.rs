//! `picket replay`: old events judged by today's rules, on their own time.

mod exec_log;
mod judge;

use super::Failure;
use super::auth_log::AuthLog;
use clap::{Args, Subcommand};
use exec_log::{ExecLog, Format};
use judge::{Read, Tally};
use picket_common::event::Payload;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// What to replay.
#[derive(Subcommand)]
pub enum Replay {
    /// An authentication log: syslog in any of its forms, or `journalctl -o json`.
    Auth {
        /// The file to read; `-` is standard input.
        file: String,
        #[command(flatten)]
        options: Options,
    },
    /// Programs that were started: a log of auditd, or JSON in the names of the Elastic Common Schema, an object a line.
    Exec {
        /// The file to read; `-` is standard input.
        file: String,
        /// What the file holds; by itself each line is told by how it begins.
        #[arg(long, value_enum, default_value_t = Format::Auto)]
        format: Format,
        #[command(flatten)]
        options: Options,
    },
}

/// What is judged by, and how it is shown.
#[derive(Args)]
pub struct Options {
    /// Folders of Sigma rules. Of two rules with one id the later counts.
    #[arg(long, value_name = "DIR", default_value = "/usr/share/picket/rules")]
    rules: Vec<PathBuf>,
    /// A folder of exceptions to the rules.
    #[arg(long, value_name = "DIR")]
    exceptions: Option<PathBuf>,
    /// Print each finding as a line of JSON.
    #[arg(long)]
    json: bool,
    /// How many groups (addresses, users) all counting rules keep at once.
    #[arg(long, default_value_t = 100_000)]
    groups: usize,
}

impl Replay {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Auth { file, options } => {
                let mut log = AuthLog::open(&file)?;
                let tally = judge::judge(&file, &options, || {
                    while let Some(read) = log.next_line()? {
                        if let Some((time, event)) = read {
                            let (line, payload) = (log.number(), Payload::Auth(event.into()));
                            return Ok(Some(Read { line, time, payload }));
                        }
                    }
                    Ok(None)
                })?;
                sum_up(log.number(), &tally, log.is_log())
            }
            Self::Exec {
                file,
                format,
                options,
            } => {
                let mut log = ExecLog::open(&file, format)?;
                let judged = judge::judge(&file, &options, || log.next_event());
                judged.map(|_| ()).and(log.complain())
            }
        }
    }
}

/// What it came to: silence alone does not tell a quiet log from one that is no log.
fn sum_up(lines: u64, tally: &Tally, is_log: bool) -> Result<(), Failure> {
    let Tally { events, findings } = tally;
    writeln!(
        io::stderr(),
        "picket: {lines} lines read, {events} understood, {findings} findings"
    )?;
    if lines == 0 || is_log {
        Ok(())
    } else {
        Err(Failure::NoLog)
    }
}
