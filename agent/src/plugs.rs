//! Which parts there are: the one place that names them all.

use crate::config::{Auth, Files, FilesSensor, Journal};
use crate::observation::Cursor;
use crate::sense::{AuthFile, AuthJournal, FilesFanotify, FilesInotify, JOURNAL, Notice, Refused, Sensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// The sensors that these settings ask for on this host.
pub fn sensors(
    auth: &Auth,
    cursors: &BTreeMap<Arc<str>, Cursor>,
    notices: &Sender<Notice>,
) -> Vec<Box<dyn Sensor>> {
    let mut sensors: Vec<Box<dyn Sensor>> = Vec::new();
    // One or the other: what a host's syslog writes into its files is in its journal as well, and would count twice.
    if follows_journal(auth, cursors) {
        let journal = AuthJournal::new(auth.start, cursors.get(JOURNAL), notices.clone());
        sensors.push(Box::new(journal));
    } else if !auth.files.is_empty() {
        let files = AuthFile::new(&auth.files, auth.start, cursors, notices.clone());
        sensors.push(Box::new(files));
    }
    sensors
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
