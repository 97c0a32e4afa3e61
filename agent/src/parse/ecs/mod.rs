//! What programs did, from JSON in the names of the Elastic Common Schema: what [`picket_common::ecs`] writes, and the same
//! fields as others write them.

mod document;
mod file;

use compact_str::CompactString;
use document::{ContainerRead, Document, Id, Kinded, LoginRead, Parent};
use picket_common::event::{
    Ancestor, ConnectEvent, Container, Credentials, Direction, ExecEvent, ExitEvent, ExitStatus, Login,
    Payload, PrivilegeEvent, Program, SignalEvent,
};
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use serde::de::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Reads one object. `None` when it tells of something other than what a program did; an error says what is wrong with it.
pub fn event(line: &[u8]) -> Result<Option<(Option<Timestamp>, Payload)>, serde_json::Error> {
    // What it tells of first: an event of something else need not look like ours.
    let Kinded { event: kind, process } = serde_json::from_slice(line)?;
    if kind.is("file", "change") || kind.is("file", "creation") {
        let (time, file) = file::file(line)?;
        return Ok(Some((time, Payload::File(file.into()))));
    }
    let make: fn(Document) -> Result<Payload, &'static str> = if kind.is("process", "start") {
        |read| Ok(Payload::Exec(exec(read)?.into()))
    } else if process.is_some() && (kind.is("network", "start") || kind.is("network", "connection")) {
        |read| Ok(Payload::Connect(connect(read)?.into()))
    } else if kind.is("process", "end") {
        |read| Ok(Payload::Exit(exit(read).into()))
    } else if kind.is("process", "change") && kind.action.as_deref() == Some("privilege") {
        |read| Ok(Payload::Privilege(privilege(read)?.into()))
    } else if kind.is("process", "info") && kind.action.as_deref() == Some("signal") {
        |read| Ok(Payload::Signal(signal(read)?.into()))
    } else {
        return Ok(None);
    };
    let read: Document = serde_json::from_slice(line)?;
    let time = read.time;
    let payload = make(read).map_err(|missing| serde_json::Error::custom(format!("{missing} is missing")))?;
    Ok(Some((time, payload)))
}

fn exec(read: Document) -> Result<ExecEvent, &'static str> {
    let (process, more) = (read.process, read.picket.process);
    let executable = process.executable.ok_or("process.executable")?;
    // Whoever writes no list of arguments writes at least the line that they make.
    let args = process
        .args
        .unwrap_or_else(|| process.command_line.into_iter().collect());
    let own = ProcessId {
        pid: process.pid,
        start: more.start,
    };
    let credentials = Credentials {
        uid: id(process.real_user, process.user),
        effective_uid: id(process.user, process.real_user),
        gid: id(process.real_group, process.group),
        effective_gid: id(process.group, process.real_group),
        login_uid: more.login_uid,
        session: more.session,
    };
    Ok(ExecEvent {
        args,
        args_cut: more.args_cut,
        environment: process.env_vars,
        working_directory: process.working_directory,
        tty: process.tty.name,
        file: more.file,
        cgroup: more.cgroup.id,
        namespaces: more.namespace,
        ancestors: ancestors(process.parent, more.parent.start, more.ancestors),
        login: read.picket.login.and_then(login),
        container: container(
            read.container,
            read.orchestrator.resource.id,
            read.picket.systemd.unit,
        ),
        package: read.package.name,
        sha256: process.hash.sha256,
        user: read.user.name,
        host: read.host.hostname,
        ..ExecEvent::new(own, &executable, credentials)
    })
}

fn connect(read: Document) -> Result<ConnectEvent, &'static str> {
    let direction = match read.network.direction.as_deref() {
        Some("inbound" | "ingress") => Direction::Inbound,
        // A program that is told of in the first place is mostly the one that asked.
        _ => Direction::Outbound,
    };
    let (source, destination) = (&read.source, &read.destination);
    let (local, remote) = match direction {
        Direction::Outbound => (source, destination),
        Direction::Inbound => (destination, source),
    };
    let ip = remote.ip.ok_or(match direction {
        Direction::Outbound => "destination.ip",
        Direction::Inbound => "source.ip",
    })?;
    let nowhere = match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let remote = SocketAddr::new(ip, remote.port);
    let local = SocketAddr::new(local.ip.unwrap_or(nowhere), local.port);
    Ok(ConnectEvent {
        program: program(read),
        direction,
        local,
        remote,
    })
}

fn exit(read: Document) -> ExitEvent {
    let (code, signal) = (read.process.exit_code, read.picket.process.exit_signal);
    let status = signal.map_or_else(|| ExitStatus::Code(code.unwrap_or(0)), ExitStatus::Signal);
    let ran = read.event.duration.map(Duration::from_nanos);
    let program = program(read);
    ExitEvent { program, status, ran }
}

