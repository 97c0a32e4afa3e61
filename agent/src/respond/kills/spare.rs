//! Whom never to kill: what the host, its operator and this agent stand on.
//!
//! Anybody can name a process or a file as they like, so nothing is spared for a name alone: a program counts when it lies where
//! only root can put it, in the agent's own view of the file system.

use crate::config::Respond;
use crate::respond::folders::PROGRAMS;
use crate::respond::guard::Guard;
use crate::respond::sessions;
use crate::sys::{Pidfd, proc};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What installs packages: killed halfway it leaves a host that may not start again.
const PACKAGE_MANAGERS: [&str; 16] = [
    "apk",
    "apt",
    "apt-get",
    "aptitude",
    "dnf",
    "dnf-3",
    "dnf5",
    "dpkg",
    "microdnf",
    "pacman",
    "rpm",
    "rpmdb",
    "unattended-upgrade",
    "unattended-upgrades",
    "yum",
    "zypper",
];
/// Where a host may have the tree of control groups in which systemd keeps units.
const HIERARCHIES: [&str; 3] = [
    "/sys/fs/cgroup/systemd",
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/unified",
];
/// How far up it is looked for an ancestor.
const GENERATIONS: usize = 128;

/// See the module.
pub(super) struct Spare {
    images: Vec<PathBuf>,
    /// Units whose main process may be killed.
    units: Vec<String>,
}

impl Spare {
    pub(super) fn new(settings: &Respond) -> Self {
        Self {
            images: settings.protect_images.clone(),
            units: settings.kill.units.clone(),
        }
    }

    /// Looks at the agent itself, right before an act.
    pub(super) fn look(&self) -> View<'_> {
        let own = std::process::id();
        View {
            spare: self,
            own,
            ancestors: parent(own).into_iter().flat_map(lineage).collect(),
            mount_namespace: proc::mount_namespace(own),
            program: proc::executable_file(own),
        }
    }
}

/// Whom to spare, as the host is now.
pub(super) struct View<'a> {
    spare: &'a Spare,
    own: u32,
    ancestors: BTreeSet<u32>,
    mount_namespace: Option<u64>,
    /// The agent's own.
    program: Option<(u64, u64)>,
}

impl View<'_> {
    /// Why a process is to be spared; `None` when it may be killed.
    pub(super) fn spares(&self, held: &Pidfd) -> Option<String> {
        let pid = held.process().pid;
        let program = self.program_of(pid);
        let because = if pid == 1 {
            "it is the first process, which all others stand on".to_owned()
        } else if held.stat.is_kernel {
            "it is a thread of the kernel".to_owned()
        } else if pid == self.own {
            "it is the agent".to_owned()
        } else if self.ancestors.contains(&pid) {
            "the agent was started by it".to_owned()
        } else if self.works_for_it(held.stat.parent) {
            "it works for the agent".to_owned()
        } else if is_sshd(program.as_deref()) && !is_sshd(self.program_of(held.stat.parent).as_deref()) {
            "it is the sshd that listens, without which nobody can log in".to_owned()
        } else if let Some(name) = program.and_then(|program| package_manager(pid, &program)) {
            format!("{name} is at work, and would leave packages half installed")
        } else if let Some(image) = self.protected_image(pid) {
            format!("{} is protected by respond.protect_images", image.display())
        } else {
            let unit = main_process_of(held)?;
            if self.spare.units.contains(&unit) {
                return None;
            }
            format!(
                "it is the main process of {}, which respond.kill.units does not name",
                unit.escape_debug()
            )
        };
        Some(because)
    }

    /// Why all of a login session is to be spared: it may be an administrator's.
    pub(super) fn spares_session(&self, session: u32, guard: &Guard) -> Option<String> {
        let members: Vec<u32> = proc::pids()
            .unwrap_or_default()
            .into_iter()
            .filter(|pid| proc::login_session(*pid) == Some(session))
            .collect();
        let own = |pid: &u32| {
            *pid == self.own
                || self.ancestors.contains(pid)
                || (self.program.is_some()
                    && proc::executable_file(*pid) == self.program
                    && proc::effective_uid(*pid) == Some(0))
        };
        if members.iter().any(own) {
            return Some(format!("picket itself runs in its login session, {session}"));
        }
        sessions::peers_of(Path::new("/proc"), &members)
            .into_iter()
            .find_map(|address| {
                let mut protected = guard.protected().iter();
                let (network, reason) = protected.find(|(network, _)| network.contains(address))?;
                Some(format!(
                    "its login session, {session}, comes from {address}: {reason} ({network})"
                ))
            })
    }

    /// Whether the agent is an ancestor of what has this parent. None of its own ancestors comes from it.
    fn works_for_it(&self, parent: u32) -> bool {
        lineage(parent)
            .take_while(|pid| !self.ancestors.contains(pid))
            .any(|pid| pid == self.own)
    }

    /// The path of the host's own program that a process runs, a file that only root can write, where only root can put it;
    /// `None` when it runs something else.
    fn program_of(&self, pid: u32) -> Option<PathBuf> {
        let path = undeleted(proc::executable(pid)?);
        let folder = path.parent()?.to_str()?;
        let data = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        let is_roots = data.uid() == 0 && data.mode() & 0o022 == 0;
        let here = self.mount_namespace.is_some() && proc::mount_namespace(pid) == self.mount_namespace;
        (PROGRAMS.contains(&folder) && is_roots && here).then_some(path)
    }

    fn protected_image(&self, pid: u32) -> Option<&Path> {
        let images = &self.spare.images;
        if images.is_empty() {
            return None;
        }
        let file = proc::executable_file(pid)?;
        // An update leaves the old file running under a path that names the new one.
        let here = proc::mount_namespace(pid) == self.mount_namespace;
        let path = proc::executable(pid).map(undeleted).filter(|_| here);
        let is_it = |image: &&PathBuf| {
            path.as_ref() == Some(image)
                || fs::metadata(image).is_ok_and(|data| (data.dev(), data.ino()) == file)
        };
        images.iter().find(is_it).map(PathBuf::as_path)
    }
}

