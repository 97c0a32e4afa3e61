//! Names of things: every identifier is a type of its own.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The name of one record, shaped like a UUIDv7: its first 48 bits are the milliseconds of its time.
///
/// What comes from a source that can be read again (a file, the journal) gets a *derived* id: the same bytes at the
/// same place give the same id, so that a restart can repeat a record and the collector still keeps one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(Uuid);

impl RecordId {
    /// An id for something that happens once: its time and 74 random bits.
    pub fn random(time: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(time.unix_millis(), &random).into_uuid())
    }

    /// An id that the same `parts` at the same `time` always give; the parts are framed, so `["ab", "c"]` and
    /// `["a", "bc"]` differ.
    pub fn derived(time: Timestamp, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut random = [0_u8; 10];
        for (to, from) in random.iter_mut().zip(digest) {
            *to = from;
        }
        Self::random(time, random)
    }

    /// Its sixteen bytes; they sort as the ids do.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The milliseconds since the epoch that the id carries.
    pub fn unix_millis(self) -> u64 {
        let bytes = self.0.as_u128();
        u64::try_from(bytes >> 80).unwrap_or(0)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RecordId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_repeat_and_sort_by_time() {
        let early = Timestamp::from_micros(1_700_000_000_000_000);
        let late = Timestamp::from_micros(1_700_000_000_001_000);
        let id = RecordId::derived(early, &[b"auth.log", b"17"]);
        assert_eq!(id, RecordId::derived(early, &[b"auth.log", b"17"]));
        assert_ne!(id, RecordId::derived(early, &[b"auth.log1", b"7"]));
        assert!(id < RecordId::derived(late, &[b"auth.log", b"17"]));
        assert_eq!(id.unix_millis(), 1_700_000_000_000);
        assert_eq!(id.to_string().as_bytes()[14], b'7');
        assert_eq!(id.to_string().parse::<RecordId>().unwrap(), id);
    }
}
