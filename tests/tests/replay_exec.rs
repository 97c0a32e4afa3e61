//! What rules find among programs that were started: in a log of auditd, and in JSON.

use picket_tests::picket;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

const RULE: &str = "title: A shell of the web server
id: 6d6f3b0c-6a39-4b8e-9a0e-6f4b5b3f0001
logsource:
    product: linux
    category: process_creation
detection:
    selection:
        ParentImage|endswith: /nginx
        ParentCommandLine|contains: worker
        Image|endswith: /sh
        CommandLine|contains: id
        User: www-data
    condition: selection
level: high
---
title: Logins only
id: 6d6f3b0c-6a39-4b8e-9a0e-6f4b5b3f0002
logsource:
    product: linux
    category: authentication
detection:
    selection:
        user.name: www-data
    condition: selection
level: high
";

/// The findings in a file that a command line names by `FILE`, and what was complained of.
fn replay(text: &[u8], more: &[&str]) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    let (file, rules) = (folder.path().join("exec.log"), folder.path().join("rules"));
    fs::write(&file, text).unwrap();
    fs::create_dir(&rules).unwrap();
    fs::write(rules.join("rule.yml"), RULE).unwrap();
    let output = picket()
        .args(["replay", "exec", "--json", "--rules"])
        .arg(&rules)
        .args(more)
        .arg(&file)
        .output()
        .unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{complaints}");
    let findings = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (findings, complaints)
}

/// The records of one program of www-data, as auditd writes them in its enriched form.
fn audit(serial: u32, pid: u32, parent: u32, path: &str, args: &[&str]) -> String {
    let head = format!("msg=audit(1772323200.5:{serial})").replace(".5:", ".500:");
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
    let argv: String = args
        .iter()
        .enumerate()
        .map(|(at, arg)| format!(" a{at}={}", hex(arg)))
        .collect();
    format!(
        "node=web1 type=SYSCALL {head}: arch=c000003e syscall=59 success=yes exit=0 ppid={parent} pid={pid} auid=4294967295 uid=33 gid=33 euid=33 egid=33 tty=(none) ses=4294967295 comm=\"x\" exe=\"{path}\" key=\"exec\"\u{1d}ARCH=x86_64 SYSCALL=execve AUID=\"unset\" UID=\"www-data\" EUID=\"www-data\"\n\
         node=web1 type=EXECVE {head}: argc={}{argv}\n\
         node=web1 type=CWD {head}: cwd=\"/\"\n\
         node=web1 type=PATH {head}: item=0 name=\"{path}\" inode=1 dev=08:01 nametype=NORMAL\n\
         node=web1 type=PROCTITLE {head}: proctitle=00\n",
        args.len()
    )
}

fn ecs(pid: u32, parent: u32, path: &str, line: &str) -> String {
    let value = json!({
        "@timestamp": "2026-03-01T00:00:00.500000Z",
        "event": {"action": "exec", "category": ["process"], "type": ["start"]},
        "process": {"pid": pid, "executable": path, "args": line.split(' ').collect::<Vec<_>>(),
            "user": {"id": "33"}, "parent": {"pid": parent}},
        "user": {"name": "www-data"},
        "host": {"hostname": "web1"},
    });
    format!("{value}\n")
}

