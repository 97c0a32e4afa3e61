//! Follows the journal through a `journalctl` of its own.

use super::{Broken, Notice, SenseError, Sensor};
use crate::config::Start;
use crate::observation::{Body, Cursor, Observation, Origin, Subject};
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
    /// Rules know what was before the cursor, or need not: it is not read again.
    known: bool,
    source: Arc<str>,
    notices: mpsc::Sender<Notice>,
}

#[derive(Deserialize)]
struct Place {
    #[serde(rename = "__CURSOR")]
    cursor: String,
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
            known: false,
            source: SOURCE.into(),
            notices,
        }
    }

    fn journalctl(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--output=json", "--all", "--quiet"]);
        if let Some(directory) = &self.directory {
            command.arg("--directory").arg(directory);
        }
        // The facilities auth and authpriv; the same field twice means either.
        command.args(["SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10"]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = self.journalctl();
        command.arg("--follow");
        match (&self.cursor, self.start) {
            // From its own entry on, which is passed over: `--after-cursor` passes over another when that one is gone.
            (Some(cursor), _) if self.known => command.arg("--no-tail").arg(format!("--cursor={cursor}")),
            (Some(cursor), _) => {
                let from = micros(cursor).unwrap_or(0) / 1_000_000 - AGAIN.as_secs().cast_signed();
                command.arg("--no-tail").arg(format!("--since=@{}", from.max(0)))
            }
            (None, Start::Beginning) => command.arg("--no-tail"),
            (None, Start::End) => command.arg("--lines=0"),
        };
        command.stdout(Stdio::piped()).spawn()
    }

    fn read(&mut self, child: &mut Child, queue: &Sender<Observation>, stop: &Stop) -> Result<(), Broken> {
        let Some(mut output) = child.stdout.take() else {
            return Ok(());
        };
        let mut buffer = vec![0; 64 << 10];
        let (mut line, mut passing) = (Vec::new(), false);
        // Until the entry of the cursor has come by, what comes is older.
        let mut old = self.cursor.clone().filter(|_| !self.known);
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
                    self.lost(1, format!("an entry is longer than {LONGEST} bytes"));
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
        if self.known && self.cursor.as_ref() == Some(&place.cursor) {
            return Ok(());
        }
        let mut again = false;
        if let Some(last) = old {
            // The cursor's own entry may have been vacuumed away: others tell as well.
            let after = is_after(&place.cursor, last);
            again = !after;
            if after || place.cursor == *last {
                *old = None;
            }
            if after {
                let reason = "the entry that was read last is gone from the journal; what came after it may be gone too";
                self.lost(0, reason.to_owned());
            }
        }
        if old.is_none() {
            self.cursor = Some(place.cursor.clone());
            // Should this journalctl end, the next one goes on; what rules know already they are not told twice.
            self.known = true;
        }
        queue.wait(self.observation(place.cursor, line, observed, again))?;
        Ok(())
    }

    fn lost(&self, lost: u64, reason: String) {
        let notice = Notice::Lost {
            place: SOURCE.to_owned(),
            lost,
            reason,
        };
        // Nobody listens once the agent is ending.
        drop(self.notices.send(notice));
    }

    fn observation(&self, cursor: String, line: Vec<u8>, observed: Timestamp, again: bool) -> Observation {
        Observation {
            origin: Origin {
                source: Arc::clone(&self.source),
                position: cursor.clone().into_bytes(),
                cursor: Some(Cursor::Journal { cursor }),
            },
            observed,
            again,
            body: Body::JournalEntry(line),
        }
    }
}

