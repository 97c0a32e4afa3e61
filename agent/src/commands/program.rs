//! The program of a finding as lines of its story: what it is, who started it, and through which login.

use super::file;
use picket_common::event::{Ancestor, Container, Event, ExecEvent, Login, Payload, Program};

/// What there is to say of the program that an event is about: names of lines, each with its text.
pub(super) fn lines(event: &Event) -> Vec<(&'static str, String)> {
    match &event.payload {
        Payload::Auth(_) => Vec::new(),
        Payload::Exec(exec) => started(exec),
        Payload::Exit(exit) => did(&exit.program),
        Payload::Connect(connect) => did(&connect.program),
        Payload::Privilege(privilege) => did(&privilege.program),
        Payload::Signal(signal) => did(&signal.program),
        Payload::File(landed) => {
            let mut lines = file::lines(landed);
            lines.extend(landed.writer.as_deref().into_iter().flat_map(did));
            lines
        }
        Payload::Install(install) => install.manager.as_deref().map_or_else(Vec::new, did),
    }
}

fn started(exec: &ExecEvent) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let user = exec.user.as_ref();
    let credentials = &exec.credentials;
    let mut program = named(Some(&exec.executable), exec.process.pid);
    program += &match user {
        Some(user) => format!(", as {user:?}"),
        None => format!(", as user {}", credentials.effective_uid),
    };
    if credentials.uid != credentials.effective_uid {
        program += &format!(", for user {}", credentials.uid);
    }
    lines.push(("program", program));
    let cut = if exec.args_cut { " and more" } else { "" };
    lines.push(("command line", format!("{:?}{cut}", exec.command_line())));
    if let Some(directory) = &exec.working_directory {
        lines.push(("in the folder", format!("{directory:?}")));
    }
    for variable in &exec.environment {
        lines.push(("with", format!("{variable:?}")));
    }
    let mut file = Vec::new();
    if exec.file.is_some_and(|file| file.memfd) {
        file.push("it lies in memory only".to_owned());
    } else if exec.file.is_some_and(|file| file.unlinked) {
        file.push("it has no name any more".to_owned());
    }
    file.extend(
        exec.sha256
            .as_ref()
            .map(|digest| format!("SHA-256 {}", digest.escape_debug())),
    );
    file.extend(
        exec.package
            .as_ref()
            .map(|package| format!("of the package {package:?}")),
    );
    if !file.is_empty() {
        lines.push(("file", file.join(", ")));
    }
    lines.extend(whence(
        &exec.ancestors,
        exec.login.as_deref(),
        exec.container.as_deref(),
    ));
    lines
}

fn did(program: &Program) -> Vec<(&'static str, String)> {
    let mut text = named(program.executable.as_deref(), program.process.pid);
    if let Some(user) = &program.user {
        text += &format!(", as {user:?}");
    }
    let mut lines = vec![("program", text)];
    lines.extend(
        program
            .command_line
            .as_ref()
            .map(|line| ("command line", format!("{line:?}"))),
    );
    lines.extend(whence(
        &program.ancestors,
        program.login.as_deref(),
        program.container.as_deref(),
    ));
    lines
}

fn whence(
    ancestors: &[Ancestor],
    login: Option<&Login>,
    container: Option<&Container>,
) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    // The chain reads from the parent upwards, a line each.
    for (number, ancestor) in ancestors.iter().enumerate() {
        let mut text = named(ancestor.executable.as_deref(), ancestor.process.pid);
        if let Some(line) = &ancestor.command_line {
            text += &format!(", {line:?}");
        }
        lines.push((if number == 0 { "started by" } else { "and that by" }, text));
    }
    if let Some(login) = login {
        lines.push(("login", of_login(login)));
    }
    let texts = container.map(|container| {
        let part = |what: &str, text: &Option<_>| {
            let text: &Option<compact_str::CompactString> = text;
            text.as_ref().map(|text| format!("{what} {:?}", text.as_str()))
        };
        let runtime = container.runtime.as_deref().unwrap_or("container");
        let id = container
            .id
            .as_ref()
            .map(|id| format!("{} {id:?}", runtime.escape_debug()));
        [id, part("pod", &container.pod), part("unit", &container.unit)]
    });
    let texts: Vec<String> = texts.into_iter().flatten().flatten().collect();
    if !texts.is_empty() {
        lines.push(("runs in", texts.join(", ")));
    }
    lines
}

