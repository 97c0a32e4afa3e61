//! The stage as a whole: policy, guard, ledger, firewall.

use super::*;
use crate::config::{FirewallKind, Respond};
use picket_common::action::{Decision, Network, Target};
use picket_common::event::{AuthAction, AuthEvent, AuthMethod, Event, Outcome as Result_, Payload, Peer};
use picket_common::finding::{Finding, RuleRef, Severity};
use picket_common::ids::RecordId;
use picket_common::record::Outcome;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn finding(address: &str, number: u64) -> Finding {
    Finding {
        id: RecordId::derived(NOW, &[address.as_bytes(), &number.to_le_bytes()]),
        time: NOW,
        detected: NOW,
        rule: RuleRef {
            id: "r".to_owned(),
            title: "t".to_owned(),
            attack: Vec::new(),
        },
        severity: Severity::High,
        summary: "many failed logins".to_owned(),
        group: Vec::new(),
        count: None,
        source: Some(address.parse().unwrap()),
        process: None,
        file: None,
        user: None,
        events: Vec::new(),
        suggests: vec!["block_ip".to_owned()],
    }
}

fn login(address: &str, outcome: Result_, number: u64) -> Event {
    let mut auth = AuthEvent::new(AuthAction::Login, outcome, "sshd");
    auth.source = Some(Peer::new(address.parse().unwrap(), None));
    Event {
        id: RecordId::derived(NOW, &[b"login", &number.to_le_bytes()]),
        time: NOW,
        observed: NOW,
        payload: Payload::Auth(auth.into()),
    }
}

/// A stage that blocks through `blocker` and does nothing else.
fn blocking(settings: &Respond, guard: Guard, ledger: Ledger, blocker: impl Blocker + 'static) -> Response {
    let blocks = Blocks::new(settings, Box::new(blocker));
    Response::new(guard, ledger, vec![Box::new(blocks)], |now| now)
}

fn simulated(settings: &Respond) -> Response {
    let guard = Guard::new(HostFacts::default(), &settings.protect);
    blocking(settings, guard, Ledger::in_memory(), Simulated)
}

fn decisions(outcomes: &[Outcome]) -> Vec<(String, Decision, Option<Duration>)> {
    outcomes
        .iter()
        .map(|outcome| {
            (
                outcome.action.target.to_string(),
                outcome.decision.clone(),
                outcome.action.ttl,
            )
        })
        .collect()
}

#[test]
fn a_returning_address_is_blocked_for_longer_and_a_live_block_is_left_alone() {
    let mut response = simulated(&Respond::default());
    let mut now = NOW;
    for minutes in [10, 60, 360, 2160, 7 * 1440, 7 * 1440] {
        let outcomes = response.consider(&finding("198.51.100.9", minutes), now).unwrap();
        let ttl = MINUTE * u32::try_from(minutes).unwrap();
        assert_eq!(
            decisions(&outcomes),
            [("198.51.100.9".to_owned(), Decision::Simulated, Some(ttl))]
        );
        assert_eq!(
            response.consider(&finding("198.51.100.9", minutes), now).unwrap(),
            []
        );
        now = now.plus(ttl);
        assert_eq!(response.next_deadline(), Some(now));
        assert_eq!(response.expire(now).unwrap()[0].decision, Decision::Expired);
    }
}

#[test]
fn many_addresses_of_one_ipv6_network_are_blocked_as_one() {
    let mut response = simulated(&Respond::default());
    let targets = |outcomes: Vec<Outcome>| {
        decisions(&outcomes)
            .into_iter()
            .map(|(target, _, _)| target)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        targets(response.consider(&finding("2001:db8::1", 1), NOW).unwrap()),
        ["2001:db8::1"]
    );
    assert_eq!(
        targets(response.consider(&finding("2001:db8::2", 2), NOW).unwrap()),
        ["2001:db8::2"]
    );
    let last = response.consider(&finding("2001:db8::3", 3), NOW).unwrap();
    assert_eq!(targets(last), ["2001:db8::1", "2001:db8::2", "2001:db8::/64"]);
    assert_eq!(response.consider(&finding("2001:db8::4", 4), NOW).unwrap(), []);
    assert_eq!(response.held().count(), 1);
}

