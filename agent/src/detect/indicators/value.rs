//! What a list may name, how it is written, and what is refused because it would match everything.

use super::exact::Class;
use picket_common::action::Network;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// A wider network is a mistake: of IPv4 and of IPv6, in bits.
const WIDEST: (u8, u8) = (8, 16);
/// No name of a host is longer, and none of its parts.
const LONGEST_DOMAIN: (usize, usize) = (253, 63);
/// Where no attacker outside has an address, so that a list that names them is wrong more often than not.
const RESERVED: [(&str, &str); 15] = [
    ("0.0.0.0/8", "no host's address"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "private"),
    ("127.0.0.0/8", "this host itself"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.168.0.0/16", "private"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "no host's address"),
    ("::/128", "no host's address"),
    ("::1/128", "this host itself"),
    ("64:ff9b::/96", "translated IPv4"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
];
/// Of a file with nothing in it: MD5, SHA-1, SHA-256.
const EMPTY: [&str; 3] = [
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// What a list says that a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// Nothing: the value tells, unless it is the name of a file.
    Any,
    Digest,
    Address,
    Domain,
    Path,
    Name,
}

/// What a list names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value<'a> {
    /// In the form that events have; a digest is its bytes.
    Exact(Class, Cow<'a, [u8]>),
    Network(Network),
}

/// Why a value is not taken.
pub(super) type Refusal = Cow<'static, str>;

impl Wanted {
    /// By the names that lists use; `None` for what is not looked for, such as URLs and mail addresses.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        Some(match name.strip_prefix("intel::").unwrap_or(&name) {
            "" | "any" => Self::Any,
            "sha256" | "sha1" | "md5" | "hash" | "file_hash" | "sha256_hash" | "sha1_hash" | "md5_hash" => {
                Self::Digest
            }
            "ip" | "ipv4" | "ipv6" | "ip-dst" | "ip-src" | "dst_ip" | "src_ip" | "ip_address" | "addr"
            | "address" | "subnet" | "network" | "cidr" | "ip:port" => Self::Address,
            "domain" | "hostname" | "host" | "fqdn" => Self::Domain,
            "path" | "filepath" | "file_path" => Self::Path,
            "name" | "filename" | "file_name" => Self::Name,
            _ => return None,
        })
    }
}

/// Reads a value. What lies in `allow` may be private, reserved or wide.
pub(super) fn read<'a>(wanted: Wanted, text: &'a [u8], allow: &[Network]) -> Result<Value<'a>, Refusal> {
    let text = std::str::from_utf8(text).map_err(|_| "is no UTF-8")?;
    if text.is_empty() {
        return Err("is empty".into());
    }
    if wanted != Wanted::Path && wanted != Wanted::Name && text.contains("[.]") {
        // So written that nobody follows it by accident.
        let plain = text.replace("[.]", ".");
        return match read(wanted, plain.as_bytes(), allow)? {
            Value::Exact(class, bytes) => Ok(Value::Exact(class, bytes.into_owned().into())),
            Value::Network(network) => Ok(Value::Network(network)),
        };
    }
    match wanted {
        Wanted::Digest => digest(text),
        Wanted::Address => address(text, allow),
        Wanted::Domain => domain(text),
        Wanted::Path => path(text),
        Wanted::Name => name(text),
        Wanted::Any => {
            if text.starts_with('/') {
                path(text)
            } else if class(text.len()).is_some() && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                digest(text)
            } else if text.contains("://") {
                Err("is a URL, which is not looked for; its domain or address can be".into())
            } else if text.contains([':', '/']) || text.ends_with(|last: char| last.is_ascii_digit()) {
                address(text, allow)
            } else if text.contains('.') {
                domain(text)
            } else {
                let what =
                    "is no digest, address, network, domain or path; a file's name needs a column 'type'";
                Err(what.into())
            }
        }
    }
}

/// Which digest has so many digits.
fn class(digits: usize) -> Option<Class> {
    match digits {
        64 => Some(Class::Sha256),
        40 => Some(Class::Sha1),
        32 => Some(Class::Md5),
        _ => None,
    }
}

/// The bytes of a digest, and which it is.
pub(super) fn bytes(text: &str) -> Option<(Class, [u8; 32], usize)> {
    let class = class(text.len())?;
    let mut digest = [0; 32];
    for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some((class, digest, text.len() / 2))
}

