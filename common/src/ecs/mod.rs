//! Events as nested JSON in the field names of the Elastic Common Schema 9.

mod auth;
mod exec;
mod file;
mod install;
mod program;

pub use auth::auth;
pub use exec::exec;
pub use file::file;
pub use install::install;
pub use program::{connect, exit, privilege, signal};

use crate::event::Payload;
use crate::time::Timestamp;
use serde_json::{Map, Value};

/// Any event as a nested ECS object.
pub fn event(payload: &Payload, time: Option<Timestamp>) -> Value {
    match payload {
        Payload::Auth(event) => auth(event, time),
        Payload::Exec(event) => exec(event, time),
        Payload::Exit(event) => exit(event, time),
        Payload::Connect(event) => connect(event, time),
        Payload::Privilege(event) => privilege(event, time),
        Payload::Signal(event) => signal(event, time),
        Payload::File(event) => file(event, time),
        Payload::Install(event) => install(event, time),
    }
}

/// The last part of a path.
fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn put(object: &mut Map<String, Value>, path: &[&str], value: Option<impl Into<Value>>) {
    let Some(value) = value else { return };
    match path {
        [] => {}
        [leaf] => {
            object.insert((*leaf).to_owned(), value.into());
        }
        [head, rest @ ..] => {
            let child = object.entry(*head).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(child) = child {
                put(child, rest, Some(value.into()));
            }
        }
    }
}
