//! `picket replay`: an old log judged by today's rules, on the log's own time.

use super::Failure;
use super::auth_log::AuthLog;
use crate::detect::{Detector as _, Sigma, read_folder};
use clap::Subcommand;
use picket_common::event::{Event, Payload};
use picket_common::ids::RecordId;
use picket_common::ndjson;
use picket_common::time::Timestamp;
use serde_json::json;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// What to replay.
#[derive(Subcommand)]
pub enum Replay {
    /// An authentication log: syslog in any of its forms, or `journalctl -o json`.
    Auth {
        /// The file to read; `-` is standard input.
        file: String,
        /// Folders of Sigma rules. Of two rules with one id the later counts.
        #[arg(long, value_name = "DIR", default_value = "/usr/share/picket/rules")]
        rules: Vec<PathBuf>,
        /// Print each finding as a line of JSON.
        #[arg(long)]
        json: bool,
        /// How many groups (addresses, users) all counting rules keep at once.
        #[arg(long, default_value_t = 100_000)]
        groups: usize,
    },
}

impl Replay {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self::Auth {
            file,
            rules,
            json,
            groups,
        } = self;
        let mut sigma = load(&rules, groups)?;
        let mut log = AuthLog::open(&file)?;
        let mut output = BufWriter::new(io::stdout().lock());
        let (mut findings, mut last) = (Vec::new(), Timestamp::default());
        let mut line = 0_u64;
        while let Some(read) = log.next_line()? {
            line += 1;
            let Some((time, payload)) = read else { continue };
            // A line without a time of its own happened when the one before it did.
            let time = time.unwrap_or(last);
            last = time;
            let id = RecordId::derived(time, &[file.as_bytes(), &line.to_le_bytes()]);
            sigma.inspect(
                &Event {
                    id,
                    time,
                    observed: time,
                    payload: Payload::Auth(payload),
                },
                &mut findings,
            );
            for finding in findings.drain(..) {
                if json {
                    let mut value = json!(finding);
                    if let Some(object) = value.as_object_mut() {
                        object.insert("kind".to_owned(), "finding".into());
                        object.insert("line".to_owned(), line.into());
                    }
                    ndjson::write(&mut output, &value)?;
                } else {
                    let level = json!(finding.severity);
                    let level = level.as_str().unwrap_or_default();
                    writeln!(output, "{} {level:<13} {}", finding.time, finding.summary)?;
                }
            }
        }
        output.flush()?;
        let counters = sigma.counters();
        if counters.evicted > 0 {
            writeln!(
                io::stderr(),
                "picket: {} groups had to make room for others; --groups {groups} is too few to count all of them",
                counters.evicted
            )?;
        }
        Ok(())
    }
}

/// The rules of all folders; what is wrong in them is named, and the rest is used.
fn load(folders: &[PathBuf], groups: usize) -> Result<Sigma, Failure> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for folder in folders {
        let (found, wrong) = read_folder(folder);
        files.extend(found);
        problems.extend(wrong);
    }
    let (sigma, wrong) = Sigma::load(&files, groups);
    problems.extend(wrong);
    for problem in &problems {
        writeln!(io::stderr(), "picket: {problem}")?;
    }
    if sigma.rules() == 0 {
        Err(Failure::NoRules)
    } else {
        Ok(sigma)
    }
}
