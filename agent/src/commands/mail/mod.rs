//! `picket mail`: what a mail is, and why.

mod files;
mod report;
mod whois;

use super::Failure;
use crate::config::{self, MailSettings};
use crate::detect::mail::{self, Judgement, MailPolicy, Verdict};
use crate::parse::eml::{self, Border, DkimKeys, Mail};
use clap::Args;
use files::{Bytes, Files};
use picket_common::ndjson;
use picket_common::terminal::Plain;
use serde::Serialize;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::thread;
use whois::Registration;

/// How large the stack is on which a mail is read: nothing there goes deep.
const STACK: usize = 2 << 20;

/// Judges mails by how they are built, and says why. Nothing in them is shown as it is, fetched or run. The exit status is 1
/// when one of them is phishing.
#[derive(Args)]
pub struct JudgeMail {
    /// Mails, or folders of them such as a maildir; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<String>,
    /// Print a line of JSON for each mail.
    #[arg(long)]
    json: bool,
    /// Ask the whois server of the settings when the writer's domain was registered. Nothing else here uses the network.
    #[arg(long)]
    online: bool,
    /// The settings: own domains and servers, keys of signatures.
    #[arg(long, default_value = "/etc/picket/picket.toml")]
    config: PathBuf,
}

/// All that is said of a mail.
#[derive(Serialize)]
struct Report<'a> {
    path: &'a str,
    #[serde(flatten)]
    judgement: &'a Judgement,
    #[serde(flatten)]
    mail: &'a Mail,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<Registration>,
}

impl JudgeMail {
    pub(super) fn run(self) -> Result<(), Failure> {
        let settings = settings(&self.config)?;
        let border = Border {
            servers: settings.servers.clone(),
            keys: keys(&settings.dkim_keys)?,
        };
        let policy = MailPolicy {
            domains: settings.domains.clone(),
        };
        let mut output = BufWriter::new(io::stdout().lock());
        let (mut phishing, mut unread) = (0, 0);
        for file in Files::of(&self.paths) {
            let read = file.and_then(|file| Ok((file.read()?, file.name())));
            let (judged, path) = match read {
                Ok((bytes, path)) => (judge(&bytes, &border, &policy), path),
                Err(failure) => {
                    output.flush()?;
                    writeln!(io::stderr(), "picket: {}", Plain(&failure.to_string()))?;
                    unread += 1;
                    continue;
                }
            };
            let Some((mail, judgement)) = judged else {
                output.flush()?;
                writeln!(io::stderr(), "picket: {} could not be judged", Plain(&path))?;
                unread += 1;
                continue;
            };
            phishing += usize::from(judgement.verdict == Verdict::Phishing);
            let author = mail.headers.author_domain().filter(|_| self.online);
            let report = Report {
                path: &path,
                judgement: &judgement,
                registration: author.map(|domain| whois::ask(&settings.whois, eml::organisation(&domain))),
                mail: &mail,
            };
            if self.json {
                ndjson::write(&mut output, &report)?;
            } else {
                report::write(&mut output, &report)?;
            }
        }
        output.flush()?;
        match (phishing, unread) {
            (0, 0) => Ok(()),
            (0, unread) => Err(Failure::Some(unread)),
            (phishing, _) => Err(Failure::Phishing(phishing)),
        }
    }
}

/// On a thread of its own: should reading a mail go wrong, it costs that mail and not the others.
fn judge(bytes: &Bytes, border: &Border, policy: &MailPolicy) -> Option<(Mail, Judgement)> {
    let judge = || {
        let mail = eml::read(&bytes.bytes, bytes.more, border);
        let judgement = mail::judge(&mail, policy);
        (mail, judgement)
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, judge)
            .ok()?;
        thread.join().ok()
    })
}

/// The settings. Without a file the defaults hold; with mistakes nothing is judged by half of them.
fn settings(path: &std::path::Path) -> Result<MailSettings, Failure> {
    if !path.exists() && path == std::path::Path::new("/etc/picket/picket.toml") {
        return Ok(MailSettings::default());
    }
    let loaded = config::load(path);
    for problem in &loaded.problems {
        writeln!(io::stderr(), "{}", Plain(&problem.to_string()))?;
    }
    match loaded.problems.len() {
        0 => Ok(loaded.settings.mail),
        mistakes => Err(Failure::Config(mistakes)),
    }
}

/// The keys in a folder, which need not be there.
fn keys(folder: &std::path::Path) -> Result<DkimKeys, Failure> {
    let mut keys = DkimKeys::default();
    let input = |error| Failure::Input {
        path: folder.display().to_string(),
        error,
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(keys),
        entries => entries.map_err(input)?,
    };
    for entry in entries {
        let entry = entry.map_err(input)?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.contains("._domainkey.")) else {
            continue;
        };
        let record = files::read_small(&entry.path()).map_err(input)?;
        // As the record stands in a zone's file, in pieces with quotes, or without.
        keys.insert(name, record.replace('"', ""));
    }
    Ok(keys)
}
