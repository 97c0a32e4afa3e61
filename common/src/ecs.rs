//! Events as nested JSON in the field names of the Elastic Common Schema 9.

use crate::event::{AuthEvent, ExecEvent};
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

/// One program that was started as a nested ECS object.
pub fn exec(event: &ExecEvent, time: Option<Timestamp>) -> Value {
    let mut root = Map::new();
    let name = |path: &str| path.rsplit_once('/').map_or(path, |(_, name)| name).to_owned();
    put(&mut root, &["@timestamp"], time.map(|time| time.to_string()));
    put(&mut root, &["event", "action"], Some("exec"));
    put(&mut root, &["event", "category"], Some(json!(["process"])));
    put(&mut root, &["event", "type"], Some(json!(["start"])));
    put(&mut root, &["process", "pid"], Some(event.process.pid));
    put(&mut root, &["process", "name"], Some(name(&event.executable)));
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
    if let Some((parent, further)) = event.ancestors.split_first() {
        let executable = parent.executable.as_deref();
        put(&mut root, &["process", "parent", "pid"], Some(parent.process.pid));
        put(&mut root, &["process", "parent", "name"], executable.map(name));
        put(&mut root, &["process", "parent", "executable"], executable);
        let line = parent.command_line.as_deref();
        put(&mut root, &["process", "parent", "command_line"], line);
        let start = parent.process.is_certain().then_some(parent.process.start);
        put(&mut root, &["picket", "process", "parent", "start"], start);
        if !further.is_empty() {
            put(
                &mut root,
                &["picket", "process", "ancestors"],
                Some(json!(further)),
            );
        }
    }
    Value::Object(root)
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