fn digest(text: &str) -> Result<Value<'_>, Refusal> {
    let (class, digest, length) =
        bytes(text).ok_or("is no SHA-256, SHA-1 or MD5 of 64, 40 or 32 hexadecimal digits")?;
    if EMPTY.iter().any(|empty| text.eq_ignore_ascii_case(empty)) {
        return Err("is the digest of an empty file, and would match each of them".into());
    }
    let digest = digest.get(..length).unwrap_or_default().to_vec();
    Ok(Value::Exact(class, digest.into()))
}

fn address(text: &str, allow: &[Network]) -> Result<Value<'static>, Refusal> {
    let network = match text.parse::<SocketAddr>() {
        Ok(socket) => Network::single(socket.ip()),
        Err(_) => text
            .parse::<Network>()
            .map_err(|_| "is no address or network such as 198.51.100.9, 198.51.100.0/24 or 2001:db8::/32")?,
    };
    let allowed = |wide: &Network| wide.prefix() <= network.prefix() && wide.contains(network.address());
    if allow.iter().any(allowed) {
        return Ok(Value::Network(network));
    }
    let widest = match network.address() {
        IpAddr::V4(_) => WIDEST.0,
        IpAddr::V6(_) => WIDEST.1,
    };
    if network.prefix() < widest {
        let said = format!(
            "would match far too much: the widest network that a list may name has /{widest}, unless indicators.allow holds it"
        );
        return Err(said.into());
    }
    for (text, what) in RESERVED {
        if text
            .parse::<Network>()
            .is_ok_and(|reserved| reserved.overlaps(&network))
        {
            let said = format!("is refused: addresses of {text} are {what}; indicators.allow can allow them");
            return Err(said.into());
        }
    }
    Ok(Value::Network(network))
}

fn domain(text: &str) -> Result<Value<'_>, Refusal> {
    let text = text.strip_prefix("*.").unwrap_or(text);
    let text = text.strip_suffix('.').unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let good = |part: &str| (1..=LONGEST_DOMAIN.1).contains(&part.len()) && part.bytes().all(plain);
    if text.len() > LONGEST_DOMAIN.0 || !text.split('.').all(good) {
        return Err("is no domain such as example.com; letters beyond ASCII are written as xn--…".into());
    }
    let text: Cow<'_, str> = if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        text.to_ascii_lowercase().into()
    } else {
        text.into()
    };
    if psl::domain_str(&text).is_none() {
        return Err("would match far too much: anybody may have a domain under it".into());
    }
    Ok(Value::Exact(
        Class::Domain,
        match text {
            Cow::Borrowed(text) => text.as_bytes().into(),
            Cow::Owned(text) => text.into_bytes().into(),
        },
    ))
}

fn path(text: &str) -> Result<Value<'_>, Refusal> {
    if !text.starts_with('/') {
        return Err("is no path from the root".into());
    }
    if text.ends_with('/') {
        return Err("is a folder; what a list names is a file".into());
    }
    if text.contains('*') {
        return Err("is a pattern, which is not looked for".into());
    }
    Ok(Value::Exact(Class::Path, text.as_bytes().into()))
}

