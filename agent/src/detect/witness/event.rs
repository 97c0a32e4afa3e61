//! From wishes to an event.

use super::super::fields;
use super::{ANYWHERE, Wish, Wishes, file, program};
use picket_common::event::{
    AuthAction, AuthEvent, AuthMethod, Credentials, Event, ExecEvent, ExitEvent, ExitStatus, FileAction,
    FileEvent, Outcome, Payload, Peer, PrivilegeEvent, Program, SignalEvent,
};
use picket_common::ids::RecordId;
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;

const NOBODY: u32 = 65_534;

/// What kind of event is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Example<'a> {
    /// A login that this program reports.
    Login(&'a str),
    /// A program that was started.
    Program,
    /// The same, by the names of auditd's records.
    Audit,
    /// A connection.
    Connection,
    /// A program that ended.
    Exit,
    /// A program that became root.
    Privilege,
    /// A signal.
    Signal,
    /// A file that landed.
    File,
}

impl Example<'_> {
    /// What such events are called.
    pub(in super::super) const fn in_words(self) -> &'static str {
        match self {
            Self::Login(_) => "events of logins",
            Self::Program => "events of programs that start",
            Self::Audit => "the records SYSCALL and EXECVE of programs that start",
            Self::Connection => "events of connections",
            Self::Exit => "events of programs that end",
            Self::Privilege => "events of programs that become root",
            Self::Signal => "events of signals",
            Self::File => "events of files",
        }
    }
}

/// Why no event can be made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) enum Unmade {
    /// No such event has that field.
    Field(String),
    /// The field never has that value.
    Value(String, String),
    /// Two fields of one event never are what is wished of them.
    Together(&'static str, &'static str),
    /// The words are in no field of such an event.
    Words,
}

/// An event as the wishes have it.
pub(in super::super) fn payload(wishes: &Wishes, example: Example<'_>) -> Result<Payload, Unmade> {
    let mut payload = nothing(example);
    // One field may be called by two names.
    let mut ours = Wishes::new();
    for (name, wish) in wishes {
        let name = match example {
            Example::Login(_) | Example::Audit => name,
            Example::Program => fields::exec::ours(name),
            Example::File => fields::file::ours(name),
            _ => fields::connect::ours(name),
        };
        super::add(&mut ours, name, wish);
    }
    for (name, wish) in &ours {
        match &mut payload {
            Payload::Exec(exec) if example == Example::Audit && name != ANYWHERE => {
                program::audit(exec, name, wish)?;
            }
            payload if name != ANYWHERE || example != Example::Audit => give(payload, name, wish)?,
            _ => {}
        }
    }
    // Words go behind the arguments that have a number.
    if let (Payload::Exec(exec), Example::Audit, Some(words)) = (&mut payload, example, ours.get(ANYWHERE)) {
        program::audit(exec, ANYWHERE, words)?;
    }
    Ok(payload)
}

/// Gives a field a value; whether it can have it.
pub(in super::super) fn set(payload: &mut Payload, name: &str, text: &str) -> bool {
    let name = match payload {
        Payload::Auth(_) => name,
        Payload::Exec(_) => fields::exec::ours(name),
        Payload::File(_) => fields::file::ours(name),
        _ => fields::connect::ours(name),
    };
    give(payload, name, &Wish::whole(text)).is_ok()
}

/// Whether an event has a field.
pub(in super::super) fn has(payload: &Payload, name: &str) -> bool {
    let time = Timestamp::default();
    let event = Event {
        id: RecordId::derived(time, &[]),
        time,
        observed: time,
        payload: payload.clone(),
    };
    fields::text(&event, name).is_some()
}

fn give(payload: &mut Payload, name: &str, wish: &Wish) -> Result<(), Unmade> {
    match payload {
        Payload::Auth(auth) => login(auth, name, wish),
        Payload::Exec(exec) => program::exec(exec, name, wish),
        Payload::Connect(connect) => program::connect(connect, name, wish),
        Payload::Exit(exit) => program::exit(exit, name, wish),
        Payload::Privilege(privilege) => program::privilege(privilege, name, wish),
        Payload::Signal(signal) => program::signal(signal, name, wish),
        Payload::File(made) => file::file(made, name, wish),
        Payload::Install(_) => Err(Unmade::Field(name.to_owned())),
    }
}

fn nothing(example: Example<'_>) -> Payload {
    let id = ProcessId::uncertain(1);
    let program = Program::unknown(id);
    match example {
        Example::Login(name) => {
            Payload::Auth(AuthEvent::new(AuthAction::Login, Outcome::Failure, name).into())
        }
        Example::Program | Example::Audit => {
            // Of nobody: root is what rules leave out.
            let credentials = Credentials {
                uid: NOBODY,
                effective_uid: NOBODY,
                gid: NOBODY,
                effective_gid: NOBODY,
                ..Credentials::default()
            };
            Payload::Exec(ExecEvent::new(id, "", credentials).into())
        }
        Example::Connection => Payload::Connect(program::some_connection().into()),
        Example::Exit => {
            let (status, ran) = (ExitStatus::Code(0), None);
            Payload::Exit(ExitEvent { program, status, ran }.into())
        }
        Example::Privilege => {
            let former_uid = 1;
            Payload::Privilege(PrivilegeEvent { program, former_uid }.into())
        }
        Example::File => Payload::File(FileEvent::new("", FileAction::Written).into()),
        Example::Signal => {
            let target = program.clone();
            let signal = 15;
            Payload::Signal(
                SignalEvent {
                    program,
                    signal,
                    target,
                }
                .into(),
            )
        }
    }
}

