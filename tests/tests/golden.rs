//! Logs and what `picket` prints for them, kept side by side in `tests/golden`.

use picket_tests::picket;
use std::fs;
use std::path::Path;

#[test]
fn every_log_is_understood_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/auth");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let log = entry.unwrap().path();
        if log.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        // A copy with a known age, as yearless times are taken from the file's last change.
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("auth.log");
        fs::copy(&log, &copy).unwrap();
        let changed = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_312_000);
        fs::File::options()
            .write(true)
            .open(&copy)
            .unwrap()
            .set_modified(changed)
            .unwrap();

        let output = picket()
            .env("TZ", "UTC")
            .args(["parse", "auth", "--json"])
            .arg(&copy)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let printed = String::from_utf8(output.stdout).unwrap();
        let lines = fs::read(&log)
            .unwrap()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        assert_eq!(printed.lines().count(), lines, "one line out for each line in");

        let golden = log.with_extension("ndjson");
        if std::env::var_os("WRITE_GOLDEN").is_some() {
            fs::write(&golden, &printed).unwrap();
        }
        assert_eq!(
            printed,
            fs::read_to_string(&golden).unwrap(),
            "{}",
            golden.display()
        );
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn a_line_without_end_costs_one_null_and_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("auth.log");
    let mut text = vec![b'x'; 10 << 20];
    text.extend_from_slice(b"\nDec 10 06:55:46 h sshd[1]: Invalid user a from 198.51.100.9 port 1\n");
    fs::write(&log, text).unwrap();
    let output = picket()
        .args(["parse", "auth", "--json"])
        .arg(&log)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], "null");
    assert!(lines[1].contains("198.51.100.9"), "{}", lines[1]);
}

#[test]
fn one_bad_file_among_many_is_named_and_the_rest_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("auth.log");
    fs::write(
        &log,
        "Dec 10 06:55:46 h sshd[1]: Invalid user a from 198.51.100.9 port 1\n",
    )
    .unwrap();
    let missing = folder.path().join("missing.log");
    let output = picket()
        .args(["parse", "auth"])
        .args([&missing, &log])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaints.contains("missing.log") && complaints.contains("2 of the files"),
        "{complaints}"
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("198.51.100.9"));
}

#[test]
fn what_an_attacker_wrote_does_not_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("auth.log");
    fs::write(
        &log,
        b"Dec 10 06:55:46 h sshd[1]: Invalid user \x1b[2J\x07\xc2\x9b from 198.51.100.9 port 1\n",
    )
    .unwrap();
    for arguments in [&["parse", "auth"][..], &["parse", "auth", "--json"][..]] {
        let output = picket().args(arguments).arg(&log).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains("198.51.100.9"));
        assert!(!printed.trim_end().contains(char::is_control), "{printed:?}");
    }
}

#[test]
fn the_shipped_configuration_is_good_and_shows_the_defaults() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/config/picket.toml");
    let text = fs::read_to_string(shipped).unwrap();
    // With every setting written out, as an operator would who takes the comment signs away.
    let mut in_list = false;
    let written = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting)
            if in_list
                || setting
                    .split_once(" = ")
                    .is_some_and(|(key, _)| !key.contains(' ')) =>
        {
            in_list = setting.ends_with('[') || (in_list && setting != "]");
            setting
        }
        _ => line,
    });
    let written: Vec<&str> = written.collect();
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("shipped.toml", text.clone()),
        ("written.toml", written.join("\n")),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let output = picket().args(["check", "--config"]).arg(&file).output().unwrap();
        // Rules lie where it looks for them once Picket is installed.
        let told = String::from_utf8_lossy(&output.stderr);
        let unruled = "picket: no rule was found in /usr/share/picket/rules, /etc/picket/rules: ";
        let only_unruled = told.starts_with(unruled) && told.lines().count() == 1;
        assert!(output.status.success() || only_unruled, "{told}");
        assert_eq!(
            picket_agent::config::load(&file).settings,
            picket_agent::config::Settings::default(),
            "{name}"
        );
    }
}
