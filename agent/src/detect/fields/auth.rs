//! The fields of an authentication event.

use picket_common::event::AuthEvent;
use std::borrow::Cow;

/// Every field that a rule can name, as [`picket_common::ecs`] writes it.
pub(in super::super) const NAMES: &[&str] = &[
    "event.action",
    "event.outcome",
    "event.reason",
    "process.name",
    "process.pid",
    "process.tty.name",
    "process.command_line",
    "service.name",
    "host.hostname",
    "user.name",
    "user.target.name",
    "group.name",
    "source.ip",
    "source.port",
    "source.domain",
    "picket.auth.method",
    "picket.auth.key",
];

/// The value of a field as text.
pub(in super::super) fn text<'a>(auth: &'a AuthEvent, name: &str) -> Option<Cow<'a, str>> {
    let borrowed = |text: &'a str| Some(Cow::Borrowed(text));
    match name {
        "event.action" => borrowed(auth.action.as_str()),
        "event.outcome" => borrowed(auth.outcome.as_str()),
        "event.reason" => auth.reason.as_deref().map(Cow::Borrowed),
        "process.name" => borrowed(&auth.program),
        "process.pid" => auth.pid.map(|pid| Cow::Owned(pid.to_string())),
        "process.tty.name" => auth.tty.as_deref().map(Cow::Borrowed),
        "process.command_line" => auth.command.as_deref().map(Cow::Borrowed),
        "service.name" => auth.service.as_deref().map(Cow::Borrowed),
        "host.hostname" => auth.host.as_deref().map(Cow::Borrowed),
        "user.name" => auth.user.as_deref().map(Cow::Borrowed),
        "user.target.name" => auth.target_user.as_deref().map(Cow::Borrowed),
        "group.name" => auth.group.as_deref().map(Cow::Borrowed),
        "source.ip" => auth.source.map(|peer| Cow::Owned(peer.ip.to_string())),
        "source.port" => auth
            .source
            .and_then(|peer| peer.port)
            .map(|port| Cow::Owned(port.to_string())),
        "source.domain" => auth.source_domain.as_deref().map(Cow::Borrowed),
        "picket.auth.method" => auth.method.map(|method| Cow::Borrowed(method.as_str())),
        "picket.auth.key" => auth.key.as_deref().map(Cow::Borrowed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{View, same_as_json};
    use super::*;
    use picket_common::event::{AuthAction, AuthMethod, Outcome, Peer};

    #[test]
    fn rules_and_json_know_the_same_fields() {
        let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Failure, "sshd");
        let some = || Some("x".into());
        (auth.pid, auth.tty, auth.command, auth.service, auth.host) =
            (Some(1), some(), some(), some(), some());
        (auth.user, auth.target_user, auth.group, auth.source_domain) = (some(), some(), some(), some());
        (auth.key, auth.reason, auth.method) = (some(), some(), Some(AuthMethod::Password));
        auth.source = Some(Peer::new("2001:db8::1".parse().unwrap(), Some(22)));
        same_as_json(&View::Auth(&auth), NAMES.iter().copied());
    }
}
