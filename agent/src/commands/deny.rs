//! `picket deny`.

use super::Failure;
use super::blocks::{Agent, act, list};
use crate::app::control::Request;
use clap::Subcommand;
use picket_common::action::{ActionKind, DeniedFile, Target};
use std::path::PathBuf;

/// What to do with programs that nobody is to start.
#[derive(Subcommand)]
pub enum Deny {
    /// Show which programs nobody may start, why, and until when.
    List {
        #[command(flatten)]
        agent: Agent,
    },
    /// Let nobody start a program.
    Add {
        /// Its file; another with the same content is denied as well.
        file: PathBuf,
        /// For how many minutes; without it until it is undone.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        minutes: Option<u32>,
        /// Why, for whoever reads it later.
        #[arg(long, default_value = "by hand")]
        reason: String,
        #[command(flatten)]
        agent: Agent,
    },
    /// Let it be started again.
    Remove {
        /// The one that `picket deny list` shows.
        file: PathBuf,
        #[command(flatten)]
        agent: Agent,
    },
}

impl Deny {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { agent } => list(&agent, ActionKind::DenyExec, ("may not start", "would not start")),
            Self::Add {
                file,
                minutes,
                reason,
                agent,
            } => {
                // Only where it lies: the agent looks at it itself.
                let file = DeniedFile {
                    path: std::path::absolute(file)?.to_string_lossy().into_owned(),
                    device: 0,
                    inode: 0,
                    size: 0,
                    changed: 0,
                    sha256: None,
                    copies_start: false,
                };
                let target = Target::DenyExec(Box::new(file));
                let ttl = minutes.map(|minutes| u64::from(minutes) * 60);
                act(&agent, &Request::Act { target, ttl, reason })
            }
            Self::Remove { file, agent } => {
                let name = std::path::absolute(file)?.to_string_lossy().into_owned();
                act(&agent, &Request::Undo { name })
            }
        }
    }
}
