//! Real files taken away and put back, while others interfere, disks are full and the agent is killed.

use super::attributes::Attributes;
use super::place::{Place, identity_of};
use super::vault::Step;
use super::*;
use crate::respond::blocks::Simulated;
use crate::respond::kills::tests::{inside, now, stray};
use crate::respond::{Guard, HostFacts, Ledger, Response};
use crate::sys::{Pidfd, Signal};
use picket_common::event::FileIdentity;
use picket_common::finding::{RuleRef, Severity};
use picket_common::process::ProcessId;
use rustix::fs::{
    CWD, IFlags, RenameFlags, XattrFlags, ioctl_getflags, ioctl_setflags, lgetxattr, lsetxattr, renameat_with,
};
use std::ffi::{CString, OsStr};
use std::fs::{File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

const BAD: &[u8] = b"<?php system($_GET['c']); ?>\n";
/// Says after which step the half of a test ends that is killed, and in which folder it works.
const STEP: &str = "PICKET_TEST_STEP";

struct Lab {
    folder: tempfile::TempDir,
    settings: Respond,
    response: Response,
}

impl Lab {
    fn start() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(folder: tempfile::TempDir) -> Self {
        let mut settings = Respond::default();
        settings.quarantine.directory = folder.path().join("vault");
        settings.quarantine.protect.push(folder.path().join("database"));
        settings.quarantine.rules = vec!["named".to_owned()];
        let response = stage(&settings, folder.path(), Box::new(Take), |_| {});
        Self {
            folder,
            settings,
            response,
        }
    }

    fn file(&self, name: impl AsRef<OsStr>, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name.as_ref());
        fs::write(&path, content).unwrap();
        path
    }

    fn add(&mut self, path: &Path) -> Outcome {
        add(&mut self.response, path, None)
    }

    fn undo(&mut self, outcome: &Outcome) -> Decision {
        let undone = self.response.undo(&outcome.action.id.to_string(), now()).unwrap();
        undone[0].decision.clone()
    }

    fn release(&mut self, outcome: &Outcome, way: Release) -> Decision {
        let id = outcome.action.id.to_string();
        self.response.release(&id, &way, now()).unwrap()[0]
            .decision
            .clone()
    }

    fn stored(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.settings.quarantine.directory) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

fn stage(settings: &Respond, folder: &Path, taker: Box<dyn Taker>, after: fn(Step)) -> Response {
    let facts = HostFacts {
        networks: Vec::new(),
        live: true,
    };
    let mut quarantines = Quarantines::new(settings, &[folder.join("state")], taker);
    quarantines.vault.after = after;
    let (ledger, problems) = Ledger::open(&folder.join("ledger"), 0).unwrap();
    assert_eq!(problems, [] as [String; 0]);
    Response::new(
        Guard::new(facts, &[]),
        ledger,
        vec![Box::new(quarantines)],
        |_| now(),
    )
}

fn add(response: &mut Response, path: &Path, identity: Option<FileIdentity>) -> Outcome {
    let file = FileRef {
        path: path.into(),
        identity,
        sha256: None,
    };
    let target = Target::Quarantine(Box::new(file));
    let mut outcomes = response.order(target, None, "by hand", now()).unwrap();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    outcomes.remove(0)
}

fn because(decision: &Decision) -> &str {
    match decision {
        Decision::Refused { because } | Decision::Failed { because } => because,
        other => panic!("{other:?}"),
    }
}

/// All that is to come back, but the content.
fn attributes(path: &Path) -> Attributes {
    Attributes::of(&Place::of(path).unwrap().open().unwrap()).unwrap()
}

#[test]
fn whatever_a_file_is_called_and_whatever_it_has_comes_back_exactly() {
    let mut lab = Lab::start();
    let long = "l".repeat(255);
    let names: [&[u8]; 5] = [
        b"shell.php",
        b"new\nline \x1b[2J",
        b"\xff\xfe.php",
        long.as_bytes(),
        b"-rf *",
    ];
    for name in names {
        let path = lab.file(OsStr::from_bytes(name), BAD);
        chown(&path, Some(1234), Some(4321)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o6754)).unwrap();
        // user::rwx, user:77:r-x, group::r-x, mask::r-x, other::r--
        let entries = [
            (1u16, 7u16, u32::MAX),
            (2, 5, 77),
            (4, 5, u32::MAX),
            (16, 5, u32::MAX),
            (32, 4, u32::MAX),
        ];
        let mut acl = 2u32.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            acl.extend(
                tag.to_le_bytes()
                    .into_iter()
                    .chain(rights.to_le_bytes())
                    .chain(id.to_le_bytes()),
            );
        }
        for (name, value) in [
            ("user.\u{e4}", &b"a\0\xff"[..]),
            ("trusted.t", b"t"),
            ("system.posix_acl_access", &acl),
        ] {
            lsetxattr(&path, name, value, XattrFlags::empty()).unwrap();
        }
        let times = fs::FileTimes::new()
            .set_accessed(std::time::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789))
            .set_modified(std::time::UNIX_EPOCH + Duration::new(1_100_000_000, 987_654_321));
        File::open(&path).unwrap().set_times(times).unwrap();
        let before = attributes(&path);
        assert_eq!(
            (before.xattrs.len(), before.accessed.nanoseconds),
            (3, 123_456_789)
        );

        let outcome = lab.add(&path);
        assert_eq!(outcome.decision, Decision::Applied, "{outcome:?}");
        assert!(fs::symlink_metadata(&path).is_err(), "it is gone");
        let vault = &lab.settings.quarantine.directory;
        assert_eq!(fs::metadata(vault).unwrap().mode() & 0o7777, 0o700);
        let masked = vault.join(format!("{}.masked", outcome.action.id));
        assert_eq!(fs::metadata(&masked).unwrap().mode() & 0o7777, 0o400);
        let stored = fs::read(&masked).unwrap();
        assert!(
            !stored
                .windows(5)
                .any(|part| BAD.windows(5).any(|bad| bad == part))
        );
        assert_eq!(lab.stored().len(), 2);

        assert_eq!(lab.undo(&outcome), Decision::Undone);
        assert_eq!(fs::read(&path).unwrap(), BAD);
        // Reading it has changed when it was read.
        File::open(&path).unwrap().set_times(times).unwrap();
        assert_eq!(attributes(&path), before);
        assert_eq!(lab.stored(), [] as [&str; 0]);
        fs::remove_file(&path).unwrap();
    }
    let left: Vec<_> = fs::read_dir(lab.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "nothing but vault and ledger: {left:?}");
}

