//! What the agent and its courier say to one another: one JSON object a line, over a pair of sockets.

use super::identity::Identity;
use picket_common::record::Lane;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How far the collector has acknowledged each lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The last sequence of the findings' lane.
    pub findings: u64,
    /// The last sequence of the events' lane.
    pub events: u64,
}

/// From the agent to its courier.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Down {
    /// The first thing said: who the courier speaks for, and where it goes on.
    Start { identity: Identity, progress: Progress },
    /// There is something new in the spool.
    Spooled,
}

/// From the courier to the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Up {
    /// The collector keeps everything of a lane up to here.
    Acknowledged {
        /// Which lane.
        lane: Lane,
        /// The last sequence that is kept.
        sequence: u64,
    },
    /// The collector will never take some records.
    Refused {
        /// Their lane.
        lane: Lane,
        /// How many.
        count: u64,
        /// Why, of the first of them.
        reason: String,
    },
    /// The collector proved at this address that it is the collector.
    Reached {
        /// Where.
        address: IpAddr,
    },
    /// A batch could not be delivered; it is tried again.
    Trouble {
        /// Why, in a sentence.
        reason: String,
    },
    /// The collector gave a new certificate for a new key.
    Renewed {
        /// The identity to keep from now on.
        identity: Identity,
    },
}
