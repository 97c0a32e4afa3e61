//! Exceptions: what an operator knows to be no attack, taken from a rule for a reason and until a day.
//!
//! An event that meets an exception of a rule does not match that rule. Whether an exception still holds is a matter of the
//! event's own time, so that a replay of an old log is judged as it would have been then.

use super::fields;
use picket_common::action::Network;
use picket_common::event::Event;
use picket_common::time::Timestamp;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One exception to one rule.
#[derive(Clone, Debug)]
pub struct Exception {
    /// The id or the title of the rule.
    pub rule: String,
    /// Why it is there, in the operator's own words.
    pub reason: String,
    /// When it ends; `None` never.
    pub until: Option<Timestamp>,
    /// Its file.
    pub file: PathBuf,
    /// The line and the column at which it begins, from 1.
    pub at: (usize, usize),
    pub(super) wanted: Wanted,
    /// How often it held something back; its clones share the count.
    held: Arc<AtomicU64>,
}

/// What an event must have to meet an exception: all of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Wanted {
    /// For each field the values of which it must have one.
    pub(super) fields: Vec<(String, Values)>,
    /// Patterns of which the name of the host must fit one; none asks for nothing.
    pub(super) hosts: Vec<Pattern>,
}

/// The values that a field may have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Values {
    /// Of fields that are addresses.
    Networks(Vec<Network>),
    /// Of ports and pids.
    Numbers(Vec<u32>),
    /// Of all others.
    Texts(Vec<Pattern>),
}

/// A text that may begin or end with `*`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pattern {
    text: String,
    open_start: bool,
    open_end: bool,
}

impl Exception {
    pub(super) fn new(
        rule: String,
        reason: String,
        until: Option<Timestamp>,
        (file, at): (PathBuf, (usize, usize)),
        wanted: Wanted,
    ) -> Self {
        Self {
            rule,
            reason,
            until,
            file,
            at,
            wanted,
            held: Arc::default(),
        }
    }

    /// Whether it holds at a time.
    pub fn holds(&self, time: Timestamp) -> bool {
        self.until.is_none_or(|until| time < until)
    }

    /// How often it held something back since the agent started.
    pub fn held_back(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Goes on counting where one that says the same has come to.
    pub fn go_on_from(&mut self, others: &[Self]) {
        let same = others.iter().find(|other| {
            (&other.rule, other.until, &other.wanted) == (&self.rule, self.until, &self.wanted)
        });
        if let Some(same) = same {
            self.held = Arc::clone(&same.held);
        }
    }

    /// What an event must have, in words.
    pub fn condition(&self) -> String {
        self.wanted.to_string()
    }

    fn meets(&self, event: &Event) -> bool {
        self.holds(event.time) && self.wanted.meets(event)
    }
}

/// The exceptions of one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Exceptions(Vec<Exception>);

impl Exceptions {
    pub(super) fn push(&mut self, exception: Exception) {
        self.0.push(exception);
    }

    /// Whether an event meets one of them, which is counted.
    pub(super) fn hold_back(&self, event: &Event) -> bool {
        match self.0.iter().find(|exception| exception.meets(event)) {
            Some(met) => {
                met.held.fetch_add(1, Ordering::Relaxed);
                true
            }
            None => false,
        }
    }
}

impl Wanted {
    fn meets(&self, event: &Event) -> bool {
        let host = fields::text(event, "host.hostname");
        let on_host = self.hosts.is_empty()
            || host.is_some_and(|host| self.hosts.iter().any(|wanted| wanted.fits_in_any_case(&host)));
        on_host && self.fields.iter().all(|(name, values)| values.allow(event, name))
    }
}

impl Values {
    fn allow(&self, event: &Event, name: &str) -> bool {
        match self {
            Self::Networks(networks) => fields::address(event, name)
                .is_some_and(|address| networks.iter().any(|network| network.contains(address))),
            Self::Numbers(numbers) => fields::text(event, name)
                .and_then(|number| number.parse().ok())
                .is_some_and(|number| numbers.contains(&number)),
            Self::Texts(patterns) => fields::any(event, name, |value| {
                patterns.iter().any(|pattern| pattern.fits(value))
            }),
        }
    }
}

impl Pattern {
    /// Reads a pattern; `None` when a `*` stands in its middle, or it is empty.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (open_start, rest) = match text.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (open_end, rest) = match rest.strip_suffix('*') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let plain = !rest.contains('*') && !text.is_empty();
        plain.then(|| Self {
            text: rest.to_owned(),
            open_start,
            open_end,
        })
    }

    fn fits(&self, value: &str) -> bool {
        let text = self.text.as_str();
        match (self.open_start, self.open_end) {
            (false, false) => value == text,
            (false, true) => value.starts_with(text),
            (true, false) => value.ends_with(text),
            (true, true) => value.contains(text),
        }
    }

