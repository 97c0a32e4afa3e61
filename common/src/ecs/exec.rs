//! Programs that were started as JSON.

use super::program::whence;
use super::{last, put};
use crate::event::ExecEvent;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// One program that was started as a nested ECS object.
pub fn exec(event: &ExecEvent, time: Option<Timestamp>) -> Value {
    let mut root = Map::new();
    put(&mut root, &["@timestamp"], time.map(|time| time.to_string()));
    put(&mut root, &["event", "action"], Some("exec"));
    put(&mut root, &["event", "category"], Some(json!(["process"])));
    put(&mut root, &["event", "type"], Some(json!(["start"])));
    put(&mut root, &["process", "pid"], Some(event.process.pid));
    put(&mut root, &["process", "name"], Some(last(&event.executable)));
    put(
        &mut root,
        &["process", "executable"],
        Some(event.executable.as_str()),
    );
    put(&mut root, &["process", "args"], Some(json!(event.args)));
    put(&mut root, &["process", "args_count"], Some(event.args.len()));
    put(
        &mut root,
        &["process", "command_line"],
        Some(event.command_line()),
    );
    if !event.environment.is_empty() {
        put(
            &mut root,
            &["process", "env_vars"],
            Some(json!(event.environment)),
        );
    }
    let directory = event.working_directory.as_deref();
    put(&mut root, &["process", "working_directory"], directory);
    put(&mut root, &["process", "tty", "name"], event.tty.as_deref());
    let credentials = &event.credentials;
    // ECS has ids of users and groups as text.
    for (path, id) in [
        (["process", "real_user", "id"], credentials.uid),
        (["process", "user", "id"], credentials.effective_uid),
        (["process", "real_group", "id"], credentials.gid),
        (["process", "group", "id"], credentials.effective_gid),
    ] {
        put(&mut root, &path, Some(id.to_string()));
    }
    put(&mut root, &["user", "name"], event.user.as_deref());
    put(&mut root, &["host", "hostname"], event.host.as_deref());
    put(
        &mut root,
        &["picket", "process", "start"],
        event.process.is_certain().then_some(event.process.start),
    );
    put(
        &mut root,
        &["picket", "process", "login_uid"],
        credentials.login_uid,
    );
    put(&mut root, &["picket", "process", "session"], credentials.session);
    put(
        &mut root,
        &["picket", "process", "args_cut"],
        event.args_cut.then_some(true),
    );
    put(&mut root, &["picket", "process", "cgroup", "id"], event.cgroup);
    put(
        &mut root,
        &["picket", "process", "file"],
        event.file.map(|file| json!(file)),
    );
    let namespaces = event.namespaces.map(|namespaces| json!(namespaces));
    put(&mut root, &["picket", "process", "namespace"], namespaces);
    put(&mut root, &["package", "name"], event.package.as_deref());
    let sha256 = event.sha256.as_deref();
    put(&mut root, &["process", "hash", "sha256"], sha256);
    whence(
        &mut root,
        &event.ancestors,
        event.login.as_deref(),
        event.container.as_deref(),
    );
    Value::Object(root)
}
