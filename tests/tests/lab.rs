//! The laboratory to play with: what is typed there is done there. It needs root; without it the story says so and is not told.

use picket_tests::booted::Booted;
use picket_tests::network::ATTACKER;
use std::io::Write as _;
use std::process::{Command, Stdio};

#[test]
fn whoever_plays_is_attacker_operator_and_host() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let typed = "for n in 1 2 3 4 5 6; do fail; done\n\
        until picket-collector findings | grep -F 'Many failed logins'; do :; done\n\
        picket status\nhost hostname\nlogin whoami\nexit\n";
    lab.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = lab.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for wanted in [
        ATTACKER[0],
        "Many failed logins",
        "monitor",
        "\nlab\n",
        "\nalice\n",
    ] {
        assert!(said.contains(wanted), "{wanted:?} is not in {said}");
    }
}
