//! Small anchored readers that the parsers share: numbers, addresses, peers.

use picket_common::event::Peer;
use std::borrow::Cow;
use std::net::IpAddr;

/// Bytes as text; nobody promises that a line is UTF-8, but nearly all are, and those are taken as they lie.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Splits `text` at the first `separator`. As `str::split_once`, which prepares for each search as if the text were long:
/// here that costs more than the search.
pub fn split<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let first = *separator.as_bytes().first()?;
    let mut places = memchr::memchr_iter(first, text.as_bytes());
    places.find_map(|at| {
        let (head, rest) = text.split_at_checked(at)?;
        Some((head, rest.strip_prefix(separator)?))
    })
}

/// A decimal number of `text` as a whole.
pub fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    // `u32::from_str` takes a leading plus sign, which no logger writes.
    if text.as_bytes().first()?.is_ascii_digit() {
        text.parse().ok()
    } else {
        None
    }
}

/// An address of `text` as a whole, in brackets or not, with its scope (`%eth0`) left out.
pub fn address(text: &str) -> Option<IpAddr> {
    if let Some(v4) = dotted(text) {
        return Some(v4);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    bare.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// The common case by hand: this runs for nearly every line, and costs a third of the general parser.
fn dotted(text: &str) -> Option<IpAddr> {
    let (mut whole, mut octet, mut digits, mut dots) = (0_u32, 0_u32, 0_u8, 0_u8);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' if digits < 3 && !(digits > 0 && octet == 0) => {
                octet = octet * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && octet <= 255 && dots < 3 => {
                whole = whole << 8 | octet;
                (octet, digits, dots) = (0, 0, dots + 1);
            }
            _ => return None,
        }
    }
    (dots == 3 && digits > 0 && octet <= 255).then(|| IpAddr::V4((whole << 8 | octet).into()))
}

/// `ADDRESS port NUMBER` or a bare `ADDRESS`, as a whole.
pub fn peer(text: &str) -> Option<Peer> {
    match text.split_once(' ') {
        None => Some(Peer::new(address(text)?, None)),
        Some((ip, rest)) => Some(Peer::new(
            address(ip)?,
            Some(number(rest.strip_prefix("port ")?)?),
        )),
    }
}

/// `ADDRESS:PORT`, `[ADDRESS]:PORT` or a bare `ADDRESS`, as a whole.
pub fn socket(text: &str) -> Option<Peer> {
    if let Some((ip, port)) = text.rsplit_once(':')
        && (!ip.contains(':') || ip.ends_with(']') || text.matches(':').count() > 7)
    {
        return Some(Peer::new(address(ip)?, Some(number(port)?)));
    }
    Some(Peer::new(address(text)?, None))
}

/// Splits `text` at its last ` port NUMBER`, with the address before it: `root 198.51.100.9 port 22` gives `root` and
/// the peer. Without a port the last word must be the address.
pub fn trailing_peer(text: &str) -> Option<(&str, Peer)> {
    let (head, last) = split_last_word(text);
    if let Some(before) = head.strip_suffix(" port") {
        let port = number(last)?;
        let (head, ip) = split_last_word(before);
        return Some((head, Peer::new(address(ip)?, Some(port))));
    }
    Some((head, Peer::new(address(last)?, None)))
}

fn split_last_word(text: &str) -> (&str, &str) {
    match memchr::memrchr(b' ', text.as_bytes()) {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at + 1..).unwrap_or("")),
        None => ("", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_whole_or_not_at_all() {
        for good in [
            "198.51.100.9",
            "2001:db8::1",
            "[2001:db8::1]",
            "fe80::1%eth0",
            "::ffff:203.0.113.7",
        ] {
            assert!(address(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "1.2.3",
            "1.2.3.256",
            "01.2.3.4",
            "1.2.3.4.5",
            "1.2.3.4x",
            "1..2.3",
            "999.1.1.1",
            "::g",
        ] {
            assert!(address(bad).is_none(), "{bad}");
        }
        assert_eq!(address("::ffff:203.0.113.7"), address("203.0.113.7"));
    }

    #[test]
    fn the_hand_written_reader_agrees_with_the_library() {
        let parts = [
            "", "0", "7", "00", "01", "99", "255", "256", "1000", "a", "-1", "+1",
        ];
        for a in parts {
            for b in parts {
                for c in ["0", "255", "256", "00", ""] {
                    let text = format!("{a}.{b}.{c}.{a}");
                    assert_eq!(
                        dotted(&text),
                        text.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4),
                        "{text}"
                    );
                }
            }
        }
    }

    #[test]
    fn splitting_agrees_with_the_library() {
        for text in ["", "a", " : ", "a : b : c", "a :b : c", "é : é", ": ", " :  : "] {
            for separator in [" : ", ": ", "é", "b"] {
                assert_eq!(
                    split(text, separator),
                    text.split_once(separator),
                    "{text:?} {separator:?}"
                );
            }
        }
    }

    #[test]
    fn peers_are_read_from_the_right() {
        let (head, found) = trailing_peer("root 203.0.113.1 port 22 198.51.100.9 port 4711").unwrap();
        assert_eq!(head, "root 203.0.113.1 port 22");
        assert_eq!(found, Peer::new("198.51.100.9".parse().unwrap(), Some(4711)));
        assert_eq!(trailing_peer("x 198.51.100.9 port 70000"), None);
        assert_eq!(trailing_peer("x 198.51.100.9 port +1"), None);
        assert_eq!(socket("198.51.100.9:2222"), peer("198.51.100.9 port 2222"));
        assert_eq!(socket("[2001:db8::1]:2222"), peer("2001:db8::1 port 2222"));
        assert_eq!(socket("2001:db8::1"), peer("2001:db8::1"));
    }
}
