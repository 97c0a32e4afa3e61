//! The story of a miner, from the guessed password to its end.

use picket_tests::laboratory::Laboratory;

#[test]
fn a_miner_that_a_guessed_login_starts_is_killed_with_its_tree_and_tied_to_that_login() {
    if let Some(reason) = Laboratory::missing() {
        println!("skipped: {reason}");
        return;
    }
    let told = picket_tests::story::tell_of_a_miner(|_| ());
    assert!(told.started <= told.detected, "{told:?}");
    assert!(told.detected <= told.killed, "{told:?}");
    assert!(told.killed <= told.received, "{told:?}");
    assert!(told.hit >= 1, "{told:?}");
    for part in [told.address.as_str(), "alice", "kworkerd", "curl"] {
        assert!(
            told.explained.contains(part),
            "{part} is missing in:\n{}",
            told.explained
        );
    }
}
