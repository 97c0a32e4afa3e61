//! What is wrong on a host, and what a real agent makes of it: it names it, and goes on with the rest.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use picket_tests::line::Line;
use picket_tests::load::{failures, failures_at, is_found};
use picket_tests::picket;
use picket_tests::surroundings::Surroundings;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

fn findings(line: &Line, address: &str) -> usize {
    let found = line.collect(&["search", address, "--text", "--json"]);
    found
        .lines()
        .filter(|text| text.contains("\"record\":\"finding\""))
        .count()
}

#[test]
fn a_log_that_is_replaced_by_something_else_is_named_and_followed_again_once_it_is_back() {
    let mut line = Line::start("");
    line.log("");
    line.start_agent();
    let (log, aside) = (line.path("auth.log"), line.path("aside"));
    type Replace = fn(&Path);
    let replacements: [(Replace, &str, usize); 4] = [
        (|log| mkfifo(log, Mode::S_IRWXU).unwrap(), "no regular file", 1),
        (|log| fs::create_dir(log).unwrap(), "no regular file", 2),
        (|log| symlink(log, log).unwrap(), "symbolic links", 1),
        (|log| symlink("/dev/zero", log).unwrap(), "no regular file", 3),
    ];
    for (number, (replace, said, times)) in (1..).zip(replacements) {
        // Four before and none after are four, however often the log is opened.
        line.log(&failures(&format!("203.0.113.{number}"), 4));
        fs::rename(&log, &aside).unwrap();
        replace(&log);
        line.wait_until_agent_says(said, times);
        if log.is_dir() {
            fs::remove_dir(&log).unwrap();
        } else {
            fs::remove_file(&log).unwrap();
        }
        fs::rename(&aside, &log).unwrap();
        let attacker = format!("198.51.100.{number}");
        line.log(&failures(&attacker, 5));
        is_found(&line, &attacker);
    }
    // Another file in its place is another log, also when it is a link to one.
    fs::write(line.path("other.log"), failures("198.51.100.5", 5)).unwrap();
    fs::remove_file(&log).unwrap();
    symlink("other.log", &log).unwrap();
    is_found(&line, "198.51.100.5");
    assert_eq!(findings(&line, "203.0.113."), 0, "an attempt counted twice");
}

#[test]
fn one_missing_log_and_one_bad_file_among_many_do_not_stop_the_start() {
    let mut line = Line::start("");
    mkfifo(&line.path("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(line.path("folder")).unwrap();
    symlink("loop", line.path("loop")).unwrap();
    let names = [
        "missing",
        "no/such/folder/log",
        "fifo",
        "folder",
        "loop",
        "auth.log",
    ];
    let files: Vec<String> = names
        .iter()
        .map(|name| format!("{:?}", line.path(name).display().to_string()))
        .collect();
    line.drop_in(&format!("[auth]\nfiles = [{}]\n", files.join(", ")));
    line.start_agent();
    for bad in ["fifo: ", "folder: ", "loop: "] {
        line.wait_until_agent_says(bad, 1);
    }
    line.log(&failures("198.51.100.9", 5));
    is_found(&line, "198.51.100.9");
    fs::create_dir_all(line.path("no/such/folder")).unwrap();
    fs::write(line.path("no/such/folder/log"), failures("198.51.100.10", 5)).unwrap();
    is_found(&line, "198.51.100.10");
}

#[test]
fn a_rule_with_a_bad_condition_is_named_and_the_rest_judge() {
    let mut line = Line::start("");
    let rules = line.path("rules");
    fs::create_dir(&rules).unwrap();
    fs::write(
        rules.join("bad.yml"),
        "title: bad\nlogsource:\n    product: linux\ndetection:\n    selection:\n        a: b\n    condition: selection and (\n",
    )
    .unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules");
    line.drop_in(&format!(
        "[detect]\nrules = [\"{}\", \"{}\", \"{}\"]\n",
        line.path("no-such-folder").display(),
        rules.display(),
        shipped.display()
    ));
    line.start_agent();
    line.wait_until_agent_says("bad.yml:1:", 1);
    line.wait_until_agent_says("no-such-folder:1: cannot be listed", 1);
    line.log(&failures("198.51.100.9", 5));
    is_found(&line, "198.51.100.9");
}

#[test]
fn every_mistake_in_the_configuration_is_named_at_once_with_its_place_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("picket.toml");
    let text = "[respond]\nmode = 1\nprotekt = []\n[auth]\nfiles = [\"relative\"]\n[nonsense]\n[spool]\nquota = \"much\"\n";
    fs::write(&file, text).unwrap();
    for command in ["check", "run"] {
        let output = picket().args([command, "--config"]).arg(&file).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        for place in ["2:8: ", "3:1: ", "5:10: ", "6:2: ", "8:9: "] {
            let place = format!("{}:{place}", file.display());
            assert!(said.contains(&place), "{command}: {place} in {said}");
        }
    }
}

#[test]
fn a_log_whose_times_go_back_is_judged_by_its_own_times_and_every_record_has_an_id_of_its_own() {
    let mut line = Line::start("");
    line.start_agent();
    let at = |hours, address| {
        let time = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
        failures_at(time, address, 5)
    };
    // The third is written as the first was, at the same times.
    let first = at(0, "198.51.100.9");
    line.log(&first);
    line.log(&at(3, "198.51.100.10"));
    line.log(&first);
    line.log(&at(30, "198.51.100.11"));
    for address in ["198.51.100.9", "198.51.100.10", "198.51.100.11"] {
        is_found(&line, address);
    }
    line.end_agent(false);
    line.start_agent();
    let events = |address: &str| {
        let found = line.collect(&["search", address, "--text", "--json"]);
        let events = found.lines().filter(|text| text.contains("\"record\":\"event\""));
        events.count()
    };
    let started = std::time::Instant::now();
    while events("198.51.100.11\"") < 5 && started.elapsed() < std::time::Duration::from_secs(30) {}
    assert_eq!(
        [
            events("198.51.100.9\""),
            events("198.51.100.10\""),
            events("198.51.100.11\"")
        ],
        [10, 5, 5]
    );
}

#[test]
fn blocks_end_in_time_when_the_clock_is_set_back_meanwhile() {
    let mut line = Line::start("[respond]\nblock = \"1s\"\n");
    let clock = line.path("clock");
    fs::write(&clock, "+0").unwrap();
    line.agent_finds = Surroundings::clock(clock.to_str().unwrap());
    line.start_agent();
    line.log(&failures("198.51.100.9", 5));
    let first = line.wait_for(|value| value["body"]["decision"] == "simulated");
    fs::write(&clock, "-1d").unwrap();
    let ended = line.wait_for(|value| value["body"]["decision"] == "expired");
    assert!(
        ended["body"]["time"].as_str() < first["body"]["time"].as_str(),
        "the clock was not set back: {ended}"
    );
    // The same address is blocked anew, under another id, once the rule's window is over.
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
    line.log(&failures_at(later, "198.51.100.9", 5));
    let again = line.wait_for(|value| {
        value["body"]["decision"] == "simulated"
            && value["body"]["action"]["id"] != first["body"]["action"]["id"]
    });
    assert_eq!(
        again["body"]["action"]["target"],
        first["body"]["action"]["target"]
    );
    // And forward again: no block may outlive it.
    fs::write(&clock, "+0").unwrap();
    line.wait_for(|value| {
        value["body"]["decision"] == "expired"
            && value["body"]["action"]["id"] == again["body"]["action"]["id"]
    });
}