#[test]
fn what_carries_the_operator_is_refused_with_its_reason() {
    let mut settings = Respond::default();
    settings.protect.push("203.0.113.0/24".parse().unwrap());
    settings.max_blocks = 1;
    let facts = HostFacts {
        networks: vec![(
            "198.51.100.1".parse().unwrap(),
            "it is this host's gateway".to_owned(),
        )],
        live: false,
    };
    let guard = Guard::new(facts, &settings.protect);
    let mut response = blocking(&settings, guard, Ledger::in_memory(), Simulated);
    response.observe(&Login::of(&login("198.51.100.50", Result_::Success, 1)).unwrap());
    for (number, (address, reason)) in (1..).zip([
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("198.51.100.1", "gateway"),
        ("203.0.113.7", "respond.protect"),
        ("198.51.100.50", "may be an administrator"),
    ]) {
        let outcomes = response.consider(&finding(address, number), NOW).unwrap();
        let Decision::Refused { because } = &outcomes[0].decision else {
            panic!("{outcomes:?}")
        };
        assert!(because.contains(reason), "{because}");
    }
    // An operator is held back as well, and so is a network around what is protected.
    let outcomes = response
        .order(
            Target::BlockIp("198.51.100.0/24".parse().unwrap()),
            None,
            "by hand",
            NOW,
        )
        .unwrap();
    assert!(matches!(outcomes[0].decision, Decision::Refused { .. }));
    response.consider(&finding("192.0.2.1", 20), NOW).unwrap();
    let outcomes = response.consider(&finding("192.0.2.2", 21), NOW).unwrap();
    assert!(matches!(&outcomes[0].decision, Decision::Refused { because } if because.contains("max_blocks")));
}

#[test]
fn whoever_guesses_a_password_does_not_become_unblockable() {
    let mut response = simulated(&Respond::default());
    for number in 0..5 {
        response.observe(&Login::of(&login("198.51.100.9", Result_::Failure, number)).unwrap());
    }
    response.observe(&Login::of(&login("198.51.100.9", Result_::Success, 9)).unwrap());
    assert_eq!(
        response.consider(&finding("198.51.100.9", 1), NOW).unwrap()[0].decision,
        Decision::Simulated
    );
    // Nor does one whose login is what was found.
    let accepted = login("198.51.100.10", Result_::Success, 10);
    response.observe(&Login::of(&accepted).unwrap());
    let mut found = finding("198.51.100.10", 2);
    found.events.push(accepted.id);
    assert_eq!(
        response.consider(&found, NOW).unwrap()[0].decision,
        Decision::Simulated
    );
}

#[test]
fn nobody_makes_an_administrator_with_a_key_suspicious_and_a_guesser_cannot_move_next_door() {
    let by = |address: &str, method, number| {
        let mut event = login(address, Result_::Success, number);
        if let Payload::Auth(auth) = &mut event.payload {
            auth.method = Some(method);
        }
        Login::of(&event).unwrap()
    };
    let mut response = simulated(&Respond::default());
    let refused = |response: &mut Response, address: &str, number| {
        let outcomes = response.consider(&finding(address, number), NOW).unwrap();
        matches!(outcomes[0].decision, Decision::Refused { .. })
    };
    for number in 0..9 {
        response.observe(&Login::of(&login("198.51.100.9", Result_::Failure, number)).unwrap());
    }
    response.observe(&by("198.51.100.9", AuthMethod::PublicKey, 20));
    assert!(refused(&mut response, "198.51.100.9", 1));

    for number in 0..6_u64 {
        let address = format!("2001:db8::{number:x}");
        response.observe(&Login::of(&login(&address, Result_::Failure, number)).unwrap());
    }
    response.observe(&by("2001:db8::99", AuthMethod::Password, 21));
    assert!(!refused(&mut response, "2001:db8::99", 2));
    response.observe(&by("2001:db8:0:1::99", AuthMethod::Password, 22));
    assert!(refused(&mut response, "2001:db8:0:1::99", 3), "another network");
}

#[test]
fn the_ledger_stays_short_while_the_agent_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let fake = Fake::default();
    let mut response = open(&path, &fake, 0);
    response.consider(&finding("203.0.113.7", 1), NOW).unwrap();
    for number in 0..20_000_u32 {
        let [_, _, third, fourth] = number.to_be_bytes();
        let address = format!("198.51.{third}.{fourth}");
        response.consider(&finding(&address, 2), NOW).unwrap();
        response.undo(&address, NOW).unwrap();
    }
    let last = response.number();
    drop(response);
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes < 12 << 20, "{bytes}");
    let (mut ledger, problems) = Ledger::open(&path, 0).unwrap();
    assert_eq!(problems, Vec::<String>::new());
    let held: Vec<_> = ledger
        .live()
        .into_iter()
        .map(|(action, _)| action.target)
        .collect();
    assert_eq!(held, [Target::BlockIp("203.0.113.7".parse().unwrap())]);
    let unspooled = ledger.take_unspooled();
    assert_eq!(unspooled.last().map(|(number, _)| *number), Some(last));
    assert!(
        unspooled.len() >= 5000,
        "what may not have been spooled is still there"
    );
}

