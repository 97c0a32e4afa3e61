//! The thread that keeps what was found on the host, and tells of it.

use crate::history::{Entry, Findings, Story};
use picket_common::ids::RecordId;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};

/// More findings are not told of at once.
const MOST: usize = 100;

/// What the thread is told or asked, in one queue: what was told before a question is part of the answer.
pub(super) enum Note {
    /// Keep this.
    Keep(Box<Entry>),
    /// Tell.
    Recall {
        what: Recall,
        /// How many notes found no room in the queue since this was last said.
        lost: u64,
        reply: Sender<Result<Told, String>>,
    },
}

/// What there is to tell.
pub(super) enum Recall {
    Last(usize),
    Story(RecordId),
}

/// What is told.
pub(super) enum Told {
    /// With how many findings and outcomes could not be kept.
    Last(Vec<Story>, u64),
    Story(Option<Box<Story>>),
}

pub(super) struct Historian {
    findings: io::Result<Findings>,
    lost: u64,
    complained: bool,
}

impl Historian {
    /// An agent that cannot keep its history still watches.
    pub(super) fn new(path: &Path) -> Self {
        let findings = Findings::open(path);
        if let Err(error) = &findings {
            tracing::warn!("{}: {error}; findings are not kept on the host", path.display());
        }
        Self {
            findings,
            lost: 0,
            complained: false,
        }
    }

    /// Keeps and tells until nobody is left.
    pub(super) fn listen(&mut self, notes: &Receiver<Note>) {
        for note in notes {
            match note {
                Note::Keep(entry) => self.keep(*entry),
                Note::Recall { what, lost, reply } => {
                    self.lost += lost;
                    // Whoever asked may have gone.
                    drop(reply.send(self.tell(&what)));
                }
            }
        }
    }

    fn keep(&mut self, entry: Entry) {
        let Ok(findings) = &mut self.findings else {
            self.lost += 1;
            return;
        };
        match findings.keep(entry) {
            Ok(true) => self.complained = false,
            Ok(false) => self.lost += 1,
            Err(error) => {
                self.lost += 1;
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!("a finding could not be kept on the host: {error}");
                }
            }
        }
    }

    fn tell(&self, what: &Recall) -> Result<Told, String> {
        let findings = match &self.findings {
            Ok(findings) => findings,
            Err(error) => return Err(format!("the agent keeps no history: {error}")),
        };
        let told = match what {
            Recall::Last(count) => findings
                .last(*count.min(&MOST))
                .map(|stories| Told::Last(stories, self.lost)),
            Recall::Story(id) => findings.find(*id).map(|story| Told::Story(story.map(Box::new))),
        };
        told.map_err(|error| format!("the history cannot be read: {error}"))
    }
}
