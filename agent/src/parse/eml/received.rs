//! The way a mail took, from its Received fields, and how far they can be believed.
//!
//! Each server puts its line on top, so what lies below the first own server's line was written by the sender's side and may
//! be invented. Which line that is, is known when the servers that take mails in are named. Without that it is the topmost
//! line by which a mail came from a public address of another organisation: a guess, as a peer may call itself what it likes
//! and not every server says how the address is really named.

use super::domain::organisation;
use super::fields::Fields;
use super::{Border, values};
use picket_common::time::Timestamp;
use serde::Serialize;
use std::net::IpAddr;

/// How many hops are kept.
const MOST: usize = 100;

/// How a mail came.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Route {
    /// The hops, the newest first.
    pub hops: Vec<Hop>,
    /// The address that handed it to the receiver's side: the last that is certain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<IpAddr>,
    /// What the lines below claim to be its first address; anybody can write that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_origin: Option<IpAddr>,
    /// Which of the hops took it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub border: Option<usize>,
}

/// A Received field.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Hop {
    /// What the sender called itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The name that its address has, as the server looked it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverse: Option<String>,
    /// The address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The server that writes this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The place of the field among all fields.
    #[serde(skip)]
    pub place: usize,
}

/// Reads the way of a mail.
pub(super) fn route(fields: &Fields<'_>, border: &Border) -> Route {
    let hops: Vec<Hop> = fields
        .all("received")
        .take(MOST)
        .map(|(place, value)| hop(place, value))
        .collect();
    let entry = hops.iter().position(|hop| {
        if !hop.ip.is_some_and(is_public) {
            return false;
        }
        match &hop.by {
            Some(by) if border.servers.is_empty() => !is_same_side(hop, by),
            Some(by) => border.owns(by) && !hop.reverse.as_ref().is_some_and(|name| border.owns(name)),
            None => border.servers.is_empty(),
        }
    });
    let origin = entry.and_then(|at| hops.get(at)).and_then(|hop| hop.ip);
    let named = ["x-originating-ip", "x-sender-ip", "x-client-ip"]
        .iter()
        .find_map(|name| fields.first(name));
    let named = named.and_then(|value| address(values::unfolded(value).trim()));
    let lowest = hops
        .iter()
        .rev()
        .find_map(|hop| hop.ip.filter(|ip| is_public(*ip)));
    Route {
        origin,
        claimed_origin: named.or(lowest),
        border: entry,
        hops,
    }
}

impl Border {
    /// Whether a server is one of the receiver's own.
    pub(super) fn owns(&self, name: &str) -> bool {
        self.servers.iter().any(|own| {
            let head = name
                .len()
                .checked_sub(own.len())
                .and_then(|at| name.split_at_checked(at));
            head.is_some_and(|(head, tail)| {
                tail.eq_ignore_ascii_case(own) && (head.is_empty() || head.ends_with('.'))
            })
        })
    }
}

/// Whether a hop goes from one server of an organisation to another.
fn is_same_side(hop: &Hop, by: &str) -> bool {
    // Domains under which one operator runs its servers.
    const OPERATORS: &[&[&str]] = &[
        &[
            "outlook.com",
            "office365.com",
            "exchangelabs.com",
            "microsoft.com",
        ],
        &["google.com", "googlemail.com", "gmail.com"],
        &["yahoo.com", "yahoodns.net"],
        &["icloud.com", "me.com", "apple.com"],
        &["gmx.net", "web.de", "kundenserver.de", "ui-dsl.de"],
    ];
    let Some(from) = hop.reverse.as_deref().or(hop.from.as_deref()) else {
        return false;
    };
    let (by, from) = (by.to_ascii_lowercase(), from.to_ascii_lowercase());
    let (by, from) = (organisation(&by), organisation(&from));
    by == from
        || OPERATORS
            .iter()
            .any(|group| group.contains(&by) && group.contains(&from))
}

fn hop(place: usize, value: &[u8]) -> Hop {
    let text = values::unfolded(value);
    let (text, time) = match text.rsplit_once(';') {
        Some((text, date)) => (text, values::date(date.as_bytes())),
        None => (text.as_str(), None),
    };
    let mut hop = Hop {
        time,
        place,
        ..Hop::default()
    };
    let mut words = Words(text);
    while let Some(word) = words.next() {
        match word {
            "from" if hop.from.is_none() => {
                hop.from = words.next().map(|name| name.trim_matches(['[', ']']).to_owned());
                hop.ip = hop.from.as_deref().and_then(address);
            }
            "by" if hop.by.is_none() => hop.by = words.next().map(str::to_owned),
            "with" if hop.with.is_none() => hop.with = words.next().map(str::to_owned),
            // What stands in brackets behind the name is what the server itself saw.
            comment if comment.starts_with('(') && hop.by.is_none() && hop.from.is_some() => {
                seen(comment, &mut hop)
            }
            _ => {}
        }
    }
    hop
}

