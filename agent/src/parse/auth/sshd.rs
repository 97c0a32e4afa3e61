//! OpenSSH's daemon, versions 6 to 10.

use super::pam;
use crate::parse::scan::{address, peer, split, trailing_peer};
use picket_common::event::{AuthAction, AuthEvent, AuthMethod, Outcome, Peer};

/// sshd formats each message into 1,024 bytes and cuts the rest off. In a message that long a peer may have pushed the
/// true address over the edge with a long name and left one of their choice at the end.
const CUT: usize = 1000;

pub(super) fn message(text: &str) -> Option<AuthEvent> {
    let mut event = typed(text)?;
    if text.len() >= CUT {
        event.source = None;
        event.source_domain = None;
        event.reason = Some("the message was cut short, so its address cannot be trusted".into());
    }
    Some(event)
}

fn typed(text: &str) -> Option<AuthEvent> {
    let (text, preauth) = match text.trim_end_matches(' ').strip_suffix(" [preauth]") {
        Some(rest) => (rest, true),
        None => (text.trim_end_matches(' '), false),
    };
    let text = text
        .strip_prefix("error: ")
        .or_else(|| text.strip_prefix("fatal: "))
        .unwrap_or(text);
    // Most lines of a busy log are decided by their first word.
    let (first, rest) = text.split_once(' ')?;
    match first {
        "Failed" => attempt(rest, Outcome::Failure),
        "Accepted" => attempt(rest, Outcome::Success),
        "Invalid" => invalid_user(rest),
        "Received" => received_disconnect(rest, preauth),
        "Connection" => connection(rest, preauth),
        "Disconnected" => disconnected(rest, preauth),
        "Disconnecting" | "Disconnecting:" => disconnecting(first, rest),
        "User" => not_allowed(rest),
        "ROOT" => {
            let from = rest.strip_prefix("LOGIN REFUSED FROM ")?;
            Some(peer_or_name(new(AuthAction::UserNotAllowed, Outcome::Failure), from).map_user("root"))
        }
        "PAM" => pam_of_sshd(rest),
        "PAM:" => pam_error(rest),
        _ => scanner(text),
    }
}

fn new(action: AuthAction, outcome: Outcome) -> AuthEvent {
    let mut event = AuthEvent::new(action, outcome, "sshd");
    event.service = Some("sshd".into());
    event
}

trait Fill {
    fn map_user(self, user: &str) -> Self;
    fn map_source(self, source: Peer) -> Self;
}

impl Fill for AuthEvent {
    fn map_user(mut self, user: &str) -> Self {
        self.user = Some(user.into());
        self
    }

    fn map_source(mut self, source: Peer) -> Self {
        self.source = Some(source);
        self
    }
}

/// `password for [invalid user ]U from A port N ssh2[: KEY]`
fn attempt(text: &str, outcome: Outcome) -> Option<AuthEvent> {
    let (method, rest) = split(text, " for ")?;
    let (rest, key) = until_protocol(rest)?;
    let (user, source) = trailing_peer(rest)?;
    let user = user.strip_suffix(" from").or_else(|| user.strip_suffix("from"))?;
    let (user, invalid) = match user
        .strip_prefix("invalid user ")
        .or_else(|| user.strip_prefix("illegal user "))
    {
        Some(user) => (user, true),
        None => (user, user == "invalid user"),
    };
    let mut event = new(AuthAction::Login, outcome).map_user(user).map_source(source);
    event.method = method_named(method);
    event.key = key.map(Into::into);
    if invalid {
        event.reason = Some("invalid user".into());
    }
    Some(event)
}

fn method_named(text: &str) -> Option<AuthMethod> {
    let name = text.split_once('/').map_or(text, |(name, _)| name);
    AuthMethod::ALL
        .iter()
        .copied()
        .find(|method| method.as_str() == name)
}

/// Splits off ` ssh2` or ` ssh2: KEY`. A certificate's key ends in an identity that its owner chose, so a line with one
/// is taken only when ` ssh2` stands in it once.
fn until_protocol(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(head) = text.strip_suffix(" ssh2").or_else(|| text.strip_suffix(" ssh1")) {
        return Some((head, None));
    }
    let (head, key) = text.rsplit_once(" ssh2: ")?;
    if is_plain_key(key) {
        return Some((head, Some(key)));
    }
    let certificate = key
        .split_once(' ')
        .is_some_and(|(kind, _)| kind.ends_with("-CERT"));
    (certificate && !head.contains(" ssh2")).then_some((head, Some(key)))
}

/// `ED25519 SHA256:…`: two words, the second without blanks.
fn is_plain_key(key: &str) -> bool {
    key.split_once(' ')
        .is_some_and(|(kind, print)| !kind.is_empty() && !print.is_empty() && !print.contains(' '))
}