/// `"bob" from 198.51.100.9 by publickey at 2026-03-01T00:00:00Z, served by sshd, process 4`
fn of_login(login: &Login) -> String {
    let mut text = format!("{:?}", login.user);
    if let Some(address) = login.source {
        text += &format!(" from {address}");
    }
    if let Some(method) = &login.method {
        text += &format!(" by {}", method.escape_debug());
    }
    if let Some(time) = login.time {
        text += &format!(" at {time}");
    }
    match (&login.program, login.pid) {
        (Some(program), Some(pid)) => {
            text += &format!(", served by {}, process {pid}", program.escape_debug());
        }
        (Some(program), None) => text += &format!(", served by {}", program.escape_debug()),
        (None, Some(pid)) => text += &format!(", served by process {pid}"),
        (None, None) => {}
    }
    text
}

fn named(executable: Option<&str>, pid: u32) -> String {
    match executable {
        Some(executable) => format!("{executable:?}, process {pid}"),
        None => format!("process {pid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{Credentials, ExecutedFile};
    use picket_common::ids::RecordId;
    use picket_common::process::ProcessId;
    use picket_common::time::Timestamp;

    #[test]
    fn a_program_is_told_with_its_file_its_ancestors_and_its_login() {
        let time = Timestamp::default();
        let ancestor = |pid, executable: &str, line: &str| Ancestor {
            process: ProcessId { pid, start: 1 },
            executable: Some(executable.into()),
            command_line: Some(line.into()),
        };
        let credentials = Credentials {
            uid: 1000,
            ..Credentials::default()
        };
        let exec = ExecEvent {
            args: vec!["x".into(), "-o\u{1b}[2J".into()],
            args_cut: true,
            working_directory: Some("/tmp".into()),
            environment: vec!["LD_PRELOAD=/tmp/a".into()],
            file: Some(ExecutedFile {
                device: 1,
                inode: 2,
                unlinked: true,
                memfd: false,
            }),
            sha256: Some("00ff".into()),
            ancestors: vec![
                ancestor(5, "/bin/sh", "sh -c x"),
                ancestor(4, "/usr/sbin/sshd", "sshd: bob"),
            ],
            login: Some(Box::new(Login {
                user: "bob".into(),
                source: Some("198.51.100.9".parse().unwrap()),
                port: None,
                program: Some("sshd".into()),
                method: Some("password".into()),
                time: Some(time),
                pid: Some(4),
            })),
            container: Some(Box::new(Container {
                runtime: Some("docker".into()),
                id: Some("ab".into()),
                pod: None,
                unit: Some("docker.service".into()),
            })),
            ..ExecEvent::new(ProcessId { pid: 7, start: 9 }, "/tmp/x", credentials)
        };
        let event = Event {
            id: RecordId::derived(time, &[]),
            time,
            observed: time,
            payload: Payload::Exec(exec.into()),
        };
        let told: Vec<String> = lines(&event)
            .into_iter()
            .map(|(name, text)| format!("{name}: {text}"))
            .collect();
        assert_eq!(
            told,
            [
                r#"program: "/tmp/x", process 7, as user 0, for user 1000"#,
                r#"command line: "x -o\u{1b}[2J" and more"#,
                r#"in the folder: "/tmp""#,
                r#"with: "LD_PRELOAD=/tmp/a""#,
                "file: it has no name any more, SHA-256 00ff",
                r#"started by: "/bin/sh", process 5, "sh -c x""#,
                r#"and that by: "/usr/sbin/sshd", process 4, "sshd: bob""#,
                &format!(
                    r#"login: "bob" from 198.51.100.9 by password at {time}, served by sshd, process 4"#
                ),
                r#"runs in: docker "ab", unit "docker.service""#,
            ]
        );
    }
}
