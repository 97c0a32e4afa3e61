//! Which parts there are: the one place that names them all.

use crate::config::{Auth, Files, FilesSensor, Journal, Process, ProcessSensor, Settings};
use crate::observation::{Cursor, Subject};
use crate::sense::{
    AuthFile, AuthJournal, ExecEbpf, ExecNetlink, ExecPoll, FilesFanotify, FilesInotify, JOURNAL, Notice,
    Refused, Sensor,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
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

/// Of those for processes the one that is asked for, or the first after it that works here. What is missed through that is said
/// aloud.
pub fn of_processes(process: &Process, notices: &Sender<Notice>) -> Option<Box<dyn Sensor>> {
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

/// What these sensors see between them.
pub fn seen(sensors: &[Box<dyn Sensor>]) -> BTreeSet<Subject> {
    sensors.iter().flat_map(|sensor| sensor.sees()).collect()
}

/// Why no event about something is seen where these are; `None` when one of them sees it.
pub fn unseen(subject: Subject, seen: &BTreeSet<Subject>) -> Option<&'static str> {
    let why = match subject {
        Subject::Logins => "no authentication log is followed on this host",
        Subject::Programs => "no sensor on this host sees programs start",
        Subject::Exits => "no sensor on this host sees programs end",
        Subject::Connections => "no sensor on this host sees connections",
        Subject::Privileges => "no sensor on this host sees how programs become root",
        Subject::Signals => "no sensor on this host sees signals",
        Subject::Files => "no sensor on this host sees files land",
        Subject::Others => "no sensor on this host sees events of its log source",
    };
    (!seen.contains(&subject)).then_some(why)
}

/// The sensors of files that these settings ask for on this host. `own` are the agent's own folders, whose files they never tell
/// of.
pub fn file_sensors(
    files: &Files,
    own: &[PathBuf],
    cursors: &BTreeMap<Arc<str>, Cursor>,
    notices: &Sender<Notice>,
) -> Vec<Box<dyn Sensor>> {
    let fanotify =
        || -> Box<dyn Sensor> { Box::new(FilesFanotify::new(files, own, cursors, notices.clone())) };
    let inotify = |files: &Files| -> Box<dyn Sensor> {
        Box::new(FilesInotify::new(files, own, cursors, notices.clone()))
    };
    if files.paths.is_empty() {
        return Vec::new();
    }
    match files.sensor {
        FilesSensor::None => Vec::new(),
        FilesSensor::Fanotify => vec![fanotify()],
        FilesSensor::Inotify => vec![inotify(files)],
        FilesSensor::Auto => match FilesFanotify::probe(files) {
            Ok((_, refused)) => {
                let local = refused.into_iter().filter(|refused| !refused.is_remote());
                let paths: Vec<PathBuf> = local.flat_map(Refused::into_watched).collect();
                let rest = Files {
                    paths,
                    ..files.clone()
                };
                let rest = Some(rest).filter(|rest| !rest.paths.is_empty());
                let rest = rest.map(|rest| inotify(&rest));
                [fanotify()].into_iter().chain(rest).collect()
            }
            Err(error) => {
                let told = format!("files are watched by inotify, which does not see who writes: {error}");
                // Nobody listens once the agent is ending.
                drop(notices.send(Notice::Warning(told)));
                vec![inotify(files)]
            }
        },
    }
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
        (settings.auth.files, settings.auth.journal) = (Vec::new(), Journal::No);
        settings.process.sensor = ProcessSensor::Poll;
        let of = |settings: &Settings| {
            let (notices, _) = std::sync::mpsc::channel();
            seen(&sensors(settings, &BTreeMap::new(), &notices))
        };
        let only_programs = of(&settings);
        let said = unseen(Subject::Logins, &only_programs);
        assert_eq!(said, Some("no authentication log is followed on this host"));
        assert_eq!(unseen(Subject::Programs, &only_programs), None);
        assert_eq!(unseen(Subject::Exits, &only_programs), None);
        let said = unseen(Subject::Connections, &only_programs);
        assert_eq!(said, Some("no sensor on this host sees connections"));
        (settings.auth.journal, settings.process.sensor) = (Journal::Yes, ProcessSensor::None);
        let only_logins = of(&settings);
        assert_eq!(unseen(Subject::Logins, &only_logins), None);
        assert!(unseen(Subject::Exits, &only_logins).is_some());
    }
}
