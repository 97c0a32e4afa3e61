//! Programs that were started, from JSON in the names of the Elastic Common Schema: what [`picket_common::ecs::exec`] writes,
//! and the same fields as others write them.

use compact_str::CompactString;
use picket_common::event::{Ancestor, Credentials, ExecEvent, ExecutedFile, Namespaces};
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Reads one object. `None` when it tells of something other than a program that was started; an error says what is wrong
/// with it.
pub fn event(line: &[u8]) -> Result<Option<(Option<Timestamp>, ExecEvent)>, serde_json::Error> {
    // What it tells of first: an event of something else need not look like ours.
    let kind: Kinded = serde_json::from_slice(line)?;
    if !kind.event.is_start() {
        return Ok(None);
    }
    let read: Document = serde_json::from_slice(line)?;
    let (process, more) = (read.process, read.picket.process);
    let executable = process
        .executable
        .ok_or_else(|| serde_json::Error::custom("process.executable is missing"))?;
    // Whoever writes no list of arguments writes at least the line that they make.
    let args = process
        .args
        .unwrap_or_else(|| process.command_line.into_iter().collect());
    let parent = process.parent.map(|parent| Ancestor {
        process: ProcessId {
            pid: parent.pid,
            start: more.parent.start,
        },
        executable: parent.executable,
        command_line: parent.command_line,
    });
    let uid = id(process.real_user, process.user);
    let gid = id(process.real_group, process.group);
    let own = ProcessId {
        pid: process.pid,
        start: more.start,
    };
    let credentials = Credentials {
        uid,
        effective_uid: id(process.user, process.real_user),
        gid,
        effective_gid: id(process.group, process.real_group),
        login_uid: more.login_uid,
        session: more.session,
    };
    Ok(Some((
        read.time,
        ExecEvent {
            args,
            args_cut: more.args_cut,
            environment: process.env_vars,
            working_directory: process.working_directory,
            tty: process.tty.name,
            file: more.file,
            cgroup: more.cgroup.id,
            namespaces: more.namespace,
            ancestors: parent.into_iter().chain(more.ancestors).collect(),
            user: read.user.name,
            host: read.host.hostname,
            ..ExecEvent::new(own, &executable, credentials)
        },
    )))
}

/// An id, or the other when it is not there; who writes neither does not know, which is nobody's id.
fn id(one: Id, other: Id) -> u32 {
    one.id.or(other.id).unwrap_or(u32::MAX)
}

#[derive(Deserialize)]
struct Kinded {
    #[serde(default)]
    event: Kind,
}

/// `event.category` and `event.type`.
#[derive(Deserialize, Default)]
struct Kind {
    #[serde(default)]
    category: Option<OneOrMany>,
    #[serde(default, rename = "type")]
    kind: Option<OneOrMany>,
}

impl Kind {
    fn is_start(&self) -> bool {
        let has = |list: &Option<OneOrMany>, name| list.as_ref().is_none_or(|list| list.has(name));
        has(&self.category, "process") && has(&self.kind, "start")
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Many(many) => many.iter().any(|one| one == name),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(default, rename = "@timestamp")]
    time: Option<Timestamp>,
    process: Process,
    #[serde(default)]
    user: Named,
    #[serde(default)]
    host: Host,
    #[serde(default)]
    picket: Picket,
}

#[derive(Deserialize)]
struct Process {
    pid: u32,
    #[serde(default)]
    executable: Option<CompactString>,
    #[serde(default)]
    args: Option<Vec<CompactString>>,
    #[serde(default)]
    command_line: Option<CompactString>,
    #[serde(default)]
    env_vars: Vec<CompactString>,
    #[serde(default)]
    working_directory: Option<CompactString>,
    #[serde(default)]
    tty: Named,
    #[serde(default)]
    real_user: Id,
    #[serde(default)]
    user: Id,
    #[serde(default)]
    real_group: Id,
    #[serde(default)]
    group: Id,
    #[serde(default)]
    parent: Option<Parent>,
}

