//! The running agent, and through it the collector.

use super::age;
use super::report::{Check, span, unseen};
use crate::app::control::{self, Reply, Request};
use crate::app::status::Report;
use crate::config::{Mode, Settings};
use crate::send::Identity;
use crate::spool::{Pending, Reader};
use picket_common::action::Target;
use picket_common::record::{Lane, Record};
use picket_common::time::Timestamp;
use std::io::{self, BufRead as _, Read as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

/// How long records may wait while the collector answers: nothing waits for longer than it takes to send it.
const WAITING: Duration = Duration::from_secs(300);
/// As much of a frame is unpacked to see its first record.
const FIRST: u64 = 1 << 20;

/// What it answered.
pub(super) enum Agent {
    Answers(Box<Report>),
    Silent(io::Error),
    Strange,
}

impl Agent {
    pub(super) fn ask(socket: &Path) -> Self {
        match control::ask(socket, &Request::Status) {
            Ok(Reply::Status(report)) => Self::Answers(report),
            Ok(_) => Self::Strange,
            // What is no JSON of ours.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Self::Strange,
            Err(error) => Self::Silent(error),
        }
    }

    pub(super) fn report(&self) -> Option<&Report> {
        match self {
            Self::Answers(report) => Some(report),
            _ => None,
        }
    }

    pub(super) fn check(&self, socket: &Path) -> Check {
        const NAME: &str = "agent";
        let own = env!("CARGO_PKG_VERSION");
        let report = match self {
            Self::Answers(report) => report,
            Self::Strange => {
                return Check::failed(
                    NAME,
                    format!("what answers at {} is no agent of this version", socket.display()),
                    "end the agent and start it again: picket run",
                );
            }
            Self::Silent(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return unseen(NAME, error);
            }
            Self::Silent(error) => {
                return Check::failed(
                    NAME,
                    format!("none answers at {}: {error}", socket.display()),
                    "start it: picket run",
                );
            }
        };
        let found = format!(
            "process {}, version {}, in {} mode since {}",
            report.pid, report.version, report.mode, report.started
        );
        if report.version == own {
            Check::ok(NAME, found)
        } else {
            Check::degraded(
                NAME,
                format!("{found}, but this program is {own}"),
                "end the agent and start it again: picket run",
            )
        }
    }

    pub(super) fn collector(&self, settings: &Settings, now: Timestamp) -> Check {
        const NAME: &str = "collector";
        let Some(report) = self.report() else {
            return Check::degraded(
                NAME,
                "without an agent that answers nobody knows how it is",
                "see to the agent first",
            );
        };
        let pending = report.findings.records + report.events.records;
        let last = report
            .acknowledged
            .map_or("nothing was acknowledged yet".to_owned(), |time| {
                format!("it last acknowledged something {}", age(time, now))
            });
        let oldest = oldest(settings, report);
        let waiting = match oldest {
            Some(oldest) => format!(
                "{pending} records wait, the oldest for {}",
                span(now.since(oldest))
            ),
            None => format!("{pending} records wait"),
        };
        let found = format!("{last}; {waiting}");
        if let Some(trouble) = &report.trouble {
            if let Some(blocked) = blocked_collector(settings) {
                return Check::failed(
                    NAME,
                    format!("{found}; {trouble}: this host itself blocks {blocked}, where the collector is"),
                    format!("picket undo {blocked}"),
                );
            }
            return Check::degraded(
                NAME,
                format!("{found}; {trouble}"),
                "see to what it says; until then the spool keeps everything, up to its quota",
            );
        }
        if oldest.is_some_and(|oldest| now.since(oldest) > WAITING) {
            return Check::degraded(
                NAME,
                found,
                "see whether the collector runs and can be reached from this host; the agent's own log says what it tries",
            );
        }
        Check::ok(NAME, found)
    }
}

/// The block that keeps the collector out. The guard knows an address that is named, and one where the collector was reached;
/// what a name means before that it does not know.
fn blocked_collector(settings: &Settings) -> Option<Target> {
    if settings.respond.mode == Mode::Monitor {
        return None;
    }
    let identity = Identity::read(&settings.identity()).ok()?;
    let place = identity.collector.strip_prefix("https://")?;
    let addresses: Vec<IpAddr> = place
        .to_socket_addrs()
        .ok()?
        .map(|address| address.ip())
        .collect();
    let Ok(Reply::Held(held)) = control::ask(&settings.agent.socket, &Request::Held) else {
        return None;
    };
    held.into_iter()
        .map(|held| held.action.target)
        .find(|target| match target {
            Target::BlockIp(network) => addresses.iter().any(|address| network.contains(*address)),
            Target::Kill { .. } | Target::DenyExec(_) | Target::Quarantine(_) => false,
        })
}

/// When the oldest record came about that the collector does not have.
fn oldest(settings: &Settings, report: &Report) -> Option<Timestamp> {
    let lanes = [(Lane::Findings, report.findings), (Lane::Events, report.events)];
    let first = |(lane, pending)| first_pending(&settings.spool.directory, lane, pending);
    lanes.into_iter().filter_map(first).min()
}

fn first_pending(directory: &Path, lane: Lane, pending: Pending) -> Option<Timestamp> {
    let chunk = Reader::open(directory, lane)
        .next(pending.acknowledged, 1)
        .ok()??;
    let unpacked = zstd::Decoder::new(chunk.payload.as_slice()).ok()?.take(FIRST);
    let mut line = Vec::new();
    io::BufReader::new(unpacked).read_until(b'\n', &mut line).ok()?;
    let item: picket_common::wire::Item = serde_json::from_slice(&line).ok()?;
    Some(match item.record {
        Record::Event(event) => event.observed,
        Record::Finding(finding) => finding.detected,
        Record::Outcome(outcome) => outcome.time,
        Record::Gap(gap) => gap.time,
        Record::Amend(amend) => amend.time,
    })
}
