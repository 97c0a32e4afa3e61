//! Which parts there are: the one place that names them all.

use crate::config::{Auth, Journal, Process, ProcessSensor, Settings};
use crate::detect::Needs;
use crate::observation::Cursor;
use crate::sense::{AuthFile, AuthJournal, ExecEbpf, ExecNetlink, ExecPoll, JOURNAL, Notice, Sensor};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// The sensors that these settings ask for on this host.
pub fn sensors(
    settings: &Settings,
    cursors: &BTreeMap<Arc<str>, Cursor>,
    notices: &Sender<Notice>,
) -> Vec<Box<dyn Sensor>> {
    let auth = &settings.auth;
    let mut sensors: Vec<Box<dyn Sensor>> = Vec::new();
    // One or the other: what a host's syslog writes into its files is in its journal as well, and would count twice.
    if follows_journal(auth, cursors) {
        let journal = AuthJournal::new(auth.start, cursors.get(JOURNAL), notices.clone());
        sensors.push(Box::new(journal));
    } else if !auth.files.is_empty() {
        let files = AuthFile::new(&auth.files, auth.start, cursors, notices.clone());
        sensors.push(Box::new(files));
    }
    sensors.extend(of_processes(&settings.process, notices));
    sensors
}

/// The one that is asked for, or the first after it that works here. What is missed through that is said aloud.
fn of_processes(process: &Process, notices: &Sender<Notice>) -> Option<Box<dyn Sensor>> {
    let environment = &process.environment;
    if process.sensor == ProcessSensor::None {
        return None;
    }
    let fall_back = |name: &str, error: &dyn Display, next: &str, blind: &str| {
        let text = format!("{name}: {error}; {next} takes its place, and not seen are {blind}");
        // Nobody listens once the agent is ending.
        drop(notices.send(Notice::Warning(text)));
    };
    if matches!(process.sensor, ProcessSensor::Auto | ProcessSensor::Ebpf) {
        match ExecEbpf::open(process, notices.clone()) {
            Ok(sensor) => return Some(Box::new(sensor)),
            Err(error) => fall_back(ExecEbpf::NAME, &error, ExecNetlink::NAME, ExecNetlink::BLIND),
        }
    }
    if process.sensor != ProcessSensor::Poll {
        match ExecNetlink::listen(environment, notices.clone()) {
            Ok(sensor) => return Some(Box::new(sensor)),
            Err(error) => fall_back(ExecNetlink::NAME, &error, ExecPoll::NAME, ExecPoll::BLIND),
        }
    }
    Some(Box::new(ExecPoll::new(
        process.poll,
        environment,
        notices.clone(),
    )))
}

/// Whether one of them sees programs start and end.
pub fn sees_processes(process: &Process) -> bool {
    process.sensor != ProcessSensor::None
}

/// Whether one of them sees logins.
pub fn sees_logins(auth: &Auth) -> bool {
    follows_journal(auth, &BTreeMap::new()) || !auth.files.is_empty()
}

/// Whether one of them sees connections, signals, and programs that become root: only a program in the kernel does.
pub fn sees_deeds(process: &Process) -> bool {
    matches!(process.sensor, ProcessSensor::Auto | ProcessSensor::Ebpf)
}

/// Why no event of a kind is seen on this host; `None` when a sensor sees them.
pub fn unseen(needs: Needs, settings: &Settings) -> Option<&'static str> {
    let (seen, why) = match needs {
        Needs::Logins => (
            sees_logins(&settings.auth),
            "no authentication log is followed on this host",
        ),
        Needs::Programs | Needs::Exits => (
            sees_processes(&settings.process),
            "no sensor on this host sees programs start and end",
        ),
        Needs::Connections => (
            sees_deeds(&settings.process),
            "no sensor on this host sees connections",
        ),
        Needs::Privileges => (
            sees_deeds(&settings.process),
            "no sensor on this host sees how programs become root",
        ),
        Needs::Signals => (
            sees_deeds(&settings.process),
            "no sensor on this host sees signals",
        ),
        Needs::Others => (false, "no sensor on this host sees events of its log source"),
    };
    (!seen).then_some(why)
}

/// Whether the journal is followed, by what the settings say and where reading went on before.
pub fn follows_journal(auth: &Auth, cursors: &BTreeMap<Arc<str>, Cursor>) -> bool {
    match auth.journal {
        Journal::Yes => true,
        Journal::No => false,
        // A host that gets its first log file stays with the journal, in which it knows its place.
        Journal::Auto => {
            let files = auth.files.iter().any(|file| file.exists());
            let only_journal = cursors.contains_key(JOURNAL)
                && !cursors.keys().any(|source| source.starts_with(AuthFile::SOURCE));
            has_journal() && (!files || only_journal)
        }
    }
}

fn has_journal() -> bool {
    ["/var/log/journal", "/run/log/journal"].iter().any(|folder| {
        Path::new(folder)
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_sensor_sees_is_named() {
        let mut settings = Settings::default();
        assert_eq!(unseen(Needs::Logins, &settings), None);
        (settings.auth.files, settings.auth.journal) = (Vec::new(), Journal::No);
        let said = unseen(Needs::Logins, &settings);
        assert_eq!(said, Some("no authentication log is followed on this host"));
        settings.auth.journal = Journal::Yes;
        assert_eq!(unseen(Needs::Logins, &settings), None);
        assert_eq!(unseen(Needs::Programs, &settings), None);
        settings.process.sensor = ProcessSensor::Poll;
        assert_eq!(unseen(Needs::Programs, &settings), None);
        let said = unseen(Needs::Connections, &settings);
        assert_eq!(said, Some("no sensor on this host sees connections"));
        settings.process.sensor = ProcessSensor::None;
        assert!(unseen(Needs::Exits, &settings).is_some());
    }
}