fn privilege(read: Document) -> Result<PrivilegeEvent, &'static str> {
    let former = read.picket.process.former_user.id;
    Ok(PrivilegeEvent {
        former_uid: former.ok_or("picket.process.former_user.id")?,
        program: program(read),
    })
}

fn signal(mut read: Document) -> Result<SignalEvent, &'static str> {
    let sent = read.picket.signal.take().ok_or("picket.signal")?;
    let whom = ProcessId {
        pid: sent.target.pid,
        start: sent.target.start,
    };
    Ok(SignalEvent {
        program: program(read),
        signal: sent.number,
        target: Program {
            executable: sent.target.executable,
            command_line: sent.target.command_line,
            ..Program::unknown(whom)
        },
    })
}

fn program(read: Document) -> Program {
    let (process, more) = (read.process, read.picket.process);
    let own = ProcessId {
        pid: process.pid,
        start: more.start,
    };
    Program {
        executable: process.executable,
        command_line: process.command_line,
        effective_uid: process.user.id,
        user: read.user.name,
        ancestors: ancestors(process.parent, more.parent.start, more.ancestors),
        login: read.picket.login.and_then(login),
        container: container(
            read.container,
            read.orchestrator.resource.id,
            read.picket.systemd.unit,
        ),
        ..Program::unknown(own)
    }
}

fn ancestors(parent: Option<Parent>, start: u64, further: Vec<Ancestor>) -> Vec<Ancestor> {
    let parent = parent.map(|parent| Ancestor {
        process: ProcessId {
            pid: parent.pid,
            start,
        },
        executable: parent.executable,
        command_line: parent.command_line,
    });
    parent.into_iter().chain(further).collect()
}

fn login(read: LoginRead) -> Option<Box<Login>> {
    Some(Box::new(Login {
        user: read.user?,
        source: read.source.ip,
        port: Some(read.source.port).filter(|port| *port != 0),
        program: read.program,
        method: read.method,
        time: read.time,
        pid: read.pid,
    }))
}

fn container(
    read: ContainerRead,
    pod: Option<CompactString>,
    unit: Option<CompactString>,
) -> Option<Box<Container>> {
    let container = Container {
        runtime: read.runtime,
        id: read.id,
        pod,
        unit,
    };
    (container != Container::default()).then(|| container.into())
}

