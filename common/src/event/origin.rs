//! Where a process comes from: the login that it belongs to, the container that it runs in.

use crate::time::Timestamp;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The login that a process belongs to. Field docs name the field of `picket.login` that carries each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Login {
    /// `.user`: who logged in, whatever user the process runs as now.
    pub user: CompactString,
    /// `.source.ip`: from where; `None` for the console, or where it is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<IpAddr>,
    /// `.source.port`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<u16>,
    /// `.program`: what let it in, such as `sshd`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub program: Option<CompactString>,
    /// `.method`: how it proved who it is, as `password` or `publickey`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub method: Option<CompactString>,
    /// `.time`: when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time: Option<Timestamp>,
    /// `.pid`: the process that serves it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
}

/// The container or unit that a process runs in, as its control group tells.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Container {
    /// `container.runtime`: `docker`, `podman`, `containerd`, `cri-o`, `lxc`, `systemd-nspawn`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub runtime: Option<CompactString>,
    /// `container.id`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<CompactString>,
    /// `orchestrator.resource.id`: the uid of the Kubernetes pod.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pod: Option<CompactString>,
    /// `picket.systemd.unit`: the unit of the host's systemd, such as `nginx.service`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<CompactString>,
}