#[test]
fn times_come_back_to_the_nanosecond_also_where_a_folder_gives_its_files_more() {
    let mut lab = Lab::start();
    let path = lab.file("f", BAD);
    let before = attributes(&path);
    let outcome = lab.add(&path);
    // A default ACL: what is made here has one of its own.
    let entries = [
        (1u16, 7u16, u32::MAX),
        (2, 7, 77),
        (4, 5, u32::MAX),
        (16, 7, u32::MAX),
        (32, 0, u32::MAX),
    ];
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        acl.extend(
            tag.to_le_bytes()
                .into_iter()
                .chain(rights.to_le_bytes())
                .chain(id.to_le_bytes()),
        );
    }
    lsetxattr(
        lab.folder.path(),
        "system.posix_acl_default",
        &acl,
        XattrFlags::empty(),
    )
    .unwrap();
    assert_eq!(lab.undo(&outcome), Decision::Undone);
    assert_eq!(attributes(&path), before);
    let mut value = [0; 100];
    assert!(lgetxattr(&path, "system.posix_acl_access", value.as_mut_slice()).is_err());
}

#[test]
fn nothing_is_overwritten_and_nothing_that_was_tampered_with_comes_back() {
    let mut lab = Lab::start();
    let path = lab.file("f", BAD);
    let outcome = lab.add(&path);
    fs::write(&path, b"somebody's").unwrap();
    let failed = lab.undo(&outcome);
    assert!(because(&failed).contains("is there already"), "{failed:?}");
    assert_eq!(fs::read(&path).unwrap(), b"somebody's");
    fs::remove_file(&path).unwrap();

    let masked = lab
        .settings
        .quarantine
        .directory
        .join(format!("{}.masked", outcome.action.id));
    let good = fs::read(&masked).unwrap();
    let mut bad = good.clone();
    bad[7] ^= 1;
    for bad in [bad, good[1..].to_vec(), [&good[..], b"x"].concat()] {
        fs::write(&masked, bad).unwrap();
        let failed = lab.undo(&outcome);
        assert!(because(&failed).contains("tampered"), "{failed:?}");
        assert!(!path.exists());
    }
    fs::write(&masked, &good).unwrap();
    // Whoever changes the record as well does not change the ledger.
    let record = masked.with_extension("json");
    let text = fs::read_to_string(&record).unwrap();
    let sha256 = lab.response.held().next().unwrap().action.clone();
    let Target::Quarantine(file) = &sha256.target else {
        panic!()
    };
    let sum = file.sha256.as_ref().unwrap().as_str();
    fs::write(&record, text.replace(sum, &"0".repeat(64))).unwrap();
    assert!(because(&lab.undo(&outcome)).contains("tampered"));
    fs::write(&record, text).unwrap();
    assert_eq!(lab.undo(&outcome), Decision::Undone);
    assert_eq!(fs::read(&path).unwrap(), BAD);
}

