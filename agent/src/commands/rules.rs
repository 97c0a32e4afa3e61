//! `picket rules`: what each rule can do on this host.

use super::Failure;
use super::run::load;
use crate::app::control::{self, Reply, Request};
use crate::config::Settings;
use crate::detect::{self, About, Proof, Sources};
use crate::history::LastGood;
use crate::observation::Subject;
use crate::plugs;
use clap::Subcommand;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// Where an installed agent has its configuration.
const CONFIG: &str = "/etc/picket/picket.toml";

/// What to do with rules.
#[derive(Subcommand)]
pub enum Rules {
    /// List every rule that loads, and whether it can fire on this host: each is tried on an example of what it looks for.
    List {
        /// The agent's configuration: by itself /etc/picket/picket.toml, and the defaults where that is missing.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Folders of Sigma rules, in the place of those of the configuration.
        #[arg(long, value_name = "DIR")]
        rules: Vec<PathBuf>,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
}

/// A rule in the list.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    title: &'a str,
    /// Its file.
    source: &'a Path,
    line: usize,
    level: String,
    log_source: &'a str,
    /// `single` or `correlation`.
    kind: &'static str,
    /// Whether it makes findings of its own, or is only counted by others.
    reports: bool,
    /// Whether it fires on an example of what it looks for.
    fires: bool,
    /// Whether it fires on its example, and a sensor of this host sees such events.
    can_fire: bool,
    /// Why it cannot.
    reason: Option<String>,
}

impl Rules {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self::List { config, rules, json } = self;
        let settings = settings(config.as_deref())?;
        // Today's files as they are, unless it is the agent's own folders that are listed.
        let (folders, mut kept) = if rules.is_empty() {
            (&settings.detect.rules, LastGood::read(&settings.last_good()))
        } else {
            (&rules, LastGood::default())
        };
        let sources = Sources {
            rules: folders,
            exceptions: None,
            groups: settings.detect.groups,
            indicators: None,
            indicators_before: Default::default(),
            before: &[],
        };
        let mut loaded = detect::load(&sources, &mut kept, jiff::Timestamp::now().into());
        for problem in &loaded.problems {
            writeln!(io::stderr(), "picket: {}", Plain(&problem.to_string()))?;
        }
        if loaded.sigma.rules() == 0 {
            return Err(Failure::NoRules);
        }
        let proofs = loaded.sigma.prove();
        let rows = loaded.about.iter().zip(&proofs);
        let seen = seen(&settings)?;
        let rows: Vec<Row<'_>> = rows.map(|(about, proof)| row(about, proof, &seen)).collect();
        let mut output = BufWriter::new(io::stdout().lock());
        if json {
            ndjson::write(&mut output, &rows)?;
        } else {
            show(&mut output, &rows)?;
        }
        Ok(output.flush()?)
    }
}

fn settings(config: Option<&Path>) -> Result<Settings, Failure> {
    match config {
        Some(config) => load(config),
        None if Path::new(CONFIG).exists() => load(Path::new(CONFIG)),
        None => Ok(Settings::default()),
    }
}

/// What the running agent's sensors see; without one, what they would see if it were started now.
fn seen(settings: &Settings) -> Result<BTreeSet<Subject>, Failure> {
    if let Ok(Reply::Status(report)) = control::ask(&settings.agent.socket, &Request::Status) {
        return Ok(report.sees);
    }
    if !nix::unistd::geteuid().is_root() {
        let text =
            "the agent cannot be asked, so this is what an agent of this user would see; root's sees more";
        writeln!(io::stderr(), "picket: {text}")?;
    }
    let (notices, _) = mpsc::channel();
    let sensors = plugs::sensors(settings, &BTreeMap::new(), &notices);
    let files = plugs::file_sensors(&settings.files, &[], &BTreeMap::new(), &notices);
    Ok(&plugs::seen(&sensors) | &plugs::seen(&files))
}

fn row<'a>(about: &'a About, proof: &'a Proof, seen: &BTreeSet<Subject>) -> Row<'a> {
    let unseen = proof.needs.iter().find_map(|needs| plugs::unseen(*needs, seen));
    let reason = proof.fires.as_ref().err().cloned();
    let reason = reason.or_else(|| unseen.map(str::to_owned));
    Row {
        id: &about.id,
        title: &about.title,
        source: &about.file,
        line: about.line,
        level: json!(about.severity).as_str().unwrap_or_default().to_owned(),
        log_source: &proof.log_source,
        kind: if about.counts.is_some() {
            "correlation"
        } else {
            "single"
        },
        reports: about.reports,
        fires: proof.fires.is_ok(),
        can_fire: reason.is_none(),
        reason,
    }
}

fn show(output: &mut impl Write, rows: &[Row<'_>]) -> Result<(), Failure> {
    writeln!(output, "{:<9} {:<9} {:<13} rule", "can fire", "example", "level")?;
    for row in rows {
        let can_fire = if row.can_fire { "yes" } else { "no" };
        let fires = if row.fires { "fires" } else { "-" };
        writeln!(
            output,
            "{can_fire:<9} {fires:<9} {:<13} {}",
            row.level,
            Plain(row.title)
        )?;
        let place = format!(
            "{}, {} ({}), {}:{}",
            row.id,
            row.kind,
            row.log_source,
            row.source.display(),
            row.line
        );
        writeln!(output, "{:34}{}", "", Plain(&place))?;
        if let Some(reason) = &row.reason {
            writeln!(output, "{:34}cannot fire: {}", "", Plain(reason))?;
        }
    }
    let count = |is: fn(&&Row<'_>) -> bool| rows.iter().filter(is).count();
    writeln!(
        output,
        "{} rules: {} can fire on this host, {} fire on an example",
        rows.len(),
        count(|row| row.can_fire),
        count(|row| row.fires)
    )?;
    Ok(())
}