    /// The same for names of hosts, which are one name in any case.
    fn fits_in_any_case(&self, value: &str) -> bool {
        let (text, value) = (self.text.as_bytes(), value.as_bytes());
        let same = |part: Option<&[u8]>| part.is_some_and(|part| part.eq_ignore_ascii_case(text));
        let tail = value.len().checked_sub(text.len());
        match (self.open_start, self.open_end) {
            (false, false) => same(Some(value)),
            (false, true) => same(value.get(..text.len())),
            (true, false) => same(tail.and_then(|tail| value.get(tail..))),
            (true, true) => text.is_empty() || value.windows(text.len()).any(|part| same(Some(part))),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.fields.is_empty() && self.hosts.is_empty() {
            return f.write_str("every event");
        }
        let mut parts: Vec<String> = self
            .fields
            .iter()
            .map(|(name, values)| match values {
                Values::Networks(networks) => listed(name, networks),
                Values::Numbers(numbers) => listed(name, numbers),
                Values::Texts(patterns) => listed(name, patterns),
            })
            .collect();
        if !self.hosts.is_empty() {
            parts.push(listed("host", &self.hosts));
        }
        f.write_str(&parts.join(" and "))
    }
}

fn listed(name: &str, values: &[impl ToString]) -> String {
    /// More would hide the rest of the sentence.
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = values.iter().take(SHOWN).map(ToString::to_string).collect();
    if values.len() > SHOWN {
        shown.push(format!("{} more", values.len() - SHOWN));
    }
    format!("{name} is {}", shown.join(" or "))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = |open| if open { "*" } else { "" };
        match (self.text.as_str(), self.open_start || self.open_end) {
            ("", true) => f.write_str("*"),
            (text, _) => write!(f, "{}{text}{}", star(self.open_start), star(self.open_end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{AuthAction, AuthEvent, Outcome, Payload, Peer};
    use picket_common::ids::RecordId;

    fn event(user: &str, address: &str, host: Option<&str>) -> Event {
        let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Failure, "sshd");
        auth.user = Some(user.into());
        auth.host = host.map(Into::into);
        auth.source = Some(Peer::new(address.parse().unwrap(), Some(4711)));
        let time = Timestamp::from_micros(1_000_000);
        Event {
            id: RecordId::derived(time, &[b"a"]),
            time,
            observed: time,
            payload: Payload::Auth(auth.into()),
        }
    }

    fn exception(until: Option<i64>, wanted: Wanted) -> Exception {
        let until = until.map(Timestamp::from_micros);
        let place = (PathBuf::from("a.toml"), (1, 1));
        Exception::new("rule".to_owned(), "why".to_owned(), until, place, wanted)
    }

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::read(text).unwrap()).collect()
    }

    #[test]
    fn a_star_opens_one_end_or_both_and_nothing_else() {
        let fits = |pattern: &str, value| Pattern::read(pattern).unwrap().fits(value);
        assert!(fits("bob", "bob") && !fits("bob", "bobby") && !fits("bob", "Bob"));
        assert!(fits("bo*", "bobby") && !fits("bo*", "abo"));
        assert!(fits("*by", "bobby") && !fits("*by", "byte"));
        assert!(fits("*ob*", "bobby") && fits("*", "") && fits("*", "any"));
        let host = |pattern: &str, value| Pattern::read(pattern).unwrap().fits_in_any_case(value);
        assert!(host("WEB*", "web1") && host("*.example.org", "a.EXAMPLE.org") && host("*b1*", "wEB12"));
        assert!(host("*", "x") && !host("web", "web1") && !host("web12*", "web1") && !host("*é", "\u{e8}"));
        for wrong in ["", "a*b", "*a*b", "***"] {
            assert!(Pattern::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_event_meets_an_exception_when_all_of_it_fits() {
        let wanted = Wanted {
            fields: vec![
                (
                    "source.ip".to_owned(),
                    Values::Networks(vec!["198.51.100.0/24".parse().unwrap()]),
                ),
                ("user.name".to_owned(), Values::Texts(patterns(&["scan*"]))),
                ("source.port".to_owned(), Values::Numbers(vec![1, 4711])),
            ],
            hosts: patterns(&["web*"]),
        };
        let exception = exception(None, wanted);
        let meets = |user, address, host| exception.meets(&event(user, address, host));
        assert!(meets("scanner", "198.51.100.9", Some("web1")));
        assert!(!meets("root", "198.51.100.9", Some("web1")));
        assert!(!meets("scanner", "203.0.113.9", Some("web1")));
        assert!(!meets("scanner", "198.51.100.9", Some("db1")));
        assert!(!meets("scanner", "198.51.100.9", None), "no host fits no pattern");
        assert_eq!(
            exception.condition(),
            "source.ip is 198.51.100.0/24 and user.name is scan* and source.port is 1 or 4711 and host is web*"
        );
    }

    #[test]
    fn it_holds_until_its_time_by_the_events_own_time_and_counts_what_it_held_back() {
        let event = event("bob", "198.51.100.9", None);
        let mut list = Exceptions::default();
        assert!(!list.hold_back(&event));
        list.push(exception(Some(1_000_000), Wanted::default()));
        assert!(!list.hold_back(&event), "its time was over");
        let holding = exception(Some(1_000_001), Wanted::default());
        let mut fresh = exception(Some(1_000_001), Wanted::default());
        list.push(holding.clone());
        assert!(list.hold_back(&event) && list.hold_back(&event));
        assert_eq!(holding.held_back(), 2);
        fresh.go_on_from(&[holding]);
        assert_eq!(fresh.held_back(), 2, "the same exception, loaded anew");
    }
}
