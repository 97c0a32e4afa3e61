//! What the guard learns from events.

use picket_common::event::{AuthAction, AuthMethod, Event, Outcome};
use picket_common::ids::RecordId;
use picket_common::time::Timestamp;
use std::net::IpAddr;

/// A login from an address, accepted or not.
#[derive(Clone, Debug)]
pub struct Login {
    pub(super) address: IpAddr,
    pub(super) event: RecordId,
    pub(super) time: Timestamp,
    pub(super) accepted: bool,
    /// It was by a password, or by what may be one.
    pub(super) guessable: bool,
    /// How many times it happened.
    pub(super) times: u32,
}

impl Login {
    /// The login that an event tells of; `None` when it tells of none.
    pub fn of(event: &Event) -> Option<Self> {
        let auth = event.auth()?;
        let peer = auth.source.filter(|_| auth.action == AuthAction::Login)?;
        Some(Self {
            address: peer.ip.to_canonical(),
            event: event.id,
            time: event.time,
            accepted: match auth.outcome {
                Outcome::Success => true,
                Outcome::Failure => false,
                Outcome::Unknown => return None,
            },
            guessable: !matches!(
                auth.method,
                Some(AuthMethod::PublicKey | AuthMethod::HostBased | AuthMethod::Gssapi)
            ),
            times: auth.repeated.unwrap_or(1),
        })
    }
}
