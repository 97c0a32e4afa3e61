//! From wishes to an event.

use super::super::fields;
use super::{ANYWHERE, Wish, Wishes};
use picket_common::event::{
    Ancestor, AuthAction, AuthEvent, AuthMethod, Credentials, ExecEvent, Outcome, Payload, Peer,
};
use picket_common::process::ProcessId;
use std::borrow::Cow;

/// Why no event can be made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) enum Unmade {
    /// No such event has that field.
    Field(String),
    /// The field never has that value.
    Value(String, String),
    /// The words are in no field of such an event.
    Words,
}

/// A program that was started, or with `program` a login that it reports, as the wishes have it.
pub(in super::super) fn payload(wishes: &Wishes, program: Option<&str>) -> Result<Payload, Unmade> {
    if let Some(program) = program {
        let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Failure, program);
        for (name, wish) in wishes {
            login(&mut auth, name, wish)?;
        }
        return Ok(Payload::Auth(auth.into()));
    }
    // One field may be called by two names.
    let mut ours = Wishes::new();
    for (name, wish) in wishes {
        super::add(&mut ours, fields::exec::ours(name), wish);
    }
    let mut exec = nothing();
    for (name, wish) in &ours {
        self::program(&mut exec, name, wish)?;
    }
    Ok(Payload::Exec(exec.into()))
}

/// Gives a field a value; whether it can have it.
pub(in super::super) fn set(payload: &mut Payload, name: &str, text: &str) -> bool {
    let wish = Wish::whole(text);
    let done = match payload {
        Payload::Auth(auth) => login(auth, name, &wish),
        Payload::Exec(exec) => program(exec, fields::exec::ours(name), &wish),
        _ => return false,
    };
    done.is_ok()
}

/// The value of a field.
pub(in super::super) fn get<'a>(payload: &'a Payload, name: &str) -> Option<Cow<'a, str>> {
    match payload {
        Payload::Auth(auth) => fields::auth::text(auth, name),
        Payload::Exec(exec) => fields::exec::text(exec, name),
        _ => None,
    }
}

fn nothing() -> ExecEvent {
    ExecEvent::new(ProcessId::uncertain(1), "", Credentials::default())
}

fn program(exec: &mut ExecEvent, name: &str, wish: &Wish) -> Result<(), Unmade> {
    let text = wish.text();
    let number = || number(name, &text);
    match name {
        "process.executable" => exec.executable = text.into(),
        // Comes after the path by the order of the names: the path ends in it.
        "process.name" => exec.executable = format!("{}/{text}", exec.executable).into(),
        "process.command_line" => exec.args = text.split(' ').map(Into::into).collect(),
        // Words may be anywhere, but somebody types them here.
        ANYWHERE => exec.args = vec![text.into()],
        "process.working_directory" => exec.working_directory = Some(text.into()),
        "process.tty.name" => exec.tty = Some(text.into()),
        "process.pid" => exec.process.pid = number()?,
        "process.user.id" => exec.credentials.effective_uid = number()?,
        "process.parent.executable" => with_parent(exec, |parent| parent.executable = Some(text.into())),
        "process.parent.name" => with_parent(exec, |parent| {
            let folder = parent.executable.take().unwrap_or_default();
            parent.executable = Some(format!("{folder}/{text}").into());
        }),
        "process.parent.command_line" => with_parent(exec, |parent| parent.command_line = Some(text.into())),
        "process.parent.pid" => {
            let pid = number()?;
            with_parent(exec, |parent| parent.process.pid = pid);
        }
        "user.name" => exec.user = Some(text.into()),
        "host.hostname" => exec.host = Some(text.into()),
        other => return Err(Unmade::Field(other.to_owned())),
    }
    Ok(())
}

/// The parent, made up if it is not there.
fn with_parent(exec: &mut ExecEvent, change: impl FnOnce(&mut Ancestor)) {
    if exec.ancestors.is_empty() {
        exec.ancestors.push(Ancestor {
            process: ProcessId::uncertain(1),
            executable: None,
            command_line: None,
        });
    }
    if let Some(parent) = exec.ancestors.first_mut() {
        change(parent);
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

fn one_of<T: Copy>(all: &[T], fits: impl Fn(&T) -> bool) -> Option<T> {
    all.iter().copied().find(fits)
}

fn number(name: &str, text: &str) -> Result<u32, Unmade> {
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

    #[test]
    fn every_field_that_a_rule_can_name_can_be_set() {
        for (program, names) in [(Some("sshd"), fields::auth::NAMES), (None, fields::exec::NAMES)] {
            for name in names {
                let mut made = payload(&Wishes::new(), program).unwrap();
                let value = match *name {
                    "event.action" => "sudo",
                    "event.outcome" => "success",
                    "picket.auth.method" => "password",
                    "source.ip" => "198.51.100.9",
                    other if other.ends_with("pid") || other.ends_with("port") || other.ends_with("id") => {
                        "7"
                    }
                    _ => "some text",
                };
                assert!(set(&mut made, name, value), "{name}");
                assert_eq!(get(&made, name).as_deref(), Some(value), "{name}");
            }
            let mut made = payload(&Wishes::new(), program).unwrap();
            assert!(!set(&mut made, "LogonId", "7"));
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let of = |name: &str, wish| payload(&Wishes::from([(name.to_owned(), wish)]), Some("sshd"));
        assert_eq!(
            of("event.action", Wish::whole("fly")),
            Err(Unmade::Value("event.action".into(), "fly".into()))
        );
        assert_eq!(
            of("source.port", Wish::whole("70000")),
            Err(Unmade::Value("source.port".into(), "70000".into()))
        );
        assert_eq!(of(ANYWHERE, Wish::part("x y")), Err(Unmade::Words));
        assert_eq!(of("type", Wish::whole("x")), Err(Unmade::Field("type".into())));
    }
}
