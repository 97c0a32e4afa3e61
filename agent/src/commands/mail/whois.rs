//! When a domain was registered, asked by WHOIS (RFC 3912) and only when an operator wants it.
//!
//! All that leaves the host is the name of the writer's domain, to the server of the settings and to one that it refers to.
//! Everything together has ten seconds. What comes back is a stranger's text: it is bounded, and one line of it is shown.

use serde::Serialize;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What registries call the day on which a domain was registered.
const DATES: &[&str] = &[
    "creation date",
    "created",
    "created on",
    "registered",
    "registered on",
    "domain registration date",
];
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const MOST: u64 = 64 << 10;

/// What was asked and what came of it.
#[derive(Serialize)]
pub(super) struct Registration {
    /// The domain that was asked about.
    pub(super) domain: String,
    /// When it was registered, in the server's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) registered: Option<String>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<String>,
}

/// Asks when a domain was registered.
pub(super) fn ask(server: &str, domain: &str) -> Registration {
    let (send, receive) = mpsc::channel();
    let (server, name) = (server.to_owned(), domain.to_owned());
    // Looking up the server's own name cannot be given a limit, so it is left behind on its thread when it takes too long.
    thread::spawn(move || send.send(registered(&server, &name, Instant::now() + PATIENCE)));
    let (registered, unknown) = match receive.recv_timeout(PATIENCE) {
        Ok(Ok(Some(date))) => (Some(date), None),
        Ok(Ok(None)) => (None, Some("the server does not say".to_owned())),
        Ok(Err(error)) => (None, Some(error.to_string())),
        Err(_) => (None, Some("no answer in ten seconds".to_owned())),
    };
    Registration {
        domain: domain.to_owned(),
        registered,
        unknown,
    }
}

fn registered(server: &str, domain: &str, until: Instant) -> io::Result<Option<String>> {
    let answer = query(server, domain, until)?;
    match field(&answer, &["refer"]) {
        // The root's answer has a date as well: that of the ending.
        Some(next) if is_host(&next) => Ok(field(&query(&format!("{next}:43"), domain, until)?, DATES)),
        _ => Ok(field(&answer, DATES)),
    }
}

fn query(server: &str, domain: &str, until: Instant) -> io::Result<String> {
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(io::Error::from(io::ErrorKind::TimedOut))
        } else {
            Ok(left)
        }
    };
    let address = server.to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other("the server has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(format!("{domain}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4_096];
    // A server that sends a byte now and then does not get more time for it.
    while u64::try_from(answer.len()).is_ok_and(|length| length < MOST) {
        stream.set_read_timeout(Some(left()?))?;
        let length = stream.read(&mut piece)?;
        answer.extend_from_slice(piece.get(..length).unwrap_or_default());
        if length == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The first value of a line `name: value`.
fn field(answer: &str, names: &[&str]) -> Option<String> {
    answer.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name
            .trim()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        let value: String = value.trim().chars().take(100).collect();
        (names.contains(&name.as_str()) && !value.is_empty()).then_some(value)
    })
}

fn is_host(name: &str) -> bool {
    name.contains('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}