#[test]
fn what_an_operator_let_in_is_left_alone_for_as_long_as_it_would_have_been_blocked() {
    let mut response = simulated(&Respond::default());
    response.consider(&finding("198.51.100.9", 1), NOW).unwrap();
    response.undo("198.51.100.9", NOW).unwrap();
    let again = response
        .consider(&finding("198.51.100.9", 2), NOW.plus(MINUTE))
        .unwrap();
    assert!(
        matches!(&again[0].decision, Decision::Refused { because } if because.contains("an operator let"))
    );
    let by_hand = response
        .order(
            Target::BlockIp("198.51.100.9".parse().unwrap()),
            None,
            "by hand",
            NOW,
        )
        .unwrap();
    assert_eq!(by_hand[0].decision, Decision::Simulated);
    response.undo("198.51.100.9", NOW).unwrap();
    let later = response
        .consider(&finding("198.51.100.9", 3), NOW.plus(MINUTE * 11))
        .unwrap();
    assert_eq!(later[0].decision, Decision::Simulated);
}

fn guarded(networks: &[(&str, &str)]) -> Response {
    let facts = HostFacts {
        networks: networks
            .iter()
            .map(|(network, reason)| (network.parse().unwrap(), (*reason).to_owned()))
            .collect(),
        live: false,
    };
    let guard = Guard::new(facts, &[]);
    let settings = Respond::default();
    blocking(&settings, guard, Ledger::in_memory(), Simulated)
}

fn targets(outcomes: &[Outcome]) -> Vec<String> {
    outcomes
        .iter()
        .map(|outcome| outcome.action.target.to_string())
        .collect()
}

#[test]
fn a_gateway_or_an_administrator_in_an_attackers_network_protects_nobody_but_themselves() {
    let mut response = guarded(&[("2001:db8::1", "it is this host's gateway")]);
    response.observe(&Login::of(&login("2001:db8:1::1", Result_::Success, 1)).unwrap());
    for network in ["2001:db8::", "2001:db8:1::"] {
        for number in 2..6 {
            let address = format!("{network}{number}");
            let outcomes = response.consider(&finding(&address, number), NOW).unwrap();
            assert_eq!(decisions(&outcomes)[0].1, Decision::Simulated, "{outcomes:?}");
            assert_eq!(targets(&outcomes), [address]);
        }
    }
    assert_eq!(response.held().count(), 8);
}

#[test]
fn addresses_that_a_translator_makes_are_never_blocked_as_one_network() {
    let mut response = simulated(&Respond::default());
    for (network, number) in [("64:ff9b::c633:64", 1), ("64:ff9b:1::", 2), ("2001:0:1:2::", 3)] {
        for last in 10..20 {
            let address = format!("{network}{last}");
            let outcomes = response.consider(&finding(&address, number), NOW).unwrap();
            assert_eq!(targets(&outcomes), [address]);
        }
    }
}

#[test]
fn an_ipv4_address_in_ipv6_is_the_ipv4_address() {
    let mut response = guarded(&[("198.51.100.1", "it is this host's gateway")]);
    let outcomes = response
        .consider(&finding("::ffff:198.51.100.1", 1), NOW)
        .unwrap();
    assert!(matches!(outcomes[0].decision, Decision::Refused { .. }));
    let wide = "::ffff:198.51.100.0/120".parse().unwrap();
    let outcomes = response
        .order(Target::BlockIp(wide), None, "by hand", NOW)
        .unwrap();
    assert!(
        matches!(&outcomes[0].decision, Decision::Refused { because } if because.contains("198.51.100.0/24"))
    );
}

#[test]
fn ten_thousand_addresses_that_fail_do_not_make_it_forget_who_logged_in() {
    let mut response = guarded(&[]);
    response.observe(&Login::of(&login("198.51.100.50", Result_::Success, 1)).unwrap());
    for number in 0..20_000_u32 {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string();
        response.observe(&Login::of(&login(&address, Result_::Failure, 2 + u64::from(number))).unwrap());
    }
    let outcomes = response.consider(&finding("198.51.100.50", 1), NOW).unwrap();
    assert!(matches!(outcomes[0].decision, Decision::Refused { .. }));
}

