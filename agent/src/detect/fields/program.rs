//! The fields that all events about programs have in common: which it is, and where it comes from.

use picket_common::event::{Ancestor, Container, Login, Program};
use rsigma_eval::event::EventValue;
use std::borrow::Cow;

/// The names of what [`value`] has.
pub(super) const NAMES: &[&str] = &[
    "process.pid",
    "process.name",
    "process.executable",
    "process.command_line",
    "process.user.id",
    "user.name",
];

/// The names of what [`Whence::value`] has.
pub(super) const WHENCE: &[&str] = &[
    "process.parent.pid",
    "process.parent.name",
    "process.parent.executable",
    "process.parent.command_line",
    "picket.process.ancestors.executable",
    "picket.process.ancestors.command_line",
    "picket.login.user",
    "picket.login.source.ip",
    "picket.login.source.port",
    "picket.login.program",
    "picket.login.method",
    "picket.login.pid",
    "container.runtime",
    "container.id",
    "orchestrator.resource.id",
    "picket.systemd.unit",
];

/// The names of Sigma's taxonomy for these, each with ours.
pub(super) const SIGMA: &[(&str, &str)] = &[
    ("Image", "process.executable"),
    ("CommandLine", "process.command_line"),
    ("ProcessId", "process.pid"),
    ("User", "user.name"),
    ("ParentImage", "process.parent.executable"),
    ("ParentCommandLine", "process.parent.command_line"),
    ("ParentProcessId", "process.parent.pid"),
];

/// The value of a field.
pub(super) fn value<'a>(program: &'a Program, name: &str) -> Option<EventValue<'a>> {
    match name {
        "Image" | "process.executable" => text(program.executable.as_deref()),
        "CommandLine" | "process.command_line" => text(program.command_line.as_deref()),
        "ProcessId" | "process.pid" => number(program.process.pid),
        "process.name" => text(program.executable.as_deref().map(last)),
        "process.user.id" => number(program.effective_uid?),
        "User" | "user.name" => text(program.user.as_deref()),
        _ => Whence::of(program).value(name),
    }
}

/// Where a program comes from.
pub(super) struct Whence<'a> {
    pub(super) ancestors: &'a [Ancestor],
    pub(super) login: Option<&'a Login>,
    pub(super) container: Option<&'a Container>,
}

impl<'a> Whence<'a> {
    fn of(program: &'a Program) -> Self {
        Self {
            ancestors: &program.ancestors,
            login: program.login.as_deref(),
            container: program.container.as_deref(),
        }
    }

    /// The value of a field. What is asked of `picket.process.ancestors` may be true of any of them, the parent among them.
    pub(super) fn value(self, name: &str) -> Option<EventValue<'a>> {
        let parent = self.ancestors.first();
        let (login, container) = (self.login, self.container);
        let all = |of: fn(&Ancestor) -> Option<&str>| {
            let values: Vec<EventValue<'_>> = self.ancestors.iter().filter_map(|one| text(of(one))).collect();
            (!values.is_empty()).then_some(EventValue::Array(values))
        };
        match name {
            "ParentImage" | "process.parent.executable" => text(parent?.executable.as_deref()),
            "ParentCommandLine" | "process.parent.command_line" => text(parent?.command_line.as_deref()),
            "process.parent.name" => text(parent?.executable.as_deref().map(last)),
            "ParentProcessId" | "process.parent.pid" => number(parent?.process.pid),
            "picket.process.ancestors.executable" => all(|one| one.executable.as_deref()),
            "picket.process.ancestors.command_line" => all(|one| one.command_line.as_deref()),
            "picket.login.user" => text(Some(&login?.user)),
            "picket.login.source.ip" => Some(owned(login?.source?.to_string())),
            "picket.login.source.port" => number(login?.port?),
            "picket.login.program" => text(login?.program.as_deref()),
            "picket.login.method" => text(login?.method.as_deref()),
            "picket.login.pid" => number(login?.pid?),
            "container.runtime" => text(container?.runtime.as_deref()),
            "container.id" => text(container?.id.as_deref()),
            "orchestrator.resource.id" => text(container?.pod.as_deref()),
            "picket.systemd.unit" => text(container?.unit.as_deref()),
            _ => None,
        }
    }
}

pub(super) fn text(text: Option<&str>) -> Option<EventValue<'_>> {
    text.map(|text| EventValue::Str(Cow::Borrowed(text)))
}

pub(super) fn owned(text: String) -> EventValue<'static> {
    EventValue::Str(Cow::Owned(text))
}

pub(super) fn number(number: impl Into<i64>) -> Option<EventValue<'static>> {
    Some(EventValue::Int(number.into()))
}

/// The last part of a path.
pub(super) fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// A program of which everything is known.
#[cfg(test)]
pub(super) fn full() -> Program {
    use picket_common::process::ProcessId;
    let ancestor = |pid, executable: &str| Ancestor {
        process: ProcessId { pid, start: 6 },
        executable: Some(executable.into()),
        command_line: Some(format!("{} -x", last(executable)).into()),
    };
    Program {
        executable: Some("/usr/bin/id".into()),
        command_line: Some("id -u".into()),
        effective_uid: Some(33),
        user: Some("www-data".into()),
        ancestors: vec![ancestor(5, "/bin/sh"), ancestor(4, "/usr/sbin/sshd")],
        login: Some(Box::new(Login {
            user: "bob".into(),
            source: Some("198.51.100.9".parse().unwrap()),
            port: Some(4711),
            program: Some("sshd".into()),
            method: Some("password".into()),
            time: None,
            pid: Some(3),
        })),
        container: Some(Box::new(Container {
            runtime: Some("docker".into()),
            id: Some("abc".into()),
            pod: Some("def".into()),
            unit: Some("docker.service".into()),
        })),
        ..Program::unknown(ProcessId { pid: 7, start: 9 })
    }
}
