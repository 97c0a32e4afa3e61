//! The parts of the schema that are read, as they stand in the text.

use compact_str::CompactString;
use picket_common::event::{Ancestor, ExecutedFile, Namespaces};
use picket_common::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use std::net::IpAddr;

#[derive(Deserialize)]
pub(super) struct Kinded {
    #[serde(default)]
    pub(super) event: Kind,
    /// Whether there is one: not all that is seen in a network is known to be of a program.
    #[serde(default)]
    pub(super) process: Option<IgnoredAny>,
}

/// `event.category` and `event.type`.
#[derive(Deserialize, Default)]
pub(super) struct Kind {
    #[serde(default)]
    pub(super) category: Option<OneOrMany>,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<OneOrMany>,
    #[serde(default)]
    pub(super) action: Option<String>,
}

impl Kind {
    /// What says nothing is a program that was started.
    pub(super) fn is(&self, category: &str, kind: &str) -> bool {
        let has =
            |list: &Option<OneOrMany>, name, default| list.as_ref().map_or(default, |list| list.has(name));
        let by_default = category == "process";
        has(&self.category, category, by_default) && has(&self.kind, kind, by_default && kind == "start")
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
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
pub(super) struct Document {
    #[serde(default, rename = "@timestamp")]
    pub(super) time: Option<Timestamp>,
    pub(super) process: Process,
    #[serde(default)]
    pub(super) event: Lasted,
    #[serde(default)]
    pub(super) user: Named,
    #[serde(default)]
    pub(super) host: Host,
    #[serde(default)]
    pub(super) package: Named,
    #[serde(default)]
    pub(super) container: ContainerRead,
    #[serde(default)]
    pub(super) orchestrator: Orchestrator,
    #[serde(default)]
    pub(super) network: Network,
    #[serde(default)]
    pub(super) source: End,
    #[serde(default)]
    pub(super) destination: End,
    #[serde(default)]
    pub(super) picket: Picket,
}

#[derive(Deserialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    #[serde(default)]
    pub(super) executable: Option<CompactString>,
    #[serde(default)]
    pub(super) args: Option<Vec<CompactString>>,
    #[serde(default)]
    pub(super) command_line: Option<CompactString>,
    #[serde(default)]
    pub(super) env_vars: Vec<CompactString>,
    #[serde(default)]
    pub(super) working_directory: Option<CompactString>,
    #[serde(default)]
    pub(super) tty: Named,
    #[serde(default)]
    pub(super) real_user: Id,
    #[serde(default)]
    pub(super) user: Id,
    #[serde(default)]
    pub(super) real_group: Id,
    #[serde(default)]
    pub(super) group: Id,
    #[serde(default)]
    pub(super) parent: Option<Parent>,
    #[serde(default)]
    pub(super) hash: Hash,
    #[serde(default)]
    pub(super) exit_code: Option<i32>,
}

#[derive(Deserialize, Default)]
pub(super) struct Hash {
    #[serde(default)]
    pub(super) sha256: Option<CompactString>,
}

#[derive(Deserialize, Default)]
pub(super) struct Lasted {
    #[serde(default)]
    pub(super) duration: Option<u64>,
}

#[derive(Deserialize, Default)]
pub(super) struct Network {
    #[serde(default)]
    pub(super) direction: Option<String>,
}

/// `source` or `destination`.
#[derive(Deserialize, Default)]
pub(super) struct End {
    #[serde(default)]
    pub(super) ip: Option<IpAddr>,
    #[serde(default)]
    pub(super) port: u16,
}

#[derive(Deserialize, Default)]
pub(super) struct ContainerRead {
    #[serde(default)]
    pub(super) runtime: Option<CompactString>,
    #[serde(default)]
    pub(super) id: Option<CompactString>,
}

#[derive(Deserialize, Default)]
pub(super) struct Orchestrator {
    #[serde(default)]
    pub(super) resource: Resource,
}

#[derive(Deserialize, Default)]
pub(super) struct Resource {
    #[serde(default)]
    pub(super) id: Option<CompactString>,
}

#[derive(Deserialize)]
pub(super) struct Parent {
    pub(super) pid: u32,
    #[serde(default)]
    pub(super) executable: Option<CompactString>,
    #[serde(default)]
    pub(super) command_line: Option<CompactString>,
}

#[derive(Deserialize, Default)]
pub(super) struct Named {
    #[serde(default)]
    pub(super) name: Option<CompactString>,
}

#[derive(Deserialize, Default)]
pub(super) struct Host {
    #[serde(default)]
    pub(super) hostname: Option<CompactString>,
}

/// The schema has ids as text; some write them as numbers.
#[derive(Clone, Copy, Deserialize, Default)]
pub(super) struct Id {
    #[serde(default, deserialize_with = "number")]
    pub(super) id: Option<u32>,
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
pub(super) struct Picket {
    #[serde(default)]
    pub(super) process: Own,
    #[serde(default)]
    pub(super) login: Option<LoginRead>,
    #[serde(default)]
    pub(super) systemd: Systemd,
    #[serde(default)]
    pub(super) signal: Option<Sent>,
}

/// `picket.login`
#[derive(Deserialize)]
pub(super) struct LoginRead {
    #[serde(default)]
    pub(super) user: Option<CompactString>,
    #[serde(default)]
    pub(super) source: End,
    #[serde(default)]
    pub(super) program: Option<CompactString>,
    #[serde(default)]
    pub(super) method: Option<CompactString>,
    #[serde(default)]
    pub(super) time: Option<Timestamp>,
    #[serde(default)]
    pub(super) pid: Option<u32>,
}

#[derive(Deserialize, Default)]
pub(super) struct Systemd {
    #[serde(default)]
    pub(super) unit: Option<CompactString>,
}

/// `picket.signal`
#[derive(Deserialize)]
pub(super) struct Sent {
    pub(super) number: i32,
    pub(super) target: Whom,
}

#[derive(Deserialize)]
pub(super) struct Whom {
    pub(super) pid: u32,
    #[serde(default)]
    pub(super) start: u64,
    #[serde(default)]
    pub(super) executable: Option<CompactString>,
    #[serde(default)]
    pub(super) command_line: Option<CompactString>,
}

/// `picket.process.*`
#[derive(Deserialize, Default)]
pub(super) struct Own {
    #[serde(default)]
    pub(super) start: u64,
    #[serde(default)]
    pub(super) login_uid: Option<u32>,
    #[serde(default)]
    pub(super) session: Option<u32>,
    #[serde(default)]
    pub(super) args_cut: bool,
    #[serde(default)]
    pub(super) cgroup: Cgroup,
    #[serde(default)]
    pub(super) file: Option<ExecutedFile>,
    #[serde(default)]
    pub(super) namespace: Option<Namespaces>,
    #[serde(default)]
    pub(super) parent: Start,
    #[serde(default)]
    pub(super) ancestors: Vec<Ancestor>,
    #[serde(default)]
    pub(super) exit_signal: Option<i32>,
    #[serde(default)]
    pub(super) former_user: Id,
}

#[derive(Deserialize, Default)]
pub(super) struct Cgroup {
    #[serde(default)]
    pub(super) id: Option<u64>,
}

#[derive(Deserialize, Default)]
pub(super) struct Start {
    #[serde(default)]
    pub(super) start: u64,
}