fn name(text: &str) -> Result<Value<'_>, Refusal> {
    if text.contains('/') || text == "." || text == ".." {
        return Err("is no name of a file".into());
    }
    if text.contains('*') {
        return Err("is a pattern, which is not looked for".into());
    }
    Ok(Value::Exact(Class::Name, text.as_bytes().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(wanted: Wanted, text: &str) -> String {
        read(wanted, text.as_bytes(), &[]).unwrap_err().into_owned()
    }

    #[test]
    fn a_value_tells_what_it_is_and_is_brought_to_the_form_of_events() {
        let exact = |class, bytes: &[u8]| Value::Exact(class, bytes.to_vec().into());
        let network = |text: &str| Value::Network(text.parse().unwrap());
        let sha256 = [0xab; 32];
        for (text, expected) in [
            ("AB".repeat(32).as_str(), exact(Class::Sha256, &sha256)),
            (&"ab".repeat(20), exact(Class::Sha1, &sha256[..20])),
            (&"ab".repeat(16), exact(Class::Md5, &sha256[..16])),
            ("198.51.100.7", network("198.51.100.7")),
            ("198[.]51.100[.]7", network("198.51.100.7")),
            ("198.51.100.7:443", network("198.51.100.7")),
            ("[2001:db8::7]:443", network("2001:db8::7")),
            ("::ffff:198.51.100.7", network("198.51.100.7")),
            ("198.51.100.9/24", network("198.51.100.0/24")),
            ("2001:db8::/32", network("2001:db8::/32")),
            ("Evil.Example.COM.", exact(Class::Domain, b"evil.example.com")),
            ("*.evil[.]com", exact(Class::Domain, b"evil.com")),
            (
                "xn--bcher-kva.example",
                exact(Class::Domain, b"xn--bcher-kva.example"),
            ),
            ("/tmp/.x/kworker", exact(Class::Path, b"/tmp/.x/kworker")),
        ] {
            assert_eq!(read(Wanted::Any, text.as_bytes(), &[]), Ok(expected), "{text}");
        }
        let named = read(Wanted::Name, b"update.sh", &[]);
        assert_eq!(named, Ok(exact(Class::Name, b"update.sh")));
    }

    #[test]
    fn an_indicator_that_would_match_everything_is_refused() {
        for (wanted, text, why) in [
            (Wanted::Any, "0.0.0.0/0", "far too much"),
            (Wanted::Any, "::/0", "far too much"),
            (Wanted::Any, "198.0.0.0/7", "far too much"),
            (Wanted::Any, "2001::/15", "far too much"),
            (Wanted::Any, "0.0.0.0", "no host's address"),
            (Wanted::Any, "127.0.0.0/8", "this host itself"),
            (Wanted::Any, "127.0.0.1", "indicators.allow"),
            (Wanted::Any, "10.1.2.3", "private"),
            (Wanted::Any, "192.0.0.0/8", "192.168.0.0/16 are private"),
            (Wanted::Any, "::1", "this host itself"),
            (Wanted::Any, "fe80::1", "link-local"),
            (Wanted::Any, "::ffff:10.0.0.1", "private"),
            (Wanted::Any, "", "is empty"),
            (Wanted::Name, "", "is empty"),
            (Wanted::Name, "*", "a pattern"),
            (Wanted::Path, "/", "a folder"),
            (Wanted::Domain, "com", "far too much"),
            (Wanted::Domain, "co.uk", "far too much"),
            (Wanted::Domain, "*.github.io", "far too much"),
            (Wanted::Any, EMPTY[0], "an empty file"),
            (Wanted::Any, &EMPTY[2].to_uppercase(), "an empty file"),
        ] {
            let said = refused(wanted, text);
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn what_is_allowed_is_taken_and_nothing_wider() {
        let allow = ["10.0.0.0/8".parse().unwrap(), "0.0.0.0/0".parse().unwrap()];
        for text in ["10.0.0.0/8", "10.1.2.3"] {
            assert!(read(Wanted::Any, text.as_bytes(), &allow[..1]).is_ok(), "{text}");
        }
        for text in ["8.0.0.0/6", "127.0.0.1", "fc00::1"] {
            assert!(read(Wanted::Any, text.as_bytes(), &allow[..1]).is_err(), "{text}");
        }
        assert!(read(Wanted::Any, b"0.0.0.0/0", &allow).is_ok());
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_reason() {
        for (wanted, text, why) in [
            (Wanted::Any, "hello", "needs a column 'type'"),
            (Wanted::Any, "1.2.3.4.5", "no address"),
            (Wanted::Any, "198.51.100.7/33", "no address"),
            (Wanted::Any, "https://evil.example/x", "a URL"),
            (Wanted::Any, "bücher.example", "xn--"),
            (Wanted::Any, "a..example.com", "no domain"),
            (Wanted::Digest, "abcd", "hexadecimal"),
            (Wanted::Digest, &"zz".repeat(32), "hexadecimal"),
            (Wanted::Address, "evil.com", "no address"),
            (Wanted::Domain, "198.51.100.7/24", "no domain"),
            (Wanted::Path, "tmp/x", "from the root"),
            (Wanted::Path, "/tmp/*", "a pattern"),
            (Wanted::Name, "a/b", "no name"),
        ] {
            let said = refused(wanted, text);
            assert!(said.contains(why), "{text}: {said}");
        }
        assert!(read(Wanted::Name, b"a\xff", &[]).unwrap_err().contains("UTF-8"));
    }
}
