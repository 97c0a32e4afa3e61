//! Whether what is to be watched is there, grows, and is understood.

use super::age;
use super::report::{Check, some, span, unseen};
use crate::config::Auth;
use crate::parse::stamp::Calendar;
use crate::parse::{auth, journal_json, syslog};
use crate::plugs;
use crate::sys::Tool;
use jiff::tz::TimeZone;
use picket_common::time::Timestamp;
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// How much of the end of a file is looked at, and how many lines of it.
const END: u64 = 64 << 10;
const LINES: usize = 200;
/// As many lines that tell of nothing are a quiet host's, no more.
const QUIET: usize = 20;
/// A log that nobody wrote to for this long is none that is in use.
const STALE: Duration = Duration::from_secs(86_400);
/// How far a line's own time may be from the time at which it was written.
const SKEW: Duration = Duration::from_secs(300);
/// How long `journalctl` may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn checks(settings: &Auth, now: Timestamp) -> Vec<Check> {
    let journal = plugs::follows_journal(settings, &BTreeMap::new());
    let files = &settings.files;
    if !journal && !files.iter().any(|path| path.exists()) {
        let names: Vec<_> = files.iter().map(|path| path.display()).collect();
        return vec![Check::failed(
            "logs",
            format!(
                "none is there ({}), and no journal is read: nothing can be seen",
                some(&names)
            ),
            "name the log that sshd writes to in auth.files, or set auth.journal = \"yes\"",
        )];
    }
    // Of the two usual ones only one is ever there.
    let usual = *files == Auth::default().files;
    let looked_at = files.iter().filter(|path| !journal && (!usual || path.exists()));
    let mut checks: Vec<Check> = looked_at.map(|path| file(path, now)).collect();
    if journal {
        checks.push(of_journal(now));
    }
    checks
}

fn file(path: &Path, now: Timestamp) -> Check {
    let name = format!("log {}", path.display());
    let read = File::open(path).and_then(|file| Ok((file.metadata()?, end(file)?)));
    let (data, lines) = match read {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Check::degraded(
                name,
                "is not there; the agent waits for it",
                "see whether something is to write it, or take it out of auth.files",
            );
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return unseen(name, &error),
        Err(error) => {
            return Check::failed(
                name,
                format!("cannot be read: {error}"),
                "name a log file in auth.files",
            );
        }
    };
    let written = written(&data);
    let seen = Seen::of(lines.lines(), written.unwrap_or(now));
    judge(name, &seen, written.unwrap_or(now), now)
}

/// The journal, by the same filter as the sensor's.
fn of_journal(now: Timestamp) -> Check {
    const NAME: &str = "journal";
    let arguments = [
        "--output=json",
        "--all",
        "--quiet",
        "--lines=200",
        "SYSLOG_FACILITY=4",
        "SYSLOG_FACILITY=10",
    ];
    let printed = Tool::find("journalctl").and_then(|tool| tool.run(&arguments, "", PATIENCE));
    match printed {
        Ok(printed) if printed.trim().is_empty() => Check::degraded(
            NAME,
            "no entry of a login or an account can be read from it",
            "run picket doctor as root; if that sees none either, see whether sshd logs to the journal",
        ),
        Ok(printed) => {
            let seen = Seen::of(printed.lines(), now);
            judge(NAME.to_owned(), &seen, seen.last.unwrap_or(now), now)
        }
        Err(error) => Check::failed(
            NAME,
            error.to_string(),
            "see whether systemd-journald runs and journalctl works, or name log files in auth.files",
        ),
    }
}

/// What the end of a log holds.
#[derive(Default)]
struct Seen {
    lines: usize,
    /// Those that have a form of a log.
    framed: usize,
    /// Those that tell of a login or an account.
    telling: usize,
    /// The time of the last one.
    last: Option<Timestamp>,
}

impl Seen {
    fn of<'a>(lines: impl DoubleEndedIterator<Item = &'a str>, reference: Timestamp) -> Self {
        let mut calendar = Calendar::new(TimeZone::system(), reference);
        let mut seen = Self::default();
        for line in lines.rev().filter(|line| !line.is_empty()).take(LINES) {
            seen.lines += 1;
            let (time, tells) = if line.starts_with('{') {
                let Some(entry) = journal_json::entry(line.as_bytes()) else {
                    continue;
                };
                (
                    Some(entry.time),
                    auth::message(&entry.program, &entry.message).is_some(),
                )
            } else {
                let Some(frame) = syslog::frame(line) else {
                    continue;
                };
                let time = frame.stamp.and_then(|stamp| calendar.resolve(stamp));
                (time, auth::event(&frame).is_some())
            };
            seen.framed += 1;
            seen.telling += usize::from(tells);
            seen.last = seen.last.or(time);
        }
        seen
    }
}

