//! `picket parse`: one line in, one typed event or `null` out.

use super::Failure;
use super::auth_log::AuthLog;
use clap::Subcommand;
use picket_common::ecs;
use picket_common::event::AuthEvent;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use std::io::{self, BufWriter, Write};

/// What to parse.
#[derive(Subcommand)]
pub enum Parse {
    /// An authentication log: syslog in any of its forms, or `journalctl -o json`.
    Auth {
        /// Files to read, in this order; `-` is standard input.
        #[arg(required = true)]
        files: Vec<String>,
        /// Print exactly one line of JSON for each line read: the event in ECS fields, or `null`.
        #[arg(long)]
        json: bool,
    },
}

impl Parse {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self::Auth { files, json } = self;
        let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let mut unread = 0;
        for path in files {
            let printed = AuthLog::open(&path).and_then(|mut log| {
                while let Some(read) = log.next_line()? {
                    match (json, read) {
                        (true, None) => output.write_all(b"null\n")?,
                        (true, Some((time, event))) => {
                            ndjson::write(&mut output, &ecs::auth(&event, time))?;
                        }
                        (false, None) => {}
                        (false, Some((time, event))) => {
                            let time = time.map_or_else(|| "-".to_owned(), |time| time.to_string());
                            writeln!(output, "{time} {}", sentence(&event))?;
                        }
                    }
                }
                Ok(())
            });
            match printed {
                // One bad file among many does not hide the others.
                Err(failure @ Failure::Input { .. }) => {
                    writeln!(io::stderr(), "picket: {}", Plain(&failure.to_string()))?;
                    unread += 1;
                }
                other => other?,
            }
        }
        output.flush()?;
        if unread > 0 {
            Err(Failure::Some(unread))
        } else {
            Ok(())
        }
    }
}

/// `login failure user=root source=198.51.100.9`, safe to show in a terminal.
fn sentence(event: &AuthEvent) -> String {
    let mut text = format!(
        "{} {} {}",
        event.program.escape_debug(),
        event.action.as_str(),
        event.outcome.as_str()
    );
    let named = [
        ("user", event.user.as_deref()),
        ("target", event.target_user.as_deref()),
        ("group", event.group.as_deref()),
        ("domain", event.source_domain.as_deref()),
        ("reason", event.reason.as_deref()),
    ];
    if let Some(peer) = event.source {
        text.push_str(&format!(" source={}", peer.ip));
    }
    for (name, value) in named {
        if let Some(value) = value {
            text.push_str(&format!(" {name}={value:?}"));
        }
    }
    text
}
