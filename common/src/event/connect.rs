//! An event of a network connection.

use super::Program;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A TCP connection was asked for or came about. Field docs name the ECS 9 field that carries each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConnectEvent {
    /// Who: for an accepted connection the process that listens.
    pub program: Program,
    /// `network.direction`
    pub direction: Direction,
    /// `source.ip`, `source.port` of an outbound connection, `destination.ip`, `destination.port` of an inbound one. The port
    /// is 0 where it is not chosen yet.
    pub local: SocketAddr,
    /// The other end: `destination.ip`, `destination.port` of an outbound connection, `source.ip`, `source.port` of an inbound
    /// one.
    pub remote: SocketAddr,
}

/// Who asked for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// This host.
    Outbound,
    /// The other one, and this host accepted.
    Inbound,
}

impl Direction {
    /// The name in `network.direction`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

impl ConnectEvent {
    /// Where it came from.
    pub fn source(&self) -> SocketAddr {
        match self.direction {
            Direction::Outbound => self.local,
            Direction::Inbound => self.remote,
        }
    }

    /// Where it went.
    pub fn destination(&self) -> SocketAddr {
        match self.direction {
            Direction::Outbound => self.remote,
            Direction::Inbound => self.local,
        }
    }
}
