//! The way into a host of the tests' own.

use std::ffi::OsStr;
use std::process::Command;

/// Runs programs in the namespaces of a host's first process.
pub struct Inside {
    leader: u32,
    /// Which namespaces, and whether its root is another: options of `nsenter`.
    namespaces: &'static [&'static str],
}

impl Inside {
    /// Into a booted host, which shares nothing with the machine.
    pub(crate) fn booted(leader: u32) -> Self {
        let namespaces = &[
            "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wdns=/",
        ];
        Self { leader, namespaces }
    }

    /// Into a laboratory, which shares the machine's files.
    pub(crate) fn laboratory(leader: u32) -> Self {
        let namespaces = &["--mount", "--net", "--pid"];
        Self { leader, namespaces }
    }

    /// A program on the host. The process that this starts is `nsenter`, whose one child is the program.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.leader.to_string()])
            .args(self.namespaces)
            .arg(program);
        command
    }
}

/// The one child of a process.
pub(crate) fn only_child(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.expect("it runs").trim().parse().expect("one child")
}
