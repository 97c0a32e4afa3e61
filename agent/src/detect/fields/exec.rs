//! The fields of a program that was started: in the Elastic Common Schema's names, and in those that Sigma's rules about
//! processes use.

use picket_common::event::ExecEvent;
use std::borrow::Cow;

/// Every field that a rule can name, as [`picket_common::ecs`] writes it.
pub(in super::super) const NAMES: &[&str] = &[
    "process.pid",
    "process.name",
    "process.executable",
    "process.command_line",
    "process.working_directory",
    "process.tty.name",
    "process.user.id",
    "process.parent.pid",
    "process.parent.name",
    "process.parent.executable",
    "process.parent.command_line",
    "user.name",
    "host.hostname",
];

/// The names of Sigma's taxonomy, each with ours.
const SIGMA: &[(&str, &str)] = &[
    ("Image", "process.executable"),
    ("CommandLine", "process.command_line"),
    ("CurrentDirectory", "process.working_directory"),
    ("ProcessId", "process.pid"),
    ("ParentImage", "process.parent.executable"),
    ("ParentCommandLine", "process.parent.command_line"),
    ("ParentProcessId", "process.parent.pid"),
    ("User", "user.name"),
];

/// Whether a rule may name a field so.
pub(in super::super) fn is_known(name: &str) -> bool {
    NAMES.contains(&ours(name))
}

/// Our name of a field.
pub(in super::super) fn ours(name: &str) -> &str {
    let known = SIGMA.iter().find(|(sigma, _)| *sigma == name);
    known.map_or(name, |(_, ours)| ours)
}

/// A program that was started, with what is put together from its parts but once.
pub(in super::super) struct Exec<'a> {
    event: &'a ExecEvent,
    command_line: String,
}

impl<'a> Exec<'a> {
    pub(in super::super) fn new(event: &'a ExecEvent) -> Self {
        Self {
            event,
            command_line: event.command_line(),
        }
    }

    /// The value of a field as text.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "process.command_line" | "CommandLine" => Some(Cow::Borrowed(&self.command_line)),
            _ => text(self.event, name),
        }
    }

    pub(super) fn event(&self) -> &ExecEvent {
        self.event
    }
}

/// The value of a field as text.
pub(in super::super) fn text<'a>(event: &'a ExecEvent, name: &str) -> Option<Cow<'a, str>> {
    let borrowed = |text: Option<&'a str>| text.map(Cow::Borrowed);
    let number = |number: u64| Some(Cow::Owned(number.to_string()));
    let parent = event.ancestors.first();
    match name {
        "process.executable" | "Image" => borrowed(Some(&event.executable)),
        "process.command_line" | "CommandLine" => Some(Cow::Owned(event.command_line())),
        "process.name" => borrowed(Some(last(&event.executable))),
        "process.working_directory" | "CurrentDirectory" => borrowed(event.working_directory.as_deref()),
        "process.tty.name" => borrowed(event.tty.as_deref()),
        "process.pid" | "ProcessId" => number(event.process.pid.into()),
        "process.user.id" => number(event.credentials.effective_uid.into()),
        "process.parent.executable" | "ParentImage" => borrowed(parent?.executable.as_deref()),
        "process.parent.name" => borrowed(parent?.executable.as_deref().map(last)),
        "process.parent.command_line" | "ParentCommandLine" => borrowed(parent?.command_line.as_deref()),
        "process.parent.pid" | "ParentProcessId" => number(parent?.process.pid.into()),
        "user.name" | "User" => borrowed(event.user.as_deref()),
        "host.hostname" => borrowed(event.host.as_deref()),
        _ => None,
    }
}

/// The last part of a path.
fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::super::View;
    use super::*;
    use picket_common::event::{Ancestor, Credentials};
    use picket_common::process::ProcessId;
    use rsigma_eval::event::Event as _;

    #[test]
    fn rules_and_json_know_the_same_fields() {
        let event = ExecEvent {
            args: vec!["id".into(), "-u".into()],
            working_directory: Some("/tmp".into()),
            tty: Some("pts/0".into()),
            ancestors: vec![Ancestor {
                process: ProcessId { pid: 5, start: 6 },
                executable: Some("/bin/sh".into()),
                command_line: Some("sh -c id".into()),
            }],
            user: Some("root".into()),
            host: Some("web1".into()),
            ..ExecEvent::new(
                ProcessId { pid: 7, start: 9 },
                "/usr/bin/id",
                Credentials::default(),
            )
        };
        let json = View::Exec(&Exec::new(&event)).to_json();
        for name in NAMES {
            let value = name.split('.').fold(&json, |value, part| &value[part]);
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(text(&event, name).as_deref(), Some(value.as_str()), "{name}");
        }
        for (sigma, name) in SIGMA {
            assert!(text(&event, sigma).is_some());
            assert_eq!(text(&event, sigma), text(&event, name), "{sigma}");
            assert_eq!(Exec::new(&event).text(sigma), text(&event, name), "{sigma}");
        }
    }
}
