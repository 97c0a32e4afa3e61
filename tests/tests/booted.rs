//! Stories of a booted host: real systemd, sshd, rsyslog and journald. Each needs root; without it the story says so and is
//! not told.

use picket_tests::booted::Booted;
use picket_tests::line::Line;
use picket_tests::network::{ACCOUNT, ATTACKER, HOST};

const ENFORCE: &str = "[respond]\nmode = \"enforce\"\n";

#[test]
fn an_attacker_in_the_journal_is_found_blocked_and_known_to_the_collector() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let mut line = Line::inside(&host, "files = []\njournal = \"yes\"\n", ENFORCE);
    line.start_agent();
    for (attacker, address) in ATTACKER.into_iter().zip(HOST) {
        guess(&host, address);
        let outcome = line.wait_for(|value| {
            value["body"]["decision"] == "applied" && value["body"]["action"]["target"]["target"] == attacker
        });
        let wanted = &outcome["body"]["action"]["finding"];
        line.wait_for(|value| value["record"] == "finding" && value["body"]["id"] == *wanted);
        let refused = host.login(address, ACCOUNT.0, ACCOUNT.1);
        assert!(
            !refused.status.success(),
            "{attacker} is blocked and still logs in"
        );
    }
    line.end_agent(false);
    line.end_collector(false);
}

/// Wrong passwords for root, all at once: as many as every rule about them needs.
fn guess(host: &Booted, address: &str) {
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| host.login(address, "root", "wrong"));
        }
    });
}