impl Sensor for AuthJournal {
    fn name(&self) -> &'static str {
        "auth_journal"
    }

    fn describe(&self) -> String {
        "the journal's authentication messages".to_owned()
    }

    fn sees(&self) -> Vec<Subject> {
        vec![Subject::Logins]
    }

    fn resumes(&self) -> bool {
        true
    }

    fn begin(&mut self) -> Vec<(Arc<str>, Cursor)> {
        if self.cursor.is_some() || self.start == Start::Beginning {
            return Vec::new();
        }
        let Ok(last) = self.journalctl().arg("--lines=1").output() else {
            // Why not is said when it is started again.
            return Vec::new();
        };
        let Ok(Place { cursor }) = serde_json::from_slice(&last.stdout) else {
            // There is nothing yet, so all that comes is new.
            self.start = Start::Beginning;
            return Vec::new();
        };
        (self.cursor, self.known) = (Some(cursor.clone()), true);
        vec![(Arc::clone(&self.source), Cursor::Journal { cursor })]
    }

    fn run(&mut self, queue: &Sender<Observation>, stop: &Stop) -> Result<(), SenseError> {
        self.begin();
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

/// The time in a cursor, in microseconds since the epoch.
fn micros(cursor: &str) -> Option<i64> {
    i64::from_str_radix(part(cursor, "t=")?, 16).ok()
}

/// Whether an entry came after another: by their numbers where one journald gave both, as a clock may be set back, else by
/// their times.
fn is_after(cursor: &str, other: &str) -> bool {
    let number = |cursor| u64::from_str_radix(part(cursor, "i=")?, 16).ok();
    match (number(cursor), number(other)) {
        (Some(one), Some(two)) if part(cursor, "s=") == part(other, "s=") => one > two,
        _ => micros(other).is_some_and(|other| micros(cursor).is_some_and(|one| one > other)),
    }
}

/// A part of a cursor, as `s=1ef9…;i=3c;b=f6d0…;m=1ef4…;t=6610…;x=2753…`; its numbers are hexadecimal.
fn part<'a>(cursor: &'a str, name: &str) -> Option<&'a str> {
    cursor.split(';').find_map(|part| part.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::queue;
    use std::os::unix::fs::PermissionsExt as _;

    fn follow(entries: &str, cursor: Option<&str>) -> (Vec<(String, bool)>, SenseError, Vec<Notice>) {
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
        let (tell, notices) = mpsc::channel();
        let mut sensor = AuthJournal::new(Start::Beginning, cursor.as_ref(), tell);
        sensor.program = program;
        let (send, receive) = queue("test", 100);
        let error = sensor.run(&send, &Stop::new().unwrap()).unwrap_err();
        drop(send);
        let seen = receive
            .iter()
            .map(|seen| (String::from_utf8(seen.origin.position).unwrap(), seen.again))
            .collect();
        drop(sensor);
        (seen, error, notices.iter().collect())
    }

    fn entry(number: u32) -> String {
        format!(
            "{{\"__CURSOR\":\"s=a;i={number};t={number:x}\",\"__REALTIME_TIMESTAMP\":\"{number}\",\"MESSAGE\":\"x\"}}\n"
        )
    }

    #[test]
    fn entries_come_with_their_cursors_and_an_end_is_an_error() {
        let text = format!("{}rubbish\n{}{}", entry(1), "x".repeat(3 << 20) + "\n", entry(2));
        let (seen, error, notices) = follow(&text, None);
        assert_eq!(
            seen,
            [
                ("s=a;i=1;t=1".to_owned(), false),
                ("s=a;i=2;t=2".to_owned(), false)
            ]
        );
        assert!(error.to_string().contains("journalctl ended"), "{error}");
        assert!(
            matches!(&notices[..], [Notice::Lost { lost: 1, .. }]),
            "{notices:?}"
        );
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
        // The entry of the cursor is gone, and the clock was set back since.
        assert_eq!(marks("s=a;i=2;t=9"), [true, true, false]);
        assert_eq!(marks("s=a;i=0;t=9"), [false, false, false]);
        let told = |cursor| follow(&text, Some(cursor)).2.len();
        assert_eq!((told("s=a;i=2;t=2"), told("s=a;i=0;t=9")), (0, 1));
    }

    #[test]
    fn a_journalctl_that_ends_is_followed_by_one_that_goes_on_and_rules_hear_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("journalctl");
        std::fs::write(folder.path().join("entries"), entry(1) + &entry(2)).unwrap();
        std::fs::write(
            &program,
            format!(
                "#!/bin/sh\necho \"$@\" >>{0}/calls\nexec cat {0}/entries\n",
                folder.path().display()
            ),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (tell, _notices) = mpsc::channel();
        let cursor = Cursor::Journal {
            cursor: "s=a;i=1;t=1".to_owned(),
        };
        let mut sensor = AuthJournal::new(Start::End, Some(&cursor), tell);
        sensor.program = program;
        let (send, receive) = queue("test", 100);
        let stop = Stop::new().unwrap();
        sensor.run(&send, &stop).unwrap_err();
        // As `--cursor` would: from the cursor's own entry on.
        std::fs::write(folder.path().join("entries"), entry(2) + &entry(3)).unwrap();
        sensor.run(&send, &stop).unwrap_err();
        drop(send);
        let seen: Vec<(Vec<u8>, bool)> = receive
            .iter()
            .map(|seen| (seen.origin.position, seen.again))
            .collect();
        assert_eq!(
            seen,
            [
                (b"s=a;i=1;t=1".to_vec(), true),
                (b"s=a;i=2;t=2".to_vec(), false),
                (b"s=a;i=3;t=3".to_vec(), false)
            ]
        );
        let calls = std::fs::read_to_string(folder.path().join("calls")).unwrap();
        let calls: Vec<&str> = calls.lines().collect();
        assert!(
            calls[0].contains("--since=@") && calls[1].contains("--cursor=s=a;i=2;t=2"),
            "{calls:?}"
        );
    }
}
