//! What an event shows that can be looked up: digests, addresses, domains and paths.

use picket_common::event::{Direction, Event, Payload};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;

/// So many addresses and domains of one command line are taken.
const MOST_HOSTS: usize = 8;
/// No name of a host is longer.
const LONGEST_DOMAIN: usize = 253;

/// One thing that can be looked up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Observable<'a> {
    /// Of a file's content: SHA-256, SHA-1 or MD5 in lower-case hexadecimal digits; the length tells which.
    Digest(&'a str),
    /// Never an IPv4 address in IPv6.
    Address(IpAddr),
    /// Lower-case, without a dot behind it.
    Domain(Cow<'a, str>),
    /// Absolute.
    Path(&'a str),
}

/// What kind of event showed it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// A line of an authentication log.
    Login,
    /// A program that was started: its file, or what its arguments name.
    Program,
    /// A connection to another host.
    Outbound,
    /// A connection that was accepted.
    Inbound,
    /// A file that landed.
    File,
}

impl Shown {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 5] = [
        Self::Login,
        Self::Program,
        Self::Outbound,
        Self::Inbound,
        Self::File,
    ];

    /// In words, as part of a list.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "logins",
            Self::Program => "programs",
            Self::Outbound => "connections to others",
            Self::Inbound => "connections from others",
            Self::File => "files",
        }
    }

    /// What kind an event is; `None` of one that shows nothing to look up.
    pub fn of(event: &Event) -> Option<Self> {
        match &event.payload {
            Payload::Auth(_) => Some(Self::Login),
            Payload::Exec(_) => Some(Self::Program),
            Payload::Connect(connect) => match connect.direction {
                Direction::Outbound => Some(Self::Outbound),
                Direction::Inbound => Some(Self::Inbound),
            },
            Payload::File(_) => Some(Self::File),
            Payload::Exit(_) | Payload::Install(_) | Payload::Privilege(_) | Payload::Signal(_) => None,
        }
    }
}

/// Tells everything that an event shows.
pub fn each<'a>(event: &'a Event, mut see: impl FnMut(Observable<'a>)) {
    match &event.payload {
        Payload::Auth(auth) => {
            if let Some(source) = &auth.source {
                see(Observable::Address(source.ip));
            }
            auth.source_domain.as_deref().into_iter().for_each(|name| {
                see(domain(name));
            });
        }
        Payload::Exec(exec) => {
            exec.sha256
                .as_deref()
                .into_iter()
                .for_each(|sha256| see(Observable::Digest(sha256)));
            if exec.executable.starts_with('/') {
                see(Observable::Path(&exec.executable));
            }
            let hosts = exec.args.iter().flat_map(|arg| hosts(arg));
            hosts.take(MOST_HOSTS).for_each(see);
        }
        Payload::Connect(connect) => see(Observable::Address(connect.remote.ip().to_canonical())),
        Payload::File(file) => {
            see(Observable::Path(&file.path));
            if let Some(content) = file.content.as_deref() {
                let digests = [&content.sha256, &content.sha1, &content.md5];
                let there = digests.into_iter().filter(|digest| !digest.is_empty());
                there.for_each(|digest| see(Observable::Digest(digest)));
            }
        }
        Payload::Exit(_) | Payload::Install(_) | Payload::Privilege(_) | Payload::Signal(_) => {}
    }
}

/// Who or what an event is about, in a word, beside what it shows.
pub fn subject(event: &Event) -> Option<&str> {
    match &event.payload {
        Payload::Auth(auth) => Some(&auth.program),
        Payload::Exec(exec) => Some(&exec.executable),
        Payload::Connect(connect) => connect.program.executable.as_deref(),
        Payload::File(file) => Some(&file.path),
        Payload::Exit(_) | Payload::Install(_) | Payload::Privilege(_) | Payload::Signal(_) => None,
    }
}

/// The hosts that an argument names: what is behind each `://`.
fn hosts(argument: &str) -> impl Iterator<Item = Observable<'_>> {
    let mut rest = argument;
    let behind = move || {
        let at = memchr::memmem::find(rest.as_bytes(), b"://")?;
        rest = rest.get(at + 3..)?;
        Some(rest)
    };
    std::iter::from_fn(behind).filter_map(host)
}

/// `user@example.com:443/path` and `[2001:db8::7]/path`
fn host(authority: &str) -> Option<Observable<'_>> {
    let end = authority.find(|byte: char| !byte.is_ascii_graphic() || "/?#\\\"'`|;<>(){}$,".contains(byte));
    let authority = authority.get(..end.unwrap_or(authority.len()))?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    if let Some(inside) = place.strip_prefix('[') {
        let address: IpAddr = inside.split_once(']')?.0.parse().ok()?;
        return Some(Observable::Address(address.to_canonical()));
    }
    let name = place.split_once(':').map_or(place, |(name, _)| name);
    match name.parse::<IpAddr>() {
        Ok(address) => Some(Observable::Address(address)),
        Err(_) => is_domain(name).then(|| domain(name)),
    }
}

fn is_domain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    name.len() <= LONGEST_DOMAIN && name.contains('.') && name.bytes().all(plain)
}

fn domain(name: &str) -> Observable<'_> {
    let name = name.trim_end_matches('.');
    Observable::Domain(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{Credentials, ExecEvent};
    use picket_common::ids::RecordId;
    use picket_common::process::ProcessId;
    use picket_common::time::Timestamp;

    fn started(args: &[&str]) -> Event {
        let time = Timestamp::default();
        let exec = ExecEvent {
            args: args.iter().map(|&arg| arg.into()).collect(),
            ..ExecEvent::new(
                ProcessId { pid: 7, start: 9 },
                "/usr/bin/curl",
                Credentials::default(),
            )
        };
        Event {
            id: RecordId::derived(time, &[]),
            time,
            observed: time,
            payload: Payload::Exec(exec.into()),
        }
    }

    fn shown(args: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        each(&started(args), |observable| {
            found.push(match observable {
                Observable::Address(address) => address.to_string(),
                Observable::Domain(name) => name.into_owned(),
                Observable::Digest(text) | Observable::Path(text) => text.to_owned(),
            });
        });
        found
    }

    #[test]
    fn the_hosts_of_a_command_line_are_those_behind_a_scheme() {
        let args = [
            "curl",
            "https://bob:se@cret@Evil.Example.COM.:8443/a?b=http://198.51.100.7/x",
            "--proxy=socks5://[2001:db8::7]:1080",
            "tcp://[::ffff:203.0.113.9]",
            "$(wget ftp://x.example;id)",
        ];
        let expected = [
            "/usr/bin/curl",
            "evil.example.com",
            "198.51.100.7",
            "2001:db8::7",
            "203.0.113.9",
            "x.example",
        ];
        assert_eq!(shown(&args), expected);
        let none = [
            "://",
            "a://",
            "file:///etc/passwd",
            "http://localhost/",
            "x://é.example/",
            "http://[",
            "a.example",
        ];
        assert_eq!(shown(&none), ["/usr/bin/curl"]);
        let many = "http://a.example ".repeat(1000);
        assert_eq!(shown(&[&many]).len(), 1 + MOST_HOSTS);
    }
}
