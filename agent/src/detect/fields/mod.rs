//! An event's fields under the names that rules use, without JSON on the way.

pub(super) mod audit;
pub(super) mod auth;
pub(super) mod connect;
mod deed;
pub(super) mod exec;
pub(super) mod file;
mod program;

pub(super) use audit::Record;
pub(super) use exec::Exec;

use picket_common::ecs;
use picket_common::event::{
    AuthEvent, ConnectEvent, Direction, Event, ExitEvent, FileEvent, Payload, PrivilegeEvent, SignalEvent,
};
use rsigma_eval::event::{Event as Fields, EventValue};
use serde_json::Value;
use std::borrow::Cow;
use std::net::IpAddr;

/// The field that most rules group by.
pub(super) const ADDRESS: &str = "source.ip";
/// The same of a program: the address of its login.
pub(super) const LOGIN_ADDRESS: &str = "picket.login.source.ip";

/// Whether some events have a field of that name.
pub(super) fn is_known(name: &str) -> bool {
    let known = |names: &[&str]| names.contains(&name);
    exec::is_known(name)
        || names().contains(&connect::ours(name))
        || names().contains(&file::ours(name))
        || known(connect::OTHER_WORDS)
}

/// Whether what authentication logs say has a field of that name.
pub(super) fn is_of_logins(name: &str) -> bool {
    auth::NAMES.contains(&name)
}

/// All of them, once each.
pub(super) fn names() -> Vec<&'static str> {
    let parts = [
        connect::OWN,
        deed::OF_EXITS,
        deed::OF_PRIVILEGES,
        deed::OF_SIGNALS,
        file::OWN,
    ];
    let more = parts.into_iter().flatten().copied();
    let mut names: Vec<&str> = auth::NAMES.to_vec();
    for name in exec::names().chain(more) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The value of a field; `None` when the event does not have it.
fn value<'a>(event: &'a Event, name: &str) -> Option<EventValue<'a>> {
    match &event.payload {
        Payload::Auth(auth) => auth::text(auth, name).map(EventValue::Str),
        Payload::Exec(exec) => exec::value(exec, name),
        Payload::Connect(connect) => connect::value(connect, name),
        Payload::Exit(exit) => deed::exit(exit, name),
        Payload::Privilege(privilege) => deed::privilege(privilege, name),
        Payload::Signal(signal) => deed::signal(signal, name),
        Payload::File(file) => file::value(file, name),
        Payload::Install(_) => None,
    }
}

/// The value of a field as text; `None` when the event does not have it, or has several.
pub(super) fn text<'a>(event: &'a Event, name: &str) -> Option<Cow<'a, str>> {
    match value(event, name)? {
        EventValue::Str(text) => Some(text),
        other => other.as_str().map(|text| Cow::Owned(text.into_owned())),
    }
}

/// Whether the value of a field, or one of several, is so.
pub(super) fn any(event: &Event, name: &str, is: impl Fn(&str) -> bool) -> bool {
    value(event, name).is_some_and(|value| any_of(&value, &is))
}

/// The value of a field that is an address.
pub(super) fn address(event: &Event, name: &str) -> Option<IpAddr> {
    match (name, &event.payload) {
        (ADDRESS, Payload::Auth(auth)) => Some(auth.source?.ip),
        (ADDRESS, Payload::Connect(connect)) => Some(connect.source().ip()),
        ("destination.ip", Payload::Connect(connect)) => Some(connect.destination().ip()),
        (LOGIN_ADDRESS, _) => event.login()?.source,
        _ => None,
    }
}

/// The address that may be to blame for an event: whoever tried to log in, or connected, or logged in to start what did it.
pub(super) fn blamed(event: &Event) -> Option<IpAddr> {
    match &event.payload {
        Payload::Auth(_) => address(event, ADDRESS),
        Payload::Connect(connect) if connect.direction == Direction::Inbound => Some(connect.remote.ip()),
        _ => address(event, LOGIN_ADDRESS),
    }
}

