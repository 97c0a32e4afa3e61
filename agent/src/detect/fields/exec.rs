//! The fields of a program that was started: in the Elastic Common Schema's names, and in those that Sigma's rules about
//! processes use.

use super::program::{self, Whence, last, number, owned, text};
use picket_common::event::ExecEvent;
use rsigma_eval::event::EventValue;
use std::borrow::Cow;

/// Every field that a rule can name, beside those of [`program`], as [`picket_common::ecs`] writes it.
const OWN: &[&str] = &[
    "process.args",
    "process.args_count",
    "process.env_vars",
    "process.working_directory",
    "process.tty.name",
    "process.real_user.id",
    "process.real_group.id",
    "process.group.id",
    "process.hash.sha256",
    "picket.process.login_uid",
    "picket.process.session",
    "picket.process.args_cut",
    "picket.process.file.unlinked",
    "picket.process.file.memfd",
    "package.name",
    "host.hostname",
];

/// The names of Sigma's taxonomy, each with ours, as Sysmon for Linux fills them: `LogonId` is the real user's id. Its
/// `LogonGuid` stands for the machine as well, which no event here does, and Linux has no `IntegrityLevel`.
const SIGMA: &[(&str, &str)] = &[
    ("CurrentDirectory", "process.working_directory"),
    ("LogonId", "process.real_user.id"),
    ("TerminalSessionId", "picket.process.session"),
    ("sha256", "process.hash.sha256"),
    ("hash.sha256", "process.hash.sha256"),
];

/// Of this field, which has several digests in one text, ours is the last.
const HASHES: &str = "Hashes";

/// Every field that a rule can name.
pub(in super::super) fn names() -> impl Iterator<Item = &'static str> {
    let parts = [program::NAMES, program::WHENCE, OWN];
    parts.into_iter().flatten().copied()
}

/// Our name of a field.
pub(in super::super) fn ours(name: &str) -> &str {
    let known = program::SIGMA
        .iter()
        .chain(SIGMA)
        .find(|(sigma, _)| *sigma == name);
    known.map_or(name, |(_, ours)| ours)
}

/// Whether a rule may name a field so.
pub(in super::super) fn is_known(name: &str) -> bool {
    name == HASHES || names().any(|known| known == ours(name))
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

    /// The value of a field.
    pub(super) fn value(&self, name: &str) -> Option<EventValue<'_>> {
        match name {
            "CommandLine" | "process.command_line" => text(Some(&self.command_line)),
            _ => value(self.event, name),
        }
    }

    pub(in super::super) fn command_line(&self) -> &str {
        &self.command_line
    }

    pub(super) fn event(&self) -> &'a ExecEvent {
        self.event
    }
}

/// The value of a field.
pub(super) fn value<'a>(event: &'a ExecEvent, name: &str) -> Option<EventValue<'a>> {
    let list = |texts: &'a [compact_str::CompactString]| {
        let values = texts.iter().map(|text| EventValue::Str(Cow::Borrowed(text)));
        (!texts.is_empty()).then(|| EventValue::Array(values.collect()))
    };
    let yes = |is: bool| is.then_some(EventValue::Bool(true));
    let credentials = &event.credentials;
    match name {
        "Image" | "process.executable" => text(Some(&event.executable)),
        "CommandLine" | "process.command_line" => Some(owned(event.command_line())),
        "process.name" => text(Some(last(&event.executable))),
        "User" | "user.name" => text(event.user.as_deref()),
        "CurrentDirectory" | "process.working_directory" => text(event.working_directory.as_deref()),
        "ProcessId" | "process.pid" => number(event.process.pid),
        "process.args" => list(&event.args),
        "process.args_count" => number(i64::try_from(event.args.len()).ok()?),
        "process.env_vars" => list(&event.environment),
        "process.tty.name" => text(event.tty.as_deref()),
        "LogonId" | "process.real_user.id" => number(credentials.uid),
        "process.user.id" => number(credentials.effective_uid),
        "process.real_group.id" => number(credentials.gid),
        "process.group.id" => number(credentials.effective_gid),
        "sha256" | "hash.sha256" | "process.hash.sha256" => text(event.sha256.as_deref()),
        HASHES => Some(owned(format!("SHA256={}", event.sha256.as_deref()?))),
        "picket.process.login_uid" => number(credentials.login_uid?),
        "TerminalSessionId" | "picket.process.session" => number(credentials.session?),
        "picket.process.args_cut" => yes(event.args_cut),
        "picket.process.file.unlinked" => yes(event.file?.unlinked),
        "picket.process.file.memfd" => yes(event.file?.memfd),
        "package.name" => text(event.package.as_deref()),
        "host.hostname" => text(event.host.as_deref()),
        _ => {
            let whence = Whence {
                ancestors: &event.ancestors,
                login: event.login.as_deref(),
                container: event.container.as_deref(),
            };
            whence.value(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{View, same_as_json};
    use super::*;
    use picket_common::event::{Credentials, ExecutedFile};

    fn full() -> ExecEvent {
        let program = program::full();
        let credentials = Credentials {
            uid: 1,
            effective_uid: 2,
            gid: 3,
            effective_gid: 4,
            login_uid: Some(1000),
            session: Some(5),
        };
        ExecEvent {
            args: vec!["id".into(), "-u".into()],
            args_cut: true,
            environment: vec!["LD_PRELOAD=/tmp/x".into()],
            working_directory: Some("/tmp".into()),
            tty: Some("pts/0".into()),
            file: Some(ExecutedFile {
                device: 1,
                inode: 2,
                unlinked: true,
                memfd: true,
            }),
            ancestors: program.ancestors,
            login: program.login,
            container: program.container,
            package: Some("coreutils".into()),
            sha256: Some("00ff".into()),
            user: program.user,
            host: Some("web1".into()),
            ..ExecEvent::new(program.process, "/usr/bin/id", credentials)
        }
    }

    #[test]
    fn rules_and_json_know_the_same_fields() {
        let event = full();
        same_as_json(&View::Exec(&Exec::new(&event)), names());
        for (sigma, name) in program::SIGMA.iter().chain(SIGMA) {
            assert!(value(&event, sigma).is_some(), "{sigma}");
            assert_eq!(value(&event, sigma), value(&event, name), "{sigma}");
            assert_eq!(Exec::new(&event).value(sigma), value(&event, name), "{sigma}");
        }
        assert_eq!(value(&event, HASHES), text(Some("SHA256=00ff")));
    }

    #[test]
    fn what_is_not_so_or_not_known_is_not_there() {
        let event = ExecEvent::new(full().process, "/usr/bin/id", Credentials::default());
        let there: Vec<&str> = names().filter(|name| value(&event, name).is_some()).collect();
        assert_eq!(
            there,
            [
                "process.pid",
                "process.name",
                "process.executable",
                "process.command_line",
                "process.user.id",
                "process.args_count",
                "process.real_user.id",
                "process.real_group.id",
                "process.group.id",
            ]
        );
    }
}