#[test]
fn where_the_folder_is_gone_it_says_so_and_goes_elsewhere() {
    let mut lab = Lab::start();
    fs::create_dir(lab.folder.path().join("gone")).unwrap();
    let path = lab.file("gone/f", BAD);
    let outcome = lab.add(&path);
    fs::remove_dir(lab.folder.path().join("gone")).unwrap();
    let failed = lab.undo(&outcome);
    assert!(because(&failed).contains("--to"), "{failed:?}");
    symlink(lab.folder.path(), lab.folder.path().join("gone")).unwrap();
    assert!(
        because(&lab.undo(&outcome)).contains("--to"),
        "no link is followed"
    );
    let to = lab.folder.path().join("elsewhere");
    assert_eq!(
        lab.release(&outcome, Release::To(to.as_path().into())),
        Decision::Undone
    );
    assert_eq!(fs::read(to).unwrap(), BAD);
}

#[test]
fn what_is_exported_stays_and_what_is_deleted_or_over_does_not() {
    let mut lab = Lab::start();
    lab.settings.quarantine.quota = 1 << 20;
    lab.response = stage(&lab.settings, lab.folder.path(), Box::new(Take), |_| {});
    let path = lab.file("f", BAD);
    let outcome = lab.add(&path);
    let vault = Vault::new(&lab.settings.quarantine.directory, 1 << 20);
    let record = vault.find(&path.display().to_string()).unwrap();
    let out = lab.folder.path().join("out");
    vault.export(&record, &out).unwrap();
    assert_eq!(fs::read(&out).unwrap(), BAD);
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o7777, 0o400);
    assert!(vault.export(&record, &out).is_err(), "nothing is overwritten");
    // As much as there is room for.
    let large = lab.file("large", &vec![1; 1 << 20]);
    let refused = lab.add(&large);
    assert!(
        because(&refused.decision).contains("the quarantine is full"),
        "{refused:?}"
    );
    assert!(large.exists());
    assert_eq!(lab.release(&outcome, Release::Delete), Decision::Expired);
    assert_eq!(lab.stored(), [] as [&str; 0]);
    // For as long as is said.
    let target = Target::Quarantine(Box::new(FileRef {
        path: large.as_path().into(),
        identity: None,
        sha256: None,
    }));
    let minute = Some(Duration::from_secs(60));
    let taken = lab.response.order(target, minute, "r", now()).unwrap();
    assert_eq!(taken[0].decision, Decision::Applied);
    assert_eq!(lab.response.expire(now()).unwrap(), []);
    let later = now().plus(Duration::from_secs(61));
    let over = lab.response.expire(later).unwrap();
    assert_eq!(over[0].decision, Decision::Expired);
    assert_eq!((lab.stored().len(), lab.response.held().count()), (0, 0));
}

