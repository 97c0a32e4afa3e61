//! Makes observations of files that landed.

use super::landed::{Landed, Opener};
use super::now;
use crate::observation::{Body, Cursor, Observation, Origin};
use crate::sense::Notice;
use crate::sys::Stop;
use picket_common::event::{FileAction, Program};
use picket_common::time::Timestamp;
use std::path::Path;
use std::sync::Arc;

/// Numbers what one sensor sees.
#[derive(Debug)]
pub(in crate::sense) struct Observer {
    source: Arc<str>,
    begun: Timestamp,
    number: u64,
    opener: Opener,
}

impl Observer {
    pub(in crate::sense) fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            begun: now(),
            number: 0,
            opener: Opener::default(),
        }
    }

    /// A file that landed. `resume_at` is until when nothing was missed.
    pub(in crate::sense) fn observe(
        &mut self,
        path: &Path,
        action: FileAction,
        landed: Option<&Landed>,
        writer: Option<Program>,
        resume_at: Option<Timestamp>,
        stop: &Stop,
    ) -> Observation {
        let observed = now();
        let seen = self.opener.seen(path, action, landed, writer.map(Box::new), stop);
        self.number += 1;
        let mut position = self.begun.as_micros().to_be_bytes().to_vec();
        position.extend(self.number.to_be_bytes());
        Observation {
            origin: Origin {
                source: Arc::clone(&self.source),
                position,
                cursor: resume_at.map(cursor),
            },
            observed,
            again: false,
            body: Body::File(Box::new(seen)),
        }
    }

    /// What to say of files that could not be opened, once.
    pub(in crate::sense) fn unopened(&mut self) -> Option<Notice> {
        let lost = std::mem::take(&mut self.opener.unopened);
        let reason = "too many files are open at once: these were told of, and cannot be looked into";
        (lost > 0).then(|| Notice::Lost {
            place: self.source.to_string(),
            lost,
            reason: reason.to_owned(),
        })
    }
}

/// The place from which a sensor of files goes on: the time until which nothing was missed, in microseconds.
pub(in crate::sense) fn cursor(time: Timestamp) -> Cursor {
    Cursor::Number {
        number: u64::try_from(time.as_micros()).unwrap_or(0),
    }
}

/// The time that a cursor means.
pub(in crate::sense) fn time_of(cursor: &Cursor) -> Option<Timestamp> {
    match cursor {
        Cursor::Number { number } => i64::try_from(*number).ok().map(Timestamp::from_micros),
        _ => None,
    }
}
