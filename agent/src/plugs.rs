//! Which parts there are: the one place that names them all.

use crate::config::{Auth, Journal};
use crate::observation::Cursor;
use crate::sense::{AuthFile, AuthJournal, JOURNAL, Notice, Sensor};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// The sensors that these settings ask for on this host.
pub fn sensors(
    auth: &Auth,
    cursors: &BTreeMap<Arc<str>, Cursor>,
    notices: &Sender<Notice>,
) -> Vec<Box<dyn Sensor>> {
    let mut sensors: Vec<Box<dyn Sensor>> = Vec::new();
    if !auth.files.is_empty() {
        let files = AuthFile::new(&auth.files, auth.start, cursors, notices.clone());
        sensors.push(Box::new(files));
    }
    if follows_journal(auth) {
        let journal = AuthJournal::new(auth.start, cursors.get(JOURNAL), notices.clone());
        sensors.push(Box::new(journal));
    }
    sensors
}

/// Whether the journal is followed.
pub fn follows_journal(auth: &Auth) -> bool {
    match auth.journal {
        Journal::Yes => true,
        Journal::No => false,
        // Where there are files, they say the same.
        Journal::Auto => has_journal() && !auth.files.iter().any(|file| file.exists()),
    }
}

fn has_journal() -> bool {
    ["/var/log/journal", "/run/log/journal"].iter().any(|folder| {
        Path::new(folder)
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some())
    })
}