#[test]
fn what_a_host_needs_and_what_is_no_single_file_stays() {
    let mut lab = Lab::start();
    for folder in ["database", "state", "new", "folder", "vault"] {
        fs::create_dir(lab.folder.path().join(folder)).unwrap();
    }
    let file = lab.file("file", BAD);
    symlink(&file, lab.folder.path().join("link")).unwrap();
    symlink(
        lab.folder.path().join("folder"),
        lab.folder.path().join("by-link"),
    )
    .unwrap();
    lab.file("folder/f", BAD);
    let fifo = CString::new(lab.folder.path().join("fifo").as_os_str().as_bytes()).unwrap();
    nix::unistd::mkfifo(fifo.as_c_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    lab.file("vault/f", BAD);
    lab.file("database/table", BAD);
    lab.file("state/ledger", BAD);
    lab.file("mbox", b"From a@example.org Thu Jan  1 00:00:00 2026\n\nhello\n");
    for (name, why) in [
        ("link", "symbolic link"),
        ("by-link/f", "symbolic link"),
        ("fifo", "no regular file"),
        ("folder", "a folder"),
        ("nothing", "No such file"),
        ("database/table", "respond.quarantine.protect"),
        ("state/ledger", "the agent's own"),
        ("vault/f", "the agent's own"),
        ("mbox", "whole mailbox"),
        ("/dev/null", "no regular file"),
        ("/etc/passwd", "cannot do without"),
        ("/usr/bin/bash", "cannot do without"),
    ] {
        let outcome = lab.add(&lab.folder.path().join(name));
        assert!(because(&outcome.decision).contains(why), "{name}: {outcome:?}");
    }
    let own = add(&mut lab.response, &std::env::current_exe().unwrap(), None);
    assert!(
        because(&own.decision).contains("the agent's own program"),
        "{own:?}"
    );
    assert_eq!(lab.stored(), ["f"]);
    // One mail is no mailbox.
    let mail = lab.file("new/1.host", b"Return-Path: <a@example.org>\n\nhello\n");
    assert_eq!(lab.add(&mail).decision, Decision::Applied);
}

#[test]
fn a_file_that_is_as_its_package_brought_it_stays() {
    let Ok(_) = crate::sys::Tool::find("dpkg-query") else {
        println!("skipped: this host has no dpkg");
        return;
    };
    let path = Path::new("/usr/lib/os-release");
    let subject = Subject::open(path, 1 << 20).unwrap();
    let spared = package::spares(&subject);
    assert!(spared.is_some_and(|why| why.contains("as the package base-files brought it")));
    let mut lab = Lab::start();
    assert!(because(&lab.add(path).decision).contains("base-files"));
    assert!(path.exists());
}

#[test]
fn other_names_of_a_file_are_told_and_a_sparse_one_takes_no_room() {
    let mut lab = Lab::start();
    let path = lab.file("f", BAD);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(32 << 20)
        .unwrap();
    fs::hard_link(&path, lab.folder.path().join("other")).unwrap();
    let outcome = lab.add(&path);
    assert!(
        outcome
            .action
            .reason
            .contains(r#"1 other names lead to its content still, in its folder "other""#),
        "{outcome:?}"
    );
    let masked = lab
        .settings
        .quarantine
        .directory
        .join(format!("{}.masked", outcome.action.id));
    assert!(fs::metadata(masked).unwrap().blocks() < 100);
    assert_eq!(lab.undo(&outcome), Decision::Undone);
    let data = fs::metadata(&path).unwrap();
    assert_eq!((data.len(), data.nlink()), (32 << 20, 1));
    assert!(data.blocks() < 100, "{}", data.blocks());
}

#[test]
fn a_file_that_cannot_be_changed_comes_and_goes_with_its_flag() {
    for folder in ["/tmp", "/dev/shm"] {
        let mut lab = Lab::at(tempfile::tempdir_in(folder).unwrap());
        let path = lab.file("f", BAD);
        let flags = |path: &Path| ioctl_getflags(File::open(path).unwrap()).unwrap();
        ioctl_setflags(File::open(&path).unwrap(), flags(&path) | IFlags::IMMUTABLE).unwrap();
        let refused = fs::remove_file(&path).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
        let outcome = lab.add(&path);
        assert_eq!(outcome.decision, Decision::Applied, "{outcome:?}");
        assert_eq!(lab.undo(&outcome), Decision::Undone);
        assert!(flags(&path).contains(IFlags::IMMUTABLE));
        ioctl_setflags(File::open(&path).unwrap(), flags(&path) - IFlags::IMMUTABLE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), BAD);
    }
}

fn finding(rule: &str, process: Option<ProcessId>, file: Option<FileRef>) -> Finding {
    Finding {
        id: RecordId::derived(now(), &[rule.as_bytes()]),
        time: now(),
        detected: now(),
        rule: RuleRef {
            id: rule.to_owned(),
            title: "t".to_owned(),
            attack: Vec::new(),
        },
        severity: Severity::High,
        summary: "a miner".to_owned(),
        group: Vec::new(),
        count: None,
        source: None,
        user: None,
        process,
        file: file.map(Box::new),
        events: Vec::new(),
        suggests: Vec::new(),
    }
}

#[test]
fn a_finding_takes_the_program_of_its_process_which_goes_on() {
    let mut lab = Lab::start();
    let path = lab.folder.path().join(OsStr::from_bytes(b"mi\xffner"));
    fs::copy("/bin/sleep", &path).unwrap();
    let link = lab.folder.path().join("link");
    symlink(&path, &link).unwrap();
    let process = stray(&format!("echo $$; echo ready; exec {} 1000", link.display()));
    // It says so before it is the program.
    while fs::read_link(format!("/proc/{}/exe", process.pid)).unwrap() != path {
        std::thread::yield_now();
    }
    let other = lab
        .response
        .consider(&finding("other", Some(process), None), now())
        .unwrap();
    assert_eq!(other, []);
    let wanted = finding("named", Some(process), None);
    let mut watching = stage(
        &lab.settings,
        &lab.folder.path().join("watching"),
        Box::new(Simulated),
        |_| {},
    );
    for expected in [&[Decision::Simulated][..], &[]] {
        let outcomes = watching.consider(&wanted, now()).unwrap();
        let decisions: Vec<_> = outcomes.into_iter().map(|outcome| outcome.decision).collect();
        assert_eq!(decisions, expected, "it is said once");
    }
    let outcomes = lab.response.consider(&wanted, now()).unwrap();
    assert_eq!(outcomes[0].decision, Decision::Applied, "{outcomes:?}");
    assert_eq!(outcomes[0].action.finding, Some(wanted.id));
    assert!(!path.exists());
    let held = Pidfd::open(process).expect("it goes on");
    assert_eq!(lab.undo(&outcomes[0]), Decision::Undone);
    assert_eq!(fs::read(&path).unwrap(), fs::read("/bin/sleep").unwrap());
    held.signal(Signal::KILL).unwrap();
}

#[test]
fn a_finding_takes_the_file_that_was_judged_and_no_other() {
    let mut lab = Lab::start();
    let path = lab.file("f", BAD);
    let data = fs::metadata(&path).unwrap();
    let mut file = FileRef {
        path: path.as_path().into(),
        identity: Some(FileIdentity {
            device: data.dev(),
            inode: data.ino() + 1,
        }),
        sha256: None,
    };
    let mut decide = |file: &FileRef, rule: &str| {
        // What has been decided on is not decided on again.
        let touched = File::options().append(true).open(&path).unwrap();
        touched
            .set_times(fs::FileTimes::new().set_modified(std::time::SystemTime::now()))
            .unwrap();
        let outcomes = lab
            .response
            .consider(&finding(rule, None, Some(file.clone())), now())
            .unwrap();
        outcomes.into_iter().map(|outcome| outcome.decision).next()
    };
    let refused = decide(&file, "named").unwrap();
    assert!(
        because(&refused).contains("another file lies there"),
        "{refused:?}"
    );
    file.identity = None;
    assert_eq!(decide(&file, "named"), None, "nothing proves which file it is");
    file.sha256 = Some("0".repeat(64).into());
    let refused = decide(&file, "named").unwrap();
    assert!(because(&refused).contains("changed since"), "{refused:?}");
    file.sha256 = Some(Subject::open(&path, 1000).unwrap().sha256.into());
    assert_eq!(decide(&file, "other"), None);
    assert_eq!(decide(&file, "named"), Some(Decision::Applied));
    // An event keeps of a name what is UTF-8.
    let path = lab.file(OsStr::from_bytes(b"\xfff\xfe"), BAD);
    let other = lab.file(OsStr::from_bytes(b"\xfef\xff"), BAD);
    let identity = identity_of(&File::open(&path).unwrap()).unwrap();
    let file = FileRef {
        path: path.to_string_lossy().as_ref().into(),
        identity: Some(identity),
        sha256: None,
    };
    let outcomes = lab
        .response
        .consider(&finding("named", None, Some(file)), now())
        .unwrap();
    assert_eq!(outcomes[0].decision, Decision::Applied, "{outcomes:?}");
    assert!(!path.exists() && other.exists());
}

#[test]
fn while_names_are_swapped_nothing_innocent_is_taken_and_nothing_is_lost() {
    for folder in ["/tmp", "/dev/shm"] {
        let lab = Lab::at(tempfile::tempdir_in(folder).unwrap());
        let mut settings = lab.settings.clone();
        // In one file system, and across two.
        let vault = tempfile::tempdir_in("/dev/shm").unwrap();
        settings.quarantine.directory = vault.path().join("vault");
        let mut response = stage(&settings, lab.folder.path(), Box::new(Take), |_| {});
        let (bad, innocent) = (lab.file("bad", BAD), lab.file("innocent", b"innocent"));
        let link = lab.folder.path().join("link");
        symlink(&innocent, &link).unwrap();
        let data = fs::metadata(&bad).unwrap();
        let mut identity = FileIdentity {
            device: data.dev(),
            inode: data.ino(),
        };
        let stop = AtomicBool::new(false);
        let (mut taken, mut refused) = (0, 0);
        let mut reasons = std::collections::BTreeSet::new();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for other in [&innocent, &link] {
                        // Where one of them is away it fails.
                        let _ = renameat_with(CWD, &bad, CWD, other, RenameFlags::EXCHANGE);
                    }
                }
            });
            while taken < 20 || refused < 20 {
                assert!(taken + refused < 1_000_000, "{reasons:#?}");
                let outcome = add(&mut response, &bad, Some(identity));
                if outcome.decision != Decision::Applied {
                    refused += 1;
                    reasons.insert(because(&outcome.decision).to_owned());
                    continue;
                }
                taken += 1;
                let id = outcome.action.id.to_string();
                let to = lab.folder.path().join("back");
                let undone = response
                    .release(&id, &Release::To(to.as_path().into()), now())
                    .unwrap();
                assert_eq!(undone[0].decision, Decision::Undone, "{undone:?}");
                assert_eq!(fs::read(&to).unwrap(), BAD, "it was the one that was meant");
                let data = fs::metadata(&to).unwrap();
                identity.inode = data.ino();
                while renameat_with(CWD, &to, CWD, &bad, RenameFlags::NOREPLACE).is_err() {
                    // Its name is taken by what was put back beside: that is given the name that is free.
                    let free = [&innocent, &link]
                        .into_iter()
                        .find(|path| fs::symlink_metadata(path).is_err());
                    if let Some(free) = free {
                        let _ = renameat_with(CWD, &bad, CWD, free, RenameFlags::NOREPLACE);
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        println!("{folder}: {taken} taken, {refused} not: {reasons:#?}");
        let mut contents: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        for entry in fs::read_dir(lab.folder.path()).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            links += usize::from(kind.is_symlink());
            if kind.is_file() && entry.file_name() != "ledger" {
                contents.push(fs::read(entry.path()).unwrap());
            }
        }
        contents.sort();
        assert_eq!((contents, links), (vec![BAD.to_vec(), b"innocent".to_vec()], 1));
    }
}

