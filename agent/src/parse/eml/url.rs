//! Where a link leads, read as browsers do and never followed.

use super::domain::organisation;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};

/// How much of a link is read.
const MOST: usize = 8 << 10;

/// A link's target, taken apart.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Url {
    /// The target as it was written, without the line breaks and tabs that browsers pass over.
    pub text: String,
    /// In lower case, as `https`.
    pub scheme: String,
    /// What stands before an `@` in front of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo: Option<String>,
    /// The host that it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// The port, when it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What follows the host.
    #[serde(skip)]
    pub rest: String,
}

/// A host in a link.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(untagged)]
pub enum Host {
    /// A name, in lower case, without the dot at its end.
    Name(String),
    /// An address, however it was written.
    Address(IpAddr),
}

impl Host {
    fn read(text: &str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            let address = inside.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(IpAddr::V6(address)));
        }
        let name: String = percent_decoded(text).chars().map(narrow).collect();
        let name = name.trim_end_matches('.').to_lowercase();
        if name.is_empty() || name.contains(|sign: char| sign.is_whitespace() || sign.is_control()) {
            return None;
        }
        Some(number(&name).map_or(Self::Name(name), |address| Self::Address(IpAddr::V4(address))))
    }
}

impl Url {
    /// Reads a target with a scheme, or one that begins with `//`. `None` for what stays inside the mail or leads nowhere.
    pub fn read(text: &str) -> Option<Self> {
        let text = super::clip(text.trim_matches(|sign: char| sign <= ' '), MOST);
        let mut text: String = text
            .chars()
            .filter(|sign| !matches!(sign, '\t' | '\n' | '\r'))
            .collect();
        if text.starts_with("//") {
            text.insert_str(0, "https:");
        }
        let (scheme, after) = text.split_once(':')?;
        let is_scheme = scheme.starts_with(|sign: char| sign.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let mut url = Self {
            scheme,
            userinfo: None,
            host: None,
            port: None,
            rest: String::new(),
            text: String::new(),
        };
        if matches!(url.scheme.as_str(), "http" | "https" | "ftp") {
            let after = after.trim_start_matches(['/', '\\']);
            let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
            let (authority, rest) = after.split_at(end);
            let (userinfo, place) = match authority.rsplit_once('@') {
                Some((userinfo, place)) => (Some(userinfo.to_owned()), place),
                None => (None, authority),
            };
            let (host, port) = match place.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                    (host, port.parse().ok())
                }
                _ => (place, None),
            };
            url.host = Some(Host::read(host)?);
            (url.userinfo, url.port, url.rest) = (userinfo, port, rest.to_owned());
        }
        url.text = text;
        Some(url)
    }

    /// The host's name.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Some(Host::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// The domain of the host that somebody registered, or its address.
    pub fn site(&self) -> Option<String> {
        Some(match self.host.as_ref()? {
            Host::Name(name) => organisation(name).to_owned(),
            Host::Address(address) => address.to_string(),
        })
    }

    /// Whether it leads to the web.
    pub fn is_web(&self) -> bool {
        matches!(self.scheme.as_str(), "http" | "https")
    }

    /// As text that no program makes a link of: `hxxps://mail[.]example/path`.
    pub fn defanged(&self) -> String {
        let scheme = self.scheme.replace("http", "hxxp");
        let after = self.text.split_once(':').map_or("", |(_, after)| after);
        let Some(host) = &self.host else {
            return format!("{scheme}[:]{}", super::clip(after, 200));
        };
        let name = match host {
            Host::Name(name) => name.replace('.', "[.]"),
            Host::Address(address) => address.to_string().replace('.', "[.]").replace(':', "[:]"),
        };
        let userinfo = self
            .userinfo
            .as_ref()
            .map(|text| text.replace('.', "[.]") + "[@]");
        let port = self.port.map(|port| format!(":{port}"));
        let (userinfo, port) = (userinfo.unwrap_or_default(), port.unwrap_or_default());
        format!("{scheme}://{userinfo}{name}{port}{}", self.rest)
    }
}

/// Letters and dots of full width as those that browsers take them for.
fn narrow(sign: char) -> char {
    match sign {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(sign) - 0xfee0).unwrap_or(sign),
        '\u{3002}' | '\u{ff61}' => '.',
        _ => sign,
    }
}

/// With `%41` as `A`.
pub(super) fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.extend(u8::try_from(high << 4 | low));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An address in any of the forms that `inet_aton` takes: `203.0.113.7`, `0xcb007107`, `3405803783`, `0313.0.0x71.7`.
fn number(name: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = name.split('.').map(part).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let mut address = 0_u64;
    for part in first {
        address = address << 8 | part;
    }
    let bits = 8 * (4 - u32::try_from(first.len()).ok()?);
    let address = address.checked_shl(bits)?;
    (*last < 1_u64.checked_shl(bits)?).then(|| u32::try_from(address | last).ok().map(Ipv4Addr::from))?
}

fn part(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(if hex.is_empty() { "0" } else { hex }, 16).ok();
    }
    if !text.starts_with(|sign: char| sign.is_ascii_digit()) {
        return None;
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> String {
        match Url::read(text).and_then(|url| url.host) {
            Some(Host::Name(name)) => name,
            Some(Host::Address(address)) => format!("<{address}>"),
            None => "-".to_owned(),
        }
    }

    #[test]
    fn the_host_is_the_one_that_a_browser_would_go_to() {
        for (text, expected) in [
            ("https://www.Example.com./path", "www.example.com"),
            ("http:\\\\example.com\\a@b", "example.com"),
            ("http:example.com", "example.com"),
            ("  ht\ntp://exa\tmple.com", "example.com"),
            ("https://bank.example@203.0.113.7/", "<203.0.113.7>"),
            ("http://0xcb007107/", "<203.0.113.7>"),
            ("http://3405803783", "<203.0.113.7>"),
            ("http://0313.0.0x71.7", "<203.0.113.7>"),
            ("http://[2001:db8::1]:8080/x", "<2001:db8::1>"),
            ("http://256.1.1.1/", "256.1.1.1"),
            ("http://ex%61mple.com", "example.com"),
            ("http://ｅxample。com", "example.com"),
            ("//cdn.example.com/x", "cdn.example.com"),
            ("mailto:a@example.com", "-"),
            ("#top", "-"),
            ("http://", "-"),
            ("http://a b/", "-"),
        ] {
            assert_eq!(host(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_no_link() {
        let shown = |text: &str| Url::read(text).unwrap().defanged();
        assert_eq!(
            shown("HTTPS://a.b@mail.example.com:8443/p.q?x"),
            "hxxps://a[.]b[@]mail[.]example[.]com:8443/p.q?x"
        );
        assert_eq!(shown("javascript:alert(1)"), "javascript[:]alert(1)");
    }
}