/// An id, or the other when it is not there; who writes neither does not know, which is nobody's id.
fn id(one: Id, other: Id) -> u32 {
    one.id.or(other.id).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::ecs;
    use picket_common::event::{ExecutedFile, Namespaces};

    /// The smallest object that tells of a program.
    const LEAST: &str = r#"{"process":{"pid":7,"executable":"/bin/id"}}"#;

    fn full() -> ExecEvent {
        let process = |pid| ProcessId { pid, start: 90 };
        let ancestor = |pid, name: &str| Ancestor {
            process: process(pid),
            executable: Some(name.into()),
            command_line: Some("x -y".into()),
        };
        ExecEvent {
            process: process(7),
            executable: "/usr/bin/id".into(),
            args: vec!["id".into(), "a b".into(), "".into()],
            args_cut: true,
            environment: vec!["LD_PRELOAD=/tmp/x.so".into()],
            working_directory: Some("/tmp".into()),
            credentials: Credentials {
                uid: 1000,
                effective_uid: 0,
                gid: 1001,
                effective_gid: 1002,
                login_uid: Some(1000),
                session: Some(3),
            },
            tty: Some("pts/0".into()),
            file: Some(ExecutedFile {
                device: 2049,
                inode: 12,
                unlinked: true,
                memfd: false,
            }),
            version: None,
            cgroup: Some(99),
            namespaces: Some(Namespaces { mount: 1, pid: 2 }),
            ancestors: vec![ancestor(5, "/bin/sh"), ancestor(1, "/sbin/init")],
            login: Some(Box::new(login())),
            container: Some(Box::new(container())),
            package: Some("coreutils".into()),
            sha256: Some("00ff".into()),
            user: Some("root".into()),
            host: Some("web1".into()),
        }
    }

    fn login() -> Login {
        Login {
            user: "bob".into(),
            source: Some("2001:db8::1".parse().unwrap()),
            port: Some(4711),
            program: Some("sshd".into()),
            method: Some("publickey".into()),
            time: Some(Timestamp::from_micros(1_700_000_000_000_001)),
            pid: Some(4),
        }
    }

    fn container() -> Container {
        Container {
            runtime: Some("docker".into()),
            id: Some("abc".into()),
            pod: Some("def".into()),
            unit: Some("docker.service".into()),
        }
    }

    fn program() -> Program {
        let exec = full();
        Program {
            executable: Some(exec.executable),
            command_line: Some("id -u".into()),
            effective_uid: Some(0),
            user: exec.user,
            ancestors: exec.ancestors,
            login: exec.login,
            container: exec.container,
            ..Program::unknown(exec.process)
        }
    }

    /// A program of which next to nothing is known.
    fn bare() -> Program {
        Program::unknown(ProcessId::uncertain(9))
    }

    fn read(line: &str) -> ExecEvent {
        match super::event(line.as_bytes()).unwrap().unwrap() {
            (_, Payload::Exec(exec)) => *exec,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_programs_did_is_read_back_too() {
        let time = Timestamp::from_micros(1_700_000_000_123_456);
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let connect = |program, direction| ConnectEvent {
            program,
            direction,
            local: address("192.0.2.1:5000"),
            remote: address("198.51.100.9:443"),
        };
        let exit = |program, status, ran| ExitEvent { program, status, ran };
        let mut target = bare();
        (target.executable, target.command_line) = (Some("/bin/x".into()), Some("x".into()));
        let signal = |program| SignalEvent {
            program,
            signal: 9,
            target: target.clone(),
        };
        let privilege = |program| PrivilegeEvent {
            program,
            former_uid: 33,
        };
        for payload in [
            Payload::Connect(connect(program(), Direction::Outbound).into()),
            Payload::Connect(connect(bare(), Direction::Inbound).into()),
            Payload::Exit(exit(program(), ExitStatus::Signal(9), None).into()),
            Payload::Exit(exit(bare(), ExitStatus::Code(-1), Some(Duration::from_micros(7))).into()),
            Payload::Privilege(privilege(program()).into()),
            Payload::Privilege(privilege(bare()).into()),
            Payload::Signal(signal(program()).into()),
            Payload::Signal(signal(bare()).into()),
        ] {
            let line = ecs::event(&payload, Some(time)).to_string();
            let read = super::event(line.as_bytes()).unwrap().unwrap();
            assert_eq!(read, (Some(time), payload), "{line}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let time = Timestamp::from_micros(1_700_000_000_123_456);
        let mut bare = full();
        (bare.process.start, bare.ancestors, bare.environment) = (0, Vec::new(), Vec::new());
        (bare.file, bare.cgroup, bare.namespaces, bare.tty) = (None, None, None, None);
        (bare.login, bare.container, bare.package, bare.sha256) = (None, None, None, None);
        for event in [full(), bare] {
            let line = ecs::exec(&event, Some(time)).to_string();
            let read = super::event(line.as_bytes()).unwrap().unwrap();
            assert_eq!(read, (Some(time), Payload::Exec(event.into())), "{line}");
        }
    }

    #[test]
    fn what_others_write_is_read_as_far_as_it_goes() {
        let event = read(LEAST);
        assert_eq!((event.args.len(), event.process.is_certain()), (0, false));
        assert_eq!(event.credentials.effective_uid, u32::MAX);
        let other = r#"{"event":{"category":"process","type":"start"},"process":{"pid":7,"executable":"/bin/id",
            "command_line":"id  -u","user":{"id":0},"args_count":2}}"#;
        let event = read(other);
        assert_eq!(
            (event.command_line().as_str(), event.credentials.uid),
            ("id  -u", 0)
        );
    }

    #[test]
    fn events_of_something_else_are_no_mistakes_and_mistakes_say_what_is_wrong() {
        for other in [
            r#"{"event":{"category":["network"]},"process":{"pid":7}}"#,
            r#"{"event":{"category":["network"],"type":["connection"]}}"#,
            r#"{"event":{"category":["file"]}}"#,
            r#"{"event":{"category":["process"],"type":["change"],"action":"x"},"process":{"pid":7}}"#,
        ] {
            assert!(super::event(other.as_bytes()).unwrap().is_none(), "{other}");
        }
        for (wrong, says) in [
            (r#"{"process":{"pid":7}}"#, "process.executable"),
            (r#"{"process":{"executable":"/bin/id"}}"#, "pid"),
            ("{}", "process"),
            ("[]", "column"),
            (
                r#"{"event":{"category":["network"],"type":"connection"},"process":{"pid":7}}"#,
                "destination.ip",
            ),
            (r#"{"process":{"pid":-1,"executable":"/bin/id"}}"#, "-1"),
            (
                r#"{"@timestamp":"gestern","process":{"pid":7,"executable":"/bin/id"}}"#,
                "column",
            ),
        ] {
            let error = super::event(wrong.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn nothing_makes_it_panic() {
        let line = ecs::exec(&full(), None).to_string().into_bytes();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut broken = line.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..broken.len());
                broken[at] = random.u8(..);
            }
            broken.truncate(random.usize(..=line.len()));
            drop(super::event(&broken));
        }
    }
}
