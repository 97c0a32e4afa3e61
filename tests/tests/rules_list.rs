//! `picket rules list`: what is said of a rule is shown by an example, and what it lacks is named.

use picket_tests::line::Line;
use picket_tests::picket;
use serde_json::Value;
use std::fs;
use std::path::Path;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules/sigma");

/// The list of rules that a command line with a configuration prints.
fn list(rules: &Path, config: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("picket.toml");
    fs::write(&file, config).unwrap();
    let output = picket()
        .args(["rules", "list", "--json", "--config"])
        .arg(&file)
        .arg("--rules")
        .arg(rules)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rule(title: &str, source: &str, detection: &str) -> String {
    format!("title: {title}\nid: {title}\nlogsource: {source}\ndetection: {detection}\nlevel: low\n")
}

const PROGRAMS: &str = "{product: linux, category: process_creation}";
const LOGINS: &str = "{product: linux, category: authentication}";
const AUDIT: &str = "{product: linux, service: auditd}";
const CONNECTIONS: &str = "{product: linux, category: network_connection}";
const EXITS: &str = "{product: linux, category: process_termination}";
const PRIVILEGES: &str = "{product: linux, service: picket, category: privilege_change}";
const FILES: &str = "{product: linux, category: file_event}";
const SIGNALS: &str = "{product: linux, service: picket, category: signal}";

/// For each rule: its detection, whether it fires on its example, and a part of the reason why it cannot fire.
const CASES: &[(&str, &str, bool, &str)] = &[
    (
        PROGRAMS,
        "{a: {Image|endswith: /nc, CommandLine|contains|all: [' -e', /sh]}, condition: a}",
        true,
        "",
    ),
    (
        PROGRAMS,
        "{a: {CommandLine|re: '^(curl|wget)\\s.{20,}\\|\\s*sh$'}, b: {User: root}, condition: a and not b}",
        true,
        "",
    ),
    (
        PROGRAMS,
        "{a: {ParentImage|startswith: /opt/, ParentCommandLine: x}, b: {a: b}, condition: a or b}",
        true,
        "",
    ),
    (
        PROGRAMS,
        "{a_1: {Image: /x}, a_2: {process.tty.name: tty1}, a_3: {LogonGuid: 7}, condition: 2 of a_*}",
        true,
        "",
    ),
    (
        PROGRAMS,
        "{a: {LogonGuid: 7}, condition: a}",
        false,
        "'LogonGuid', a field",
    ),
    (
        PROGRAMS,
        "{a: {process.pid: x7}, condition: a}",
        false,
        "'process.pid' is never 'x7'",
    ),
    (
        PROGRAMS,
        "{a: {Image: /x}, condition: a and not a}",
        false,
        "does not match the examples",
    ),
    (
        PROGRAMS,
        "{a: {Image|fieldref: ParentImage}, condition: a}",
        false,
        "no example can be made",
    ),
    (PROGRAMS, "{a: [some words], condition: a}", true, ""),
    (PROGRAMS, "{a: {'|all': [some, words]}, condition: a}", true, ""),
    (
        PROGRAMS,
        "{a: {LogonId: 0, TerminalSessionId: 7, Hashes|contains: 'SHA256=00ff', User: root}, condition: a}",
        true,
        "",
    ),
    (
        PROGRAMS,
        "{a: {picket.process.ancestors.executable|endswith: /sshd, picket.login.source.ip|cidr: 198.51.100.0/24, process.env_vars|startswith: 'LD_PRELOAD=', picket.process.file.memfd: true}, condition: a}",
        true,
        "",
    ),
    (
        PROGRAMS,
        "{a: {picket.process.file.unlinked: false}, condition: a}",
        false,
        "'picket.process.file.unlinked' is never 'false'",
    ),
    (
        AUDIT,
        "{a: {type: EXECVE, a0: chmod, a1|contains: u+s, a7: '-R'}, b: {'|all': [x, yz]}, condition: a and b}",
        true,
        "",
    ),
    (
        AUDIT,
        "{a: {type: SYSCALL, SYSCALL: execve, comm: nc, exe|endswith: /nc, euid: 33, auid|gte: 1000}, condition: a}",
        true,
        "",
    ),
    (
        AUDIT,
        "{a: {type: PATH, nametype: CREATE}, condition: a}",
        false,
        "'nametype', a field that the records SYSCALL and EXECVE",
    ),
    (
        AUDIT,
        "{a: {type: SERVICE_STOP}, condition: a}",
        false,
        "'type' is never 'service_stop'",
    ),
    (
        AUDIT,
        "{a: {type: SYSCALL, a0: x}, condition: a}",
        false,
        "does not match the examples",
    ),
    (
        AUDIT,
        "{a: {type: SYSCALL, comm: insmod, exe: /usr/bin/kmod}, condition: a}",
        false,
        "'comm' and 'exe'",
    ),
    (
        CONNECTIONS,
        "{a: {Initiated: 'true', DestinationPort|gt: 1024, DestinationPort|lte: 4444, DestinationIp|cidr: '2001:db8::/32', Image|endswith: /bash}, condition: a}",
        true,
        "",
    ),
    (
        CONNECTIONS,
        "{a: {Initiated: false, SourceIp: 198.51.100.9, DestinationPort: 22, Protocol: tcp, DestinationIsIpv6: 'false', ParentImage: /x}, condition: a}",
        true,
        "",
    ),
    (
        CONNECTIONS,
        "{a: {DestinationHostname|endswith: .example}, condition: a}",
        false,
        "'DestinationHostname', a field",
    ),
    (
        CONNECTIONS,
        "{a: {Protocol: udp}, condition: a}",
        false,
        "'network.transport' is never 'udp'",
    ),
    (
        EXITS,
        "{a: {Image: /x, picket.process.exit_signal: 11, event.duration|lt: 1000000}, condition: a}",
        true,
        "",
    ),
    (
        PRIVILEGES,
        "{a: {picket.process.former_user.id|gt: 0, process.user.id: 0}, b: {Image: /y}, condition: a and not b}",
        true,
        "",
    ),
    (
        SIGNALS,
        "{a: {picket.signal.number: [9, 19], picket.signal.target.name: rsyslogd, User: www-data}, condition: a}",
        true,
        "",
    ),
    (
        "{product: linux, service: other, category: signal}",
        "{a: {Image: /x}, condition: a}",
        false,
        "linux, signal, other",
    ),
    (
        PROGRAMS,
        "{a: {Image|startswith: /opt/, process.executable|endswith: /x}, condition: a}",
        true,
        "",
    ),
    (
        LOGINS,
        "{a: [some words], condition: a}",
        false,
        "words of a message",
    ),
    (
        LOGINS,
        "{a: {event.action: fly}, condition: a}",
        false,
        "'event.action' is never 'fly'",
    ),
    (
        LOGINS,
        "{a: {event.action: login, source.ip|cidr: 198.51.100.0/24, source.port|gt: 1024}, condition: a}",
        true,
        "",
    ),
    (
        "{product: linux, service: vsftpd}",
        "{a: {event.action: login, user.name|exists: true}, condition: a}",
        true,
        "",
    ),
    (
        FILES,
        "{a: {TargetFilename|startswith: /etc/sudoers.d/, Image|endswith: /vi, User: bob, ParentImage: /bin/sh}, condition: a}",
        true,
        "",
    ),
    (
        FILES,
        "{a: {file.name|endswith: .sh, file.directory|startswith: /tmp, file.extension: sh, event.action: [moved, found]}, condition: a}",
        true,
        "",
    ),
    (
        FILES,
        "{a: {file.mode|re: '^4[0-7]{3}$', file.uid: 0, picket.file.before.mode: '0755', picket.file.change.kind: set_uid}, condition: a}",
        true,
        "",
    ),
    (
        FILES,
        "{a: {picket.file.matches.rule: x, file.mime_type: text/x-php, file.size|lt: 100, picket.login.source.ip|cidr: 198.51.100.0/24}, condition: a}",
        true,
        "",
    ),
    (FILES, "{a: [some words], condition: a}", true, ""),
    (
        FILES,
        "{a: {CurrentDirectory: /tmp}, condition: a}",
        false,
        "'CurrentDirectory', a field that events of files do not have",
    ),
    (
        FILES,
        "{a: {event.action: deleted}, condition: a}",
        false,
        "'event.action' is never 'deleted'",
    ),
    (
        FILES,
        "{a: {file.mode: '9999'}, condition: a}",
        false,
        "'file.mode' is never '9999'",
    ),
    (
        "{product: linux, category: file_delete}",
        "{a: {TargetFilename: /x}, condition: a}",
        false,
        "linux, file_delete",
    ),
    (
        "{product: windows}",
        "{a: {Image: x}, condition: a}",
        false,
        "windows",
    ),
];

#[test]
fn what_a_rule_can_do_is_shown_and_what_it_lacks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let rules: Vec<String> = (0..)
        .zip(CASES)
        .map(|(number, (source, detection, _, _))| rule(&format!("case {number}"), source, detection))
        .collect();
    fs::write(folder.path().join("rules.yml"), rules.join("---\n")).unwrap();
    let listed = list(folder.path(), "");
    assert_eq!(listed.len(), CASES.len());
    for (row, case) in listed.iter().zip(CASES) {
        let (_, _, fires, reason) = case;
        assert_eq!(row["fires"], *fires, "{case:?}: {row}");
        assert_eq!(row["can_fire"], reason.is_empty(), "{case:?}: {row}");
        let said = row["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{case:?}: {row}");
        assert_eq!(row["kind"], "single");
        assert!(row["source"].as_str().unwrap().ends_with("/rules.yml"), "{row}");
    }
}

