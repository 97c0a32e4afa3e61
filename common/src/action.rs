//! What can be done to a host, and what came of it.

use crate::event::FileRef;
use crate::ids::RecordId;
use crate::process::ProcessId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// One act on the host, wanted for a reason and for a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Action {
    /// The id that `picket undo` takes.
    pub id: RecordId,
    /// When it was wanted.
    pub time: Timestamp,
    /// The act and whom it hits.
    pub target: Target,
    /// How long it holds; `None` is until undone, and of no meaning for what does not last ([`ActionKind::lasts`]).
    pub ttl: Option<Duration>,
    /// Why, in a sentence for the operator.
    pub reason: String,
    /// The finding that asked for it; `None` when a person did.
    pub finding: Option<RecordId>,
}

/// The kinds of act, each with its target.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action", content = "target")]
pub enum Target {
    /// Drop everything that comes from a network.
    BlockIp(Network),
    /// End a process, and what belongs to it.
    Kill {
        /// The process.
        process: ProcessId,
        /// What belongs to it.
        scope: Scope,
    },
    /// Let nobody start a program.
    DenyExec(Box<DeniedFile>),
    /// Take a file away, so that it can come back.
    Quarantine(Box<FileRef>),
}

impl Target {
    /// The kind alone.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::BlockIp(_) => ActionKind::BlockIp,
            Self::Kill { .. } => ActionKind::Kill,
            Self::DenyExec(_) => ActionKind::DenyExec,
            Self::Quarantine(_) => ActionKind::Quarantine,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockIp(network) => network.fmt(f),
            Self::DenyExec(file) => write!(f, "{:?}", file.path),
            Self::Quarantine(file) => file.path.fmt(f),
            Self::Kill { process, scope } => {
                let pid = process.pid;
                match scope {
                    Scope::Process => write!(f, "process {pid}"),
                    Scope::Tree => write!(f, "process {pid} and all that it started"),
                    Scope::Session => write!(f, "process {pid} and all of its login session"),
                }
            }
        }
    }
}

/// What a responder handles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// See [`Target::BlockIp`].
    BlockIp,
    /// See [`Target::Kill`].
    Kill,
    /// See [`Target::DenyExec`].
    DenyExec,
    /// See [`Target::Quarantine`].
    Quarantine,
}

impl ActionKind {
    /// The name in policies, rules and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlockIp => "block_ip",
            Self::Kill => "kill",
            Self::DenyExec => "deny_exec",
            Self::Quarantine => "quarantine",
        }
    }

    /// Whether it holds from when it is done until it ends or is taken back. What does not is over once it is done, and
    /// nobody can take it back.
    pub const fn lasts(self) -> bool {
        match self {
            Self::BlockIp | Self::DenyExec | Self::Quarantine => true,
            Self::Kill => false,
        }
    }
}

/// How far a kill reaches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The process alone.
    Process,
    /// The process and all that it started.
    Tree,
    /// All processes of the login session that it belongs to, as the kernel's audit counts them.
    Session,
}

/// A program that nobody is to start: this file, and as a rule any with the same content.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DeniedFile {
    /// Where it lay when it was judged.
    pub path: String,
    /// Its device, as `stat` counts.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// How many bytes it has.
    pub size: u64,
    /// When it was last changed, in nanoseconds since 1970: what has another time may have another content.
    pub changed: i64,
    /// The SHA-256 of its content, in hexadecimal; `None` where it is too long to be read in time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// Other files with this content start: the host cannot do without one of them.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub copies_start: bool,
}

/// What became of an action.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision")]
pub enum Decision {
    /// It was done.
    Applied,
    /// It would have been done, but the agent only watches.
    Simulated,
    /// It was not done, to protect the operator or by policy.
    Refused {
        /// Which guard or policy refused, in a sentence.
        because: String,
    },
    /// It was tried and did not work.
    Failed {
        /// The error.
        because: String,
    },
    /// It was taken back.
    Undone,
    /// Its time was over.
    Expired,
}

/// An IPv4 or IPv6 network; a single address has the full prefix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// One address, unmapped when it is IPv4 in IPv6.
    pub fn single(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            prefix: if address.is_ipv4() { 32 } else { 128 },
        }
    }

    /// The network of `prefix` bits around `address`, with the host bits cleared; unmapped when all of it is IPv4 in IPv6.
    /// `None` when the prefix is too long.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let (address, prefix) = match (address.to_canonical(), prefix) {
            (v4 @ IpAddr::V4(_), 96..=128) if address.is_ipv6() => (v4, prefix - 96),
            _ => (address, prefix),
        };
        let address = match address {
            IpAddr::V4(v4) if prefix <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) if prefix <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
            _ => return None,
        };
        Some(Self { address, prefix })
    }

    /// The first of all networks that begin with an address, in their order.
    pub fn widest(address: IpAddr) -> Self {
        Self { address, prefix: 0 }
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The number of fixed bits.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it is one address.
    pub fn is_single(&self) -> bool {
        self.prefix == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether `address` lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::new(address.to_canonical(), self.prefix) == Some(*self)
    }

    /// Whether any address lies inside both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// A text that names no network.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no address or network; write 198.51.100.9, 198.51.100.0/24 or 2001:db8::/32")]
pub struct NetworkError(String);

impl std::str::FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = match text.split_once('/') {
            None => text.parse().ok().map(Self::single),
            Some((address, prefix)) => address
                .parse()
                .ok()
                .zip(prefix.parse().ok())
                .and_then(|(a, p)| Self::new(a, p)),
        };
        network.ok_or_else(|| NetworkError(text.chars().take(64).collect()))
    }
}

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_written_with_its_process_and_its_scope() {
        let process = ProcessId { pid: 17, start: 4 };
        let target = Target::Kill {
            process,
            scope: Scope::Tree,
        };
        let text = r#"{"action":"kill","target":{"process":{"pid":17,"start":4},"scope":"tree"}}"#;
        assert_eq!(serde_json::to_string(&target).unwrap(), text);
        assert_eq!(serde_json::from_str::<Target>(text).unwrap(), target);
    }

    #[test]
    fn networks_clear_host_bits_and_know_their_members() {
        let net: Network = "2001:db8:1:2:3::9/64".parse().unwrap();
        assert_eq!(net.to_string(), "2001:db8:1:2::/64");
        assert!(net.contains("2001:db8:1:2:ffff::1".parse().unwrap()));
        assert!(!net.contains("2001:db8:1:3::1".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.overlaps(&"198.51.100.9".parse().unwrap()));
        assert!(!all.overlaps(&net));
        assert_eq!(
            Network::single("::ffff:198.51.100.9".parse().unwrap()).to_string(),
            "198.51.100.9"
        );
        let mapped: Network = "::ffff:198.51.100.9/120".parse().unwrap();
        assert_eq!(mapped.to_string(), "198.51.100.0/24");
        assert!(mapped.overlaps(&"198.51.100.7".parse().unwrap()));
        for bad in ["", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/", "a/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
