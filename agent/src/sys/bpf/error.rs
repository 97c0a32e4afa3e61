//! Why the kernel does not take the program.

use aya::maps::MapError;
use aya::programs::ProgramError;
use aya::{BtfError, EbpfError};
use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

/// Where the kernel describes its own types.
pub(super) const TYPES: &str = "/sys/kernel/btf/vmlinux";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// What is missing. Each names what would help.
#[derive(Debug, thiserror::Error)]
pub enum BpfError {
    /// The kernel does not tell where the members of its types lie.
    #[error(
        "{TYPES} is not there: the kernel was built without CONFIG_DEBUG_INFO_BTF, or /sys is not mounted"
    )]
    NoTypes,
    /// The kernel's description of its types cannot be read.
    #[error("{TYPES}: {0}")]
    Types(String),
    /// The agent may not.
    #[error(
        "programs for the kernel take CAP_BPF and CAP_PERFMON (before Linux 5.8 CAP_SYS_ADMIN), which the agent lacks"
    )]
    Forbidden,
    /// Nobody may.
    #[error(
        "the kernel is locked down for confidentiality ({LOCKDOWN}), which forbids programs that read its memory"
    )]
    LockedDown,
    /// The kernel cannot.
    #[error("the kernel ({0}) is older than 5.8, which brought the ring buffer that programs report through")]
    TooOld(String),
    /// The kernel refuses for another reason.
    #[error("the kernel does not take {what}: {why}")]
    Refused {
        /// The program or map.
        what: String,
        /// What it says, in a line.
        why: String,
    },
    /// Reading what the programs tell fails.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

impl BpfError {
    /// What loading came to, said so that somebody can do something about it.
    pub(super) fn of_load(error: &EbpfError) -> Self {
        Self::of(what(error), error)
    }

    pub(super) fn of_program(name: &str, error: &ProgramError) -> Self {
        let why = match error {
            ProgramError::LoadError {
                io_error,
                verifier_log,
            } => {
                let log = verifier_log.to_string();
                let last = log
                    .lines()
                    .rev()
                    .find(|line| !line.is_empty() && !line.starts_with("processed "));
                format!("{io_error}: {}", last.unwrap_or("the verifier says nothing"))
            }
            other => chain(other),
        };
        Self::Refused {
            what: name.to_owned(),
            why,
        }
    }

    pub(super) fn of_map(error: &MapError) -> Self {
        Self::of("a map".to_owned(), error)
    }

    pub(super) fn of_types(error: &BtfError) -> Self {
        Self::Types(chain(error))
    }

    pub(super) fn of(what: String, error: &(dyn Error + 'static)) -> Self {
        Self::Refused {
            what,
            why: chain(error),
        }
    }

    /// What can be known before anything is tried: it reads better than what the kernel answers.
    pub(super) fn foreseen() -> Option<Self> {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        if may(&status) == Some(false) {
            return Some(Self::Forbidden);
        }
        if fs::read_to_string(LOCKDOWN).is_ok_and(|text| is_locked_down(&text)) {
            return Some(Self::LockedDown);
        }
        let release = release();
        if version(&release).is_some_and(|version| version < (5, 8)) {
            return Some(Self::TooOld(release));
        }
        if !Path::new(TYPES).exists() {
            return Some(Self::NoTypes);
        }
        None
    }
}

/// The kernel's release, such as `6.1.0-18-amd64`.
pub(super) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Its first two numbers.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|byte: char| !byte.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether a process's rights are enough, by its `status`.
fn may(status: &str) -> Option<bool> {
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let held = u64::from_str_radix(held.trim(), 16).ok()?;
    let has = |right: u32| held & (1 << right) != 0;
    Some(has(SYS_ADMIN) || (has(BPF) && has(PERFMON)))
}

/// Of `none [integrity] confidentiality` the word in brackets holds.
fn is_locked_down(text: &str) -> bool {
    text.contains("[confidentiality]")
}

fn what(error: &EbpfError) -> String {
    let what = match error {
        EbpfError::MapError(MapError::CreateError { name, .. }) => return format!("the map {name}"),
        EbpfError::MapError(_) => "a map",
        EbpfError::ProgramError(_) => "a program",
        EbpfError::RelocationError(_) | EbpfError::BtfRelocationError(_) => "the program's references",
        _ => "the object",
    };
    what.to_owned()
}

/// An error and what it rests on, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        // Some repeat what they rest on.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_as_the_kernel_writes_them() {
        let status = |held: &str| format!("Name:\tpicket\nCapPrm:\t0000000000000000\nCapEff:\t{held}\n");
        assert_eq!(may(&status("0000000000000000")), Some(false));
        assert_eq!(may(&status("000001ffffffffff")), Some(true));
        assert_eq!(
            may(&status("000000c000000000")),
            Some(true),
            "CAP_BPF and CAP_PERFMON"
        );
        assert_eq!(may(&status("0000008000000000")), Some(false), "CAP_BPF alone");
        assert_eq!(may(&status("0000000000200000")), Some(true), "CAP_SYS_ADMIN");
        assert_eq!(may(""), None);
    }

    #[test]
    fn a_lockdown_counts_when_it_holds_and_only_for_confidentiality() {
        assert!(is_locked_down("none integrity [confidentiality]\n"));
        assert!(!is_locked_down("none [integrity] confidentiality\n"));
        assert!(!is_locked_down("[none] integrity confidentiality\n"));
    }

    #[test]
    fn releases_are_numbers() {
        assert_eq!(version("5.10.0-28-amd64"), Some((5, 10)));
        assert_eq!(version("6.18.44"), Some((6, 18)));
        assert_eq!(version("4.19"), Some((4, 19)));
        assert_eq!(version("x"), None);
        assert!(version(&release()).is_some());
    }
}