/// An event as the rules see it.
pub(super) enum View<'a> {
    Auth(&'a AuthEvent),
    Exec(&'a Exec<'a>),
    Audit(&'a Exec<'a>, Record),
    Connect(&'a ConnectEvent),
    Exit(&'a ExitEvent),
    Privilege(&'a PrivilegeEvent),
    Signal(&'a SignalEvent),
    File(&'a FileEvent),
}

impl View<'_> {
    fn texts(&self) -> Vec<EventValue<'_>> {
        let program = [program::NAMES, program::WHENCE].concat();
        let names: Vec<&str> = match self {
            Self::Auth(_) => auth::NAMES.to_vec(),
            Self::Exec(_) => exec::names().collect(),
            Self::Audit(exec, record) => return record.texts(exec),
            Self::Connect(_) => [&program, connect::OWN].concat(),
            Self::Exit(_) => [&program, deed::OF_EXITS].concat(),
            Self::Privilege(_) => [&program, deed::OF_PRIVILEGES].concat(),
            Self::Signal(_) => [&program, deed::OF_SIGNALS].concat(),
            Self::File(_) => [&program, file::OWN].concat(),
        };
        names
            .into_iter()
            .filter_map(|name| self.get_field(name))
            .collect()
    }
}

impl Fields for View<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        match self {
            Self::Auth(auth) => auth::text(auth, path).map(EventValue::Str),
            Self::Exec(exec) => exec.value(path),
            Self::Audit(exec, record) => record.value(exec, path),
            Self::Connect(connect) => connect::value(connect, path),
            Self::Exit(exit) => deed::exit(exit, path),
            Self::Privilege(privilege) => deed::privilege(privilege, path),
            Self::Signal(signal) => deed::signal(signal, path),
            Self::File(file) => file::value(file, path),
        }
    }

    fn any_string_value(&self, matches: &dyn Fn(&str) -> bool) -> bool {
        self.texts().iter().any(|value| any_of(value, matches))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut all = Vec::new();
        for value in self.texts() {
            match value {
                EventValue::Str(text) => all.push(text),
                EventValue::Array(values) => all.extend(values.into_iter().filter_map(|value| match value {
                    EventValue::Str(text) => Some(text),
                    _ => None,
                })),
                other => all.extend(other.as_str().map(|text| Cow::Owned(text.into_owned()))),
            }
        }
        all
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Auth(auth) => ecs::auth(auth, None),
            Self::Exec(exec) | Self::Audit(exec, _) => ecs::exec(exec.event(), None),
            Self::Connect(connect) => ecs::connect(connect, None),
            Self::Exit(exit) => ecs::exit(exit, None),
            Self::Privilege(privilege) => ecs::privilege(privilege, None),
            Self::Signal(signal) => ecs::signal(signal, None),
            Self::File(file) => ecs::file(file, None),
        }
    }
}

fn any_of(value: &EventValue<'_>, is: &(impl Fn(&str) -> bool + ?Sized)) -> bool {
    match value {
        EventValue::Array(values) => values.iter().any(|value| any_of(value, is)),
        other => other.as_str().is_some_and(|text| is(&text)),
    }
}

/// Holds that an event has every one of the fields, with the values that its JSON has.
#[cfg(test)]
fn same_as_json(view: &View<'_>, names: impl Iterator<Item = &'static str>) {
    let json = view.to_json();
    let flat = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for name in names {
        let at = |path: &str| path.split('.').fold(&json, |value, part| &value[part]);
        let expected: Vec<String> = match name.strip_prefix("picket.process.ancestors.") {
            // In JSON the parent has a place of its own.
            Some(part) => {
                let further = at("picket.process.ancestors").as_array().unwrap();
                let parent = &at("process.parent")[part];
                std::iter::once(parent)
                    .chain(further.iter().map(|one| &one[part]))
                    .map(flat)
                    .collect()
            }
            None if name.starts_with("picket.file.matches.") => {
                let matches = at("picket.file.matches").as_array().unwrap();
                matches.iter().map(|one| flat(&one["rule"])).collect()
            }
            None => match at(name) {
                Value::Array(values) => values.iter().map(flat).collect(),
                Value::Null => Vec::new(),
                other => vec![flat(other)],
            },
        };
        let found: Vec<String> = match view.get_field(name) {
            Some(EventValue::Array(values)) => {
                let texts = values.iter().map(|value| value.as_str().unwrap().into_owned());
                texts.collect()
            }
            value => value
                .iter()
                .map(|value| value.as_str().unwrap().into_owned())
                .collect(),
        };
        assert!(!expected.is_empty(), "{name}");
        assert_eq!(found, expected, "{name}");
    }
}
