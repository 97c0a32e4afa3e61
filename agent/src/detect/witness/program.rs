//! From wishes to what a program did.

use super::super::fields::{audit, connect};
use super::event::{Unmade, number, one_of};
use super::{ANYWHERE, Wish};
use compact_str::CompactString;
use picket_common::event::{
    Ancestor, ConnectEvent, Container, Direction, ExecEvent, ExecutedFile, ExitEvent, ExitStatus, Login,
    PrivilegeEvent, Program, SignalEvent,
};
use picket_common::process::ProcessId;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const SOME_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SOME_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

type Made = Result<(), Unmade>;

/// A program that was started; `name` is our own.
pub(super) fn exec(exec: &mut ExecEvent, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    let number = || number(name, &text);
    let mut file = exec.file.unwrap_or(ExecutedFile {
        device: 1,
        inode: 1,
        unlinked: false,
        memfd: false,
    });
    match name {
        "process.executable" => exec.executable = text.into(),
        // Comes after the path by the order of the names: the path ends in it.
        "process.name" => exec.executable = format!("{}/{text}", exec.executable).into(),
        // Comes after the arguments that are wished one by one.
        "process.command_line" => {
            let words = text.split(' ').map(CompactString::from);
            exec.args = words.chain(std::mem::take(&mut exec.args)).collect();
        }
        "process.args" => exec.args.push(text.into()),
        "process.args_count" => {
            let count = usize::try_from(number()?).unwrap_or(usize::MAX);
            exec.args.resize(count.min(1000), "x".into());
        }
        // Words may be anywhere, but somebody types them here.
        ANYWHERE => exec.args = vec![text.into()],
        "process.env_vars" => exec.environment.push(text.into()),
        "process.working_directory" => exec.working_directory = Some(text.into()),
        "process.tty.name" => exec.tty = Some(text.into()),
        "process.pid" => exec.process.pid = number()?,
        "process.real_user.id" => exec.credentials.uid = number()?,
        "process.user.id" => exec.credentials.effective_uid = number()?,
        "process.real_group.id" => exec.credentials.gid = number()?,
        "process.group.id" => exec.credentials.effective_gid = number()?,
        "picket.process.login_uid" => exec.credentials.login_uid = Some(number()?),
        "picket.process.session" => exec.credentials.session = Some(number()?),
        "picket.process.args_cut" => exec.args_cut = yes(name, wish)?,
        "picket.process.file.unlinked" => {
            file.unlinked = yes(name, wish)?;
            exec.file = Some(file);
        }
        "picket.process.file.memfd" => {
            file.memfd = yes(name, wish)?;
            exec.file = Some(file);
        }
        "process.hash.sha256" => exec.sha256 = Some(text.into()),
        "Hashes" => exec.sha256 = text.rsplit('=').next().map(Into::into),
        "package.name" => exec.package = Some(text.into()),
        "user.name" => exec.user = Some(text.into()),
        "host.hostname" => exec.host = Some(text.into()),
        _ => {
            let whence = (&mut exec.ancestors, &mut exec.login, &mut exec.container);
            return self::whence(whence, name, wish);
        }
    }
    Ok(())
}

/// The same, by the names of auditd's records.
pub(super) fn audit(exec: &mut ExecEvent, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    let number = || number(name, &text);
    let never = || Unmade::Value(name.to_owned(), text.clone());
    let fixed = |value: &[&str]| {
        one_of(value, |value| wish.fits(value))
            .map(drop)
            .ok_or_else(never)
    };
    if let Some(at) = audit::argument(name) {
        let needed = at.saturating_add(1).min(1000);
        if exec.args.len() < needed {
            exec.args.resize(needed, "x".into());
        }
        if let Some(slot) = exec.args.get_mut(at) {
            *slot = text.into();
        }
        return Ok(());
    }
    match name {
        "type" => fixed(&["syscall", "execve"])?,
        "SYSCALL" => fixed(&["execve"])?,
        "success" => fixed(&["yes"])?,
        "exit" => fixed(&["0"])?,
        // A program is known by the path by which it was started, also where that is a link to another.
        "exe" if exec.executable.is_empty() || text.ends_with(exec.executable.as_str()) => {
            exec.executable = text.into();
        }
        "exe" => return Err(Unmade::Together("comm", "exe")),
        // It comes before the path by the order of the names.
        "comm" => exec.executable = format!("/{text}").into(),
        "pid" => exec.process.pid = number()?,
        "ppid" => {
            let pid = number()?;
            with_parent(&mut exec.ancestors, |parent| parent.process.pid = pid);
        }
        "uid" => exec.credentials.uid = number()?,
        "euid" => exec.credentials.effective_uid = number()?,
        "gid" => exec.credentials.gid = number()?,
        "egid" => exec.credentials.effective_gid = number()?,
        "auid" => exec.credentials.login_uid = Some(number()?),
        "ses" => exec.credentials.session = Some(number()?),
        "tty" => exec.tty = Some(text.into()),
        "argc" => exec
            .args
            .resize(usize::try_from(number()?).unwrap_or(0).min(1000), "x".into()),
        ANYWHERE => exec.args.push(text.into()),
        other => return Err(Unmade::Field(other.to_owned())),
    }
    Ok(())
}

