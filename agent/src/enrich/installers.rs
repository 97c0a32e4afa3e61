//! Who installs packages.

use picket_common::event::Program;
use picket_common::time::Timestamp;
use std::time::Duration;

/// Programs that install packages, and what they call.
const INSTALLERS: [&str; 20] = [
    "apk",
    "apt",
    "apt-get",
    "aptitude",
    "dnf",
    "dnf-3",
    "dnf5",
    "dpkg",
    "dpkg-deb",
    "dpkg-divert",
    "microdnf",
    "packagekitd",
    "pacman",
    "rpm",
    "rpmdb",
    "snapd",
    "tdnf",
    "transactional-update",
    "yum",
    "zypper",
];
/// So long after a package manager has ended, files may still come that it wrote.
const LATELY: Duration = Duration::from_secs(10);
/// Those of them that run all the time.
const SERVICES: [&str; 2] = ["packagekitd", "snapd"];
/// Where they lie. Only root writes there, and whoever is root needs no disguise.
const SYSTEM: [&str; 6] = [
    "/bin/",
    "/sbin/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/usr/libexec/",
];

/// Whether a process installs packages, or was started by one that does, as its scripts are: known by where the program lies, and
/// as root, as nobody else installs any.
pub(super) fn installs_packages(program: &Program) -> bool {
    if program.effective_uid != Some(0) {
        return false;
    }
    let ancestors = program
        .ancestors
        .iter()
        .map(|ancestor| ancestor.executable.as_deref());
    let mut executables = ancestors.chain([program.executable.as_deref()]).flatten();
    executables.any(|executable| is_one_of(&INSTALLERS, executable))
}

/// When packages are installed, for where no sensor sees who writes.
#[derive(Debug, Default)]
pub(super) struct Installing {
    /// Whether something that installs packages ran when that was last looked at.
    pub(super) runs: bool,
    /// When such began or ended last.
    last: Option<Timestamp>,
}

impl Installing {
    /// Whether a program, run by that user, is about to install packages: those that always run are not.
    pub(super) fn is(executable: &str, uid: u32) -> bool {
        uid == 0 && is_one_of(&INSTALLERS, executable) && !is_one_of(&SERVICES, executable)
    }

    /// A program began or ended.
    pub(super) fn saw(&mut self, executable: &str, uid: u32, time: Timestamp) {
        if Self::is(executable, uid) {
            self.last = Some(time);
        }
    }

    /// Whether packages were being installed at a time, or just before.
    pub(super) fn at(&self, time: Timestamp) -> bool {
        let lately = |ran: Timestamp| ran >= time || time.since(ran) <= LATELY;
        self.runs || self.last.is_some_and(lately)
    }
}

fn is_one_of(names: &[&str], executable: &str) -> bool {
    let name = executable.rsplit('/').next().unwrap_or_default();
    names.contains(&name) && SYSTEM.iter().any(|folder| executable.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::Ancestor;
    use picket_common::process::ProcessId;

    fn program(executable: &str, parent: &str, uid: u32) -> Program {
        let mut program = Program::unknown(ProcessId { pid: 7, start: 8 });
        program.executable = Some(executable.into());
        program.effective_uid = Some(uid);
        program.ancestors.push(Ancestor {
            process: ProcessId { pid: 6, start: 8 },
            executable: Some(parent.into()),
            command_line: None,
        });
        program
    }

    #[test]
    fn who_installs_packages_is_known_by_where_the_program_lies_and_as_root() {
        for (executable, parent, uid, installs) in [
            ("/usr/bin/dpkg", "/bin/sh", 0, true),
            ("/bin/sh", "/usr/bin/dpkg", 0, true),
            ("/usr/libexec/packagekitd", "/sbin/init", 0, true),
            ("/usr/bin/dpkg", "/bin/sh", 1000, false),
            ("/tmp/dpkg", "/bin/sh", 0, false),
            ("/usr/bin/vi", "/bin/sh", 0, false),
        ] {
            let found = installs_packages(&program(executable, parent, uid));
            assert_eq!(found, installs, "{executable} {parent} {uid}");
        }
    }

    #[test]
    fn when_packages_are_installed_is_known_by_what_began_and_ended() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let mut installing = Installing::default();
        assert!(!installing.at(at(100)));
        installing.saw("/usr/lib/snapd/snapd", 0, at(100));
        installing.saw("/usr/bin/dpkg", 1000, at(100));
        assert!(!installing.at(at(100)));
        installing.saw("/usr/bin/dpkg", 0, at(100));
        assert!(installing.at(at(99)) && installing.at(at(109)) && !installing.at(at(111)));
        installing.runs = true;
        assert!(installing.at(at(500)));
    }
}
