//! `make demo`: the stories in a laboratory, and how long each part took.

use picket_tests::laboratory::Laboratory;
use picket_tests::story;

fn main() {
    if let Some(reason) = Laboratory::missing() {
        println!("the laboratory cannot run here: {reason}");
        std::process::exit(1);
    }
    println!("A real sshd and a real rsyslogd in namespaces of their own; Picket in enforce mode.");
    println!("\nSomebody guesses passwords:\n");
    for told in story::tell_of_guessing(|step| println!("  {step}")) {
        println!("\n{}", told.address);
        times(&[
            ("first failed login", told.first_failure),
            ("the failed login that was one too many", told.last_failure),
            ("finding", told.detected),
            ("block in force", told.blocked),
            ("collector's receipt", told.received),
        ]);
        took("detect", told.time_to_detect(), "from sshd's own timestamp");
        took(
            "respond",
            told.time_to_respond(),
            "from the finding to the block in force",
        );
    }
    println!("\nSomebody guesses right, and lets a miner in:\n");
    let told = story::tell_of_a_miner(|step| println!("  {step}"));
    println!("\n{}, {} processes killed", told.address, told.hit);
    times(&[
        ("the miner starts", told.started),
        ("finding", told.detected),
        ("all of it is dead", told.killed),
        ("collector's receipt", told.received),
    ]);
    took("detect", told.time_to_detect(), "from the start of the program");
    took("respond", told.time_to_respond(), "from the finding to its death");
    println!("\n{}", told.explained);
    println!("\nSomebody guesses right, and drops a web shell:\n");
    let told = story::tell_of_a_web_shell(|step| println!("  {step}"));
    println!("\n{}", told.address);
    times(&[
        ("the file lands", told.landed),
        ("finding", told.detected),
        ("it is gone", told.taken),
        ("collector's receipt", told.received),
    ]);
    took("detect", told.time_to_detect(), "from the file's landing");
    took(
        "respond",
        told.time_to_respond(),
        "from the finding to the file's end",
    );
    println!("\n{}\n{}", told.listed, told.explained);
}

fn times(steps: &[(&str, jiff::Timestamp)]) {
    for (what, time) in steps {
        println!("  {time:.6}  {what}");
    }
}

fn took(what: &str, milliseconds: f64, from: &str) {
    println!("  time to {what:<7} {milliseconds:8.3} ms, {from}");
}
