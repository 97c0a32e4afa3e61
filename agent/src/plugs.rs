//! Which parts there are: the one place that names them all.

use crate::config::{Auth, Journal, ProcessSensor, Settings};
use crate::observation::Cursor;
use crate::sense::{AuthFile, AuthJournal, ExecEbpf, JOURNAL, Notice, Sensor};
use std::collections::BTreeMap;
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
    if matches!(settings.process.sensor, ProcessSensor::Auto | ProcessSensor::Ebpf) {
        match ExecEbpf::open(&settings.process, notices.clone()) {
            Ok(sensor) => sensors.push(Box::new(sensor)),
            // Nobody listens any more when the agent is ending.
            Err(error) => drop(notices.send(Notice::Warning(format!("processes are not seen: {error}")))),
        }
    }
    sensors
}

/// Whether one of them sees logins.
pub fn sees_logins(auth: &Auth) -> bool {
    follows_journal(auth, &BTreeMap::new()) || !auth.files.is_empty()
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
