//! `picket rules list`: what is said of a rule is shown by an example, and what it lacks is named.

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

/// For each rule: its detection, whether it fires on its example, and a part of the reason why it cannot fire.
const CASES: &[(&str, &str, bool, &str)] = &[
    (
        PROGRAMS,
        "{a: {Image|endswith: /nc, CommandLine|contains|all: [' -e', /sh]}, condition: a}",
        true,
        "no sensor on this host sees programs start",
    ),
    (
        PROGRAMS,
        "{a: {CommandLine|re: '^(curl|wget)\\s.{20,}\\|\\s*sh$'}, b: {User: root}, condition: a and not b}",
        true,
        "no sensor",
    ),
    (
        PROGRAMS,
        "{a: {ParentImage|startswith: /opt/, ParentCommandLine: x}, b: {a: b}, condition: a or b}",
        true,
        "no sensor",
    ),
    (
        PROGRAMS,
        "{a_1: {Image: /x}, a_2: {process.tty.name: tty1}, a_3: {LogonId: 7}, condition: 2 of a_*}",
        true,
        "no sensor",
    ),
    (
        PROGRAMS,
        "{a: {LogonId: 7}, condition: a}",
        false,
        "'LogonId', a field",
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
    (PROGRAMS, "{a: [some words], condition: a}", true, "no sensor"),
    (
        PROGRAMS,
        "{a: {Image|startswith: /opt/, process.executable|endswith: /x}, condition: a}",
        true,
        "no sensor",
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
        "{product: linux, category: file_event}",
        "{a: {TargetFilename: /x}, condition: a}",
        false,
        "linux, file_event",
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
        rule("odd", PROGRAMS, "{a: {LogonId: 7}, condition: a}"),
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
    let unseen = "no sensor on this host sees programs start".to_owned();
    assert_eq!(said("values"), (true, false, unseen.clone()));
    assert_eq!(said("both"), (true, false, unseen));
    let (fires, _, reason) = said("none");
    assert!(!fires && reason.contains("'LogonId'"), "{reason}");
    let (fires, _, reason) = said("huge");
    assert!(!fires && reason.contains("more than 20000 events"), "{reason}");
}

#[test]
fn every_shipped_rule_fires_on_its_example_and_those_about_logins_can_fire() {
    for row in list(Path::new(SHIPPED), "") {
        assert_eq!(row["fires"], true, "{row}");
        let about_logins = row["log_source"] == "linux, authentication";
        assert_eq!(row["can_fire"], about_logins, "{row}");
    }
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