#[test]
fn a_rule_that_counts_is_tried_on_so_many_events_and_says_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let counting = |title: &str, kind: &str, rules: &str, condition: &str| {
        format!(
            "title: {title}\nid: {title}\nname: {title}\ncorrelation:\n    type: {kind}\n    rules: [{rules}]\n    group-by: [host.hostname]\n    timespan: 1h\n{condition}"
        )
    };
    let documents = [
        rule("started", PROGRAMS, "{a: {Image: /x}, condition: a}"),
        rule("refused", LOGINS, "{a: {event.action: login}, condition: a}"),
        rule("odd", PROGRAMS, "{a: {LogonGuid: 7}, condition: a}"),
        counting(
            "many",
            "event_count",
            "odd, refused",
            "    condition: {gte: 50}\n",
        ),
        counting(
            "values",
            "value_count",
            "started",
            "    condition: {gte: 50, field: CommandLine}\n",
        ),
        counting("both", "temporal_ordered", "many, started", ""),
        counting("none", "event_count", "odd", "    condition: {gte: 2}\n"),
        counting(
            "huge",
            "value_count",
            "many",
            "    condition: {gte: 9000, field: user.name}\n",
        ),
    ];
    fs::write(folder.path().join("rules.yml"), documents.join("---\n")).unwrap();
    let listed = list(folder.path(), "");
    let said = |title: &str| {
        let row = listed.iter().find(|row| row["title"] == title).unwrap();
        let reason = row["reason"].as_str().unwrap_or_default().to_owned();
        (
            row["fires"].as_bool().unwrap(),
            row["can_fire"].as_bool().unwrap(),
            reason,
        )
    };
    assert_eq!(said("many"), (true, true, String::new()));
    assert_eq!(said("values"), (true, true, String::new()));
    assert_eq!(said("both"), (true, true, String::new()));
    let (fires, _, reason) = said("none");
    assert!(!fires && reason.contains("'LogonGuid'"), "{reason}");
    let (fires, _, reason) = said("huge");
    assert!(!fires && reason.contains("more than 20000 events"), "{reason}");
}

