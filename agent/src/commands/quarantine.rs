//! `picket quarantine`.

use super::Failure;
use super::blocks::{Agent, act};
use crate::app::control::Request;
use crate::respond::{Record, Release, Vault};
use clap::Subcommand;
use picket_common::action::Target;
use picket_common::event::FileRef;
use picket_common::ndjson;
use picket_common::raw_text::RawText;
use picket_common::terminal::Plain;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What to do with files that were taken away.
#[derive(Subcommand)]
pub enum Quarantine {
    /// Show which files are in quarantine.
    List {
        #[command(flatten)]
        agent: Agent,
    },
    /// Show all that is known of one.
    Show {
        /// Its id, or where it lay.
        name: String,
        #[command(flatten)]
        agent: Agent,
    },
    /// Take a file away, if the agent's guard agrees.
    Add {
        /// Which.
        file: PathBuf,
        /// Why, for whoever reads it later.
        #[arg(long, default_value = "by hand")]
        reason: String,
        #[command(flatten)]
        agent: Agent,
    },
    /// Put one back as it was. Nothing is overwritten.
    Restore {
        /// Its id, or where it lay.
        name: String,
        /// Not where it lay, but here: the path of the file.
        #[arg(long)]
        to: Option<PathBuf>,
        #[command(flatten)]
        agent: Agent,
    },
    /// Delete one for good.
    Delete {
        /// Its id, or where it lay.
        name: String,
        #[command(flatten)]
        agent: Agent,
    },
    /// Write the bare content of one into a new file, to look into it. It may be dangerous, and stays in quarantine.
    Export {
        /// Its id, or where it lay.
        name: String,
        /// The new file, which only you can read and nobody can run.
        #[arg(long)]
        to: PathBuf,
        #[command(flatten)]
        agent: Agent,
    },
}

impl Quarantine {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { agent } => list(&agent),
            Self::Show { name, agent } => show(&agent, &vault(&agent).find(&name)?),
            Self::Add { file, reason, agent } => {
                // Only where it lies: the agent looks at it itself.
                let file = FileRef {
                    path: RawText::from(lies(&file)?.as_path()),
                    identity: None,
                    sha256: None,
                };
                let target = Target::Quarantine(Box::new(file));
                let ttl = None;
                act(&agent, &Request::Act { target, ttl, reason })
            }
            Self::Restore { name, to, agent } => {
                let request = match to {
                    None => Request::Undo { name },
                    Some(to) => Request::Release {
                        name,
                        way: Release::To(RawText::from(lies(&to)?.as_path())),
                    },
                };
                act(&agent, &request)
            }
            Self::Delete { name, agent } => {
                let way = Release::Delete;
                act(&agent, &Request::Release { name, way })
            }
            Self::Export { name, to, agent } => {
                let vault = vault(&agent);
                vault.export(&vault.find(&name)?, &lies(&to)?)?;
                Ok(writeln!(
                    io::stdout(),
                    "written to {to:?}; it is as dangerous as it was"
                )?)
            }
        }
    }
}

/// The path without links in its folders, which the agent does not follow. The file itself may be missing, or be a link.
fn lies(path: &Path) -> Result<PathBuf, Failure> {
    let path = std::path::absolute(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let folder = folder.canonicalize().map_err(|error| Failure::Input {
        path: folder.display().to_string(),
        error,
    })?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}

/// It is read without the agent, which may not run: whoever may not read it learns nothing.
fn vault(agent: &Agent) -> Vault {
    let settings = &agent.settings().respond.quarantine;
    Vault::new(&settings.directory, settings.quota)
}

fn list(agent: &Agent) -> Result<(), Failure> {
    let (records, problems) = vault(agent).records()?;
    let mut output = io::stdout().lock();
    for record in records {
        if agent.is_json() {
            ndjson::write(&mut output, &record)?;
            continue;
        }
        let (id, time, size) = (record.id(), record.action.time, record.size);
        let reason = Plain(&record.action.reason);
        writeln!(output, "{id}  {time}  {}  {size} bytes  {reason}", record.path)?;
    }
    for problem in problems {
        writeln!(io::stderr(), "picket: warning: {}", Plain(&problem))?;
    }
    Ok(())
}

fn show(agent: &Agent, record: &Record) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    if agent.is_json() {
        ndjson::write(&mut output, record)?;
        return Ok(());
    }
    let (action, attributes) = (&record.action, &record.attributes);
    let mut say = |name: &str, value: String| writeln!(output, "{name:<10} {}", Plain(&value));
    say("id", record.id().to_string())?;
    say("path", record.path.to_string())?;
    say("taken", action.time.to_string())?;
    say("because", action.reason.clone())?;
    if let Some(finding) = action.finding {
        say("finding", format!("{finding}; picket explain {finding}"))?;
    }
    say("size", format!("{} bytes", record.size))?;
    say("sha256", record.sha256.clone())?;
    say("owner", format!("{}:{}", attributes.uid, attributes.gid))?;
    say("mode", format!("{:04o}", attributes.mode))?;
    let modified = jiff::Timestamp::from_second(attributes.modified.seconds);
    say(
        "modified",
        modified.map_or("unknown".to_owned(), |time| time.to_string()),
    )?;
    for xattr in &attributes.xattrs {
        say("attribute", format!("{} = {}", xattr.name, xattr.value))?;
    }
    if record.links > 1 {
        say("links", format!("{} names, of which one is gone", record.links))?;
    }
    for name in &record.other_names {
        say("also as", name.to_string())?;
    }
    say("back", format!("picket quarantine restore {}", record.id()))?;
    Ok(())
}
