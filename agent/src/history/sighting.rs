//! What was seen since the history was last written: each thing once, however often it was seen.

use super::observable::{Observable, Shown, each, subject};
use compact_str::CompactString;
use picket_common::event::Event;
use picket_common::time::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;

/// More different things do not wait to be written.
const MOST: usize = 8192;
/// A longer path is not kept.
const LONGEST: usize = 1024;
/// Of longer words of whom it was seen with the beginning is kept.
const LONGEST_SUBJECT: usize = 96;

/// Under which a thing is kept: a byte for its kind, then its bytes.
pub(super) type Key = Vec<u8>;

pub(super) const DIGEST: u8 = 1;
pub(super) const V4: u8 = 2;
pub(super) const V6: u8 = 3;
pub(super) const DOMAIN: u8 = 4;
pub(super) const PATH: u8 = 5;

/// When and how a thing was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// When for the first time.
    pub first: Timestamp,
    /// When for the last time.
    pub last: Timestamp,
    /// How often.
    pub count: u64,
    /// With whom or what for the last time, beside itself: a program, the path of a file.
    pub subject: CompactString,
    /// A bit for each of [`Shown::ALL`].
    pub(super) shown: u8,
    /// A finding has told that it is listed.
    pub told: bool,
}

/// See the module.
#[derive(Default, Debug)]
pub struct Sightings {
    pub(super) seen: HashMap<Key, Sighting>,
    /// How many found no room.
    pub lost: u64,
    scratch: Key,
}

impl Sighting {
    /// In which kinds of event.
    pub fn shown(&self) -> impl Iterator<Item = Shown> {
        let bits = self.shown;
        let all = Shown::ALL.into_iter().enumerate();
        all.filter_map(move |(at, shown)| (bits >> at & 1 == 1).then_some(shown))
    }