/// `user U from A[ port N]`
fn invalid_user(text: &str) -> Option<AuthEvent> {
    let (user, source) = trailing_peer(text.strip_prefix("user ")?)?;
    let user = user.strip_suffix(" from").or_else(|| user.strip_suffix("from"))?;
    Some(
        new(AuthAction::InvalidUser, Outcome::Failure)
            .map_user(user)
            .map_source(source),
    )
}

/// `disconnect from A[ port N]:CODE: TEXT`; the text is the peer's own.
fn received_disconnect(text: &str, preauth: bool) -> Option<AuthEvent> {
    let rest = text.strip_prefix("disconnect from ")?;
    // An IPv6 address holds colons itself: the code is what follows the address or the port.
    let (source, said) = match split(rest, " port ") {
        Some((ip, after)) if address(ip).is_some() => {
            let (port, said) = after.split_once(':')?;
            (
                Peer::new(address(ip)?, Some(crate::parse::scan::number(port)?)),
                said,
            )
        }
        _ => {
            let (ip, said) = split(rest, ": ")?;
            (Peer::new(address(ip)?, None), said)
        }
    };
    let mut event = ended(preauth).map_source(source);
    event.reason = Some(said.trim_start().into());
    Some(event)
}

fn ended(preauth: bool) -> AuthEvent {
    match preauth {
        true => new(AuthAction::PreauthClose, Outcome::Failure),
        false => new(AuthAction::Disconnect, Outcome::Unknown),
    }
}

/// `closed|reset by [authenticating|invalid user U ]A port N`, `from A port N[ on …]`
fn connection(text: &str, preauth: bool) -> Option<AuthEvent> {
    let (how, rest) = text.split_once(' ')?;
    match how {
        "closed" | "reset" => {
            let rest = rest.strip_prefix("by ")?;
            let mut event = peer_of_user(ended(preauth), rest)?;
            event.reason = Some(if how == "reset" { "reset" } else { "closed" }.into());
            Some(event)
        }
        "from" => {
            let rest = rest.split_once(" on ").map_or(rest, |(source, _)| source);
            Some(new(AuthAction::Connection, Outcome::Unknown).map_source(peer(rest)?))
        }
        _ => None,
    }
}

/// `[authenticating user U |invalid user U |user U ]A port N`
fn peer_of_user(event: AuthEvent, text: &str) -> Option<AuthEvent> {
    let (head, source) = trailing_peer(text)?;
    let event = event.map_source(source);
    if head.is_empty() {
        return Some(event);
    }
    let user = ["authenticating user", "invalid user", "user"]
        .iter()
        .find_map(|kind| head.strip_prefix(kind))?;
    let mut event = event.map_user(user.strip_prefix(' ').unwrap_or(user));
    if head.starts_with("invalid") {
        event.reason = Some("invalid user".into());
    }
    Some(event)
}

/// `from [… user U ]A port N`
fn disconnected(text: &str, preauth: bool) -> Option<AuthEvent> {
    peer_of_user(ended(preauth), text.strip_prefix("from ")?)
}

/// `Disconnecting[: Too many authentication failures[ for U]| … user U A port N: REASON]`
fn disconnecting(first: &str, rest: &str) -> Option<AuthEvent> {
    const TOO_MANY: &str = "Too many authentication failures";
    if first == "Disconnecting:" {
        let user = rest.strip_prefix(TOO_MANY)?.strip_prefix(" for ");
        let event = new(AuthAction::MaxAuthTries, Outcome::Failure);
        return Some(match user {
            Some(user) => event.map_user(user.strip_prefix("invalid user ").unwrap_or(user)),
            None => event,
        });
    }
    // Other reasons repeat names that the peer chose; only this one leaves the address where it can be trusted.
    let who = rest.strip_suffix(TOO_MANY)?.strip_suffix(": ")?;
    let mut event = peer_of_user(new(AuthAction::MaxAuthTries, Outcome::Failure), who)?;
    event.reason = Some(TOO_MANY.into());
    Some(event)
}

/// `U [from A ]not allowed because REASON`
fn not_allowed(text: &str) -> Option<AuthEvent> {
    let (who, reason) = text.rsplit_once(" not allowed because ")?;
    let mut event = new(AuthAction::UserNotAllowed, Outcome::Failure);
    event.reason = Some(reason.into());
    Some(match who.rsplit_once(" from ") {
        Some((user, from)) => peer_or_name(event, from).map_user(user),
        None => event.map_user(who),
    })
}

fn peer_or_name(mut event: AuthEvent, from: &str) -> AuthEvent {
    match peer(from) {
        Some(source) => event.source = Some(source),
        None => event.source_domain = Some(from.into()),
    }
    event
}