/// A connection.
pub(super) fn connect(connect: &mut ConnectEvent, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    let never = || Unmade::Value(name.to_owned(), text.clone());
    let (mut source, mut destination) = (connect.source(), connect.destination());
    let port = || u16::try_from(number(name, &text)?).map_err(|_| never());
    let bare = *wish == Wish::default();
    let ip = || {
        if bare {
            Ok(SOME_V4)
        } else {
            text.parse().map_err(|_| never())
        }
    };
    let mut both = |is_v6: bool| {
        let some = if is_v6 { SOME_V6 } else { SOME_V4 };
        source.set_ip(some);
        destination.set_ip(some);
    };
    match connect::ours(name) {
        "source.ip" => source.set_ip(ip()?),
        "source.port" => source.set_port(port()?),
        "destination.ip" => destination.set_ip(ip()?),
        "destination.port" => destination.set_port(port()?),
        "network.direction" if wish.fits("outbound") => connect.direction = Direction::Outbound,
        "network.direction" if wish.fits("inbound") => connect.direction = Direction::Inbound,
        "Initiated" if wish.fits("true") => connect.direction = Direction::Outbound,
        "Initiated" if wish.fits("false") => connect.direction = Direction::Inbound,
        "network.transport" if wish.fits("tcp") => {}
        "network.type" if wish.fits("ipv4") => both(false),
        "network.type" if wish.fits("ipv6") => both(true),
        "SourceIsIpv6" | "DestinationIsIpv6" if wish.fits("false") => both(false),
        "SourceIsIpv6" | "DestinationIsIpv6" if wish.fits("true") => both(true),
        "network.direction" | "network.transport" | "network.type" | "Initiated" | "SourceIsIpv6"
        | "DestinationIsIpv6" => return Err(never()),
        other => return program(&mut connect.program, other, wish),
    }
    (connect.local, connect.remote) = match connect.direction {
        Direction::Outbound => (source, destination),
        Direction::Inbound => (destination, source),
    };
    Ok(())
}

/// The end of a program.
pub(super) fn exit(exit: &mut ExitEvent, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    match name {
        "process.exit_code" => exit.status = ExitStatus::Code(signed(name, &text)?),
        "picket.process.exit_signal" => exit.status = ExitStatus::Signal(signed(name, &text)?),
        "event.duration" => {
            let nanos = if text == "x" { Ok(1) } else { text.parse() };
            let nanos = nanos.map_err(|_| Unmade::Value(name.to_owned(), text))?;
            exit.ran = Some(Duration::from_nanos(nanos));
        }
        _ => return program(&mut exit.program, connect::ours(name), wish),
    }
    Ok(())
}

/// A program that became root.
pub(super) fn privilege(privilege: &mut PrivilegeEvent, name: &str, wish: &Wish) -> Made {
    match name {
        "picket.process.former_user.id" => privilege.former_uid = number(name, &wish.text())?,
        _ => return program(&mut privilege.program, connect::ours(name), wish),
    }
    Ok(())
}

/// A signal.
pub(super) fn signal(signal: &mut SignalEvent, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    match name {
        "picket.signal.number" => signal.signal = signed(name, &text)?,
        _ => match name.strip_prefix("picket.signal.target.") {
            Some(part @ ("pid" | "name" | "executable" | "command_line")) => {
                return program(&mut signal.target, &format!("process.{part}"), wish);
            }
            _ => return program(&mut signal.program, connect::ours(name), wish),
        },
    }
    Ok(())
}