#[test]
fn who_was_logged_in_before_the_agent_looked_is_spared_unless_failures_came_before() {
    let mut response = guarded(&[]);
    let session = |address: &str| Session {
        address: address.parse().unwrap(),
        since: NOW,
    };
    response
        .guard()
        .meet(&[session("198.51.100.50"), session("198.51.100.51")]);
    for number in 0..4 {
        response.observe(&Login::of(&login("198.51.100.51", Result_::Failure, number)).unwrap());
    }
    let outcomes = response.consider(&finding("198.51.100.50", 1), NOW).unwrap();
    assert!(
        matches!(&outcomes[0].decision, Decision::Refused { because } if because.contains("may be an administrator"))
    );
    let outcomes = response.consider(&finding("198.51.100.51", 2), NOW).unwrap();
    assert_eq!(outcomes[0].decision, Decision::Simulated);
}

#[test]
fn a_block_around_what_is_protected_by_now_is_lifted_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let mut response = open(&folder.path().join("ledger"), &fake, 0);
    let network = |text: &str| text.parse::<Network>().unwrap();
    for (address, number) in [("198.51.100.9", 1), ("203.0.113.77", 2), ("203.0.113.78", 3)] {
        response.consider(&finding(address, number), NOW).unwrap();
    }
    response
        .order(Target::BlockIp(network("192.0.2.0/25")), None, "by hand", NOW)
        .unwrap();
    response
        .guard()
        .protect(network("192.0.2.5"), "it is the collector");
    response
        .guard()
        .protect(network("203.0.113.76/31"), "it is this host's gateway");
    let lifted = response.lift_protected(NOW).unwrap();
    let mut said: Vec<(String, String)> = lifted
        .iter()
        .map(|outcome| {
            assert_eq!(outcome.decision, Decision::Undone);
            (outcome.action.target.to_string(), outcome.action.reason.clone())
        })
        .collect();
    said.sort();
    assert_eq!(
        said,
        [
            ("192.0.2.0/25", "by hand; lifted, as it is the collector"),
            (
                "203.0.113.77",
                "many failed logins; lifted, as it is this host's gateway"
            ),
        ]
        .map(|(target, reason)| (target.to_owned(), reason.to_owned()))
    );
    assert_eq!(
        fake.0.lock().unwrap().0,
        [network("198.51.100.9"), network("203.0.113.78")]
    );
    assert_eq!(response.lift_protected(NOW).unwrap(), []);
}

/// A responder that remembers what holds, and can be told to fail.
#[derive(Default, Clone)]
struct Fake(std::sync::Arc<std::sync::Mutex<(Vec<Network>, bool)>>);

impl Blocker for Fake {
    fn describe(&self) -> &'static str {
        "fake"
    }
    fn decides(&self) -> Decision {
        Decision::Applied
    }
    fn block(
        &mut self,
        network: Network,
        _: Option<Duration>,
        replaces: &[Network],
    ) -> Result<(), FirewallError> {
        let mut inner = self.0.lock().unwrap();
        if inner.1 {
            return Err(FirewallError::from(crate::sys::nft::NftError::Forbidden));
        }
        inner.0.retain(|other| !replaces.contains(other));
        inner.0.push(network);
        Ok(())
    }
    fn release(&mut self, network: Network) -> Result<(), FirewallError> {
        self.0.lock().unwrap().0.retain(|other| *other != network);
        Ok(())
    }
    fn clear(&mut self) -> Result<(), FirewallError> {
        let mut inner = self.0.lock().unwrap();
        if inner.1 {
            return Err(FirewallError::from(crate::sys::nft::NftError::Forbidden));
        }
        inner.0.clear();
        Ok(())
    }
    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), FirewallError> {
        self.0.lock().unwrap().0 = wanted.iter().map(|(network, _)| *network).collect();
        Ok(())
    }
    fn is_disturbed(&mut self) -> Result<bool, FirewallError> {
        Ok(false)
    }
}

fn open(path: &Path, fake: &Fake, spooled: u64) -> Response {
    let settings = Respond::default();
    let (ledger, problems) = Ledger::open(path, spooled).unwrap();
    assert_eq!(problems, Vec::<String>::new());
    let guard = Guard::new(HostFacts::default(), &[]);
    blocking(&settings, guard, ledger, fake.clone())
}

