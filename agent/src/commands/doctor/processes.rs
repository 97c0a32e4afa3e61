//! Whether processes are seen, how, and what of them is not.

use super::agent::Agent;
use super::report::{Check, unseen};
use crate::config::{Process, ProcessSensor};
use crate::sense::{ExecEbpf, ExecNetlink, ExecPoll, Sensor as _};
use crate::sys::bpf::BpfError;
use std::sync::mpsc;

const NAME: &str = "processes";
/// What a sensor of processes calls what it watches begins so.
const WATCHED: &str = "processes";

/// Of the running agent; without one the program is loaded for a moment, as the agent would.
pub(super) fn check(settings: &Process, agent: &Agent) -> Check {
    if settings.sensor == ProcessSensor::None {
        return Check::ok(NAME, "none is watched (process.sensor)");
    }
    let Some(report) = agent.report() else {
        return without_agent(settings);
    };
    let watched = report
        .watching
        .iter()
        .find(|watched| watched.starts_with(WATCHED));
    let Some(watched) = watched else {
        return Check::degraded(
            NAME,
            "the agent does not see them: no rule about processes can fire; its log has the reason",
            "start the agent again: picket run",
        );
    };
    match by_kernel(settings).then(|| try_out(settings)) {
        Some(Err(error)) => cannot(&error, &format!("the agent watches {watched}")),
        _ => complete(format!("the agent watches {watched}")),
    }
}

fn without_agent(settings: &Process) -> Check {
    if !by_kernel(settings) {
        let (name, blind) = match settings.sensor {
            ProcessSensor::Poll => (ExecPoll::NAME, ExecPoll::BLIND),
            _ => (ExecNetlink::NAME, ExecNetlink::BLIND),
        };
        return complete(format!(
            "an agent would watch processes by {name}; not seen are {blind}"
        ));
    }
    match try_out(settings) {
        Ok(watched) => complete(format!("an agent would watch {watched}")),
        Err(error @ BpfError::Forbidden) if !nix::unistd::geteuid().is_root() => unseen(NAME, &error),
        Err(error) => {
            let (name, blind) = (ExecNetlink::NAME, ExecNetlink::BLIND);
            cannot(
                &error,
                &format!("{name} would take its place, and not seen are {blind}"),
            )
        }
    }
}

/// Whether the settings ask for the program in the kernel.
fn by_kernel(settings: &Process) -> bool {
    matches!(settings.sensor, ProcessSensor::Auto | ProcessSensor::Ebpf)
}

/// Loads the program, and takes it off again.
fn try_out(settings: &Process) -> Result<String, BpfError> {
    let (notices, _) = mpsc::channel();
    ExecEbpf::open(settings, notices).map(|sensor| sensor.describe())
}

/// What the kernel does not take is named after the first semicolon.
fn complete(found: String) -> Check {
    if found.contains(';') {
        Check::degraded(
            NAME,
            found,
            "a newer kernel, or one built with what is named, shows the rest",
        )
    } else {
        Check::ok(NAME, found)
    }
}

fn cannot(error: &BpfError, instead: &str) -> Check {
    let advice = match error {
        BpfError::Forbidden => "run the agent as root, or give it CAP_BPF and CAP_PERFMON",
        BpfError::NoTypes | BpfError::Types(_) => "run a kernel that was built with CONFIG_DEBUG_INFO_BTF",
        BpfError::LockedDown => {
            "start the kernel without lockdown=confidentiality; integrity is no hindrance"
        }
        BpfError::TooOld(_) => "run Linux 5.10 or newer",
        BpfError::Refused { .. } | BpfError::System(..) => "see what the kernel says, and report it",
    };
    Check::degraded(
        NAME,
        format!("not seen by the kernel: {error}; {instead}"),
        advice,
    )
}
