//! Packages that were installed as JSON.

use super::program::done_by_somebody;
use super::put;
use crate::event::InstallEvent;
use crate::time::Timestamp;
use serde_json::{Value, json};

/// What package managers did in one go as a nested ECS object.
pub fn install(event: &InstallEvent, time: Option<Timestamp>) -> Value {
    let kind = ("install", "package", &["installation"][..]);
    let mut root = done_by_somebody(event.manager.as_deref(), time, kind);
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
