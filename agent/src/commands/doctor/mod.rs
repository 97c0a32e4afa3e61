//! `picket doctor`: what to run first when something seems wrong.

mod agent;
mod denials;
mod files;
mod firewall;
mod identity;
mod logs;
mod processes;
mod report;
mod rights;
mod spool;
mod system;

use super::Failure;
use crate::config::{self, Loaded, Settings};
use crate::detect::{self, Sources};
use crate::history::LastGood;
use agent::Agent;
use clap::Args;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use picket_common::time::Timestamp;
use report::{Check, State, some};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Looks at everything that Picket needs on this host and says what to do about it. Needs no running agent; as another user
/// than root it says what it cannot see. The exit status is 1 when anything failed.
#[derive(Args)]
pub struct Doctor {
    /// The agent's configuration.
    #[arg(long, default_value = "/etc/picket/picket.toml")]
    config: PathBuf,
    /// Print one JSON array of objects: check, state (ok, degraded, failed), found, advice.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(self) -> Result<(), Failure> {
        let checks = look(&config::load(&self.config));
        let mut output = io::stdout().lock();
        if self.json {
            ndjson::write(&mut output, &checks)?;
        } else {
            for check in &checks {
                let (state, name) = (check.state.as_str(), Plain(&check.check));
                writeln!(output, "{state:<9} {name}: {}", Plain(&check.found))?;
                if !check.advice.is_empty() {
                    writeln!(output, "{:9} ▶ {}", "", Plain(&check.advice))?;
                }
            }
        }
        match checks.iter().filter(|check| check.state == State::Failed).count() {
            0 => Ok(()),
            failed => Err(Failure::Sick(failed)),
        }
    }
}

fn look(loaded: &Loaded) -> Vec<Check> {
    let (settings, now) = (&loaded.settings, jiff::Timestamp::now().into());
    let agent = Agent::ask(&settings.agent.socket);
    let mut checks = vec![
        configuration(loaded),
        rules(settings),
        agent.check(&settings.agent.socket),
        rights::check(&agent),
    ];
    checks.extend(logs::checks(&settings.auth, now));
    checks.push(processes::check(&settings.process, &agent));
    checks.push(files::check(&settings.files));
    checks.extend(firewall::checks(&settings.respond, &agent));
    checks.push(denials::check(&settings.respond, &agent));
    checks.extend(identity::checks(settings, now));
    checks.push(agent.collector(settings, now));
    checks.extend(spool::checks(settings, &agent));
    checks.push(system::courier_user(&settings.send.user));
    checks.push(system::clock());
    checks
}

fn configuration(loaded: &Loaded) -> Check {
    const NAME: &str = "configuration";
    if loaded.problems.is_empty() {
        let files: Vec<_> = loaded.files.iter().map(|file| file.display()).collect();
        return Check::ok(NAME, some(&files));
    }
    Check::failed(
        NAME,
        some(&loaded.problems),
        "mend what is named; `picket check` names all of it. What follows is judged by the settings that could be read",
    )
}

fn rules(settings: &Settings) -> Check {
    const NAME: &str = "rules";
    let mut kept = LastGood::read(&settings.last_good());
    let now = jiff::Timestamp::now().into();
    let loaded = detect::load(&Sources::from(settings), &mut kept, now);
    let (count, problems) = (loaded.sigma.rules(), loaded.problems);
    if count == 0 {
        let why = if problems.is_empty() {
            "the folders hold none".to_owned()
        } else {
            some(&problems)
        };
        return Check::failed(
            NAME,
            format!("not one could be loaded, so nothing is found: {why}"),
            "name folders of Sigma rules in detect.rules",
        );
    }
    if problems.is_empty() {
        let exceptions = loaded.exceptions.len();
        let files = loaded.files.len();
        return Check::ok(
            NAME,
            format!("{count}, and {exceptions} exceptions, from {files} files"),
        );
    }
    Check::degraded(
        NAME,
        format!("{count} are loaded, and not: {}", some(&problems)),
        "mend what is named, or take its file away; the others count, and of a file that was good before its last good version",
    )
}

/// How long ago something was, or how far ahead it lies.
fn age(time: Timestamp, now: Timestamp) -> String {
    if time > now {
        format!("in {}", report::span(time.since(now)))
    } else {
        format!("{} ago", report::span(now.since(time)))
    }
}
