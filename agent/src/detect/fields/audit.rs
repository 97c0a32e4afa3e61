//! A program that was started, as auditd's records of it are: rules for its log ask for one record at a time.

use super::exec::Exec;
use super::program::{last, number, owned, text};
use rsigma_eval::event::EventValue;

/// Which record. Of the others that auditd writes (`PATH` of every file, `SERVICE_STOP`, …) no event here knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Record {
    /// The system call, and who made it.
    Syscall,
    /// The arguments.
    Execve,
}

/// The fields of the record `SYSCALL`. Its `a0` to `a3` are addresses in the memory of the process, and `key` is what the
/// operator's own audit rule says: neither is here.
pub(in super::super) const OF_SYSCALL: &[&str] = &[
    "type", "SYSCALL", "success", "exit", "exe", "comm", "pid", "ppid", "uid", "euid", "gid", "egid", "auid",
    "ses", "tty",
];
/// The fields of the record `EXECVE`, but for `a0`, `a1`, ….
pub(in super::super) const OF_EXECVE: &[&str] = &["type", "argc"];

/// So much of a program's name is what the kernel calls it by.
pub(in super::super) const COMM: usize = 15;

impl Record {
    /// Its name in the field `type`.
    pub(in super::super) const fn as_str(self) -> &'static str {
        match self {
            Self::Syscall => "SYSCALL",
            Self::Execve => "EXECVE",
        }
    }

    /// The value of a field.
    pub(super) fn value<'a>(self, exec: &Exec<'a>, name: &str) -> Option<EventValue<'a>> {
        let event = exec.event();
        if name == "type" {
            return text(Some(self.as_str()));
        }
        if self == Self::Execve {
            return match name {
                "argc" => number(i64::try_from(event.args.len()).ok()?),
                _ => text(Some(event.args.get(argument(name)?)?)),
            };
        }
        let credentials = &event.credentials;
        match name {
            "SYSCALL" => text(Some("execve")),
            "success" => text(Some("yes")),
            "exit" => number(0),
            "exe" => text(Some(&event.executable)),
            "comm" => {
                let name = last(&event.executable);
                text(name.get(..name.floor_char_boundary(COMM)))
            }
            "pid" => number(event.process.pid),
            "ppid" => number(event.ancestors.first()?.process.pid),
            "uid" => number(credentials.uid),
            "euid" => number(credentials.effective_uid),
            "gid" => number(credentials.gid),
            "egid" => number(credentials.effective_gid),
            "auid" => number(credentials.login_uid.unwrap_or(u32::MAX)),
            "ses" => number(credentials.session.unwrap_or(u32::MAX)),
            "tty" => Some(owned(event.tty.as_deref()?.replacen("pts/", "pts", 1))),
            _ => None,
        }
    }

    /// Everything that words are looked for in.
    pub(super) fn texts<'a>(self, exec: &Exec<'a>) -> Vec<EventValue<'a>> {
        let names = match self {
            Self::Syscall => OF_SYSCALL,
            Self::Execve => OF_EXECVE,
        };
        let own = names.iter().filter_map(|name| self.value(exec, name));
        // In the log they stand in one line.
        let args = (self == Self::Execve).then(|| owned(exec.event().command_line()));
        own.chain(args).collect()
    }
}

/// The number of the argument that a field holds.
pub(in super::super) fn argument(name: &str) -> Option<usize> {
    let digits = name.strip_prefix('a')?;
    let plain = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{Credentials, ExecEvent};
    use picket_common::process::ProcessId;

    #[test]
    fn each_record_has_its_own_fields_and_no_others() {
        let credentials = Credentials {
            uid: 1000,
            effective_uid: 33,
            ..Credentials::default()
        };
        let event = ExecEvent {
            args: vec!["chmod".into(), "777".into()],
            tty: Some("pts/3".into()),
            ..ExecEvent::new(ProcessId::uncertain(7), "/opt/a-name-that-is-long", credentials)
        };
        let exec = Exec::new(&event);
        let of = |record: Record, name: &str| {
            let value = record.value(&exec, name);
            value.and_then(|value| value.as_str().map(std::borrow::Cow::into_owned))
        };
        let is = |text: &str| Some(text.to_owned());
        for (record, name, value) in [
            (Record::Syscall, "type", is("SYSCALL")),
            (Record::Syscall, "SYSCALL", is("execve")),
            (Record::Syscall, "comm", is("a-name-that-is-")),
            (Record::Syscall, "euid", is("33")),
            (Record::Syscall, "auid", is("4294967295")),
            (Record::Syscall, "tty", is("pts3")),
            (Record::Syscall, "a0", None),
            (Record::Syscall, "key", None),
            (Record::Execve, "type", is("EXECVE")),
            (Record::Execve, "a0", is("chmod")),
            (Record::Execve, "a1", is("777")),
            (Record::Execve, "a2", None),
            (Record::Execve, "a", None),
            (Record::Execve, "auid", None),
            (Record::Execve, "argc", is("2")),
            (Record::Execve, "exe", None),
        ] {
            assert_eq!(of(record, name), value, "{record:?} {name}");
        }
        assert_eq!(
            Record::Execve.texts(&exec).last(),
            text(Some("chmod 777")).as_ref()
        );
    }
}