#[test]
fn every_shipped_rule_fires_on_its_example_and_can_fire() {
    for row in list(Path::new(SHIPPED), "") {
        assert_eq!(row["fires"], true, "{row}");
        assert_eq!(row["can_fire"], true, "{row}");
    }
}

#[test]
fn what_no_sensor_sees_cannot_fire_and_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let sources = [LOGINS, PROGRAMS, AUDIT, EXITS, CONNECTIONS, PRIVILEGES, SIGNALS];
    let rules: Vec<String> = sources
        .iter()
        .map(|source| {
            let wanted = match *source {
                LOGINS => "{user.name: x}",
                AUDIT => "{type: EXECVE, a0: x}",
                _ => "{User: x}",
            };
            rule("any", source, &format!("{{a: {wanted}, condition: a}}")).replace("id: any\n", "")
        })
        .collect();
    fs::write(folder.path().join("rules.yml"), rules.join("---\n")).unwrap();
    let said = |sensor: &str| -> Vec<Option<String>> {
        let listed = list(folder.path(), &format!("[process]\nsensor = \"{sensor}\"\n"));
        let reason = |row: &Value| row["reason"].as_str().map(str::to_owned);
        listed.iter().map(reason).collect()
    };
    let files = rule("any", FILES, "{a: {TargetFilename: /x}, condition: a}");
    let of_files = tempfile::tempdir().unwrap();
    fs::write(of_files.path().join("rules.yml"), files).unwrap();
    let listed = list(of_files.path(), "[files]\nsensor = \"none\"\n");
    assert_eq!(listed[0]["reason"], "no sensor on this host sees files land");
    assert_eq!(said("ebpf"), vec![None; sources.len()]);
    let some = |what: &str| Some(format!("no sensor on this host sees {what}"));
    let deeds = [
        some("connections"),
        some("how programs become root"),
        some("signals"),
    ];
    assert_eq!(said("poll"), [&[const { None }; 4], &deeds[..]].concat());
    let programs = || some("programs start");
    assert_eq!(
        said("none"),
        [&[None, programs(), programs(), some("programs end")], &deeds[..]].concat()
    );
}

