//! `picket blocks` and `picket undo`.

use super::{Failure, sentence};
use crate::app::control::{self, Reply, Request};
use crate::config::{self, Settings};
use clap::{Args, Subcommand};
use picket_common::action::{ActionKind, Decision, Network, Target};
use picket_common::ndjson;
use picket_common::record::Outcome;
use picket_common::terminal::Plain;
use std::cell::OnceCell;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Where the running agent is found.
#[derive(Args)]
pub struct Agent {
    /// The agent's configuration.
    #[arg(long, default_value = "/etc/picket/picket.toml")]
    config: PathBuf,
    /// Print JSON, an object a line.
    #[arg(long)]
    json: bool,
    /// Read once, so that each mistake in it is told once.
    #[arg(skip)]
    settings: OnceCell<Settings>,
}

/// What to do with blocks.
#[derive(Subcommand)]
pub enum Blocks {
    /// Show what is blocked, why, and until when.
    List {
        #[command(flatten)]
        agent: Agent,
    },
    /// Block an address or a network.
    Add {
        /// The address, or the network as 198.51.100.0/24.
        network: Network,
        /// For how many minutes; without it until it is undone.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        minutes: Option<u32>,
        /// Why, for whoever reads it later.
        #[arg(long, default_value = "by hand")]
        reason: String,
        #[command(flatten)]
        agent: Agent,
    },
    /// Let an address or a network in again.
    Remove {
        /// The one that `picket blocks list` shows.
        network: Network,
        #[command(flatten)]
        agent: Agent,
    },
}

/// Takes back an action.
#[derive(Args)]
pub struct Undo {
    /// Its id, or its target.
    name: String,
    #[command(flatten)]
    agent: Agent,
}

impl Blocks {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { agent } => list(&agent, ActionKind::BlockIp, ("blocked", "would be blocked")),
            Self::Add {
                network,
                minutes,
                reason,
                agent,
            } => {
                let ttl = minutes.map(|minutes| u64::from(minutes) * 60);
                let target = Target::BlockIp(network);
                act(&agent, &Request::Act { target, ttl, reason })
            }
            Self::Remove { network, agent } => undo(&agent, network.to_string()),
        }
    }
}

impl Undo {
    pub(super) fn run(self) -> Result<(), Failure> {
        undo(&self.agent, self.name)
    }
}

fn undo(agent: &Agent, name: String) -> Result<(), Failure> {
    act(agent, &Request::Undo { name })
}

/// Shows what is in force of one kind; `said` is how, when the agent acts and when it only watches.
pub(super) fn list(agent: &Agent, kind: ActionKind, said: (&str, &str)) -> Result<(), Failure> {
    let Reply::Held(held) = agent.ask(&Request::Held)? else {
        return Err(Failure::Answer);
    };
    let blocks: Vec<_> = held
        .into_iter()
        .filter(|held| held.action.target.kind() == kind)
        .collect();
    let blocked = match agent.json || blocks.is_empty() || acts(agent)? {
        true => said.0,
        false => said.1,
    };
    let mut output = io::stdout().lock();
    for block in blocks {
        if agent.json {
            ndjson::write(&mut output, &block)?;
            continue;
        }
        let until = block.until.map_or("undone".to_owned(), |until| until.to_string());
        let (id, target) = (block.action.id, &block.action.target);
        writeln!(
            output,
            "{id}  {target}  {blocked} until {until}  {}",
            Plain(&block.action.reason)
        )?;
    }
    Ok(())
}

/// Whether the agent does what it decides.
fn acts(agent: &Agent) -> Result<bool, Failure> {
    match agent.ask(&Request::Status)? {
        Reply::Status(report) => Ok(report.mode == "enforce"),
        _ => Err(Failure::Answer),
    }
}

/// Lets the agent do something, and says what came of it.
pub(super) fn act(agent: &Agent, request: &Request) -> Result<(), Failure> {
    let Reply::Done(outcomes) = agent.ask(request)? else {
        return Err(Failure::Answer);
    };
    let mut output = io::stdout().lock();
    let mut failed = None;
    for outcome in &outcomes {
        if agent.json {
            ndjson::write(&mut output, outcome)?;
        } else if let Some(line) = sentence(outcome) {
            writeln!(output, "{}", Plain(&line))?;
        }
        if let Decision::Refused { because } | Decision::Failed { because } = &outcome.decision {
            failed = Some(because.clone());
        }
    }
    match failed {
        Some(because) => Err(Failure::Agent(because)),
        None => Ok(()),
    }
}

fn sentence(outcome: &Outcome) -> Option<String> {
    let (id, target) = (outcome.action.id, &outcome.action.target);
    match (&outcome.decision, target.kind()) {
        (Decision::Applied | Decision::Simulated, ActionKind::Kill) => Some(sentence::of_outcome(outcome)),
        (Decision::Refused { .. } | Decision::Failed { .. }, _) => None,
        (Decision::Applied, ActionKind::BlockIp) => Some(format!("{target} is blocked; picket undo {id}")),
        (Decision::Simulated, ActionKind::BlockIp) => Some(format!(
            "{target} would be blocked; the agent only watches (respond.mode)"
        )),
        (_, ActionKind::DenyExec | ActionKind::Quarantine) => Some(sentence::of_outcome(outcome)),
        (Decision::Undone, _) => Some(format!("{target} is let in again")),
        (Decision::Expired, _) => Some(format!("{target} is let in again: its time is over")),
    }
}

impl Agent {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Its settings, as far as they can be read. Mistakes are told and stop nobody here: whoever locked themselves out needs
    /// `picket undo` most.
    pub(super) fn settings(&self) -> &Settings {
        self.settings.get_or_init(|| {
            let loaded = config::load(&self.config);
            for problem in &loaded.problems {
                // The question is asked also when nobody reads what is told beside it.
                drop(writeln!(
                    io::stderr(),
                    "picket: warning: {}",
                    Plain(&problem.to_string())
                ));
            }
            loaded.settings
        })
    }

    /// Asks the running agent.
    pub(super) fn ask(&self, request: &Request) -> Result<Reply, Failure> {
        let socket = &self.settings().agent.socket;
        match control::ask(socket, request) {
            Ok(Reply::Error(error)) => Err(Failure::Agent(error)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(Failure::Unreachable {
                path: socket.display().to_string(),
                error,
            }),
        }
    }
}
