//! What can be asked of the history: has this host ever seen a digest, an address, a network, a name or a path?

use super::sighting::{DOMAIN, Key, PATH, Sighting, V4, V6, key, observable};
use super::{Observable, Shown};
use picket_common::action::Network;
use picket_common::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// More is not told at once.
const MOST: usize = 100;
const ROW: &str = "SELECT key, first, last, count, shown, told, subject FROM seen";

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// Something as a whole: a digest, an address, a path.
    One(Vec<u8>),
    /// Any address inside.
    Network(Network),
    /// A domain or one under it, and files of this name in any folder.
    Name(String),
}

/// A text that asks for nothing that is kept.
#[derive(Debug, thiserror::Error)]
#[error(
    "this is no digest (SHA-256, SHA-1 or MD5), address, network, name or path from the root that is ever kept"
)]
pub struct QuestionError;

/// Something that this host has seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// As people write it.
    pub value: String,
    /// When for the first time.
    pub first: Timestamp,
    /// When for the last time.
    pub last: Timestamp,
    /// How often.
    pub count: u64,
    /// In which kinds of event.
    pub events: Vec<Shown>,
    /// With whom or what for the last time: a program, the path of a file. Escape before showing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub with: Option<String>,
    /// Whether a finding has told that a list names it.
    pub listed: bool,
}

impl Question {
    /// What a text asks for.
    pub fn parse(text: &str) -> Result<Self, QuestionError> {
        let one = |observable: &Observable<'_>| {
            let mut of_it = Key::new();
            key(observable, &mut of_it).then_some(Self::One(of_it))
        };
        let lower = text.to_ascii_lowercase();
        let is_digest =
            matches!(text.len(), 32 | 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let question = if is_digest {
            one(&Observable::Digest(&lower))
        } else if text.starts_with('/') {
            one(&Observable::Path(text))
        } else if let Ok(network) = text.parse::<Network>() {
            match network.is_single() {
                true => one(&Observable::Address(network.address())),
                false => Some(Self::Network(network)),
            }
        } else {
            (!text.is_empty() && !text.contains('/')).then(|| Self::Name(text.to_owned()))
        };
        question.ok_or(QuestionError)
    }

    pub(super) fn find(&self, database: &Connection) -> rusqlite::Result<Vec<Seen>> {
        let mut found = Vec::new();
        match self {
            Self::One(key) => {
                let row = database.query_row(&format!("{ROW} WHERE key = ?1"), [key], |row| Ok(seen(row)));
                found.extend(row.optional()?.transpose()?.flatten());
            }
            Self::Network(network) => {
                let (start, end) = ends(*network);
                let query = format!("{ROW} WHERE key BETWEEN ?1 AND ?2 ORDER BY last DESC LIMIT {MOST}");
                let mut statement = database.prepare(&query)?;
                let mut rows = statement.query(params![start, end])?;
                while let Some(row) = rows.next()? {
                    found.extend(seen(row)?);
                }
            }
            Self::Name(name) => {
                let domain = name.trim_end_matches('.').to_ascii_lowercase();
                let below = format!(".{domain}");
                for (kind, is_it) in [
                    (
                        DOMAIN,
                        &(|value: &[u8]| value == domain.as_bytes() || value.ends_with(below.as_bytes()))
                            as &dyn Fn(&[u8]) -> bool,
                    ),
                    (PATH, &|value: &[u8]| {
                        let name = name.as_bytes();
                        value
                            .strip_suffix(name)
                            .is_some_and(|folder| folder.last() == Some(&b'/'))
                    }),
                ] {
                    let mut statement =
                        database.prepare_cached(&format!("{ROW} WHERE key >= ?1 AND key < ?2"))?;
                    let mut rows = statement.query(params![[kind], [kind + 1]])?;
                    while let Some(row) = rows.next()? {
                        let value = row.get_ref(0)?.as_blob()?;
                        if value.get(1..).is_some_and(is_it) {
                            found.extend(seen(row)?);
                        }
                        if found.len() > 2 * MOST {
                            latest(&mut found);
                        }
                    }
                }
            }
        }
        latest(&mut found);
        Ok(found)
    }
}

/// Leaves those that were seen last.
fn latest(found: &mut Vec<Seen>) {
    found.sort_by_key(|seen| std::cmp::Reverse(seen.last));
    found.truncate(MOST);
}

/// The keys of the first and the last address of a network.
fn ends(network: Network) -> (Key, Key) {
    let with = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    match network.address() {
        IpAddr::V4(v4) => {
            let hosts = u32::MAX.checked_shr(u32::from(network.prefix())).unwrap_or(0);
            let last = v4.to_bits() | hosts;
            (with(V4, &v4.octets()), with(V4, &last.to_be_bytes()))
        }
        IpAddr::V6(v6) => {
            let hosts = u128::MAX.checked_shr(u32::from(network.prefix())).unwrap_or(0);
            let last = v6.to_bits() | hosts;
            (with(V6, &v6.octets()), with(V6, &last.to_be_bytes()))
        }
    }
}

/// `None` for what a newer agent may have kept.
fn seen(row: &Row<'_>) -> rusqlite::Result<Option<Seen>> {
    let mut text = String::new();
    let key = row.get_ref(0)?.as_blob()?;
    let Some(observable) = observable(key, &mut text) else {
        return Ok(None);
    };
    let sighting = sighting(row)?;
    Ok(Some(Seen {
        value: match observable {
            Observable::Digest(text) | Observable::Path(text) => text.to_owned(),
            Observable::Address(address) => address.to_string(),
            Observable::Domain(name) => name.into_owned(),
        },
        first: sighting.first,
        last: sighting.last,
        count: sighting.count,
        events: sighting.shown().collect(),
        with: Some(sighting.subject.into()).filter(|subject: &String| !subject.is_empty()),
        listed: sighting.told,
    }))
}

pub(super) fn sighting(row: &Row<'_>) -> rusqlite::Result<Sighting> {
    Ok(Sighting {
        first: Timestamp::from_micros(row.get(1)?),
        last: Timestamp::from_micros(row.get(2)?),
        count: row.get(3)?,
        shown: row.get(4)?,
        told: row.get(5)?,
        subject: row.get_ref(6)?.as_str()?.into(),
    })
}