fn login(auth: &mut AuthEvent, name: &str, wish: &Wish) -> Result<(), Unmade> {
    let text = wish.text();
    let never = || Unmade::Value(name.to_owned(), text.clone());
    let some = || Some(text.as_str().into());
    match name {
        "event.action" => {
            auth.action = one_of(AuthAction::ALL, |action| wish.fits(action.as_str())).ok_or_else(never)?;
        }
        "event.outcome" => {
            auth.outcome = one_of(Outcome::ALL, |outcome| wish.fits(outcome.as_str())).ok_or_else(never)?;
        }
        "picket.auth.method" => {
            let method = one_of(AuthMethod::ALL, |method| wish.fits(method.as_str()));
            auth.method = Some(method.ok_or_else(never)?);
        }
        "source.ip" => {
            // Only that it is there may be wished.
            let address = if *wish == Wish::default() {
                "192.0.2.1"
            } else {
                &text
            };
            let port = auth.source.and_then(|peer| peer.port);
            auth.source = Some(Peer::new(address.parse().map_err(|_| never())?, port));
        }
        "source.port" => {
            let port = u16::try_from(number(name, &text)?).map_err(|_| never())?;
            let peer = auth.source.unwrap_or(Peer::new([192, 0, 2, 1].into(), None));
            auth.source = Some(Peer::new(peer.ip, Some(port)));
        }
        "process.pid" => auth.pid = Some(number(name, &text)?),
        "process.name" => auth.program = text.as_str().into(),
        "event.reason" => auth.reason = some(),
        "process.tty.name" => auth.tty = some(),
        "process.command_line" => auth.command = some(),
        "service.name" => auth.service = some(),
        "host.hostname" => auth.host = some(),
        "user.name" => auth.user = some(),
        "user.target.name" => auth.target_user = some(),
        "group.name" => auth.group = some(),
        "source.domain" => auth.source_domain = some(),
        "picket.auth.key" => auth.key = some(),
        // What a log said is not kept as a text.
        ANYWHERE => return Err(Unmade::Words),
        other => return Err(Unmade::Field(other.to_owned())),
    }
    Ok(())
}

pub(super) fn one_of<T: Copy>(all: &[T], fits: impl Fn(&T) -> bool) -> Option<T> {
    all.iter().copied().find(fits)
}

pub(super) fn number(name: &str, text: &str) -> Result<u32, Unmade> {
    let never = |_| Unmade::Value(name.to_owned(), text.to_owned());
    // A number is wished to be there at least.
    if text == "x" {
        Ok(1)
    } else {
        text.parse().map_err(never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Example<'_>; 7] = [
        Example::Login("sshd"),
        Example::Program,
        Example::Connection,
        Example::Exit,
        Example::Privilege,
        Example::Signal,
        Example::File,
    ];

    #[test]
    fn every_field_that_a_rule_can_name_can_be_set() {
        let mut never_set = fields::names();
        for example in ALL {
            never_set.retain(|name| {
                let mut made = payload(&Wishes::new(), example).unwrap();
                let value = match *name {
                    "event.action" => "sudo",
                    "event.outcome" => "success",
                    "picket.auth.method" => "password",
                    "network.direction" => "inbound",
                    "network.transport" => "tcp",
                    "network.type" => "ipv6",
                    other if other.ends_with(".ip") => "198.51.100.9",
                    other if other.ends_with("unlinked") || other.ends_with("memfd") => "true",
                    "picket.process.args_cut" | "picket.file.package_manager" => "true",
                    "picket.file.change.kind" => "cron",
                    other if other.ends_with(".mode") => "0755",
                    other if other.ends_with(".extension") => "sh",
                    _ => "7",
                };
                if !set(&mut made, name, value) {
                    return true;
                }
                let event = Event {
                    id: RecordId::derived(Timestamp::default(), &[]),
                    time: Timestamp::default(),
                    observed: Timestamp::default(),
                    payload: made,
                };
                assert!(
                    fields::any(&event, name, |found| found == value),
                    "{name} {example:?}"
                );
                false
            });
            let mut made = payload(&Wishes::new(), example).unwrap();
            assert!(!set(&mut made, "LogonGuid", "7"));
        }
        assert_eq!(never_set, [] as [&str; 0]);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let of = |example, name: &str, wish| payload(&Wishes::from([(name.to_owned(), wish)]), example);
        let login = Example::Login("sshd");
        let value = |name: &str, value: &str| Err(Unmade::Value(name.into(), value.into()));
        assert_eq!(
            of(login, "event.action", Wish::whole("fly")),
            value("event.action", "fly")
        );
        assert_eq!(
            of(login, "source.port", Wish::whole("70000")),
            value("source.port", "70000")
        );
        assert_eq!(of(login, ANYWHERE, Wish::part("x y")), Err(Unmade::Words));
        assert_eq!(
            of(login, "type", Wish::whole("x")),
            Err(Unmade::Field("type".into()))
        );
        assert_eq!(
            of(Example::Audit, "type", Wish::whole("PATH")),
            value("type", "PATH")
        );
        assert_eq!(
            of(Example::Audit, "key", Wish::whole("x")),
            Err(Unmade::Field("key".into()))
        );
        assert_eq!(
            of(Example::Connection, "Protocol", Wish::whole("udp")),
            value("network.transport", "udp")
        );
        let hostname = "DestinationHostname";
        assert_eq!(
            of(Example::Connection, hostname, Wish::end(".example")),
            Err(Unmade::Field(hostname.into()))
        );
    }
}