#[test]
fn on_a_full_disk_nothing_is_lost() {
    if !inside("respond::quarantine::tests::on_a_full_disk_nothing_is_lost") {
        return;
    }
    let lab = Lab::start();
    let small = lab.folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let mount = |options: &str| {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(&small)
            .status();
        assert!(mounted.unwrap().success());
    };
    mount("size=256k");
    let content: Vec<u8> = (0..1_000_000_u32)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let mut settings = lab.settings.clone();
    settings.quarantine.directory = small.join("vault");
    let mut response = stage(&settings, lab.folder.path(), Box::new(Take), |_| {});
    // The quarantine has no room.
    let path = lab.file("f", &content);
    let before = attributes(&path);
    let failed = add(&mut response, &path, None);
    assert!(because(&failed.decision).contains("No space left"), "{failed:?}");
    assert_eq!(attributes(&path), before);
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(fs::read_dir(&settings.quarantine.directory).unwrap().count(), 0);
    assert_eq!(
        fs::read_dir(lab.folder.path()).unwrap().count(),
        3,
        "no folder of its own is left"
    );
    // Where it is to come back to is none.
    let mut response = stage(&lab.settings, lab.folder.path(), Box::new(Take), |_| {});
    let taken = add(&mut response, &path, None);
    assert_eq!(taken.decision, Decision::Applied);
    let to = Release::To(small.join("back").as_path().into());
    let id = taken.action.id.to_string();
    let failed = response.release(&id, &to, now()).unwrap();
    assert!(
        because(&failed[0].decision).contains("No space left"),
        "{failed:?}"
    );
    assert_eq!(fs::read_dir(&small).unwrap().count(), 1);
    let back = response.undo(&id, now()).unwrap();
    assert_eq!(back[0].decision, Decision::Undone);
    assert_eq!(fs::read(&path).unwrap(), content);
}

