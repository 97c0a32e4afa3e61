//! Lists as files, and what is found by them.

use super::*;
use crate::detect::{Detector as _, Findings};
use picket_common::event::{
    AuthAction, AuthEvent, ConnectEvent, Credentials, Direction, Event, ExecEvent, FileAction, FileContent,
    FileEvent, Outcome, Payload, Peer, Program,
};
use picket_common::finding::{Finding, Severity};
use picket_common::ids::RecordId;
use picket_common::process::ProcessId;
use std::fmt::Write as _;
use std::fs;

/// Lists in a folder of their own.
struct Lists {
    folder: tempfile::TempDir,
    settings: config::Indicators,
}

impl Lists {
    fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = names.iter().map(|name| folder.path().join(name)).collect();
        let settings = config::Indicators {
            files,
            allow: Vec::new(),
        };
        Self { folder, settings }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn load(&self, before: &Indicators) -> (Indicators, Vec<String>) {
        let (indicators, problems) = Indicators::load(&self.settings, before);
        let here = format!("{}/", self.folder.path().display());
        let problems = problems
            .iter()
            .map(|problem| problem.to_string().replace(&here, ""));
        (indicators, problems.collect())
    }
}

/// One list, loaded.
fn load(text: impl AsRef<[u8]>) -> (Indicators, Vec<String>) {
    let lists = Lists::new(&["list.csv"]);
    lists.write("list.csv", text);
    lists.load(&Indicators::default())
}