#[test]
fn blocks_outlive_the_agent_and_are_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/ledger");
    let fake = Fake::default();
    let mut response = open(&path, &fake, 0);
    let applied = response.consider(&finding("198.51.100.9", 1), NOW).unwrap();
    assert_eq!(applied[0].decision, Decision::Applied);
    response.consider(&finding("198.51.100.10", 2), NOW).unwrap();
    let spooled = response.number();
    let undone = response.undo("198.51.100.10", NOW).unwrap();
    drop(response);

    // A reboot: nothing holds any more, and a line was cut.
    fake.0.lock().unwrap().0.clear();
    let mut text = std::fs::read(&path).unwrap();
    text.extend_from_slice(b"{\"number\":99,\"ent");
    std::fs::write(&path, text).unwrap();
    let mut response = open(&path, &fake, spooled);
    assert_eq!(response.take_unspooled(), [(spooled + 1, undone[0].clone())]);
    response.reconcile(NOW, true).unwrap();
    assert_eq!(
        fake.0.lock().unwrap().0,
        ["198.51.100.9".parse::<Network>().unwrap()]
    );
    let id = applied[0].action.id.to_string();
    assert_eq!(response.undo(&id, NOW).unwrap()[0].decision, Decision::Undone);
    assert!(fake.0.lock().unwrap().0.is_empty());
    assert!(matches!(response.undo(&id, NOW), Err(UndoError::Unknown(_))));
    drop(response);
    assert_eq!(open(&path, &fake, 0).held().count(), 0);
}

#[test]
fn the_ledger_makes_room_ahead_and_goes_on_behind_its_last_entry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let fake = Fake::default();
    let mut rounds = Vec::new();
    for round in 0..3_u8 {
        let mut response = open(&path, &fake, 0);
        for number in 0..120_u8 {
            let finding = finding(&format!("198.51.{round}.{number}"), u64::from(number));
            response.consider(&finding, NOW).unwrap();
        }
        rounds.push(response.number());
        assert_eq!(response.held().count(), (usize::from(round) + 1) * 120);
    }
    assert_eq!(rounds, [240, 480, 720], "a claim and an outcome each");
    let text = std::fs::read_to_string(&path).unwrap();
    let entries: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(entries.len(), 720);
    assert!(text.ends_with("\n\n"), "there is room");

    // A crash left half an entry in the room; what comes behind it is read all the same.
    let end = text.trim_end().len() + 1;
    let mut torn = text.into_bytes();
    torn[end..end + 9].copy_from_slice(b"{\"number\"");
    std::fs::write(&path, torn).unwrap();
    let (ledger, problems) = Ledger::open(&path, 720).unwrap();
    assert!(
        problems.len() == 1 && problems[0].contains("passed over"),
        "{problems:?}"
    );
    assert_eq!(ledger.live().len(), 360);
}

#[test]
fn a_firewall_that_refuses_is_a_failure_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    fake.0.lock().unwrap().1 = true;
    let mut response = open(&folder.path().join("ledger"), &fake, 0);
    let outcomes = response.consider(&finding("198.51.100.9", 1), NOW).unwrap();
    assert!(
        matches!(&outcomes[0].decision, Decision::Failed { because } if because.contains("not permitted"))
    );
    assert_eq!(response.held().count(), 0);
}

#[test]
fn someone_elses_flush_is_noticed_and_live_blocks_come_back() {
    use nix::sched::{CloneFlags, unshare};
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        println!("skipped: no network namespace of its own: {error}");
        return;
    }
    let nft = |arguments: &[&str]| {
        let output = std::process::Command::new("nft")
            .args(arguments)
            .output()
            .expect("nft starts");
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let (firewall, error) = BlockIp::open(&Respond::default());
    assert!(error.is_none(), "{error:?}");
    let (ledger, _) = Ledger::open(&folder.path().join("ledger"), 0).unwrap();
    let guard = Guard::new(HostFacts::default(), &[]);
    let mut response = blocking(&Respond::default(), guard, ledger, firewall);
    for (number, address) in (1..).zip(["198.51.100.9", "2001:db8::1", "2001:db8::2", "2001:db8::3"]) {
        response.consider(&finding(address, number), NOW).unwrap();
    }
    let listed = nft(&["list", "table", "inet", "picket"]);
    assert!(
        listed.contains("198.51.100.9") && listed.contains("2001:db8::/64"),
        "{listed}"
    );
    assert!(!listed.contains("2001:db8::1"), "{listed}");
    nft(&["flush", "ruleset"]);
    response.reconcile(NOW, false).unwrap();
    let listed = nft(&["list", "table", "inet", "picket"]);
    assert!(
        listed.contains("198.51.100.9") && listed.contains("2001:db8::/64"),
        "{listed}"
    );
    let address: IpAddr = "198.51.100.9".parse().unwrap();
    response.undo(&address.to_string(), NOW).unwrap();
    assert!(!nft(&["list", "table", "inet", "picket"]).contains("198.51.100.9"));
}

