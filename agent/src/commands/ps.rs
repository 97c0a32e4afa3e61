//! `picket ps`: the processes that run, and what was found of them.

use super::Failure;
use super::blocks::Agent;
use crate::app::control::{Reply, Request};
use crate::app::running::Running;
use clap::Args;
use picket_common::event::Program;
use picket_common::ndjson;
use picket_common::process::ProcessId;
use picket_common::terminal::Plain;
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufWriter, Write};

/// A command line is cut behind so many characters.
const LONGEST: usize = 200;

/// Shows the processes that run, as a tree: who runs them, through which login and from where, in which container or unit,
/// since when, and the findings about them. Secrets in command lines are masked.
#[derive(Args)]
pub struct Ps {
    #[command(flatten)]
    agent: Agent,
}

impl Ps {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Reply::Processes(running) = self.agent.ask(&Request::Processes)? else {
            return Err(Failure::Answer);
        };
        let mut output = BufWriter::new(io::stdout().lock());
        if self.agent.is_json() {
            for process in &running {
                ndjson::write(&mut output, process)?;
            }
        } else if running.is_empty() {
            writeln!(output, "no process is known: no sensor watches them")?;
        } else {
            show(&mut output, &running)?;
        }
        Ok(output.flush()?)
    }
}

fn show(output: &mut impl Write, running: &[Running]) -> io::Result<()> {
    let head = ["pid", "started", "user", "login", "container or unit"];
    writeln!(output, "{}command", columns(head.map(str::to_owned)))?;
    let known: HashSet<ProcessId> = running.iter().map(|process| process.program.process).collect();
    let mut children: BTreeMap<Option<ProcessId>, Vec<&Running>> = BTreeMap::new();
    for process in running {
        let parent = process.program.ancestors.first().map(|parent| parent.process);
        let parent = parent.filter(|parent| known.contains(parent));
        children.entry(parent).or_default().push(process);
    }
    // From those of whom no parent runs; should any go round in a circle, from the first of them.
    let mut next: Vec<(usize, &Running)> = Vec::new();
    while let Some((_, branch)) = children.pop_first() {
        next.extend(branch.into_iter().rev().map(|process| (0, process)));
        while let Some((depth, process)) = next.pop() {
            row(output, depth, process)?;
            let started = children
                .remove(&Some(process.program.process))
                .unwrap_or_default();
            next.extend(started.into_iter().rev().map(|process| (depth + 1, process)));
        }
    }
    Ok(())
}

fn row(output: &mut impl Write, depth: usize, process: &Running) -> io::Result<()> {
    let program = &process.program;
    let started = process.started.map(|time| time.to_string());
    // To the second is enough for people.
    let started = started.map(|time| time.get(..19).unwrap_or(&time).to_owned());
    let user = program.user.as_deref().map(str::to_owned);
    let uid = || program.effective_uid.map(|uid| uid.to_string());
    let cells = [
        program.process.pid.to_string(),
        started.unwrap_or_default(),
        user.or_else(uid).unwrap_or_default(),
        login(program),
        place(program),
    ];
    let indent = "  ".repeat(depth.min(20));
    let line = [&program.command_line, &program.executable];
    let line = line.into_iter().flatten().find(|text| !text.is_empty());
    let line = line.map_or("-", |text| text.as_str());
    let cut = line.char_indices().nth(LONGEST).map_or(line.len(), |(at, _)| at);
    let line = line.get(..cut).unwrap_or(line);
    writeln!(output, "{}{indent}{}", columns(cells), Plain(line))?;
    for finding in &process.findings {
        let level = json!(finding.severity);
        let level = level.as_str().unwrap_or_default();
        let said = format!("! {level}: {} ({})", finding.title, finding.id);
        writeln!(output, "{:8}{}", "", Plain(&said))?;
    }
    Ok(())
}

fn columns([pid, started, user, login, place]: [String; 5]) -> String {
    let [user, login, place] = [user, login, place].map(|text| Plain(&text).to_string());
    format!("{pid:>7} {started:<19} {user:<10} {login:<22} {place:<22} ")
}

/// `alice@198.51.100.7`
fn login(program: &Program) -> String {
    let Some(login) = &program.login else {
        return String::new();
    };
    match login.source {
        Some(source) => format!("{}@{source}", login.user),
        None => login.user.to_string(),
    }
}

/// `docker 0123456789ab`, or `ssh.service`.
fn place(program: &Program) -> String {
    let Some(container) = &program.container else {
        return String::new();
    };
    match (&container.runtime, &container.id, &container.unit) {
        (runtime, Some(id), _) => {
            let runtime = runtime.as_deref().unwrap_or("container");
            format!("{runtime} {}", id.get(..12).unwrap_or(id))
        }
        (_, None, unit) => unit.as_deref().unwrap_or_default().to_owned(),
    }
}