#[derive(Deserialize)]
struct Parent {
    pid: u32,
    #[serde(default)]
    executable: Option<CompactString>,
    #[serde(default)]
    command_line: Option<CompactString>,
}

#[derive(Deserialize, Default)]
struct Named {
    #[serde(default)]
    name: Option<CompactString>,
}

#[derive(Deserialize, Default)]
struct Host {
    #[serde(default)]
    hostname: Option<CompactString>,
}

/// The schema has ids as text; some write them as numbers.
#[derive(Clone, Copy, Deserialize, Default)]
struct Id {
    #[serde(default, deserialize_with = "number")]
    id: Option<u32>,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Text(CompactString),
    }
    match Deserialize::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number)),
        Some(Either::Text(text)) => text.parse().map(Some).map_err(D::Error::custom),
    }
}

#[derive(Deserialize, Default)]
struct Picket {
    #[serde(default)]
    process: Own,
}

/// `picket.process.*`
#[derive(Deserialize, Default)]
struct Own {
    #[serde(default)]
    start: u64,
    #[serde(default)]
    login_uid: Option<u32>,
    #[serde(default)]
    session: Option<u32>,
    #[serde(default)]
    args_cut: bool,
    #[serde(default)]
    cgroup: Cgroup,
    #[serde(default)]
    file: Option<ExecutedFile>,
    #[serde(default)]
    namespace: Option<Namespaces>,
    #[serde(default)]
    parent: Start,
    #[serde(default)]
    ancestors: Vec<Ancestor>,
}

#[derive(Deserialize, Default)]
struct Cgroup {
    #[serde(default)]
    id: Option<u64>,
}

#[derive(Deserialize, Default)]
struct Start {
    #[serde(default)]
    start: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::ecs;

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
            login: None,
            container: None,
            package: None,
            sha256: None,
            user: Some("root".into()),
            host: Some("web1".into()),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let time = Timestamp::from_micros(1_700_000_000_123_456);
        let mut bare = full();
        (bare.process.start, bare.ancestors, bare.environment) = (0, Vec::new(), Vec::new());
        (bare.file, bare.cgroup, bare.namespaces, bare.tty) = (None, None, None, None);
        for event in [full(), bare] {
            let line = ecs::exec(&event, Some(time)).to_string();
            let read = super::event(line.as_bytes()).unwrap().unwrap();
            assert_eq!(read, (Some(time), event), "{line}");
        }
    }

    #[test]
    fn what_others_write_is_read_as_far_as_it_goes() {
        let (time, event) = super::event(LEAST.as_bytes()).unwrap().unwrap();
        assert_eq!(
            (time, event.args.len(), event.process.is_certain()),
            (None, 0, false)
        );
        assert_eq!(event.credentials.effective_uid, u32::MAX);
        let other = r#"{"event":{"category":"process","type":"start"},"process":{"pid":7,"executable":"/bin/id",
            "command_line":"id  -u","user":{"id":0},"args_count":2}}"#;
        let (_, event) = super::event(other.as_bytes()).unwrap().unwrap();
        assert_eq!(
            (event.command_line().as_str(), event.credentials.uid),
            ("id  -u", 0)
        );
    }

    #[test]
    fn events_of_something_else_are_no_mistakes_and_mistakes_say_what_is_wrong() {
        for other in [
            r#"{"event":{"category":["network"]}}"#,
            r#"{"event":{"category":["process"],"type":["end"]},"process":{"pid":7}}"#,
        ] {
            assert!(super::event(other.as_bytes()).unwrap().is_none(), "{other}");
        }
        for (wrong, says) in [
            (r#"{"process":{"pid":7}}"#, "process.executable"),
            (r#"{"process":{"executable":"/bin/id"}}"#, "pid"),
            ("{}", "process"),
            ("[]", "column"),
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
