//! What programs do as JSON, and where they come from.

use super::{last, put};
use crate::event::{
    Ancestor, ConnectEvent, Container, ExitEvent, ExitStatus, Login, PrivilegeEvent, Program, SignalEvent,
};
use crate::process::ProcessId;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// One process that ended as a nested ECS object.
pub fn exit(event: &ExitEvent, time: Option<Timestamp>) -> Value {
    let mut root = done_by(&event.program, time, ("exit", "process", &["end"]));
    let (code, signal) = match event.status {
        ExitStatus::Code(code) => (Some(code), None),
        ExitStatus::Signal(signal) => (None, Some(signal)),
        ExitStatus::Unknown => (None, None),
    };
    put(&mut root, &["process", "exit_code"], code);
    put(&mut root, &["picket", "process", "exit_signal"], signal);
    // ECS has durations in nanoseconds.
    let ran = event.ran.and_then(|ran| u64::try_from(ran.as_nanos()).ok());
    put(&mut root, &["event", "duration"], ran);
    Value::Object(root)
}

/// One connection as a nested ECS object.
pub fn connect(event: &ConnectEvent, time: Option<Timestamp>) -> Value {
    let mut root = done_by(
        &event.program,
        time,
        ("connect", "network", &["connection", "start"]),
    );
    put(
        &mut root,
        &["network", "direction"],
        Some(event.direction.as_str()),
    );
    put(&mut root, &["network", "transport"], Some("tcp"));
    let kind = if event.remote.is_ipv4() { "ipv4" } else { "ipv6" };
    put(&mut root, &["network", "type"], Some(kind));
    for (end, address) in [("source", event.source()), ("destination", event.destination())] {
        put(&mut root, &[end, "ip"], Some(address.ip().to_string()));
        put(&mut root, &[end, "port"], Some(address.port()));
    }
    Value::Object(root)
}

/// One process that became root as none should, as a nested ECS object.
pub fn privilege(event: &PrivilegeEvent, time: Option<Timestamp>) -> Value {
    let mut root = done_by(&event.program, time, ("privilege", "process", &["change"]));
    let former = Some(event.former_uid.to_string());
    put(&mut root, &["picket", "process", "former_user", "id"], former);
    Value::Object(root)
}

/// One signal as a nested ECS object.
pub fn signal(event: &SignalEvent, time: Option<Timestamp>) -> Value {
    let mut root = done_by(&event.program, time, ("signal", "process", &["info"]));
    put(&mut root, &["picket", "signal", "number"], Some(event.signal));
    let target = &event.target;
    let mut whom = Map::new();
    put(&mut whom, &["pid"], Some(target.process.pid));
    put(&mut whom, &["start"], start(target.process));
    put(&mut whom, &["name"], target.executable.as_deref().map(last));
    put(&mut whom, &["executable"], target.executable.as_deref());
    put(&mut whom, &["command_line"], target.command_line.as_deref());
    put(&mut root, &["picket", "signal", "target"], Some(whom));
    Value::Object(root)
}

/// An event of a program: action, category and types of ECS, and who it was.
fn done_by(
    program: &Program,
    time: Option<Timestamp>,
    (action, category, types): (&str, &str, &[&str]),
) -> Map<String, Value> {
    let mut root = Map::new();
    put(&mut root, &["@timestamp"], time.map(|time| time.to_string()));
    put(&mut root, &["event", "action"], Some(action));
    put(&mut root, &["event", "category"], Some(json!([category])));
    put(&mut root, &["event", "type"], Some(json!(types)));
    put(&mut root, &["process", "pid"], Some(program.process.pid));
    let executable = program.executable.as_deref();
    put(&mut root, &["process", "name"], executable.map(last));
    put(&mut root, &["process", "executable"], executable);
    let line = program.command_line.as_deref();
    put(&mut root, &["process", "command_line"], line);
    let uid = program.effective_uid.map(|uid| uid.to_string());
    put(&mut root, &["process", "user", "id"], uid);
    put(&mut root, &["user", "name"], program.user.as_deref());
    put(&mut root, &["picket", "process", "start"], start(program.process));
    let (login, container) = (program.login.as_deref(), program.container.as_deref());
    whence(&mut root, &program.ancestors, login, container);
    root
}

/// The same where it may not be known who it was.
pub(super) fn done_by_somebody(
    program: Option<&Program>,
    time: Option<Timestamp>,
    (action, category, types): (&str, &str, &[&str]),
) -> Map<String, Value> {
    if let Some(program) = program {
        return done_by(program, time, (action, category, types));
    }
    let mut root = Map::new();
    put(&mut root, &["@timestamp"], time.map(|time| time.to_string()));
    put(&mut root, &["event", "action"], Some(action));
    put(&mut root, &["event", "category"], Some(json!([category])));
    put(&mut root, &["event", "type"], Some(json!(types)));
    root
}

/// Who started a program, the login that it belongs to and what it runs in.
pub(super) fn whence(
    root: &mut Map<String, Value>,
    ancestors: &[Ancestor],
    login: Option<&Login>,
    container: Option<&Container>,
) {
    if let Some((parent, further)) = ancestors.split_first() {
        let executable = parent.executable.as_deref();
        put(root, &["process", "parent", "pid"], Some(parent.process.pid));
        put(root, &["process", "parent", "name"], executable.map(last));
        put(root, &["process", "parent", "executable"], executable);
        let line = parent.command_line.as_deref();
        put(root, &["process", "parent", "command_line"], line);
        put(
            root,
            &["picket", "process", "parent", "start"],
            start(parent.process),
        );
        if !further.is_empty() {
            put(root, &["picket", "process", "ancestors"], Some(json!(further)));
        }
    }
    if let Some(login) = login {
        let mut put =
            |path: &[&str], value: Option<Value>| put(root, &[&["picket", "login"], path].concat(), value);
        let text = |text: &str| Value::from(text);
        put(&["user"], Some(text(&login.user)));
        put(&["source", "ip"], login.source.map(|ip| ip.to_string().into()));
        put(&["source", "port"], login.port.map(Value::from));
        put(&["program"], login.program.as_deref().map(text));
        put(&["method"], login.method.as_deref().map(text));
        put(&["time"], login.time.map(|time| time.to_string().into()));
        put(&["pid"], login.pid.map(Value::from));
    }
    if let Some(container) = container {
        put(root, &["container", "runtime"], container.runtime.as_deref());
        put(root, &["container", "id"], container.id.as_deref());
        put(
            root,
            &["orchestrator", "resource", "id"],
            container.pod.as_deref(),
        );
        put(root, &["picket", "systemd", "unit"], container.unit.as_deref());
    }
}

fn start(process: ProcessId) -> Option<u64> {
    process.is_certain().then_some(process.start)
}