    /// The same, seen at other times as well.
    fn join(&mut self, other: Self) {
        if other.last >= self.last && !other.subject.is_empty() {
            self.subject = other.subject;
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
        self.shown |= other.shown;
        self.told |= other.told;
    }
}

impl Sightings {
    /// Takes what an event shows, or its digest alone; `is_told` says of what a finding tells already.
    pub fn add(
        &mut self,
        event: &Event,
        digest_alone: bool,
        mut is_told: impl FnMut(&Observable<'_>) -> bool,
    ) {
        let Some(shown) = Shown::of(event) else { return };
        // A log may say that it is later than it is.
        let time = event.time.min(event.observed);
        let whom = subject(event).unwrap_or_default();
        each(event, |observable| {
            let is_wanted = !digest_alone || matches!(observable, Observable::Digest(_));
            if !is_wanted || !key(&observable, &mut self.scratch) {
                return;
            }
            let told = is_told(&observable);
            let itself = matches!(&observable, Observable::Path(path) if *path == whom);
            let whom = match itself {
                true => "",
                false => whom
                    .get(..whom.floor_char_boundary(LONGEST_SUBJECT))
                    .unwrap_or_default(),
            };
            if let Some(known) = self.seen.get_mut(self.scratch.as_slice()) {
                if time >= known.last && known.subject != whom {
                    known.subject = whom.into();
                }
                known.first = known.first.min(time);
                known.last = known.last.max(time);
                known.count = known.count.saturating_add(1);
                known.shown |= bit(shown);
                known.told |= told;
            } else if self.seen.len() < MOST {
                let sighting = Sighting {
                    first: time,
                    last: time,
                    count: 1,
                    subject: whom.into(),
                    shown: bit(shown),
                    told,
                };
                self.seen.insert(self.scratch.clone(), sighting);
            } else {
                self.lost += 1;
            }
        });
    }

    /// Takes back what could not be written, as far as there is room.
    pub fn restore(&mut self, other: Self) {
        self.lost += other.lost;
        for (key, sighting) in other.seen {
            if let Some(known) = self.seen.get_mut(&key) {
                known.join(sighting);
            } else if self.seen.len() < MOST {
                self.seen.insert(key, sighting);
            } else {
                self.lost += sighting.count;
            }
        }
    }

    /// Each thing that no finding has told of, which may be told of now.
    pub fn each_untold(&mut self, mut look: impl FnMut(&Observable<'_>, &Sighting) -> bool) {
        let mut text = String::new();
        for (key, sighting) in self.seen.iter_mut().filter(|(_, sighting)| !sighting.told) {
            if let Some(observable) = observable(key, &mut text) {
                sighting.told = look(&observable, sighting);
            }
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Whether it is time to write, as there is little room left.
    pub fn is_half_full(&self) -> bool {
        self.seen.len() >= MOST / 2
    }
}

fn bit(shown: Shown) -> u8 {
    let place = Shown::ALL.iter().position(|one| *one == shown);
    place.map_or(0, |at| 1 << at)
}

/// Makes the key of a thing. Not of what tells nothing, or is too long.
pub(super) fn key(observable: &Observable<'_>, key: &mut Key) -> bool {
    key.clear();
    match observable {
        Observable::Digest(text) => {
            key.push(DIGEST);
            let digits = text.as_bytes().chunks_exact(2);
            let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
            key.extend(digits.map_while(byte));
            key.len() == 1 + text.len() / 2 && matches!(text.len(), 32 | 40 | 64)
        }
        Observable::Address(IpAddr::V4(v4)) => {
            key.push(V4);
            key.extend(v4.octets());
            !v4.is_loopback() && !v4.is_unspecified()
        }
        Observable::Address(IpAddr::V6(v6)) => {
            key.push(V6);
            key.extend(v6.octets());
            !v6.is_loopback() && !v6.is_unspecified()
        }
        Observable::Domain(name) => {
            key.push(DOMAIN);
            key.extend(name.as_bytes());
            !name.is_empty() && name.len() <= LONGEST
        }
        Observable::Path(path) => {
            key.push(PATH);
            key.extend(path.as_bytes());
            path.len() <= LONGEST
        }
    }
}

/// The thing that is kept under a key; a digest's digits are put into `text`.
pub(super) fn observable<'a>(key: &'a [u8], text: &'a mut String) -> Option<Observable<'a>> {
    let (kind, bytes) = key.split_first()?;
    Some(match *kind {
        DIGEST => {
            text.clear();
            for byte in bytes {
                for digit in [byte >> 4, byte & 15] {
                    text.push(char::from_digit(u32::from(digit), 16)?);
                }
            }
            Observable::Digest(text)
        }
        V4 => Observable::Address(<[u8; 4]>::try_from(bytes).ok()?.into()),
        V6 => Observable::Address(<[u8; 16]>::try_from(bytes).ok()?.into()),
        DOMAIN => Observable::Domain(std::str::from_utf8(bytes).ok()?.into()),
        PATH => Observable::Path(std::str::from_utf8(bytes).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{AuthAction, AuthEvent, Outcome, Payload, Peer};
    use picket_common::ids::RecordId;

    fn login(second: i64, observed: i64, source: &str) -> Event {
        let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Failure, "sshd");
        auth.source = Some(Peer::new(source.parse().unwrap(), None));
        let time = Timestamp::from_micros(second);
        Event {
            id: RecordId::derived(time, &[]),
            time,
            observed: Timestamp::from_micros(observed),
            payload: Payload::Auth(auth.into()),
        }
    }

    #[test]
    fn what_is_seen_again_is_counted_and_what_finds_no_room_as_well() {
        let mut sightings = Sightings::default();
        for (second, observed) in [(5, 9), (3, 9), (99, 9)] {
            sightings.add(&login(second, observed, "198.51.100.7"), false, |_| second == 3);
        }
        sightings.add(&login(5, 9, "127.0.0.1"), false, |_| false);
        assert_eq!(sightings.seen.len(), 1);
        let seen = sightings.seen.values().next().unwrap().clone();
        let (first, last) = (seen.first.as_micros(), seen.last.as_micros());
        assert_eq!((first, last, seen.count, seen.told), (3, 9, 3, true));
        assert_eq!(
            (seen.subject.as_str(), seen.shown().collect::<Vec<_>>()),
            ("sshd", vec![Shown::Login])
        );
        for number in 0..u32::try_from(MOST + 9).unwrap() {
            let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + number).to_string();
            sightings.add(&login(5, 9, &address), false, |_| false);
        }
        assert_eq!((sightings.seen.len(), sightings.lost), (MOST, 10));
        let full = std::mem::take(&mut sightings);
        sightings.add(&login(7, 9, "198.51.100.7"), false, |_| false);
        sightings.add(&login(7, 9, "203.0.113.1"), false, |_| false);
        sightings.restore(full);
        assert_eq!((sightings.seen.len(), sightings.lost), (MOST, 11));
        let mut of_it = Key::new();
        assert!(key(
            &Observable::Address("198.51.100.7".parse().unwrap()),
            &mut of_it
        ));
        assert_eq!(sightings.seen[&of_it].count, 4);
    }

    #[test]
    fn a_thing_is_found_again_under_its_key() {
        let digest = "0f".repeat(20);
        for thing in [
            Observable::Digest(&digest),
            Observable::Address("198.51.100.7".parse().unwrap()),
            Observable::Address("2001:db8::7".parse().unwrap()),
            Observable::Domain("évil.example".into()),
            Observable::Path("/tmp/x y"),
        ] {
            let (mut of_it, mut text) = (Key::new(), String::new());
            assert!(key(&thing, &mut of_it), "{thing:?}");
            assert_eq!(observable(&of_it, &mut text), Some(thing));
        }
        let mut none = Key::new();
        assert!(
            !key(&Observable::Digest("xyz"), &mut none)
                && !key(&Observable::Digest(&"zz".repeat(16)), &mut none)
        );
        assert!(!key(&Observable::Path(&"/".repeat(LONGEST + 1)), &mut none));
    }
}