#[test]
fn a_rule_about_a_parent_fires_in_both_forms_and_not_without_the_parent() {
    let audited = audit(1, 40, 1, "/usr/sbin/nginx", &["nginx: worker"])
        + "----\ntime->Sun Mar  1 00:00:00 2026\nnode=web1 type=USER_LOGIN msg=audit(1772323200.500:2): pid=1 uid=0 msg='op=login'\n"
        + &audit(3, 41, 40, "/bin/sh", &["sh", "-c", "id; \u{1b}[2J"]);
    let written = ecs(40, 1, "/usr/sbin/nginx", "nginx: worker") + &ecs(41, 40, "/bin/sh", "sh -c id");
    for (text, format, line) in [(&audited, "auditd", 9), (&written, "ecs", 2)] {
        for format in [format, "auto"] {
            let (found, complaints) = replay(text.as_bytes(), &["--format", format]);
            assert_eq!(complaints, "");
            assert_eq!(found.len(), 1, "{found:?}");
            let finding = &found[0];
            assert_eq!(finding["kind"], "finding");
            assert_eq!(finding["line"], line);
            assert_eq!(finding["time"], "2026-03-01T00:00:00.500000Z");
            assert_eq!(
                finding["summary"],
                "A shell of the web server by /bin/sh user www-data"
            );
            assert_eq!(finding["user"], "www-data");
            let process = &finding["process"];
            assert!(process["command_line"].as_str().unwrap().starts_with("sh -c id"));
            assert_eq!(process["parent"]["command_line"], "nginx: worker");
        }
    }
    let orphan = audit(3, 41, 40, "/bin/sh", &["sh", "-c", "id"]);
    assert_eq!(replay(orphan.as_bytes(), &[]), (vec![], String::new()));
}

#[test]
fn what_cannot_be_read_is_named_with_its_line_and_the_rest_is_judged() {
    let mut text = ecs(40, 1, "/usr/sbin/nginx", "nginx: worker").into_bytes();
    text.extend(b"{\"process\":{}}\n\n\xff\xfe\x1b[2J\n");
    text.extend(vec![b'x'; (1 << 20) + 1]);
    text.extend(b"\n{\"event\":{\"category\":[\"network\"]}}\n");
    text.extend(ecs(41, 40, "/bin/sh", "sh -c id").into_bytes());
    let (found, complaints) = replay(&text, &[]);
    assert_eq!(found.len(), 1, "{complaints}");
    assert_eq!(found[0]["line"], 7);
    let said: Vec<&str> = complaints.lines().collect();
    assert_eq!(said.len(), 4, "{complaints}");
    for (said, part) in said.iter().zip([
        "exec.log:2: missing field",
        "exec.log:4: is neither",
        "exec.log:5: is longer",
        "3 lines could not be read",
    ]) {
        assert!(said.contains(part), "{part} in {said}");
    }
    // Nothing but the first hundred is named each.
    let (_, complaints) = replay("?\n".repeat(5000).as_bytes(), &["--format", "auditd"]);
    assert_eq!(complaints.lines().count(), 101);
    assert!(complaints.contains("5000 lines"), "{complaints}");
}

#[test]
fn more_processes_than_are_remembered_are_counted() {
    let text: String = (1..66_000).map(|pid| ecs(pid, 0, "/bin/true", "true")).collect();
    let (_, complaints) = replay(text.as_bytes(), &[]);
    assert!(
        complaints.contains("463 processes had to make room"),
        "{complaints}"
    );
}

#[test]
fn standard_input_is_read_and_people_get_a_line_each() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rule.yml"), RULE).unwrap();
    let mut child = picket()
        .args(["replay", "exec", "-", "--rules"])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = ecs(40, 1, "/usr/sbin/nginx", "nginx: worker") + &ecs(41, 40, "/\u{1b}/sh", "sh -c id");
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "2026-03-01T00:00:00.500000Z high          A shell of the web server by /\\u{1b}/sh user www-data\n                            sh -c id\n"
    );
}

#[test]
fn an_exception_by_parent_and_command_line_holds_a_program_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known.toml");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let text = ecs(40, 1, "/usr/sbin/nginx", "nginx: worker") + &ecs(41, 40, "/bin/sh", "sh -c id");
    for (command_line, held) in [("sh -c id*", true), ("sh -c ls", false)] {
        let exception = format!(
            "[[exception]]\nrule = \"A shell of the web server\"\nreason = \"known\"\nuntil = \"never\"\n\
             [exception.fields]\nprocess.parent.executable = [\"/usr/sbin/nginx\"]\nprocess.command_line = [{command_line:?}]\n"
        );
        fs::write(&file, exception).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let exceptions = format!("--exceptions={}", folder.path().display());
        let (found, complaints) = replay(text.as_bytes(), &[&exceptions]);
        assert_eq!(complaints, "");
        let kinds: Vec<&str> = found
            .iter()
            .map(|value| value["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, [if held { "exception" } else { "finding" }]);
    }
}
