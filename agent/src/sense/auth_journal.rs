//! Follows the journal through a `journalctl` of its own.

use super::{Broken, Notice, SenseError, Sensor};
use crate::config::Start;
use crate::observation::{Body, Cursor, Observation, Origin};
use crate::queue::Sender;
use crate::sys::Stop;
use picket_common::time::Timestamp;
use serde::Deserialize;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// The name of the source.
pub const SOURCE: &str = "journal";
/// A longer entry tells of no login.
const LONGEST: usize = 1 << 20;
/// How much before the place where reading goes on is read a second time, so that counting rules know what they knew.
const AGAIN: Duration = Duration::from_secs(3600);

/// See the module.
pub struct AuthJournal {
    program: PathBuf,
    directory: Option<PathBuf>,
    start: Start,
    cursor: Option<String>,
    source: Arc<str>,
    notices: mpsc::Sender<Notice>,
}

#[derive(Deserialize)]
struct Place {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    realtime: String,
}

impl AuthJournal {
    /// Follows the journal from `cursor` on.
    pub fn new(start: Start, cursor: Option<&Cursor>, notices: mpsc::Sender<Notice>) -> Self {
        let cursor = match cursor {
            Some(Cursor::Journal { cursor }) => Some(cursor.clone()),
            _ => None,
        };
        Self {
            program: "journalctl".into(),
            directory: None,
            start,
            cursor,
            source: SOURCE.into(),
            notices,
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(["--output=json", "--all", "--follow", "--quiet"]);
        if let Some(directory) = &self.directory {
            command.arg("--directory").arg(directory);
        }
        match (&self.cursor, self.start) {
            (Some(cursor), _) => {
                let from = micros(cursor).unwrap_or(0) / 1_000_000 - AGAIN.as_secs().cast_signed();
                command.arg("--no-tail").arg(format!("--since=@{}", from.max(0)));
            }
            (None, Start::Beginning) => drop(command.arg("--no-tail")),
            (None, Start::End) => drop(command.arg("--lines=0")),
        }
        // The facilities auth and authpriv; the same field twice means either.
        command.args(["SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.spawn()
    }

    fn read(&mut self, child: &mut Child, queue: &Sender<Observation>, stop: &Stop) -> Result<(), Broken> {
        let Some(mut output) = child.stdout.take() else {
            return Ok(());
        };
        let mut buffer = vec![0; 64 << 10];
        let (mut line, mut passing) = (Vec::new(), false);
        // Until the entry of the cursor has come by, what comes is older.
        let mut old = self.cursor.clone();
        while stop.wait_for(output.as_fd())? {
            let got = output.read(&mut buffer)?;
            if got == 0 {
                return Ok(());
            }
            let observed = Timestamp::from(jiff::Timestamp::now());
            let mut rest = buffer.get(..got).unwrap_or_default();
            while let Some(at) = memchr::memchr(b'\n', rest) {
                let (head, tail) = rest.split_at(at);
                rest = tail.get(1..).unwrap_or_default();
                line.extend_from_slice(head);
                if !std::mem::take(&mut passing) {
                    self.entry(std::mem::take(&mut line), observed, &mut old, queue)?;
                }
                line.clear();
            }
            line.extend_from_slice(rest);
            if line.len() > LONGEST {
                line.clear();
                if !std::mem::replace(&mut passing, true) {
                    let notice = Notice::Lost {
                        place: SOURCE.to_owned(),
                        lost: 1,
                        reason: format!("an entry is longer than {LONGEST} bytes"),
                    };
                    // Nobody listens once the agent is ending.
                    drop(self.notices.send(notice));
                }
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        line: Vec<u8>,
        observed: Timestamp,
        old: &mut Option<String>,
        queue: &Sender<Observation>,
    ) -> Result<(), Broken> {
        let Ok(place) = serde_json::from_slice::<Place>(&line) else {
            return Ok(());
        };
        let mut again = false;
        if let Some(last) = old {
            let realtime: i64 = place.realtime.parse().unwrap_or(0);
            // The cursor's own entry may have been vacuumed away: its time tells as well.
            let after = micros(last).is_some_and(|micros| realtime > micros);
            again = !after;
            if after || place.cursor == *last {
                *old = None;
            }
        }
        if !again {
            self.cursor = Some(place.cursor.clone());
        }
        queue.wait(Observation {
            origin: Origin {
                source: Arc::clone(&self.source),
                position: place.cursor.clone().into_bytes(),
                cursor: Cursor::Journal { cursor: place.cursor },
            },
            observed,
            again,
            body: Body::JournalEntry(line),
        })?;
        Ok(())
    }
}

impl Sensor for AuthJournal {
    fn name(&self) -> &'static str {
        "auth_journal"
    }

    fn describe(&self) -> String {
        "the journal's authentication messages".to_owned()
    }

    fn run(&mut self, queue: &Sender<Observation>, stop: &Stop) -> Result<(), SenseError> {
        let mut child = self
            .spawn()
            .map_err(|error| SenseError::System("journalctl", error))?;
        let read = self.read(&mut child, queue, stop);
        // It is of no use any more, whether it has ended or not.
        drop(child.kill());
        let status = child
            .wait()
            .map_err(|error| SenseError::System("journalctl", error))?;
        match read {
            Err(Broken::Source(error)) => Err(SenseError::System("journalctl", error)),
            Err(Broken::Closed) => Ok(()),
            Ok(()) if stop.is_raised() => Ok(()),
            Ok(()) => Err(SenseError::Ended("journalctl", status.to_string())),
        }
    }
}

/// The time in a cursor, in microseconds since the epoch: `…;t=5f1c…;…` in hexadecimal.
fn micros(cursor: &str) -> Option<i64> {
    let digits = cursor.split(';').find_map(|part| part.strip_prefix("t="))?;
    i64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::queue;
    use std::os::unix::fs::PermissionsExt as _;

    fn follow(entries: &str, cursor: Option<&str>) -> (Vec<(String, bool)>, SenseError) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("journalctl");
        std::fs::write(folder.path().join("entries"), entries).unwrap();
        std::fs::write(
            &program,
            format!("#!/bin/sh\nexec cat {}/entries\n", folder.path().display()),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let cursor = cursor.map(|cursor| Cursor::Journal {
            cursor: cursor.to_owned(),
        });
        let (tell, _notices) = mpsc::channel();
        let mut sensor = AuthJournal::new(Start::Beginning, cursor.as_ref(), tell);
        sensor.program = program;
        let (send, receive) = queue("test", 100);
        let error = sensor.run(&send, &Stop::new().unwrap()).unwrap_err();
        drop(send);
        let seen = receive
            .iter()
            .map(|seen| (String::from_utf8(seen.origin.position).unwrap(), seen.again))
            .collect();
        (seen, error)
    }

    fn entry(number: u32) -> String {
        format!(
            "{{\"__CURSOR\":\"s=a;i={number};t={number:x}\",\"__REALTIME_TIMESTAMP\":\"{number}\",\"MESSAGE\":\"x\"}}\n"
        )
    }

    #[test]
    fn entries_come_with_their_cursors_and_an_end_is_an_error() {
        let text = format!("{}rubbish\n{}{}", entry(1), "x".repeat(3 << 20) + "\n", entry(2));
        let (seen, error) = follow(&text, None);
        assert_eq!(
            seen,
            [
                ("s=a;i=1;t=1".to_owned(), false),
                ("s=a;i=2;t=2".to_owned(), false)
            ]
        );
        assert!(error.to_string().contains("journalctl ended"), "{error}");
    }

    #[test]
    fn what_was_read_before_a_restart_is_marked() {
        let text = entry(1) + &entry(2) + &entry(3);
        let marks = |cursor| {
            follow(&text, Some(cursor))
                .0
                .into_iter()
                .map(|(_, again)| again)
                .collect::<Vec<_>>()
        };
        assert_eq!(marks("s=a;i=2;t=2"), [true, true, false]);
        // The entry of the cursor is gone.
        assert_eq!(marks("s=b;i=9;t=2"), [true, true, false]);
        assert_eq!(marks("s=b;i=9;t=0"), [false, false, false]);
    }
}
