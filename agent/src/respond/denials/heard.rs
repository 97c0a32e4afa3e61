//! What the gatekeeper tells, in outcomes.

use super::gate::ENDED;
use super::{Denials, file_of};
use crate::respond::Done;
use crate::respond::desk::{Desk, Held};
use picket_common::action::Decision;
use picket_common::record::{Hit, Hits};
use picket_common::time::Timestamp;

impl Denials {
    /// Whom it has kept from starting what is denied, or was until now.
    pub(super) fn hear(&mut self, ended: &[Held], desk: &mut Desk, now: Timestamp) -> Done {
        let mut heard = self.denier.hear();
        if let Some((count, reason)) = heard.unjudged {
            self.unjudged = self.unjudged.saturating_add(count);
            self.reason = reason;
        }
        let mut outcomes = Vec::new();
        for held in self.held.iter().chain(ended) {
            let Some(refused) = file_of(&held.action).and_then(|file| heard.denied.take(file)) else {
                continue;
            };
            let hit = refused.named.into_iter().map(|process| Hit {
                process,
                executable: None,
                because: None,
            });
            let hits = Hits {
                hit: hit.collect(),
                spared: Vec::new(),
                more: refused.more,
                cut: false,
            };
            let hits = Some(Box::new(hits));
            outcomes.push(desk.note_hits(held.action.clone(), Decision::Applied, hits, now)?);
        }
        if heard.ended && !self.held.is_empty() {
            self.unjudged = self.unjudged.saturating_add(1);
            self.reason = ENDED.to_owned();
            match self.put() {
                Ok(()) => tracing::warn!("the gatekeeper had ended; it is there again"),
                Err(error) => tracing::error!("programs start that are denied: {error}"),
            }
        }
        Ok(outcomes)
    }
}
