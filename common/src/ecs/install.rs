//! Packages that were installed as JSON.

use super::program::done_by;
use super::put;
use crate::event::InstallEvent;
use crate::time::Timestamp;
use serde_json::{Value, json};

/// What package managers did in one go as a nested ECS object.
pub fn install(event: &InstallEvent, time: Option<Timestamp>) -> Value {
    let mut root = done_by(&event.manager, time, ("install", "package", &["installation"]));
    put(&mut root, &["event", "start"], Some(event.began.to_string()));
    let mut put_own = |name: &str, value: Value| put(&mut root, &["picket", "install", name], Some(value));
    put_own("packages", json!(event.packages));
    put_own("files", event.files.into());
    put_own("unowned_files", event.unowned_files.into());
    put_own("agreed", event.agreed.into());
    if !event.unowned.is_empty() {
        put_own("unowned", json!(event.unowned));
    }
    Value::Object(root)
}