/// `N more authentication failures; …` and `service(sshd) ignoring max retries; 5 > 3`
fn pam_of_sshd(text: &str) -> Option<AuthEvent> {
    if text.starts_with("service(") {
        return text
            .contains(" ignoring max retries; ")
            .then(|| new(AuthAction::MaxAuthTries, Outcome::Failure));
    }
    let (count, rest) = text.split_once(" more authentication failure")?;
    let details = rest.strip_prefix("s; ").or_else(|| rest.strip_prefix("; "))?;
    let mut event = pam::failure(new(AuthAction::PamFailure, Outcome::Failure), details)?;
    event.repeated = crate::parse::scan::number(count);
    Some(event)
}

/// `REASON for [illegal user |invalid user ]U from A`
fn pam_error(text: &str) -> Option<AuthEvent> {
    let (reason, rest) = text.split_once(" for ")?;
    let (user, from) = rest.rsplit_once(" from ")?;
    let user = user
        .strip_prefix("illegal user ")
        .or_else(|| user.strip_prefix("invalid user "))
        .unwrap_or(user);
    let mut event = peer_or_name(new(AuthAction::PamFailure, Outcome::Failure), from).map_user(user);
    event.reason = Some(reason.into());
    Some(event)
}

/// What a peer that never got as far as a user name leaves behind.
fn scanner(text: &str) -> Option<AuthEvent> {
    let bad = || new(AuthAction::BadProtocol, Outcome::Failure);
    let with = |mut event: AuthEvent, reason: &str| {
        event.reason = Some(reason.into());
        Some(event)
    };
    if let Some(rest) = text.strip_prefix("Unable to negotiate with ") {
        let (from, reason) = rest.split_once(": ")?;
        return with(
            new(AuthAction::NoCommonAlgorithm, Outcome::Failure).map_source(peer(from)?),
            reason,
        );
    }
    if let Some(rest) = text.strip_prefix("banner exchange: Connection from ") {
        let (from, reason) = rest.split_once(": ")?;
        return with(bad().map_source(peer(from)?), reason);
    }
    if let Some(rest) = text.strip_prefix("ssh_dispatch_run_fatal: Connection from ") {
        let (who, reason) = rest.rsplit_once(": ")?;
        return with(peer_of_user(bad(), who)?, reason);
    }
    if let Some(rest) = text.strip_prefix("kex_exchange_identification: ") {
        return with(bad(), rest);
    }
    if let Some(from) = text.strip_prefix("Did not receive identification string from ") {
        return with(bad().map_source(peer(from)?), "no identification string");
    }
    if let Some(rest) = text.strip_prefix("Bad protocol version identification '") {
        let (said, source) = trailing_peer(rest)?;
        return with(bad().map_source(source), said.strip_suffix("' from")?);
    }
    if let Some(rest) = text.strip_prefix("Magic value check failed ") {
        let (_, from) = rest.split_once(" on obfuscated handshake from ")?;
        return with(bad().map_source(peer(from)?), "magic value check failed");
    }
    if let Some(rest) = text.strip_prefix("Timeout before authentication for ") {
        let from = match rest.strip_prefix("connection from ") {
            Some(rest) => rest.split_once(' ')?.0,
            None => rest,
        };
        return Some(new(AuthAction::LoginTimeout, Outcome::Failure).map_source(peer(from)?));
    }
    if let Some(rest) = text.strip_prefix("maximum authentication attempts exceeded for ") {
        let (user, source) = trailing_peer(rest.strip_suffix(" ssh2").unwrap_or(rest))?;
        let user = user.strip_suffix(" from").or_else(|| user.strip_suffix("from"))?;
        let user = user.strip_prefix("invalid user ").unwrap_or(user);
        return Some(
            new(AuthAction::MaxAuthTries, Outcome::Failure)
                .map_user(user)
                .map_source(source),
        );
    }
    if let Some(rest) = text.strip_prefix("refused connect from ") {
        let (name, ip) = rest.strip_suffix(')')?.rsplit_once(" (")?;
        let mut event =
            new(AuthAction::ConnectionRefused, Outcome::Failure).map_source(Peer::new(address(ip)?, None));
        event.source_domain = Some(name.into());
        return Some(event);
    }
    if let Some(rest) = text.strip_prefix("reverse mapping checking getaddrinfo for ") {
        let (name, ip) = rest.split_once("] failed")?.0.rsplit_once(" [")?;
        let mut event = new(AuthAction::ReverseMappingMismatch, Outcome::Unknown);
        event.source_domain = Some(name.into());
        return Some(event.map_source(Peer::new(address(ip)?, None)));
    }
    if let Some(rest) = text.strip_prefix("Address ") {
        let (ip, rest) = rest.split_once(" maps to ")?;
        let (name, _) = rest.split_once(", but this does not map back to the address")?;
        let mut event = new(AuthAction::ReverseMappingMismatch, Outcome::Unknown);
        event.source_domain = Some(name.into());
        return Some(event.map_source(Peer::new(address(ip)?, None)));
    }
    if text.starts_with("Write failed: ") {
        return with(new(AuthAction::PreauthClose, Outcome::Failure), "write failed");
    }
    None
}