/// What is known of a program that did something.
pub(super) fn program(program: &mut Program, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    let number = || number(name, &text);
    match name {
        "process.executable" => program.executable = Some(text.into()),
        "process.name" => {
            let folder = program.executable.take().unwrap_or_default();
            program.executable = Some(format!("{folder}/{text}").into());
        }
        "process.command_line" | ANYWHERE => program.command_line = Some(text.into()),
        "process.pid" => program.process.pid = number()?,
        "process.user.id" => program.effective_uid = Some(number()?),
        "user.name" => program.user = Some(text.into()),
        _ => {
            let whence = (&mut program.ancestors, &mut program.login, &mut program.container);
            return self::whence(whence, name, wish);
        }
    }
    Ok(())
}

type Whence<'a> = (
    &'a mut Vec<Ancestor>,
    &'a mut Option<Box<Login>>,
    &'a mut Option<Box<Container>>,
);

fn whence((ancestors, login, container): Whence<'_>, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    let never = || Unmade::Value(name.to_owned(), text.clone());
    let number = || number(name, &text);
    let some = || Some(CompactString::from(text.as_str()));
    let further = |ancestors: &mut Vec<Ancestor>, executable, command_line| {
        with_parent(ancestors, |_| ());
        ancestors.push(Ancestor {
            executable,
            command_line,
            ..unknown()
        });
    };
    match name {
        "process.parent.executable" => with_parent(ancestors, |parent| parent.executable = some()),
        "process.parent.name" => with_parent(ancestors, |parent| {
            let folder = parent.executable.take().unwrap_or_default();
            parent.executable = Some(format!("{folder}/{text}").into());
        }),
        "process.parent.command_line" => with_parent(ancestors, |parent| parent.command_line = some()),
        "process.parent.pid" => {
            let pid = number()?;
            with_parent(ancestors, |parent| parent.process.pid = pid);
        }
        "picket.process.ancestors.executable" => further(ancestors, some(), None),
        "picket.process.ancestors.command_line" => further(ancestors, None, some()),
        _ => match name.strip_prefix("picket.login.") {
            Some(part) => {
                let login = login.get_or_insert_with(|| Box::new(nobody()));
                match part {
                    "user" => login.user = text.into(),
                    "source.ip" if *wish == Wish::default() => login.source = Some(SOME_V4),
                    "source.ip" => login.source = Some(text.parse().map_err(|_| never())?),
                    "source.port" => login.port = Some(u16::try_from(number()?).map_err(|_| never())?),
                    "program" => login.program = some(),
                    "method" => login.method = some(),
                    "pid" => login.pid = Some(number()?),
                    _ => return Err(Unmade::Field(name.to_owned())),
                }
            }
            None => {
                let mut made = container.take().unwrap_or_default();
                match name {
                    "container.runtime" => made.runtime = some(),
                    "container.id" => made.id = some(),
                    "orchestrator.resource.id" => made.pod = some(),
                    "picket.systemd.unit" => made.unit = some(),
                    _ => return Err(Unmade::Field(name.to_owned())),
                }
                *container = Some(made);
            }
        },
    }
    Ok(())
}

/// The parent, made up if it is not there.
fn with_parent(ancestors: &mut Vec<Ancestor>, change: impl FnOnce(&mut Ancestor)) {
    let mut parent = match ancestors.is_empty() {
        true => unknown(),
        false => ancestors.remove(0),
    };
    change(&mut parent);
    ancestors.insert(0, parent);
}

fn unknown() -> Ancestor {
    Ancestor {
        process: ProcessId::uncertain(1),
        executable: None,
        command_line: None,
    }
}

fn nobody() -> Login {
    Login {
        user: "x".into(),
        source: None,
        port: None,
        program: None,
        method: None,
        time: None,
        pid: None,
    }
}

fn yes(name: &str, wish: &Wish) -> Result<bool, Unmade> {
    let never = || Unmade::Value(name.to_owned(), wish.text());
    wish.fits("true").then_some(true).ok_or_else(never)
}

fn signed(name: &str, text: &str) -> Result<i32, Unmade> {
    let number = if text == "x" { Ok(1) } else { text.parse() };
    number.map_err(|_| Unmade::Value(name.to_owned(), text.to_owned()))
}

/// A connection between nobody in particular.
pub(super) fn some_connection() -> ConnectEvent {
    ConnectEvent {
        program: Program::unknown(ProcessId::uncertain(1)),
        direction: Direction::Outbound,
        local: SocketAddr::new(SOME_V4, 0),
        remote: SocketAddr::new(SOME_V4, 0),
    }
}
