//! From what a sensor saw to what happened.

mod before;
mod changes;
mod containers;
mod files;
mod hashes;
mod image;
mod inquiry;
mod installers;
mod logins;
mod packages;
mod processes;
mod programs;
mod rpm;
mod users;

pub use changes::kept;
pub use inquiry::{Inquirer, Inquiries};
pub use processes::Processes;
pub use programs::Amended;

use programs::Programs;

use crate::observation::{Body, FileSeen, Observation};
use crate::parse::stamp::Calendar;
use crate::parse::{auth, journal_json, scan, syslog};
use compact_str::CompactString;
use files::Files;
use installers::installs_packages;
use jiff::tz::TimeZone;
use picket_common::event::{AuthEvent, Event, Payload, Program};
use picket_common::ids::RecordId;
use picket_common::time::Timestamp;
use std::path::Path;

/// Makes events; remembers what helps to read times and to know processes.
pub struct Enricher {
    calendar: Calendar,
    programs: Programs,
    files: Option<Files>,
}

impl Enricher {
    /// `zone` is that of log lines that name none.
    pub fn new(zone: TimeZone, now: Timestamp) -> Self {
        Self {
            calendar: Calendar::new(zone, now),
            programs: Programs::new(None),
            files: None,
        }
    }

    /// Knows from now on how the configuration of this host is, to tell what changes in it: to be asked for before files are
    /// watched. `root` is where its file systems begin.
    #[must_use]
    pub fn knowing_files(self, root: &Path) -> Self {
        Self {
            files: Some(Files::of_host(root)),
            ..self
        }
    }

    /// Asks for what takes longer: hashes and packages of files. Without that they stay unknown.
    #[must_use]
    pub fn asking(self, inquiries: Inquiries) -> Self {
        Self {
            programs: Programs::new(Some(inquiries)),
            ..self
        }
    }

    /// Adds what is to be known of a file before it is looked into: whose it is, and what changed in it. Files are looked at in the
    /// order in which they landed, while they are open.
    pub fn look(&mut self, seen: &mut FileSeen, observed: Timestamp) {
        self.programs.owner(&mut seen.event, observed);
        if let Some(files) = &mut self.files {
            files.enrich(seen);
        }
    }

    /// Asks whose files are. The answer goes where observations go; `false` where nobody can be asked.
    pub fn ask_owners(&self, paths: Vec<CompactString>) -> bool {
        self.programs.ask_owners(paths)
    }

    /// Whether something runs that installs packages, as far as is known.
    pub fn installs(&self) -> bool {
        self.programs.installs()
    }

    /// The events of which more became known with the last observations.
    pub fn take_amended(&mut self) -> Vec<Amended> {
        self.programs.take_amended()
    }

    /// All processes that run, as far as is known, in no order. Of the ancestors only the parent is named, by its number alone.
    pub fn running(&mut self) -> Vec<Program> {
        self.programs.running()
    }

    /// Adds the events that an observation tells of.
    pub fn enrich(&mut self, seen: Observation, events: &mut Vec<Event>) {
        let (origin, observed) = (seen.origin, seen.observed);
        let read = match seen.body {
            Body::Line(line) => self.line(&line, observed).map(of_log),
            Body::JournalEntry(entry) => journal(&entry).map(of_log),
            Body::Processes(sightings) => {
                for sighting in sightings {
                    self.programs.enrich(&origin.source, sighting, observed, events);
                }
                None
            }
            Body::File(file) => {
                let mut event = file.event;
                self.programs.complete(&mut event, observed);
                let writer = event
                    .writer
                    .as_deref()
                    .filter(|writer| writer.executable.is_some());
                // Where no sensor sees who writes, it is the manager that runs.
                event.package_manager =
                    writer.map_or_else(|| self.programs.installs_at(observed), installs_packages);
                Some((None, Payload::File(event.into())))
            }
            // Whoever asked takes the answer.
            Body::Owned(_) => None,
            Body::Hashed(hashed) => {
                self.programs.learn(hashed, observed);
                None
            }
        };
        events.extend(read.map(|(time, payload)| {
            // What has no time of its own happened when it was seen.
            let time = time.unwrap_or(observed);
            if let Payload::Auth(auth) = &payload {
                self.programs.note(time, auth);
            }
            Event {
                id: RecordId::derived(time, &[origin.source.as_bytes(), &origin.position]),
                time,
                observed,
                payload,
            }
        }));
    }

    fn line(&mut self, line: &[u8], observed: Timestamp) -> Option<(Option<Timestamp>, AuthEvent)> {
        let text = scan::text(line);
        let frame = syslog::frame(&text)?;
        let event = auth::event(&frame)?;
        self.calendar.advance(observed);
        let time = frame.stamp.and_then(|stamp| self.calendar.resolve(stamp));
        Some((time, event))
    }
}

fn of_log((time, auth): (Option<Timestamp>, AuthEvent)) -> (Option<Timestamp>, Payload) {
    (time, Payload::Auth(auth.into()))
}

/// Anybody on the host can write to the journal under the name of sshd, but not as root. An address that somebody may be
/// blocked for counts only when root vouches for it.
fn journal(line: &[u8]) -> Option<(Option<Timestamp>, AuthEvent)> {
    let entry = journal_json::entry(line)?;
    let mut event = auth::message(&entry.program, &entry.message)?;
    if event.source.is_some() && entry.uid.is_some_and(|uid| uid != 0) {
        return None;
    }
    event.pid = entry.pid;
    event.host = entry.host.map(Into::into);
    Some((Some(entry.time), event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Cursor, Origin};

    fn seen(body: Body) -> Observation {
        Observation {
            origin: Origin {
                source: "test".into(),
                position: b"1".to_vec(),
                cursor: Some(Cursor::Number { number: 1 }),
            },
            observed: Timestamp::from_micros(1_700_000_000_000_000),
            again: false,
            body,
        }
    }

    fn enriched(enricher: &mut Enricher, seen: Observation) -> Option<Event> {
        let mut events = Vec::new();
        enricher.enrich(seen, &mut events);
        events.pop()
    }

    fn entry(uid: &str) -> Observation {
        seen(Body::JournalEntry(
            format!(
                r#"{{"__CURSOR":"a","__REALTIME_TIMESTAMP":"1700000000000000","_UID":"{uid}","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"Failed password for root from 198.51.100.9 port 22 ssh2"}}"#
            )
            .into_bytes(),
        ))
    }

    #[test]
    fn only_root_can_say_in_the_journal_that_an_address_failed() {
        let mut enricher = Enricher::new(TimeZone::UTC, Timestamp::from_micros(0));
        assert!(enriched(&mut enricher, entry("0")).is_some());
        assert!(enriched(&mut enricher, entry("1000")).is_none());
    }

    #[test]
    fn the_same_place_gives_the_same_id_and_a_missing_time_is_that_of_seeing() {
        let mut enricher = Enricher::new(TimeZone::UTC, Timestamp::from_micros(0));
        let line = b"2023-11-14T22:13:20.5+00:00 host sshd[7]: Failed password for root from 198.51.100.9 port 22 ssh2";
        let (one, two) = (
            enriched(&mut enricher, seen(Body::Line(line.to_vec()))),
            enriched(&mut enricher, seen(Body::Line(line.to_vec()))),
        );
        assert!(one.is_some());
        assert_eq!(one, two);
        assert_eq!(one.unwrap().time, Timestamp::from_micros(1_700_000_000_500_000));
        let nothing = seen(Body::Line(b"nothing".to_vec()));
        assert_eq!(enriched(&mut enricher, nothing), None);
    }
}