fn good(text: impl AsRef<[u8]>) -> Indicators {
    let (indicators, problems) = load(text);
    assert_eq!(problems, [] as [&str; 0]);
    indicators
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn event(time: Timestamp, payload: Payload) -> Event {
    let text = format!("{payload:?}");
    Event {
        id: RecordId::derived(time, &[text.as_bytes()]),
        time,
        observed: time,
        payload,
    }
}

fn login(second: i64, source: &str, outcome: Outcome) -> Event {
    let mut auth = AuthEvent::new(AuthAction::Login, outcome, "sshd");
    auth.user = Some("root".into());
    auth.source = Some(Peer::new(source.parse().unwrap(), Some(4711)));
    event(at(second), Payload::Auth(auth.into()))
}

fn connection(second: i64, direction: Direction, remote: &str) -> Event {
    let mut program = Program::unknown(ProcessId { pid: 7, start: 9 });
    program.executable = Some("/usr/bin/nc".into());
    let connect = ConnectEvent {
        program,
        direction,
        local: "192.0.2.1:22".parse().unwrap(),
        remote: remote.parse().unwrap(),
    };
    event(at(second), Payload::Connect(connect.into()))
}

fn started(executable: &str, sha256: Option<&str>, args: &[&str]) -> Event {
    let exec = ExecEvent {
        sha256: sha256.map(Into::into),
        args: args.iter().map(|&arg| arg.into()).collect(),
        ..ExecEvent::new(ProcessId { pid: 7, start: 9 }, executable, Credentials::default())
    };
    event(at(0), Payload::Exec(exec.into()))
}

fn landed(path: &str, md5: &str) -> Event {
    let mut file = FileEvent::new(path, FileAction::Written);
    let content = FileContent {
        sha256: "ee".repeat(32).into(),
        sha1: "dd".repeat(20).into(),
        md5: md5.into(),
        ..FileContent::default()
    };
    file.content = Some(content.into());
    event(at(0), Payload::File(file.into()))
}

fn found(listed: &mut Listed, event: &Event) -> Vec<Finding> {
    let mut findings = Findings::default();
    listed.inspect(event, &mut findings);
    findings.found
}

fn summaries(listed: &mut Listed, event: &Event) -> Vec<String> {
    found(listed, event)
        .into_iter()
        .map(|finding| finding.summary)
        .collect()
}

fn listed(indicators: &Indicators) -> Listed {
    let mut listed = Listed::default();
    listed.indicators = indicators.clone();
    listed
}

const NOBODY: [&str; 0] = [];

#[test]
fn every_kind_is_found_wherever_it_is_met_and_the_finding_names_value_list_and_place() {
    let sha256 = "ab".repeat(32);
    let md5 = "cd".repeat(16);
    let text = format!(
        "type,value,description\nsha256,{},Mirai\nmd5,{md5},\nip,198.51.100.7,\"C2, of x\"\nip,203.0.113.0/24,scanners\n\
         domain,evil.example,\npath,/tmp/.x/kworker,\nname,update.sh,dropper\n",
        sha256.to_uppercase()
    );
    let mut listed = listed(&good(text));
    let mut told = |event: &Event| {
        let found = found(&mut listed, event);
        found
            .into_iter()
            .map(|finding| (finding.summary, finding.severity, finding.suggests.concat()))
            .collect::<Vec<_>>()
    };
    for (event, summary, severity, suggests) in [
        (
            started("/tmp/x", Some(&sha256), &[]),
            format!("Known bad file, SHA-256 {sha256}, listed in list.csv as Mirai, seen by /tmp/x"),
            Severity::High,
            "kill_tree",
        ),
        (
            landed("/srv/a", &md5),
            format!("Known bad file, MD5 {md5}, listed in list.csv, seen in /srv/a"),
            Severity::High,
            "quarantine",
        ),
        (
            login(0, "198.51.100.7", Outcome::Failure),
            "Known bad address, 198.51.100.7, listed in list.csv as C2, of x, seen from 198.51.100.7 user root".to_owned(),
            Severity::Medium,
            "block_ip",
        ),
        (
            login(0, "203.0.113.9", Outcome::Success),
            "Known bad address, 203.0.113.9 of 203.0.113.0/24, listed in list.csv as scanners, seen from 203.0.113.9 user root"
                .to_owned(),
            Severity::High,
            "block_ip",
        ),
        (
            connection(0, Direction::Outbound, "198.51.100.7:443"),
            "Known bad address, 198.51.100.7, listed in list.csv as C2, of x, seen by /usr/bin/nc to 198.51.100.7:443".to_owned(),
            Severity::High,
            "",
        ),
        (
            connection(0, Direction::Inbound, "[::ffff:198.51.100.7]:443"),
            "Known bad address, 198.51.100.7, listed in list.csv as C2, of x, seen by /usr/bin/nc from [::ffff:198.51.100.7]:443"
                .to_owned(),
            Severity::Medium,
            "block_ip",
        ),
        (
            started("/usr/bin/curl", None, &["curl", "https://cdn.EVIL.example/x"]),
            "Known bad domain, cdn.evil.example of evil.example, listed in list.csv, seen by /usr/bin/curl".to_owned(),
            Severity::High,
            "",
        ),
        (
            started("/tmp/.x/kworker", None, &[]),
            "Known bad name, /tmp/.x/kworker, listed in list.csv, seen by /tmp/.x/kworker".to_owned(),
            Severity::Medium,
            "",
        ),
        (
            landed("/home/bob/update.sh", ""),
            "Known bad name, update.sh, listed in list.csv as dropper, seen in /home/bob/update.sh".to_owned(),
            Severity::Medium,
            "",
        ),
    ] {
        assert_eq!(told(&event), [(summary, severity, suggests.to_owned())]);
    }
    for other in [
        started(
            "/usr/bin/curl",
            Some(&"ac".repeat(32)),
            &["https://notevil.example/evil.example"],
        ),
        landed("/home/bob/update.sh2", &"ce".repeat(16)),
        login(0, "198.51.100.8", Outcome::Failure),
        connection(0, Direction::Outbound, "203.0.114.9:443"),
    ] {
        assert_eq!(told(&other), []);
    }
}

#[test]
fn whoever_comes_again_and_again_is_told_once_in_ten_minutes_and_a_login_that_works_at_once() {
    let mut listed = listed(&good("198.51.100.7"));
    let mut count = |event: Event| found(&mut listed, &event).len();
    assert_eq!(count(login(0, "198.51.100.7", Outcome::Failure)), 1);
    assert_eq!(count(login(599, "198.51.100.7", Outcome::Failure)), 0);
    assert_eq!(count(login(599, "198.51.100.7", Outcome::Success)), 1);
    assert_eq!(count(connection(599, Direction::Inbound, "198.51.100.7:1")), 1);
    assert_eq!(count(login(600, "198.51.100.7", Outcome::Failure)), 1);
    // A clock that was set back silences nothing for longer.
    assert_eq!(count(login(-1, "198.51.100.7", Outcome::Failure)), 1);
    let sha256 = "ab".repeat(32);
    let mut listed = self::listed(&good(&sha256));
    let event = started("/tmp/x", Some(&sha256), &[]);
    assert_eq!(
        found(&mut listed, &event).len() + found(&mut listed, &event).len(),
        2
    );
}

#[test]
fn a_broken_line_is_named_and_the_rest_loads() {
    let text = "type,value,description,expires\nip,198.51.100.7,a\nip,198.51.100.300,b\nip\nip,\"198.51.100.8,c\n\
                ip,198.51.100.9,d,soon\n\nsha256,abc,e\nurl,http://x.example/,f\nip,198.51.100.10,g,2030-01-01,more,columns\n";
    let (indicators, problems) = load(text);
    assert_eq!(indicators.len(), 2);
    let starts = [
        "list.csv:3: '198.51.100.300' is no address",
        "list.csv:4: has 1 fields; by the heading the value is in number 2",
        "list.csv:5: has a quote that does not end",
        "list.csv:6: 'soon' is no end; write 2027-01-31",
        "list.csv:8: 'abc' is no SHA-256",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn a_wrong_column_is_named_and_what_was_there_before_stays() {
    let lists = Lists::new(&["list.csv"]);
    lists.write("list.csv", "type,value\nip,198.51.100.7\n");
    let (before, problems) = lists.load(&Indicators::default());
    assert_eq!((before.len(), problems.len()), (1, 0));
    lists.write("list.csv", "kind_of,thing\nip,198.51.100.7\nip,198.51.100.8\n");
    let (indicators, problems) = lists.load(&before);
    assert_eq!(indicators.len(), 1);
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert_eq!(
        problems[3],
        "list.csv:1: names no indicator; what it held before stays in force"
    );
    assert!(problems[0].contains("'kind_of' is no digest"), "{problems:#?}");
}

#[test]
fn a_byte_order_mark_and_the_line_ends_of_windows_change_nothing() {
    let indicators = good("\u{feff}type,value\r\nip,198.51.100.7\r\n\r\ndomain,evil.example\r\n");
    let mut marked = listed(&indicators);
    assert_eq!(
        found(&mut marked, &login(0, "198.51.100.7", Outcome::Failure)).len(),
        1
    );
    let plain = good("\u{feff}198.51.100.7\r\n");
    assert_eq!(plain.len(), 1);
    let (none, problems) = load(b"\xff\xfe1\x009\x008\x00");
    assert!(none.is_empty() && problems[0].contains("UTF-16"), "{problems:?}");
}

#[test]
fn what_is_no_utf_8_is_named_as_a_value_and_shown_as_words() {
    let (indicators, problems) = load(b"type,value,description\nname,a\xff,x\nname,b,caf\xe9\x1b[2J\n");
    assert_eq!(problems, ["list.csv:2: 'a\u{fffd}' is no UTF-8"]);
    let told = summaries(&mut listed(&indicators), &landed("/tmp/b", ""));
    let expected = "Known bad name, b, listed in list.csv as caf\u{fffd}\\u{1b}[2J, seen in /tmp/b";
    assert_eq!(told, [expected]);
}

#[test]
fn what_would_match_everything_is_refused_unless_it_is_allowed() {
    let mut lists = Lists::new(&["list.txt"]);
    lists.write(
        "list.txt",
        "0.0.0.0/0\n127.0.0.0/8\n10.0.0.7\n198.51.100.7\ncom\n,empty\n",
    );
    let (indicators, problems) = lists.load(&Indicators::default());
    assert_eq!((indicators.len(), problems.len()), (1, 5), "{problems:#?}");
    assert!(problems[0].starts_with("list.txt:1: '0.0.0.0/0' would match far too much"));
    assert!(problems[1].contains("127.0.0.0/8 are this host itself; indicators.allow can allow them"));
    assert!(
        problems[4].starts_with("list.txt:6: '' is empty"),
        "{problems:#?}"
    );
    lists.settings.allow = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.0/8".parse().unwrap()];
    let (indicators, problems) = lists.load(&Indicators::default());
    assert_eq!((indicators.len(), problems.len()), (3, 3), "{problems:#?}");
}

#[test]
fn what_is_named_twice_counts_once_in_a_list_and_each_list_is_named() {
    let lists = Lists::new(&["a.txt", "b.csv"]);
    lists.write(
        "a.txt",
        "198.51.100.7 first\n198.51.100.7 second\nevil.example\nEVIL.example.\n",
    );
    lists.write("b.csv", "value,description\n198.51.100.7,other\n");
    let (indicators, problems) = lists.load(&Indicators::default());
    assert_eq!((indicators.len(), problems.len()), (3, 0), "{problems:#?}");
    let told = summaries(
        &mut listed(&indicators),
        &login(0, "198.51.100.7", Outcome::Failure),
    );
    assert!(told[0].contains("listed in a.txt as "), "{told:?}");
    assert!(told[0].contains(" and in b.csv as other, seen"), "{told:?}");
}

#[test]
fn what_has_ended_is_not_found_any_more() {
    let indicators = good("value,expires\n198.51.100.7,100\n198.51.100.0/24,200\nevil.example,1970-01-01\n");
    let mut listed = listed(&indicators);
    let mut told = |second| summaries(&mut listed, &login(second, "198.51.100.7", Outcome::Failure));
    assert!(told(-1000)[0].starts_with("Known bad address, 198.51.100.7, listed"));
    assert!(told(100)[0].starts_with("Known bad address, 198.51.100.7 of 198.51.100.0/24, listed"));
    assert_eq!(told(200), NOBODY);
    let domain = Observable::Domain("evil.example".into());
    assert!(indicators.find(&domain, at(86_399)).is_some());
    assert_eq!(indicators.find(&domain, at(86_400)), None);
    // Of two ends in one list the later holds.
    let twice = good("value,expires\n/a,100\n/a,never\n/a,50\n");
    assert_eq!(twice.len(), 1);
    assert!(twice.find(&Observable::Path("/a"), at(1_000_000_000)).is_some());
}

#[test]
fn a_list_that_is_gone_or_broken_stays_as_it_was_and_one_that_is_written_anew_does_not() {
    let lists = Lists::new(&["list.txt", "other.txt"]);
    let sha256 = "ab".repeat(32);
    lists.write("list.txt", format!("{sha256} Mirai\n198.51.100.0/24 C2\n"));
    lists.write("other.txt", "evil.example\n");
    let (before, _) = lists.load(&Indicators::default());
    assert_eq!(before.len(), 3);
    let path = lists.folder.path().join("list.txt");
    let broken: [&dyn Fn(); 4] = [
        &|| fs::remove_file(&path).unwrap(),
        &|| lists.write("list.txt", ""),
        &|| lists.write("list.txt", "<html>\n<body>502 Bad Gateway</body>\n"),
        &|| {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        },
    ];
    let mut kept = before;
    for break_it in broken {
        break_it();
        let problems;
        (kept, problems) = lists.load(&kept);
        assert_eq!(kept.len(), 3);
        assert!(
            problems
                .last()
                .unwrap()
                .contains("what it held before stays in force"),
            "{problems:?}"
        );
        let mut listed = listed(&kept);
        let told = summaries(&mut listed, &started("/tmp/x", Some(&sha256), &[]));
        assert!(told[0].contains("listed in list.txt as Mirai"), "{told:?}");
        assert_eq!(
            found(&mut listed, &login(0, "198.51.100.9", Outcome::Failure)).len(),
            1
        );
    }
    fs::remove_dir(&path).unwrap();
    lists.write("list.txt", "# nothing is left of it\n");
    let (fresh, problems) = lists.load(&kept);
    assert_eq!((fresh.len(), problems.len()), (1, 0), "{problems:?}");
}

#[test]
fn a_file_of_which_every_line_is_wrong_floods_nobody() {
    let (none, problems) = load("hello\n".repeat(1000));
    assert!(none.is_empty());
    assert_eq!(problems.len(), 102);
    assert!(
        problems
            .iter()
            .any(|problem| problem.ends_with("900 more lines are wrong")),
        "{problems:?}"
    );
}

#[test]
fn lists_as_others_hand_them_around_are_understood() {
    let abuse =
        "# Terms of use\n# \"first_seen_utc\",\"sha256_hash\",\"md5_hash\",\"file_name\",\"signature\"\n\
                 \"2026-01-01 00:00:00\", \"SHA256\", \"MD5\", \"evil.exe\", \"Mirai\"\n"
            .replace("SHA256", &"ab".repeat(32))
            .replace("MD5", &"cd".repeat(16));
    assert_eq!(good(abuse).len(), 2);
    let zeek = "#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\n198.51.100.7\tIntel::ADDR\tx\tC2\n\
                evil.example\tIntel::DOMAIN\tx\t-\nevil.example/x\tIntel::URL\tx\t-\n";
    assert_eq!(good(zeek).len(), 2);
    let drop = "; a list of networks\n198.51.100.0/24 ; SBL1\n203.0.113.0/24 ; SBL2\n";
    assert_eq!(good(drop).len(), 2);
    let ports = "ioc_value,ioc_type\n198.51.100.7:443,ip:port\n";
    assert_eq!(good(ports).len(), 1);
    let sums = format!("{}  /tmp/a\n{} *b\n", "ab".repeat(32), "cd".repeat(32));
    assert_eq!(good(sums).len(), 2);
}

#[test]
fn an_exception_to_a_rule_about_indicators_holds_back_what_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("list.txt"), "198.51.100.0/24\n").unwrap();
    let exception = "[[exception]]\nrule = \"known-bad-address\"\nreason = \"our scanner\"\nuntil = \"never\"\nfields = { \"source.ip\" = [\"198.51.100.7\"] }\n";
    fs::write(path("known.toml"), exception).unwrap();
    let lists = config::Indicators {
        files: vec![path("list.txt")],
        allow: Vec::new(),
    };
    let sources = crate::detect::Sources {
        rules: &[],
        exceptions: Some(folder.path()),
        groups: 100,
        indicators: Some(&lists),
        indicators_before: Indicators::default(),
        before: &[],
    };
    let loaded = crate::detect::load(&sources, &mut crate::history::LastGood::default(), at(0));
    assert_eq!(loaded.problems, []);
    let mut listed = listed(&loaded.indicators);
    assert_eq!(
        found(&mut listed, &login(0, "198.51.100.7", Outcome::Failure)).len(),
        0
    );
    assert_eq!(
        found(&mut listed, &login(0, "198.51.100.8", Outcome::Failure)).len(),
        1
    );
    assert_eq!(loaded.exceptions[0].held_back(), 1);
    assert_eq!(loaded.about.len(), listed::RULES.len());
}

#[test]
fn a_million_lines_fit_into_their_memory_and_are_found() {
    let digest = |number: u64| format!("{:016x}{number:048x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut text = String::from("type,value,description\n");
    for number in 0..1_000_000_u64 {
        writeln!(text, "sha256,{},family {}", digest(number), number % 1000).unwrap();
    }
    let indicators = good(&text);
    assert_eq!(indicators.len(), 1_000_000);
    assert!(indicators.bytes() <= 60 << 20, "{} bytes", indicators.bytes());
    let mut listed = listed(&indicators);
    let told = summaries(&mut listed, &started("/tmp/x", Some(&digest(123_456)), &[]));
    assert!(told[0].contains("listed in list.csv as family 456"), "{told:?}");
    assert_eq!(
        summaries(&mut listed, &started("/tmp/x", Some(&digest(1_000_001)), &[])),
        NOBODY
    );
}