fn by_hand(response: &mut Response, network: &str) -> Vec<Outcome> {
    response
        .order(
            Target::BlockIp(network.parse().unwrap()),
            Some(MINUTE),
            "by hand",
            NOW,
        )
        .unwrap()
}

fn blocked(response: &Response) -> Vec<String> {
    response
        .held()
        .map(|block| block.action.target.to_string())
        .collect()
}

#[test]
fn a_network_inside_a_live_one_is_refused_by_name_and_takes_no_place() {
    let mut response = simulated(&Respond::default());
    for wide in ["203.0.113.0/24", "2001:db8::/48"] {
        by_hand(&mut response, wide);
    }
    for (narrow, wide) in [
        ("203.0.113.0", "203.0.113.0/24"),
        ("203.0.113.0/25", "203.0.113.0/24"),
        ("203.0.113.77", "203.0.113.0/24"),
        ("203.0.113.128/25", "203.0.113.0/24"),
        ("2001:db8::", "2001:db8::/48"),
        ("2001:db8:0:7::/64", "2001:db8::/48"),
        ("2001:db8:0:7::9", "2001:db8::/48"),
    ] {
        let outcomes = by_hand(&mut response, narrow);
        let said = format!("{narrow} is blocked already, as {wide} around it is, until ");
        assert!(
            matches!(&outcomes[..], [Outcome { decision: Decision::Refused { because }, .. }] if because.starts_with(&said)),
            "{outcomes:?}"
        );
    }
    for (number, address) in (1..).zip(["203.0.113.0", "203.0.113.9", "2001:db8::", "2001:db8:0:9::1"]) {
        assert_eq!(response.consider(&finding(address, number), NOW).unwrap(), []);
    }
    assert_eq!(blocked(&response), ["203.0.113.0/24", "2001:db8::/48"]);
    // Beside it nothing is covered, and the same network again has another time.
    assert_eq!(
        targets(&by_hand(&mut response, "203.0.112.255")),
        ["203.0.112.255"]
    );
    let again = by_hand(&mut response, "203.0.113.0/24");
    assert_eq!(targets(&again), ["203.0.113.0/24", "203.0.113.0/24"]);
    assert_eq!(
        [&again[0].decision, &again[1].decision],
        [&Decision::Undone, &Decision::Simulated]
    );
}

#[test]
fn what_a_crash_left_inside_a_wider_claim_ends_with_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let (mut ledger, _) = Ledger::open(&path, 0).unwrap();
    for (at, network) in (0..).zip(["203.0.113.9", "198.51.100.9", "203.0.113.0/24", "203.0.113.0/24"]) {
        let action = Action {
            id: RecordId::derived(NOW, &[network.as_bytes(), &[at]]),
            time: NOW,
            target: Target::BlockIp(network.parse().unwrap()),
            ttl: None,
            reason: "by hand".to_owned(),
            finding: None,
        };
        ledger
            .claim(&action, NOW.plus(Duration::from_secs(at.into())))
            .unwrap();
    }
    drop(ledger);
    let fake = Fake::default();
    let mut response = open(&path, &fake, 0);
    let ended = response.reconcile(NOW, true).unwrap();
    assert_eq!(targets(&ended), ["203.0.113.9", "203.0.113.0/24"]);
    assert!(ended.iter().all(|outcome| outcome.decision == Decision::Undone));
    let wanted = ["198.51.100.9", "203.0.113.0/24"];
    assert_eq!(
        fake.0.lock().unwrap().0,
        wanted.map(|text| text.parse::<Network>().unwrap())
    );
    drop(response);
    assert_eq!(open(&path, &fake, 0).reconcile(NOW, true).unwrap(), []);
}

/// A stage that blocks through the firewall of the network namespace.
fn real(settings: &Respond, ledger: &Path) -> Response {
    let (firewall, error) = BlockIp::open(settings);
    assert!(error.is_none(), "{error:?}");
    let (ledger, _) = Ledger::open(ledger, 0).unwrap();
    let guard = Guard::new(HostFacts::default(), &[]);
    blocking(settings, guard, ledger, firewall)
}

