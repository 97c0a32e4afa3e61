//! Authentication events as JSON.

use super::put;
use crate::event::AuthEvent;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// One authentication event as a nested ECS object. `time` may be unknown: a bare line need not carry one.
pub fn auth(event: &AuthEvent, time: Option<Timestamp>) -> Value {
    let mut root = Map::new();
    if let Some(time) = time {
        put(&mut root, &["@timestamp"], Some(time.to_string()));
    }
    put(&mut root, &["event", "action"], Some(event.action.as_str()));
    put(&mut root, &["event", "outcome"], Some(event.outcome.as_str()));
    put(&mut root, &["event", "category"], Some(json!(["authentication"])));
    put(&mut root, &["event", "reason"], event.reason.as_deref());
    put(&mut root, &["process", "name"], Some(event.program.as_str()));
    put(&mut root, &["process", "pid"], event.pid);
    put(&mut root, &["process", "tty", "name"], event.tty.as_deref());
    put(&mut root, &["process", "command_line"], event.command.as_deref());
    put(&mut root, &["service", "name"], event.service.as_deref());
    put(&mut root, &["host", "hostname"], event.host.as_deref());
    put(&mut root, &["user", "name"], event.user.as_deref());
    put(
        &mut root,
        &["user", "target", "name"],
        event.target_user.as_deref(),
    );
    put(&mut root, &["group", "name"], event.group.as_deref());
    put(
        &mut root,
        &["source", "ip"],
        event.source.map(|peer| peer.ip.to_string()),
    );
    put(
        &mut root,
        &["source", "port"],
        event.source.and_then(|peer| peer.port),
    );
    put(&mut root, &["source", "domain"], event.source_domain.as_deref());
    put(
        &mut root,
        &["picket", "auth", "method"],
        event.method.map(|method| method.as_str()),
    );
    put(&mut root, &["picket", "auth", "key"], event.key.as_deref());
    put(&mut root, &["picket", "auth", "repeated"], event.repeated);
    Value::Object(root)
}
