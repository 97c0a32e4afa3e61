//! What the gatekeeper tells, in outcomes.

use super::{Denials, file_of};
use crate::respond::Done;
use crate::respond::desk::Desk;
use picket_common::action::Decision;
use picket_common::process::ProcessId;
use picket_common::record::{Hit, Hits};
use picket_common::time::Timestamp;

impl Denials {
    /// What the gatekeeper has to tell, in outcomes.
    pub(super) fn hear(&mut self, desk: &mut Desk, now: Timestamp) -> Done {
        let heard = self.denier.hear();
        if let Some((count, reason)) = heard.unjudged {
            self.unjudged = self.unjudged.saturating_add(count);
            self.reason = reason;
        }
        let mut outcomes = Vec::new();
        for held in &self.held {
            let Some(file) = file_of(&held.action) else {
                continue;
            };
            let mut hits = Hits::default();
            for (_, pid, start) in heard.denied.iter().filter(|(denied, _, _)| denied == file) {
                if hits.hit.len() >= 32 {
                    hits.more += 1;
                    continue;
                }
                hits.hit.push(Hit {
                    process: ProcessId {
                        pid: *pid,
                        start: *start,
                    },
                    executable: None,
                    because: None,
                });
            }
            if !hits.hit.is_empty() {
                let hits = Some(Box::new(hits));
                outcomes.push(desk.note_hits(held.action.clone(), Decision::Applied, hits, now)?);
            }
        }
        if heard.ended && !self.held.is_empty() {
            self.unjudged = self.unjudged.saturating_add(1);
            self.reason = "the gatekeeper had ended: programs were let start until it was there again, at least this one"
                .to_owned();
            match self.put() {
                Ok(()) => tracing::warn!("the gatekeeper had ended; it is there again"),
                Err(error) => tracing::error!("programs start that are denied: {error}"),
            }
        }
        Ok(outcomes)
    }
}
