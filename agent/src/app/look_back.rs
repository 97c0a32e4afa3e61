//! What was seen before a list named it: one finding for each indicator, however many things it names.

use crate::detect::{Indicators, Match};
use crate::history::{Observable, Shown, Sighting};
use picket_common::finding::Finding;
use picket_common::time::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A look back tells of so many indicators; the others are counted, and told of by the next one.
const MOST: usize = 1000;

/// What was seen before a list named it, by indicator.
#[derive(Default)]
pub(super) struct Found {
    by_indicator: BTreeMap<(usize, String), One>,
    /// How many found no room.
    pub(super) more: usize,
}

/// Of all that one indicator names, what was seen last.
struct One {
    matched: Match,
    address: Option<IpAddr>,
    sighting: Sighting,
    /// How many things it names.
    things: usize,
}

impl Found {
    /// Takes what is listed. Whether it is, and is told of.
    pub(super) fn add(
        &mut self,
        indicators: &Indicators,
        observable: &Observable<'_>,
        sighting: &Sighting,
        now: Timestamp,
    ) -> bool {
        let Some(matched) = indicators.find(observable, now) else {
            return false;
        };
        let has_room = self.by_indicator.len() < MOST;
        let key = (matched.rule, matched.listed.clone());
        match self.by_indicator.get_mut(&key) {
            Some(one) => {
                one.things += 1;
                if one.sighting.last < sighting.last {
                    let things = one.things;
                    *one = One::new(matched, observable, sighting, things);
                }
            }
            None if has_room => drop(
                self.by_indicator
                    .insert(key, One::new(matched, observable, sighting, 1)),
            ),
            None => {
                self.more += 1;
                return false;
            }
        }
        true
    }

    /// A finding for each indicator.
    pub(super) fn findings(&self, now: Timestamp) -> impl Iterator<Item = Finding> {
        self.by_indicator.values().filter_map(move |one| one.finding(now))
    }
}

impl One {
    fn new(matched: Match, observable: &Observable<'_>, sighting: &Sighting, things: usize) -> Self {
        Self {
            matched,
            address: match observable {
                Observable::Address(address) => Some(*address),
                _ => None,
            },
            sighting: sighting.clone(),
            things,
        }
    }

    fn finding(&self, now: Timestamp) -> Option<Finding> {
        let sighting = &self.sighting;
        let (first, last) = (sighting.first, sighting.last);
        let mut seen = match sighting.count {
            1 => format!("once, at {last}"),
            count => format!("{count} times, from {first} to {last}"),
        };
        let events: Vec<&str> = sighting.shown().map(Shown::as_str).collect();
        seen.push_str(&format!(", in {}", events.join(" and ")));
        if !sighting.subject.is_empty() {
            seen.push_str(&format!(", with {}", sighting.subject.escape_debug()));
        }
        if self.things > 1 {
            seen.push_str(&format!("; and {} more that it names", self.things - 1));
        }
        self.matched.seen_before(self.address, last, now, &seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::detect::{Sources, load};
    use crate::history::{LastGood, Sightings};
    use picket_common::event::{AuthAction, AuthEvent, Event, Outcome, Payload, Peer};
    use picket_common::ids::RecordId;
    use std::fs;

    fn seen(addresses: impl Iterator<Item = String>) -> Sightings {
        let mut sightings = Sightings::default();
        for (second, address) in addresses.enumerate() {
            let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Failure, "sshd");
            auth.source = Some(Peer::new(address.parse().unwrap(), None));
            let time = Timestamp::from_micros(i64::try_from(second).unwrap() * 1_000_000);
            let event = Event {
                id: RecordId::derived(time, &[]),
                time,
                observed: time,
                payload: Payload::Auth(auth.into()),
            };
            sightings.add(&event, false, |_| false);
        }
        sightings
    }

    fn indicators(text: &str) -> Indicators {
        let folder = tempfile::tempdir().unwrap();
        let lists = config::Indicators {
            files: vec![folder.path().join("list.csv")],
            allow: Vec::new(),
        };
        fs::write(&lists.files[0], text).unwrap();
        let sources = Sources {
            rules: &[],
            exceptions: None,
            groups: 100,
            indicators: Some(&lists),
            indicators_before: Indicators::default(),
            before: &[],
        };
        load(&sources, &mut LastGood::default(), Timestamp::default()).indicators
    }

    fn look(indicators: &Indicators, sightings: &mut Sightings, second: i64) -> Found {
        let now = Timestamp::from_micros(second * 1_000_000);
        let mut found = Found::default();
        sightings.each_untold(|observable, sighting| found.add(indicators, observable, sighting, now));
        found
    }

    #[test]
    fn one_indicator_gives_one_finding_which_tells_of_what_was_seen_last_and_one_that_has_ended_gives_none() {
        let indicators = indicators("value,expires\n198.51.100.0/24,\n203.0.113.9,5000\n");
        let addresses = (0..200).map(|number| format!("198.51.100.{number}"));
        let mut sightings = seen(addresses.chain(["203.0.113.9".to_owned()]));
        let now = Timestamp::from_micros(5_000_000_000);
        let found = look(&indicators, &mut sightings, 5000);
        let findings: Vec<Finding> = found.findings(now).collect();
        let [finding] = findings.as_slice() else {
            panic!("{findings:?}")
        };
        let end = "198.51.100.199 of 198.51.100.0/24, listed in list.csv, was seen before the list named it: once, at \
                   1970-01-01T00:03:19.000000Z, in logins, with sshd; and 199 more that it names";
        assert_eq!(finding.summary, format!("Known bad address, {end}"));
        assert_eq!(finding.time.as_secs(), 199);
        assert!(finding.suggests.is_empty(), "it is too late to act");
        let again = look(&indicators, &mut sightings, 5000);
        assert_eq!(again.findings(now).count(), 0);
        assert_eq!(look(&indicators, &mut sightings, 4999).findings(now).count(), 1);
    }

    #[test]
    fn a_list_that_names_everything_gives_a_bounded_number_of_findings() {
        let addresses = || (0..1500_u32).map(|number| format!("198.51.{}.{}", number / 250, number % 250));
        let list: String = addresses().map(|address| address + "\n").collect();
        let (indicators, mut sightings) = (indicators(&list), seen(addresses()));
        let found = look(&indicators, &mut sightings, 5000);
        assert_eq!(
            (found.findings(Timestamp::default()).count(), found.more),
            (MOST, 500)
        );
        let found = look(&indicators, &mut sightings, 5000);
        assert_eq!(
            (found.findings(Timestamp::default()).count(), found.more),
            (500, 0)
        );
    }
}