/// `(mail.example.net [203.0.113.7])`, `([203.0.113.7])`, `(203.0.113.7)`, `(HELO name)`.
fn seen(comment: &str, hop: &mut Hop) {
    for word in comment.split(|sign: char| sign.is_whitespace() || "()[],;".contains(sign)) {
        if let Some(ip) = address(word) {
            hop.ip = Some(ip);
        } else if hop.reverse.is_none()
            && word.contains('.')
            && !word.contains(['=', ':', '@'])
            && super::domain::is_registered(&word.to_ascii_lowercase())
        {
            hop.reverse = Some(word.trim_end_matches('.').to_owned());
        }
    }
}

/// Words, and brackets with all that is in them as one.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start();
        let end = if rest.starts_with('(') {
            let mut depth = 0_usize;
            let close = rest.char_indices().find(|(_, sign)| {
                match sign {
                    '(' => depth += 1,
                    ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                depth == 0
            });
            close.map_or(rest.len(), |(at, _)| at + 1)
        } else {
            rest.find(|sign: char| sign.is_whitespace() || sign == '(')
                .unwrap_or(rest.len())
        };
        let (word, rest) = rest.split_at_checked(end)?;
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches(['[', ']', '(', ')']);
    let text = text
        .strip_prefix("IPv6:")
        .or_else(|| text.strip_prefix("ipv6:"))
        .unwrap_or(text);
    crate::parse::scan::address(text)
}

/// Whether an address can be somebody else's.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast())
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route_of(text: &str, own: &[&str]) -> Route {
        let border = Border {
            servers: own.iter().map(|name| (*name).to_owned()).collect(),
            ..Border::default()
        };
        route(&Fields::read(text.as_bytes()).0, &border)
    }

    const MAIL: &str = "Received: from mx.corp.example.net (mx.corp.example.net [10.0.0.2]) by imap.corp.example.net with LMTP id 1;\n \
                        Fri, 8 Sep 2023 05:47:06 +0000\n\
                        Received: from helo.example.org (unknown [203.0.113.7] (may be forged))\n\tby mx.corp.example.net (Postfix) \
                        with ESMTPS id 2; Fri, 8 Sep 2023 05:47:04 +0000\n\
                        Received: from bank.example.com ([198.51.100.1]) by helo.example.org; Fri, 8 Sep 2023 05:47:00 +0000\n\n";

    #[test]
    fn the_origin_is_what_the_own_side_saw_and_not_what_is_written_below() {
        for own in [&[][..], &["corp.example.net"], &["mx.corp.example.net"]] {
            let route = route_of(MAIL, own);
            assert_eq!(route.border, Some(1), "{own:?}");
            assert_eq!(route.origin, "203.0.113.7".parse().ok());
            assert_eq!(route.claimed_origin, "198.51.100.1".parse().ok());
            assert_eq!(route.hops[1].from.as_deref(), Some("helo.example.org"));
            assert_eq!(route.hops[1].time.map(Timestamp::as_secs), Some(1_694_152_024));
        }
        assert_eq!(route_of(MAIL, &["mx.example.com"]).origin, None);
    }

    #[test]
    fn the_forms_of_several_servers_are_read() {
        for (line, from, reverse, ip) in [
            (
                "from a.example.net (89.144.44.2) by b.example.org (10.233.253.34) with Microsoft SMTP Server id 1",
                "a.example.net",
                None,
                "89.144.44.2",
            ),
            (
                "from h (rev.example.com [IPv6:2001:db8::1]) by b",
                "h",
                Some("rev.example.com"),
                "2001:db8::1",
            ),
            (
                "from [198.51.100.9] (port=4711 helo=x) by b with esmtpsa (Exim 4.9)",
                "198.51.100.9",
                None,
                "198.51.100.9",
            ),
            (
                "from unknown (HELO h) (198.51.100.9) by b with SMTP",
                "unknown",
                None,
                "198.51.100.9",
            ),
        ] {
            let hop = hop(0, line.as_bytes());
            assert_eq!(hop.from.as_deref(), Some(from), "{line}");
            assert_eq!(hop.reverse.as_deref(), reverse, "{line}");
            assert_eq!(hop.ip, ip.parse().ok(), "{line}");
        }
    }
}