#[test]
fn an_agent_that_had_to_fall_back_says_itself_what_cannot_fire() {
    let mut line = Line::start(
        "[process]\nsensor = \"auto\"\n[files]\nsensor = \"inotify\"\npaths = [\"/nowhere/at/all\"]\n",
    );
    let list = |line: &Line| -> Vec<(String, bool)> {
        let listed = line
            .operate(&["rules", "list", "--json", "--rules", SHIPPED])
            .unwrap();
        let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
        let row = |row: &Value| (row["log_source"].to_string(), row["can_fire"] == true);
        listed.iter().map(row).collect()
    };
    // Whoever asks could load the program, but the agent could not, and rules in force are those of the agent.
    assert!(list(&line).iter().all(|(_, can_fire)| *can_fire));
    let without = "-bpf,-sys_admin";
    line.run_through(&[
        "setpriv",
        &format!("--bounding-set={without}"),
        &format!("--inh-caps={without}"),
    ]);
    line.start_agent();
    let listed = list(&line);
    for (log_source, can_fire) in &listed {
        let needs_the_kernel = ["network_connection", "privilege_change", "signal"];
        let is_unseen = needs_the_kernel.iter().any(|name| log_source.contains(name));
        assert_eq!(*can_fire, !is_unseen, "{log_source}");
    }
    assert!(listed.iter().any(|(_, can_fire)| !can_fire));
    let status: Value = serde_json::from_str(&line.operate(&["status", "--json"]).unwrap()).unwrap();
    let sees = status["sees"].as_array().unwrap();
    assert!(
        sees.contains(&"programs".into()) && !sees.contains(&"connections".into()),
        "{status}"
    );
    let doctor = line.agent(&["doctor", "--json"]).output().unwrap();
    let told = String::from_utf8(doctor.stdout).unwrap();
    assert!(
        told.contains("the agent watches programs, of which the kernel's process connector tells"),
        "{told}"
    );
    line.end_agent(false);
}

#[test]
fn people_get_a_table_that_steers_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let text = rule("\"t\\e[2J\"", PROGRAMS, "{a: {\"a\\e[2J\": b}, condition: a}");
    fs::write(folder.path().join("rules.yml"), text).unwrap();
    let output = picket()
        .args(["rules", "list", "--rules"])
        .arg(folder.path())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].starts_with("no        -         low"), "{shown}");
    assert!(lines[3].contains("cannot fire: it asks for 'a\\u{1b}"), "{shown}");
    assert_eq!(lines[4], "1 rules: 0 can fire on this host, 0 fire on an example");
}