/// Ends this process after the step that the environment names, as a kill would.
fn die(step: Step) {
    let wanted = std::env::var(STEP).unwrap_or_default();
    if wanted.split(' ').next() == Some(&format!("{step:?}")) {
        std::process::abort();
    }
}

/// The half of the next test that is killed.
#[test]
fn an_agent_that_dies() {
    let Ok(wanted) = std::env::var(STEP) else {
        return;
    };
    let words: Vec<&str> = wanted.split(' ').collect();
    let (folder, vault) = (Path::new(words[1]), Path::new(words[2]));
    let mut settings = Respond::default();
    settings.quarantine.directory = vault.to_owned();
    let mut response = stage(&settings, folder, Box::new(Take), die);
    let outcome = add(&mut response, &folder.join("f"), None);
    response.undo(&outcome.action.id.to_string(), now()).unwrap();
    panic!("there is no step {wanted}");
}

#[test]
fn an_agent_that_is_killed_at_any_step_goes_on_from_there() {
    use Step::{Away, Back, Copied, Recorded, Restoring, Stored, Unlocked, Unmasked};
    let own = std::env::current_exe().unwrap();
    for (folder, forward) in [
        ("/tmp", true),
        ("/dev/shm", true),
        ("/tmp", false),
        ("/dev/shm", false),
    ] {
        for step in [
            Recorded, Unlocked, Away, Copied, Stored, Restoring, Unmasked, Back,
        ] {
            let shm = tempfile::tempdir_in("/dev/shm").unwrap();
            let lab = Lab::at(tempfile::tempdir_in(folder).unwrap());
            let path = lab.file("f", BAD);
            chown(&path, Some(1234), Some(4321)).unwrap();
            let before = attributes(&path);
            let mut settings = lab.settings.clone();
            settings.quarantine.directory = shm.path().join("vault");
            let word = format!(
                "{step:?} {} {}",
                lab.folder.path().display(),
                settings.quarantine.directory.display()
            );
            let killed = Command::new(&own)
                .args([
                    "--exact",
                    "respond::quarantine::tests::an_agent_that_dies",
                    "--nocapture",
                ])
                .env(STEP, word)
                .output()
                .unwrap();
            assert!(
                std::os::unix::process::ExitStatusExt::signal(&killed.status) == Some(6),
                "{step:?}: {killed:?}"
            );
            let taker: Box<dyn Taker> = match forward {
                true => Box::new(Take),
                false => Box::new(Simulated),
            };
            let mut response = stage(&settings, lab.folder.path(), taker, |_| {});
            let outcomes = response.reconcile(now(), true).unwrap();
            let decisions: Vec<_> = outcomes.iter().map(|outcome| &outcome.decision).collect();
            let held: Vec<_> = response.held().map(|held| held.action.id).collect();
            let stored = match step {
                Recorded | Unlocked | Back => false,
                Away | Copied => forward,
                Stored | Restoring | Unmasked => true,
            };
            println!("{folder} {forward} {step:?}: {decisions:?}");
            assert_eq!(
                (held.len(), path.exists()),
                (usize::from(stored), !stored),
                "{step:?}"
            );
            let files = fs::read_dir(&settings.quarantine.directory).unwrap().count();
            assert_eq!(files, if stored { 2 } else { 0 }, "{step:?}");
            if let Some(id) = held.first() {
                let undone = response.undo(&id.to_string(), now()).unwrap();
                assert_eq!(undone[0].decision, Decision::Undone, "{undone:?}");
            }
            assert_eq!(attributes(&path).xattrs, before.xattrs);
            assert_eq!(attributes(&path), before, "{step:?}");
            assert_eq!(fs::read(&path).unwrap(), BAD);
            let left = fs::read_dir(lab.folder.path()).unwrap().count();
            assert_eq!(left, 2, "the file and the ledger, {step:?}");
            // A second start finds nothing to do.
            let mut again = stage(&settings, lab.folder.path(), Box::new(Take), |_| {});
            assert_eq!(again.reconcile(now(), true).unwrap(), [], "{step:?}");
        }
    }
}

#[test]
fn a_writer_that_goes_on_while_it_is_copied_loses_nothing() {
    static WRITER: std::sync::OnceLock<File> = std::sync::OnceLock::new();
    let mut lab = Lab::start();
    let path = lab.file("f", BAD);
    WRITER
        .set(File::options().write(true).open(&path).unwrap())
        .unwrap();
    let write = |step: Step| {
        if step == Step::Away {
            WRITER.get().unwrap().write_all_at(b"more", 3).unwrap();
        }
    };
    lab.response = stage(&lab.settings, lab.folder.path(), Box::new(Take), write);
    let failed = lab.add(&path);
    assert!(
        because(&failed.decision).contains("goes on writing"),
        "{failed:?}"
    );
    let mut written = BAD.to_vec();
    written[3..7].copy_from_slice(b"more");
    assert_eq!(fs::read(&path).unwrap(), written);
    assert_eq!(lab.stored(), [] as [&str; 0]);
}
