//! Disks that are full, read-only or damaged, under a real agent and a real collector: it is said, and nothing is lost once
//! there is room again. Each needs root, for a mount namespace; without it the test says so and is skipped.

use picket_tests::line::Line;
use picket_tests::load::{self, failures, is_found};
use picket_tests::surroundings::Surroundings;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: needs root for a mount namespace");
    }
    root
}

/// Fills a file system to its last byte.
fn fill(file: &Path) {
    let mut file = File::create(file).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
}

#[test]
fn a_full_disk_under_the_spool_is_said_the_agent_keeps_watching_and_loses_nothing() {
    if !is_root() {
        return;
    }
    let mut line = Line::start("");
    line.agent_finds = Surroundings::small_disk("spool", 4);
    line.start_agent();
    let log = line.path("auth.log");
    load::append(&log, 0..200);
    line.log(&failures("198.51.100.9", 5));
    is_found(&line, "198.51.100.9");

    let filler = line.seen_by_agent("spool/filler");
    fill(&filler);
    load::append(&log, 200..700);
    line.wait_until_agent_says("No space left on device", 1);
    // It still watches and decides, for as long as its queues have room.
    line.log(&failures("198.51.100.10", 5));
    let started = Instant::now();
    while !line
        .operate(&["blocks", "list"])
        .expect("it answers")
        .contains("198.51.100.10")
    {
        assert!(started.elapsed() < Duration::from_secs(30), "it does not watch");
    }
    // Then it reads no further, and the log keeps what is written.
    load::append(&log, 700..4000);

    fs::remove_file(filler).unwrap();
    line.wait_until_agent_says("the spool can be written again", 1);
    is_found(&line, "198.51.100.10");
    assert_eq!(load::missing_and_double(&line, 4000), (vec![], vec![]));
    assert_eq!(gaps(&line), "");
}

#[test]
fn a_disk_that_turns_read_only_under_the_spool_is_said_and_nothing_is_lost_once_it_is_mended() {
    if !is_root() {
        return;
    }
    let mut line = Line::start("");
    let (image, spool) = (line.path("image"), line.path("spool"));
    File::create(&image).unwrap().set_len(32 << 20).unwrap();
    let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status().unwrap();
    assert!(made.success());
    let mount = "mkdir -p $FOLDER/spool; mount -o loop,errors=remount-ro $FOLDER/image $FOLDER/spool";
    line.agent_finds.script = mount.to_owned();
    line.start_agent();
    let log = line.path("auth.log");
    load::append(&log, 0..500);
    line.log(&failures("198.51.100.9", 5));
    is_found(&line, "198.51.100.9");

    // What the kernel does when it finds an error.
    let mounts = fs::read_to_string(format!("/proc/{}/mounts", line.agent_pid())).unwrap();
    let device = mounts
        .lines()
        .find(|mount| mount.contains(spool.to_str().unwrap()))
        .and_then(|mount| mount.split(' ').next()?.strip_prefix("/dev/"))
        .expect("it is mounted");
    fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").unwrap();
    load::append(&log, 500..1000);
    line.wait_until_agent_says("Read-only file system", 1);
    line.end_agent(false);
    wait_until_unmounted(&image);

    let mended = Command::new("e2fsck").arg("-fy").arg(&image).output().unwrap();
    assert!(mended.status.code().is_some_and(|code| code < 4), "{mended:?}");
    // While it can only be read the agent does not even start.
    line.agent_finds.script = mount.replace("-o loop", "-o ro,loop");
    let said = line.refused_start();
    wait_until_unmounted(&image);
    assert!(
        said.contains("Read-only file system") && said.contains(spool.to_str().unwrap()),
        "{said}"
    );
    line.agent_finds.script = mount.to_owned();
    line.start_agent();
    assert_eq!(load::missing_and_double(&line, 1000), (vec![], vec![]));
    assert_eq!(gaps(&line), "");
}

#[test]
fn a_collector_whose_disk_is_full_acknowledges_nothing_and_has_everything_once_there_is_room() {
    if !is_root() {
        return;
    }
    let mut line = Line::with_collector(Surroundings::small_disk("collector", 16), "");
    line.start_agent();
    let log = line.path("auth.log");
    load::append(&log, 0..100);
    line.log(&failures("198.51.100.9", 5));
    is_found(&line, "198.51.100.9");

    let filler = line.seen_by_collector("collector/filler");
    fill(&filler);
    load::append(&log, 100..3000);
    line.log(&failures("198.51.100.10", 5));
    line.wait_until_agent_says("is full", 1);
    fs::remove_file(filler).unwrap();
    is_found(&line, "198.51.100.10");
    assert_eq!(load::missing_and_double(&line, 3000), (vec![], vec![]));
}

#[test]
fn a_damaged_day_of_the_collector_is_named_other_days_are_shown_and_nothing_is_lost() {
    let mut line = Line::start("");
    line.start_agent();
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
    line.log(&load::failures_at(yesterday, "198.51.100.8", 5));
    is_found(&line, "198.51.100.8");
    line.end_collector(false);
    let today = jiff::Timestamp::now().to_string()[..10].to_owned();
    let day = line.path("collector/records").join(format!("{today}.db"));
    for journal in ["-wal", "-shm"] {
        let _ = fs::remove_file(day.with_extension(format!("db{journal}")));
    }
    fs::write(&day, "this was a database".repeat(1000)).unwrap();
    line.start_collector();
    load::append(&line.path("auth.log"), 0..100);
    line.log(&failures("198.51.100.9", 5));
    line.wait_until_agent_says(&format!("{today}.db"), 1);
    // What is sound is shown, what is not is named.
    for read in [&["findings"][..], &["search", "198.51.100.8", "--text"]] {
        let output = line.collector(read).output().unwrap();
        let (shown, said) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        assert!(shown.contains("198.51.100.8"), "{read:?}: {shown} {said}");
        assert!(
            !output.status.success() && said.contains(&format!("{today}.db")),
            "{read:?}: {said}"
        );
    }
    // An operator sets it aside.
    fs::rename(&day, day.with_extension("damaged")).unwrap();
    is_found(&line, "198.51.100.9");
    assert_eq!(load::missing_and_double(&line, 100), (vec![], vec![]));
}

/// What the collector was told of losses.
fn gaps(line: &Line) -> String {
    let found = line.collect(&["findings", "--json"]);
    found
        .lines()
        .filter(|text| text.contains("\"record\":\"gap\""))
        .collect()
}

/// A mount namespace that has ended takes its mounts with it, but not at once.
fn wait_until_unmounted(image: &Path) {
    let started = Instant::now();
    loop {
        let loops = Command::new("losetup").arg("-j").arg(image).output().unwrap();
        if loops.stdout.is_empty() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{loops:?}");
    }
}
