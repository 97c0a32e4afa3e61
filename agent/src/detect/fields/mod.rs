//! An event's fields under the names that rules use, without JSON on the way.

pub(super) mod auth;
pub(super) mod exec;

pub(super) use exec::Exec;

use picket_common::ecs;
use picket_common::event::{AuthEvent, Event, Payload};
use rsigma_eval::event::{Event as Fields, EventValue};
use serde_json::Value;
use std::borrow::Cow;

/// The field that most rules group by.
pub(super) const ADDRESS: &str = "source.ip";

/// Whether some events have a field of that name.
pub(super) fn is_known(name: &str) -> bool {
    auth::NAMES.contains(&name) || exec::is_known(name)
}

/// Whether what authentication logs say has a field of that name.
pub(super) fn is_of_logins(name: &str) -> bool {
    auth::NAMES.contains(&name)
}

/// All of them, once each.
pub(super) fn names() -> Vec<&'static str> {
    let more = exec::NAMES.iter().filter(|name| !auth::NAMES.contains(name));
    auth::NAMES.iter().chain(more).copied().collect()
}

/// The value of a field as text; `None` when the event does not have it.
pub(super) fn text<'a>(event: &'a Event, name: &str) -> Option<Cow<'a, str>> {
    match &event.payload {
        Payload::Auth(auth) => auth::text(auth, name),
        Payload::Exec(exec) => exec::text(exec, name),
        _ => None,
    }
}

/// An event as the rules see it.
pub(super) enum View<'a> {
    Auth(&'a AuthEvent),
    Exec(&'a Exec<'a>),
}

impl View<'_> {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Auth(auth) => auth::text(auth, name),
            Self::Exec(exec) => exec.text(name),
        }
    }

    fn texts(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let names = match self {
            Self::Auth(_) => auth::NAMES,
            Self::Exec(_) => exec::NAMES,
        };
        names.iter().filter_map(|name| self.text(name))
    }
}

impl Fields for View<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        self.text(path).map(EventValue::Str)
    }

    fn any_string_value(&self, matches: &dyn Fn(&str) -> bool) -> bool {
        self.texts().any(|text| matches(&text))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        self.texts().collect()
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Auth(auth) => ecs::auth(auth, None),
            Self::Exec(exec) => ecs::exec(exec.event(), None),
        }
    }
}