fn through(firewall: FirewallKind) -> Respond {
    Respond {
        firewall,
        ..Respond::default()
    }
}

/// What is blocked, as the kernel tells it, and how to ask.
const SETS: [(FirewallKind, &[&str]); 2] = [
    (FirewallKind::Nftables, &["nft", "list", "ruleset"]),
    (FirewallKind::Iptables, &["ipset", "list"]),
];

pub(super) fn says(program: &[&str]) -> String {
    let output = std::process::Command::new(program[0])
        .args(&program[1..])
        .output()
        .expect("the program starts");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether the test has a network namespace of its own now.
pub(super) fn is_alone() -> bool {
    use nix::sched::{CloneFlags, unshare};
    let alone = unshare(CloneFlags::CLONE_NEWNET);
    if let Err(error) = &alone {
        println!("skipped: no network namespace of its own: {error}");
    }
    alone.is_ok()
}

#[test]
fn a_wider_network_takes_the_place_of_those_inside_it_in_the_real_firewall() {
    for (kind, list) in SETS {
        if !is_alone() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut response = real(&through(kind), &folder.path().join("ledger"));
        response.reconcile(NOW, true).unwrap();
        let inside = [
            "203.0.113.0",
            "203.0.113.9",
            "203.0.113.128/25",
            "203.0.113.64/26",
            "2001:db8::9",
            "2001:db8:0:7::/64",
        ];
        for network in inside {
            assert_eq!(by_hand(&mut response, network)[0].decision, Decision::Applied);
        }
        // What the kernel has let go already, as its clock is not quite ours.
        says(match kind {
            FirewallKind::Iptables => &["ipset", "del", "picket-v4", "203.0.113.9"],
            _ => &["nft", "delete element inet picket v4 { 203.0.113.9 }"],
        });
        assert!(!says(list).contains("203.0.113.9"));
        for (wide, ends) in [("203.0.113.0/24", 4), ("2001:db8::/32", 2)] {
            let outcomes = by_hand(&mut response, wide);
            assert_eq!(outcomes.len(), ends + 1, "{outcomes:?}");
            assert_eq!(outcomes[ends].decision, Decision::Applied, "{outcomes:?}");
            let (_, before) = outcomes.split_last().unwrap();
            assert!(before.iter().all(|outcome| outcome.decision == Decision::Undone));
        }
        let listed = says(list);
        assert!(
            listed.contains("203.0.113.0/24") && listed.contains("2001:db8::/32"),
            "{listed}"
        );
        for network in &inside[1..] {
            assert!(!listed.contains(network), "{network} is in {listed}");
        }
        let again = by_hand(&mut response, "203.0.113.0/24");
        assert_eq!(again[1].decision, Decision::Applied, "{again:?}");
        assert!(matches!(
            by_hand(&mut response, "203.0.113.0")[0].decision,
            Decision::Refused { .. }
        ));
        assert_eq!(blocked(&response), ["203.0.113.0/24", "2001:db8::/32"]);
        response.undo("203.0.113.0/24", NOW).unwrap();
        response.undo("2001:db8::/32", NOW).unwrap();
        let listed = says(list);
        assert!(
            !listed.contains("203.0.113.") && !listed.contains("2001:db8:"),
            "{listed}"
        );
    }
}

/// A stage that only watches, over the ledger of one that acted.
fn watching(ledger: &Path, spooled: u64, blocker: impl Blocker + 'static) -> Response {
    let (ledger, _) = Ledger::open(ledger, spooled).unwrap();
    let guard = Guard::new(HostFacts::default(), &[]);
    blocking(&Respond::default(), guard, ledger, blocker)
}

#[test]
fn what_was_blocked_in_enforce_mode_is_let_in_by_a_start_in_monitor_mode() {
    for (kind, list) in SETS {
        if !is_alone() {
            return;
        }
        says(&["nft", "add", "table", "inet", "foreign"]);
        says(&["ipset", "create", "foreign", "hash:ip"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let mut response = real(&through(kind), &path);
        response.reconcile(NOW, true).unwrap();
        let blocks = ["198.51.100.9", "203.0.113.0/24", "2001:db8::9"];
        for network in blocks {
            by_hand(&mut response, network);
            assert!(says(list).contains(network));
        }
        drop(response);

        let mut response = watching(&path, 0, Simulated);
        let undone = response.reconcile(NOW, true).unwrap();
        assert_eq!(targets(&undone), blocks);
        for outcome in &undone {
            assert_eq!(outcome.decision, Decision::Undone);
            assert_eq!(
                outcome.action.reason,
                "by hand; lifted, as the agent was started in monitor mode"
            );
        }
        assert_eq!(says(&["nft", "list", "tables"]), "table inet foreign\n");
        assert_eq!(says(&["ipset", "list", "-name"]), "foreign\n");
        assert!(!says(&["iptables-legacy", "-t", "raw", "-S"]).contains("picket"));
        assert_eq!(blocked(&response), [""; 0]);
        // What it only would do afterwards is no business of the firewall.
        by_hand(&mut response, "198.51.100.9");
        response.undo("198.51.100.9", NOW).unwrap();
        assert_eq!(response.reconcile(NOW, true).unwrap(), []);
        drop(response);
        assert_eq!(watching(&path, 0, Simulated).reconcile(NOW, true).unwrap(), []);
    }
}

/// [`Simulated`], for what [`Fake`] has done.
struct Watching(Fake);

impl Blocker for Watching {
    fn describe(&self) -> &'static str {
        "watches"
    }
    fn decides(&self) -> Decision {
        Decision::Simulated
    }
    fn block(&mut self, _: Network, _: Option<Duration>, _: &[Network]) -> Result<(), FirewallError> {
        Ok(())
    }
    fn release(&mut self, _: Network) -> Result<(), FirewallError> {
        Ok(())
    }
    fn clear(&mut self) -> Result<(), FirewallError> {
        self.0.clear()
    }
    fn reconcile(&mut self, _: &[(Network, Option<Duration>)]) -> Result<(), FirewallError> {
        Ok(())
    }
    fn is_disturbed(&mut self) -> Result<bool, FirewallError> {
        Ok(false)
    }
}

#[test]
fn what_monitor_mode_cannot_take_back_stays_listed_and_no_undo_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let fake = Fake::default();
    let mut response = open(&path, &fake, 0);
    for network in ["198.51.100.9", "203.0.113.0/24"] {
        by_hand(&mut response, network);
    }
    drop(response);
    fake.0.lock().unwrap().1 = true;
    let mut response = watching(&path, 0, Watching(fake.clone()));
    assert_eq!(response.reconcile(NOW, true).unwrap(), []);
    by_hand(&mut response, "192.0.2.1");
    let tried = response.undo("198.51.100.9", NOW).unwrap();
    assert!(
        matches!(&tried[0].decision, Decision::Failed { because } if because.contains("not permitted")),
        "{tried:?}"
    );
    let wider = by_hand(&mut response, "203.0.112.0/23");
    assert!(
        matches!(
            &wider[..],
            [Outcome {
                decision: Decision::Failed { .. },
                ..
            }]
        ),
        "{wider:?}"
    );
    assert_eq!(
        blocked(&response),
        ["192.0.2.1", "198.51.100.9", "203.0.113.0/24"]
    );
    assert_eq!(fake.0.lock().unwrap().0.len(), 2);
    // Once it may, it does, and what it only would do is not concerned.
    fake.0.lock().unwrap().1 = false;
    let undone = response.undo("198.51.100.9", NOW).unwrap();
    assert_eq!(decisions(&undone)[0].1, Decision::Undone);
    assert_eq!(
        targets(&response.reconcile(NOW, false).unwrap()),
        ["203.0.113.0/24"]
    );
    assert_eq!(blocked(&response), ["192.0.2.1"]);
    assert_eq!(fake.0.lock().unwrap().0, []);
}

#[test]
fn a_clock_that_is_set_makes_no_block_longer_or_shorter() {
    let folder = tempfile::tempdir().unwrap();
    let (path, fake) = (folder.path().join("ledger"), Fake::default());
    let ttl = Respond::default().block;
    let mut response = open(&path, &fake, 0);
    response.consider(&finding("198.51.100.9", 1), NOW).unwrap();
    let hour = 3_600_000_000;
    for set in [-24 * hour, 48 * hour] {
        let before = response.next_deadline().unwrap();
        response.clock_was_set(set);
        let after = response.next_deadline().unwrap();
        assert_eq!(after.as_micros() - before.as_micros(), set);
        assert_eq!(response.held().next().unwrap().until, Some(after));
    }
    drop(response);
    // Set back while the agent was away: the ledger's times lie ahead.
    let earlier = Timestamp::from_micros(NOW.as_micros() - 24 * hour);
    let mut response = open(&path, &fake, 0);
    response.reconcile(earlier, true).unwrap();
    assert_eq!(response.next_deadline(), Some(earlier.plus(ttl)));
}
