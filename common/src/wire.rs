//! What agent and collector say to one another: the bodies of requests and answers.
//!
//! A batch is `POST /v1/records/{lane}`, a body of NDJSON, one [`Item`] a line, in one or more zstd frames one after the
//! other (`content-encoding: zstd`). The answer, a [`Receipt`], is given after the store has committed.

use crate::record::Record;
use serde::{Deserialize, Serialize};

/// Sent with every request as [`VERSION_HEADER`]; a collector refuses what it does not speak.
pub const VERSION: &str = "1";
/// The header that carries [`VERSION`].
pub const VERSION_HEADER: &str = "picket-version";
/// Where batches go; the lane's name follows.
pub const RECORDS_PATH: &str = "/v1/records/";
/// Where a host asks for its certificate.
pub const ENROLL_PATH: &str = "/v1/enroll";
/// Where a host asks for a new certificate with the one that it has.
pub const RENEW_PATH: &str = "/v1/renew";
/// The most bytes that a batch may hold once decompressed. An agent sends less, a collector refuses more.
pub const LARGEST_BATCH: usize = 8 << 20;
/// The longest line of a batch.
pub const LONGEST_ITEM: usize = 1 << 20;

/// One record on its way, numbered in its lane by the agent. Numbers only grow; they may leave gaps.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Item {
    /// Its place in its lane.
    pub sequence: u64,
    /// The fact.
    #[serde(flatten)]
    pub record: Record,
}

/// What the collector has made durable, or will never take.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// All up to here are kept (or refused for good): the agent may forget them. `None` when the batch was empty.
    pub acknowledged: Option<u64>,
    /// How many were there already.
    #[serde(default)]
    pub duplicates: u64,
    /// Those that are no record; sending them again would not help.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refused: Vec<Refused>,
}

/// A line of a batch that the collector did not take.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// Its number, where it could be read.
    pub sequence: Option<u64>,
    /// Why.
    pub reason: String,
}

/// A host asks to be let in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnrollRequest {
    /// The token's secret part; `None` when renewing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token: Option<String>,
    /// The name that it goes by, for people.
    pub host: String,
    /// A PKCS#10 request in PEM, signed by the key that stays on the host.
    pub csr: String,
}

/// The host is let in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnrollReply {
    /// The agent's id: the common name of its certificate.
    pub agent: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// The collector's authority, PEM: what the agent trusts from now on.
    pub authority: String,
}

/// Why a request was not served.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// In a sentence, with what to do.
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RecordId;
    use crate::record::Gap;
    use crate::time::Timestamp;

    #[test]
    fn an_item_is_one_flat_object() {
        let time = Timestamp::from_micros(1_700_000_000_000_000);
        let gap = Gap {
            id: RecordId::derived(time, &[b"x"]),
            time,
            place: "queue".to_owned(),
            lost: 3,
            reason: "full".to_owned(),
        };
        let item = Item {
            sequence: 7,
            record: Record::Gap(gap),
        };
        let text = serde_json::to_string(&item).unwrap();
        assert!(
            text.starts_with(r#"{"sequence":7,"record":"gap","body":{"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Item>(&text).unwrap(), item);
    }
}