/// The unit whose main process it is: systemd started it, and nothing else of the unit that systemd is the parent of is as
/// old. Whatever a service's processes leave behind becomes a child of systemd as well, but came later.
fn main_process_of(held: &Pidfd) -> Option<String> {
    let (process, stat) = (held.process(), &held.stat);
    if stat.parent != 1 {
        return None;
    }
    let group = proc::control_group(process.pid)?;
    let unit = group.rsplit('/').find(|part| part.ends_with(".service"))?;
    let members = HIERARCHIES
        .iter()
        .find_map(|root| fs::read_to_string(format!("{root}{group}/cgroup.procs")).ok());
    // Where that cannot be read it is not certain that it is another.
    let members = members.unwrap_or_default();
    let older = members
        .lines()
        .filter_map(|pid| pid.parse::<u32>().ok())
        .filter(|pid| *pid != process.pid)
        .filter_map(|pid| proc::Stat::read(pid).ok())
        .any(|other| {
            other.parent == 1 && (other.process.start, other.process.pid) < (process.start, process.pid)
        });
    (!older).then(|| unit.to_owned())
}

/// The package manager that a process is, by the program that it runs. Only root's: anybody may run one, and what it runs, but
/// nobody else can leave packages half installed by it.
fn package_manager(pid: u32, program: &Path) -> Option<&'static str> {
    let named = |path: &Path| {
        let mut names = PACKAGE_MANAGERS.iter();
        names.find(|name| is_one_of(path, &[name])).copied()
    };
    let is_python = program
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"python"));
    let script = || {
        let arguments = proc::arguments(pid);
        let script = arguments.iter().skip(1).find(|text| !text.starts_with('-'))?;
        let script = Path::new(script);
        let folder = script.parent()?.to_str()?;
        named(script).filter(|_| PROGRAMS.contains(&folder))
    };
    let name = named(program).or_else(|| is_python.then(script)?)?;
    (proc::effective_uid(pid) == Some(0)).then_some(name)
}

fn is_sshd(program: Option<&Path>) -> bool {
    program.is_some_and(|program| is_one_of(program, &["sshd"]))
}

/// A process and those that it comes from, the nearest first.
fn lineage(pid: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(pid), |pid| parent(*pid))
        .take_while(|pid| *pid != 0)
        .take(GENERATIONS)
}

fn parent(pid: u32) -> Option<u32> {
    proc::Stat::read(pid).ok().map(|stat| stat.parent)
}

fn is_one_of(path: &Path, names: &[&str]) -> bool {
    path.file_name()
        .is_some_and(|own| names.iter().any(|name| own == *name))
}

/// A path as it was before the file was replaced.
fn undeleted(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(before) => PathBuf::from(before),
        None => path,
    }
}
