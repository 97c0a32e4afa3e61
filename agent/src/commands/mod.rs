//! The subcommands of `picket`, a file each.

mod auth_log;
mod blocks;
mod check;
mod courier;
mod deny;
mod deny_guard;
mod doctor;
mod enroll;
mod explain;
mod file;
mod findings;
mod kill;
mod lines;
mod mail;
mod parse;
mod program;
mod ps;
mod quarantine;
mod replay;
mod rules;
mod run;
mod scan;
mod scan_report;
mod scan_worker;
mod seen;
mod sentence;
mod status;
mod story;
mod top;

use clap::Parser;
use picket_common::terminal::Plain;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Watches, judges and acts on one Linux host.
#[derive(Parser)]
#[command(name = "picket", version, about, arg_required_else_help = true)]
pub enum Command {
    /// Show blocks, add one, remove one.
    #[command(subcommand)]
    Blocks(blocks::Blocks),
    /// Check configuration, rules and exceptions, and name every mistake.
    Check(check::Check),
    /// Carry the spool to the collector; started by `picket run`.
    #[command(hide = true)]
    Courier(courier::Courier),
    /// Show programs that nobody may start, add one, remove one.
    #[command(subcommand)]
    Deny(deny::Deny),
    /// Answer for programs that start; started by `picket run`.
    #[command(hide = true)]
    DenyGuard(deny_guard::DenyGuard),
    /// Look at everything that Picket needs here, and say what to do about it.
    Doctor(doctor::Doctor),
    /// Make this host known to a collector.
    Enroll(enroll::Enroll),
    /// Explain a rule, a finding or an action.
    Explain(explain::Explain),
    /// List the last findings and what came of them.
    Findings(findings::Findings),
    /// End a process, with what belongs to it.
    Kill(kill::Kill),
    /// Judge mails, and say why.
    Mail(mail::JudgeMail),
    /// Show how a log is understood, line by line.
    #[command(subcommand)]
    Parse(parse::Parse),
    /// Show the processes that run, as a tree, with the findings about them.
    Ps(ps::Ps),
    /// Show files that were taken away, take one, put one back.
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// Judge old events by today's rules, on their own time.
    #[command(subcommand)]
    Replay(replay::Replay),
    /// Show what each rule can do on this host.
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Watch, judge and act until told to stop.
    Run(run::Run),
    /// Look into files now: YARA rules, hashes, archives.
    Scan(scan::Scan),
    /// Look into files that the agent hands over; started by it.
    #[command(hide = true)]
    ScanWorker(scan_worker::ScanWorker),
    /// Tell when this host has seen a digest, an address, a name or a path.
    Seen(seen::Seen),
    /// Show how the running agent is.
    Status(status::Status),
    /// Show what the agent costs, by rule and by executable.
    Top(top::Top),
    /// Take back what the agent did.
    Undo(blocks::Undo),
}

impl Command {
    /// Runs it and gives the exit status: 0 when all went well, 1 when it failed. `picket scan` has 1 for a match and 2 for a
    /// failure.
    pub fn run(self) -> ExitCode {
        let failed = match self {
            Self::Scan(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        };
        let done = match self {
            Self::Blocks(blocks) => blocks.run(),
            Self::Check(check) => check.run(),
            Self::Courier(courier) => courier.run(),
            Self::Deny(deny) => deny.run(),
            Self::DenyGuard(guard) => guard.run(),
            Self::Doctor(doctor) => doctor.run(),
            Self::Enroll(enroll) => enroll.run(),
            Self::Explain(explain) => explain.run(),
            Self::Findings(findings) => findings.run(),
            Self::Kill(kill) => kill.run(),
            Self::Mail(mail) => mail.run(),
            Self::Parse(parse) => parse.run(),
            Self::Ps(ps) => ps.run(),
            Self::Quarantine(quarantine) => quarantine.run(),
            Self::Replay(replay) => replay.run(),
            Self::Rules(rules) => rules.run(),
            Self::Run(run) => run.run(),
            Self::Scan(scan) => match scan.run() {
                Ok(status) => return status,
                Err(failure) => Err(failure),
            },
            Self::ScanWorker(worker) => worker.run(),
            Self::Seen(seen) => seen.run(),
            Self::Status(status) => status.run(),
            Self::Top(top) => top.run(),
            Self::Undo(undo) => undo.run(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            // Whoever reads our output has seen enough (`picket … | head`).
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(failure) => {
                // Nothing is left to tell if standard error is gone too.
                // It may repeat what was given, or what others wrote.
                drop(writeln!(io::stderr(), "picket: {}", Plain(&failure.to_string())));
                failed
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
    #[error("mistakes in the configuration, the rules and the exceptions: {0}")]
    Check(usize),
    #[error("mails that are phishing: {0}")]
    Phishing(usize),
    #[error("{0} of the checks failed")]
    Sick(usize),
    #[error("the agent cannot be reached at {path}: {error}; does `picket run` run?")]
    Unreachable { path: String, error: io::Error },
    #[error("{0}")]
    Agent(String),
    #[error("the agent answered something else than was asked: is it another version?")]
    Answer,
    #[error("there is no process {0}")]
    NoProcess(u32),
    #[error("the courier gave up: {0}")]
    Courier(#[from] crate::send::CourierError),
    #[error("the scan worker gave up: {0}")]
    ScanWorker(#[from] crate::scan::WorkerError),
    #[error("no YARA rule could be loaded; name folders of them with --rules DIR")]
    NoYara,
    #[error(transparent)]
    Token(#[from] crate::send::TokenError),
    #[error(transparent)]
    Endpoint(#[from] crate::send::DialError),
    #[error(transparent)]
    Enroll(#[from] crate::send::EnrollError),
    #[error(transparent)]
    Identity(#[from] crate::send::IdentityError),
    #[error("this host is enrolled already, as {0}; to do it again, give --again")]
    Enrolled(String),
    #[error(transparent)]
    Ledger(#[from] crate::respond::LedgerError),
    #[error(transparent)]
    Vault(#[from] crate::respond::VaultError),
    #[error(transparent)]
    App(#[from] crate::app::AppError),
    #[error(
        "'{0}' is the id or title of no rule, and the id of no finding and no action that this host remembers; `picket findings` lists the last ones"
    )]
    Unknown(String),
    #[error(
        "no line has the form of a log: this seems to be no authentication log; `picket parse auth` shows line by line what is understood"
    )]
    NoLog,
    #[error("no rule was found in {0}: nothing would be judged; detect.rules names the folders to look in")]
    Unruled(String),
    #[error("no rule could be loaded; name folders of Sigma rules with --rules DIR")]
    NoRules,
}
