//! The fields of a connection, in the Elastic Common Schema's names and in those of Sigma's `network_connection`.

use super::program::{self, number, owned, text};
use picket_common::event::{ConnectEvent, Direction};
use rsigma_eval::event::EventValue;

/// Every field that a rule can name, beside those of [`program`]. Nobody knows the name that was looked up for an address, so
/// there is no `DestinationHostname`.
pub(super) const OWN: &[&str] = &[
    "network.direction",
    "network.transport",
    "network.type",
    "source.ip",
    "source.port",
    "destination.ip",
    "destination.port",
];

/// The names of Sigma's taxonomy, each with ours.
const SIGMA: &[(&str, &str)] = &[
    ("Protocol", "network.transport"),
    ("SourceIp", "source.ip"),
    ("SourcePort", "source.port"),
    ("DestinationIp", "destination.ip"),
    ("DestinationPort", "destination.port"),
];

/// These say what `network.direction` and `network.type` say, in their own words.
pub(super) const OTHER_WORDS: &[&str] = &["Initiated", "SourceIsIpv6", "DestinationIsIpv6"];

/// Our name of a field.
pub(in super::super) fn ours(name: &str) -> &str {
    let known = program::SIGMA
        .iter()
        .chain(SIGMA)
        .find(|(sigma, _)| *sigma == name);
    known.map_or(name, |(_, ours)| ours)
}

/// The value of a field.
pub(super) fn value<'a>(connect: &'a ConnectEvent, name: &str) -> Option<EventValue<'a>> {
    let is = |is: bool| text(Some(if is { "true" } else { "false" }));
    match name {
        "DestinationPort" | "destination.port" => number(connect.destination().port()),
        "DestinationIp" | "destination.ip" => Some(owned(connect.destination().ip().to_string())),
        "Initiated" => is(connect.direction == Direction::Outbound),
        "network.direction" => text(Some(connect.direction.as_str())),
        "SourceIp" | "source.ip" => Some(owned(connect.source().ip().to_string())),
        "SourcePort" | "source.port" => number(connect.source().port()),
        "Protocol" | "network.transport" => text(Some("tcp")),
        "network.type" => text(Some(if connect.remote.is_ipv4() { "ipv4" } else { "ipv6" })),
        "SourceIsIpv6" | "DestinationIsIpv6" => is(connect.remote.is_ipv6()),
        _ => program::value(&connect.program, name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{View, same_as_json};
    use super::*;

    #[test]
    fn rules_and_json_know_the_same_fields() {
        let connect = ConnectEvent {
            program: program::full(),
            direction: Direction::Outbound,
            local: "192.0.2.1:5000".parse().unwrap(),
            remote: "198.51.100.9:443".parse().unwrap(),
        };
        let names = [program::NAMES, program::WHENCE, OWN].concat();
        same_as_json(&View::Connect(&connect), names.into_iter());
        for (sigma, name) in program::SIGMA.iter().chain(SIGMA) {
            assert!(value(&connect, sigma).is_some(), "{sigma}");
            assert_eq!(value(&connect, sigma), value(&connect, name), "{sigma}");
        }
        let inbound = ConnectEvent {
            direction: Direction::Inbound,
            ..connect.clone()
        };
        assert_eq!(value(&connect, "Initiated"), text(Some("true")));
        assert_eq!(value(&inbound, "Initiated"), text(Some("false")));
        assert_eq!(value(&inbound, "SourceIp"), text(Some("198.51.100.9")));
        assert_eq!(value(&inbound, "DestinationPort"), number(5000));
        assert_eq!(value(&inbound, "DestinationIsIpv6"), text(Some("false")));
        assert_eq!(value(&inbound, "DestinationHostname"), None);
    }
}