/// `written`: when the last line was.
fn judge(name: String, seen: &Seen, written: Timestamp, now: Timestamp) -> Check {
    if seen.lines == 0 {
        return Check::ok(name, "is there and empty");
    }
    if seen.framed == 0 {
        return Check::failed(
            name,
            format!("not one of its last {} lines has the form of a log", seen.lines),
            "is it the file that sshd's messages go to? `picket parse auth FILE` shows how each line is understood",
        );
    }
    let last = seen.last.unwrap_or(written);
    if last > now.plus(SKEW) {
        return Check::degraded(
            name,
            format!("its last line is from the future: {last}, {}", age(last, now)),
            "set the clock and the time zone right, of this host and of what writes the log",
        );
    }
    let apart = written.since(last).max(last.since(written));
    if apart > SKEW {
        return Check::degraded(
            name,
            format!(
                "its last line says {last}, but was written {} apart from that, at {written}",
                span(apart)
            ),
            "set the clock and the time zone of what writes the log right, or let it write times with their zone",
        );
    }
    if seen.telling == 0 && seen.lines >= QUIET {
        return Check::degraded(
            name,
            format!(
                "not one of its last {} lines tells of a login or an account",
                seen.lines
            ),
            "is it the file that sshd's messages go to? `picket parse auth FILE` shows how each line is understood",
        );
    }
    if now.since(written) > STALE {
        return Check::degraded(
            name,
            format!("nothing was written to it for {}", span(now.since(written))),
            "see whether sshd still logs there: `logger -p auth.info test` must add a line",
        );
    }
    Check::ok(
        name,
        format!(
            "{} of its last {} lines tell of logins and accounts, the last was written {}",
            seen.telling,
            seen.lines,
            age(written, now)
        ),
    )
}

/// The last lines of a file; the first of them may be cut.
fn end(mut file: File) -> io::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes)?;
    let whole = if length > END {
        let cut = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        bytes.split_off(cut)
    } else {
        bytes
    };
    Ok(String::from_utf8_lossy(&whole).into_owned())
}

fn written(data: &Metadata) -> Option<Timestamp> {
    let time = jiff::Timestamp::try_from(data.modified().ok()?).ok()?;
    Some(time.into())
}

#[cfg(test)]
mod tests {
    use super::super::report::State;
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn judged(lines: &[String], written: Timestamp) -> Check {
        let seen = Seen::of(lines.iter().map(String::as_str), NOW);
        judge("log".to_owned(), &seen, written, NOW)
    }

    fn line(time: Timestamp, message: &str) -> String {
        format!("{time} host sshd[1]: {message}")
    }

    #[test]
    fn a_log_is_judged_by_its_last_lines() {
        let failure = "Failed password for root from 198.51.100.9 port 1 ssh2";
        let hour = Timestamp::from_micros(NOW.as_micros() - 3_600_000_000);
        let good = judged(&[line(hour, failure)], hour);
        assert_eq!(good.state, State::Ok, "{good:?}");
        for (lines, written, state, found) in [
            (vec!["<html>".to_owned()], NOW, State::Failed, "form of a log"),
            (
                vec![line(NOW, "Server listening on 0.0.0.0 port 22."); 30],
                NOW,
                State::Degraded,
                "tells of a login",
            ),
            (
                vec![line(NOW.plus(Duration::from_secs(7200)), failure)],
                NOW,
                State::Degraded,
                "from the future",
            ),
            (vec![line(hour, failure)], NOW, State::Degraded, "60 min apart"),
        ] {
            let check = judged(&lines, written);
            assert_eq!(check.state, state, "{check:?}");
            assert!(check.found.contains(found), "{check:?}");
        }
        let old = Timestamp::from_micros(NOW.as_micros() - 3 * 86_400_000_000);
        let stale = judged(&[line(old, failure)], old);
        assert!(
            stale.found.contains("nothing was written to it for 3 days"),
            "{stale:?}"
        );
        assert_eq!(judged(&[], NOW).state, State::Ok);
    }

    #[test]
    fn only_the_end_of_a_long_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let text = "0123456789abcdef\n".repeat(10_000);
        std::fs::write(&path, &text).unwrap();
        let read = end(File::open(&path).unwrap()).unwrap();
        assert!(read.len() < usize::try_from(END).unwrap() && text.ends_with(&read));
        assert!(read.starts_with("0123"), "{read:.20}");
    }
}
