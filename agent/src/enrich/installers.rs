//! Who installs packages.

use picket_common::event::Program;

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

/// Whether a program, run by that user, is about to install packages: those that always run are not.
pub(super) fn is_installing(executable: &str, uid: u32) -> bool {
    uid == 0 && is_one_of(&INSTALLERS, executable) && !is_one_of(&SERVICES, executable)
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
}
