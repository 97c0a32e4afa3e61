//! Whether processes are seen, how, and what of them is not.

use super::agent::Agent;
use super::report::{Check, unseen};
use crate::config::{Process, ProcessSensor};
use crate::plugs;
use crate::sense::ExecEbpf;
use crate::sys::bpf::BpfError;
use std::sync::mpsc;

const NAME: &str = "processes";
/// What a sensor of processes calls what it watches begins so: through the program in the kernel with the first, else with the
/// second.
const WATCHED: [&str; 2] = ["processes", "programs"];

/// Of the running agent; without one its sensor is opened for a moment, as the agent would.
pub(super) fn check(settings: &Process, agent: &Agent) -> Check {
    if settings.sensor == ProcessSensor::None {
        return Check::ok(NAME, "none is watched (process.sensor)");
    }
    let is_of_processes = |text: &&String| WATCHED.iter().any(|word| text.starts_with(word));
    let (who, watched) = match agent.report() {
        Some(report) => (
            "the agent watches",
            report.watching.iter().find(is_of_processes).cloned(),
        ),
        None => {
            let (notices, _) = mpsc::channel();
            let sensor = plugs::of_processes(settings, &notices);
            ("an agent would watch", sensor.map(|sensor| sensor.describe()))
        }
    };
    let Some(watched) = watched else {
        return Check::degraded(
            NAME,
            "the agent does not see them: no rule about processes can fire; its log has the reason",
            "start the agent again: picket run",
        );
    };
    let found = format!("{who} {watched}");
    if watched.starts_with(WATCHED[0]) {
        return complete(found);
    }
    if matches!(settings.sensor, ProcessSensor::Netlink | ProcessSensor::Poll) {
        return Check::ok(NAME, found);
    }
    match try_out(settings) {
        Err(error @ BpfError::Forbidden) if !nix::unistd::geteuid().is_root() => unseen(NAME, &error),
        Err(error) => Check::degraded(NAME, format!("{found}, because {error}"), advice(&error)),
        Ok(()) => Check::degraded(
            NAME,
            format!("{found}; the program in the kernel (eBPF) could be loaded now"),
            "start the agent again: picket run",
        ),
    }
}

/// Loads the program, and takes it off again.
fn try_out(settings: &Process) -> Result<(), BpfError> {
    let (notices, _) = mpsc::channel();
    ExecEbpf::open(settings, notices).map(drop)
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

fn advice(error: &BpfError) -> &'static str {
    match error {
        BpfError::Forbidden => "run the agent as root, or give it CAP_BPF and CAP_PERFMON",
        BpfError::NoTypes | BpfError::Types(_) => "run a kernel that was built with CONFIG_DEBUG_INFO_BTF",
        BpfError::LockedDown => {
            "start the kernel without lockdown=confidentiality; integrity is no hindrance"
        }
        BpfError::TooOld(_) => "run Linux 5.10 or newer",
        BpfError::Refused { .. } | BpfError::System(..) => "see what the kernel says, and report it",
    }
}
