//! The life of rules on a host: exceptions to them, mistakes in them, and what stays in force meanwhile.

use picket_tests::line::Line;
use picket_tests::picket;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A folder with a log of six failed logins of root from 198.51.100.9 on 2026-03-01, and room for exceptions.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::create_dir(host.path("exceptions")).unwrap();
        let log = (0..6).map(|second| {
            format!("2026-03-01T00:00:0{second}.000000+00:00 web1 sshd[7]: Failed password for root from 198.51.100.9 port 4711 ssh2\n")
        });
        fs::write(host.path("auth.log"), log.collect::<String>()).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn except(&self, text: &str) {
        let file = self.path("exceptions/test.toml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// The titles of what fires, what the exceptions held back, and the complaints.
    fn replay(&self) -> (Vec<String>, Vec<u64>, String) {
        let output = picket()
            .env("TZ", "UTC")
            .args(["replay", "auth", "--json", "--rules"])
            .arg(shipped())
            .arg("--exceptions")
            .arg(self.path("exceptions"))
            .arg(self.path("auth.log"))
            .output()
            .unwrap();
        let complaints = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{complaints}");
        let (sum, complaints) = {
            let at = complaints.trim_end().rfind('\n').map_or(0, |at| at + 1);
            (complaints[at..].to_owned(), complaints[..at].to_owned())
        };
        assert!(sum.starts_with("picket: 6 lines read, 6 understood, "), "{sum}");
        let values: Vec<Value> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of = |kind: &'static str| values.iter().filter(move |value| value["kind"] == kind);
        let titles = of("finding").map(|finding| finding["rule"]["title"].as_str().unwrap().to_owned());
        let held = of("exception").map(|exception| exception["held_back"].as_u64().unwrap());
        (titles.collect(), held.collect(), complaints)
    }

    /// `picket check` with these rules and the exceptions: whether all is well, and what it says.
    fn check(&self, rules: &Path) -> (bool, String) {
        let config = self.path("picket.toml");
        let text = format!(
            "[detect]\nrules = [{rules:?}]\nexceptions = {:?}\n",
            self.path("exceptions")
        );
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
        let output = picket()
            .args(["check", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules/sigma")
}

fn exception(rule: &str, until: &str, more: &str) -> String {
    format!("[[exception]]\nrule = {rule:?}\nreason = \"a test\"\nuntil = {until:?}\n{more}\n")
}

const NETWORK: &str = "fields = { source.ip = [\"198.51.100.0/24\"] }";

#[test]
fn an_event_that_meets_an_exception_does_not_match_that_rule() {
    let host = Host::new();
    assert_eq!(
        host.replay(),
        (vec!["Many failed logins".to_owned()], vec![], String::new())
    );
    host.except(&exception("Many failed logins", "never", NETWORK));
    assert_eq!(host.replay(), (vec![], vec![6], String::new()));
    host.except(&exception(
        "e6eaea49-7676-599c-9182-a26a24d9acd7",
        "never",
        "hosts = [\"web*\"]",
    ));
    assert_eq!(host.replay(), (vec![], vec![6], String::new()));
    // Of a rule that others count: it is not counted.
    host.except(&exception(
        "Failed login",
        "never",
        "fields.user.name = [\"ro*\"]",
    ));
    assert_eq!(host.replay(), (vec![], vec![6], String::new()));
    // Of another rule, another address, another host.
    for other in [
        exception("Failed logins over hours", "never", NETWORK),
        exception(
            "Many failed logins",
            "never",
            "fields.source.ip = [\"203.0.113.0/24\"]",
        ),
        exception("Many failed logins", "never", "hosts = [\"db*\"]"),
    ] {
        host.except(&other);
        assert_eq!(host.replay().0, ["Many failed logins"], "{other}");
    }
}

#[test]
fn an_exception_ends_by_the_logs_own_time() {
    let host = Host::new();
    for (until, fires) in [
        ("2026-02-28", true),
        ("2026-03-01", false),
        ("2026-03-01T00:00:00Z", true),
        // The first of six is held back, five are enough.
        ("2026-03-01T00:00:01Z", true),
        ("2026-03-01T00:00:02Z", false),
    ] {
        host.except(&exception("Many failed logins", until, NETWORK));
        assert_eq!(!host.replay().0.is_empty(), fires, "{until}");
    }
}

#[test]
fn the_wrong_exceptions_are_named_and_the_right_ones_count() {
    let host = Host::new();
    let wrong = exception("No such rule", "never", "") + &exception("Failed login", "soon", "");
    host.except(&(wrong + &exception("Many failed logins", "never", NETWORK)));
    let (found, held, complaints) = host.replay();
    assert_eq!((found, held), (vec![], vec![6]));
    assert!(
        complaints.contains("test.toml:1:1: there is no rule with the id or title 'No such rule'"),
        "{complaints}"
    );
    assert!(
        complaints.contains("test.toml:9:9: exception.until must be"),
        "{complaints}"
    );
}

#[test]
fn exceptions_that_others_could_have_written_are_refused() {
    let host = Host::new();
    host.except(&exception("Many failed logins", "never", NETWORK));
    let file = host.path("exceptions/test.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    let (found, _, complaints) = host.replay();
    assert_eq!(found, ["Many failed logins"]);
    assert!(complaints.contains("chmod go-w"), "{complaints}");
}

#[test]
fn check_names_every_mistake_in_rules_and_exceptions_at_once() {
    let host = Host::new();
    let (good, said) = host.check(&shipped());
    assert!(good && said.contains("login_guessing.yml: good"), "{said}");
    host.except(&exception("Many failed logins", "2026-01-01", ""));
    let (good, said) = host.check(&shipped());
    assert!(
        good && said.contains("1 exceptions") && said.contains("its time is over"),
        "{said}"
    );

    let rules = host.path("rules");
    fs::create_dir(&rules).unwrap();
    let rule = fs::read_to_string(shipped().join("root_login.yml")).unwrap();
    fs::write(rules.join("good.yml"), &rule).unwrap();
    fs::write(rules.join("twin.yml"), rule.replace("4a636562", "00000000")).unwrap();
    fs::write(
        rules.join("bad.yml"),
        rule.replace("condition: selection", "condition: selektion and"),
    )
    .unwrap();
    host.except(
        &(exception("Root logged in by password", "never", "host = []")
            + &exception("Root logged in by password", "never", "")),
    );
    let (good, said) = host.check(&rules);
    assert!(!good, "{said}");
    for expected in [
        "bad.yml:1: ",
        "test.toml:5:1: unknown key 'host' in [exception]; did you mean 'hosts'?",
        "test.toml:6:1: several rules are called 'Root logged in by password'",
        "mistakes in the configuration, the rules and the exceptions: 3",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    let (good, said) = host.check(&host.path("nowhere"));
    assert!(!good && said.contains("nowhere:1: cannot be listed"), "{said}");
}

#[test]
fn check_names_fields_that_no_event_has_and_folders_without_rules() {
    let host = Host::new();
    let rules = host.path("rules");
    fs::create_dir(&rules).unwrap();
    let (good, said) = host.check(&rules);
    let expected = format!("no rule was found in {}", rules.display());
    assert!(!good && said.contains(&expected), "{said}");

    let rule = fs::read_to_string(shipped().join("root_login.yml")).unwrap();
    let line = rule
        .lines()
        .position(|line| line.trim().starts_with("event.action"))
        .unwrap()
        + 1;
    let wrong = rule.replace("event.action", "event.actoin");
    fs::write(rules.join("a.yml"), &wrong).unwrap();
    // Its documents before count, and what is about other sources is nobody's mistake.
    let other = wrong.replace("category: authentication", "category: process_creation");
    fs::write(rules.join("b.yml"), format!("{other}---\n{wrong}")).unwrap();
    let (good, said) = host.check(&rules);
    let later = other.lines().count() + 1 + line;
    for expected in [
        format!("a.yml:{line}: events have no field 'event.actoin'\n"),
        format!("b.yml:{later}: events have no field 'event.actoin'\n"),
        "the exceptions: 2\n".to_owned(),
    ] {
        assert!(!good && said.contains(&expected), "{expected} in {said}");
    }
}

#[test]
fn check_refuses_a_rule_that_denies_by_more_than_a_file() {
    let host = Host::new();
    let rules = host.path("rules");
    fs::create_dir(&rules).unwrap();
    let rule = |selection: &str| {
        format!(
            "title: a miner\nid: 6f0c2f3e-0f5d-4d2b-8a55-0d0c6b1c9a01\nlogsource: {{category: process_creation, product: linux}}\ndetection:\n    selection:\n{selection}    condition: selection\nlevel: high\npicket: {{respond: [deny_exec]}}\n"
        )
    };
    let image = "        Image|endswith: /xmrig\n";
    fs::write(rules.join("good.yml"), rule(image)).unwrap();
    let (good, said) = host.check(&rules);
    assert!(good, "{said}");
    let line = "        CommandLine|contains: --donate-level\n";
    fs::write(rules.join("line.yml"), rule(&format!("{image}{line}"))).unwrap();
    fs::write(rules.join("words.yml"), rule("        - xmrig\n")).unwrap();
    let (good, said) = host.check(&rules);
    for expected in [
        "line.yml:7: deny_exec cannot judge by 'CommandLine'",
        "words.yml:1: deny_exec cannot judge by 'keywords'",
    ] {
        assert!(!good && said.contains(expected), "{expected} in {said}");
    }
    let killing = rule(&format!("{image}{line}")).replace("deny_exec", "kill_tree, kill");
    fs::write(rules.join("line.yml"), killing).unwrap();
    fs::remove_file(rules.join("words.yml")).unwrap();
    let (good, said) = host.check(&rules);
    assert!(good, "{said}");
}

/// A line whose agent judges by copies of the shipped rules, in a folder of its own.
fn line() -> Line {
    let line = Line::start("");
    fs::create_dir(line.path("rules")).unwrap();
    for entry in fs::read_dir(shipped()).unwrap().flatten() {
        fs::copy(entry.path(), line.path("rules").join(entry.file_name())).unwrap();
    }
    fs::create_dir(line.path("conf.d")).unwrap();
    let (rules, exceptions) = (line.path("rules"), line.path("exceptions"));
    let text = format!("[detect]\nrules = [{rules:?}]\nexceptions = {exceptions:?}\n");
    fs::write(line.path("conf.d/rules.toml"), text).unwrap();
    line.log("");
    line
}

/// So many failed logins from an address, as of now.
fn attack(address: &str, count: u32) -> String {
    let now: jiff::Timestamp = std::time::SystemTime::now().try_into().unwrap();
    let failed =
        |port| format!("{now:.6} host sshd[7]: Failed password for root from {address} port {port} ssh2\n");
    (0..count).map(failed).collect()
}

/// Logs an attack and waits for its finding: then everything that was logged before has been judged.
fn judged(line: &Line, address: &str) {
    line.log(&attack(address, 5));
    line.wait_for(|value| value["record"] == "finding" && value["body"]["source"] == address);
}

/// Waits until the agent says so of the rules that are in force.
fn in_force(line: &Line, wanted: impl Fn(&Value) -> bool) -> Value {
    let started = std::time::Instant::now();
    loop {
        let said = line.operate(&["status", "--json"]).unwrap();
        let rules = serde_json::from_str::<Value>(&said).unwrap()["rules"].take();
        if wanted(&rules) {
            return rules;
        }
        assert!(started.elapsed().as_secs() < 30, "{rules}");
        std::thread::yield_now();
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn rules_and_exceptions_that_change_are_judged_by_at_once_and_counts_go_on() {
    let mut line = line();
    line.start_agent();
    line.log(&attack("198.51.100.9", 3));
    judged(&line, "203.0.113.1");
    let before = in_force(&line, |_| true);

    // Another rule, by way of a folder and of a file that an editor moves into place.
    let rule = fs::read_to_string(shipped().join("root_login.yml")).unwrap();
    fs::create_dir(line.path("rules/more")).unwrap();
    write(
        &line.path("rules/more/.new"),
        &rule.replace("4a636562", "00000000"),
    );
    fs::rename(line.path("rules/more/.new"), line.path("rules/more/new.yml")).unwrap();
    in_force(&line, |rules| {
        rules["rules"].as_u64() == before["rules"].as_u64().map(|count| count + 1)
    });
    line.log(&attack("198.51.100.9", 2));
    line.wait_for(|value| value["record"] == "finding" && value["body"]["source"] == "198.51.100.9");

    // The folder of exceptions is made only now.
    fs::create_dir(line.path("exceptions")).unwrap();
    let text = exception(
        "Many failed logins",
        "never",
        "fields.source.ip = [\"203.0.113.0/24\"]",
    );
    write(&line.path("exceptions/test.toml"), &text);
    in_force(&line, |rules| rules["exceptions"] == 1);
    line.log(&attack("203.0.113.7", 5));
    judged(&line, "198.51.100.10");
    let rules = in_force(&line, |_| true);
    assert_eq!(rules["held_back"][0]["times"], 5, "{rules}");
    assert_eq!(
        line.collect(&["search", "\"203.0.113.7\"", "--json"]),
        "",
        "it was found"
    );

    // An exception that is loaded anew goes on counting; one that is gone holds nothing back.
    write(
        &line.path("exceptions/other.toml"),
        &exception("Failed login", "2000-01-01", ""),
    );
    let rules = in_force(&line, |rules| rules["exceptions"] == 2);
    assert_eq!(rules["held_back"][0]["times"], 5, "{rules}");
    fs::remove_file(line.path("exceptions/test.toml")).unwrap();
    in_force(&line, |rules| rules["exceptions"] == 1);
    judged(&line, "203.0.113.8");
    line.end_agent(false);
}

#[test]
fn a_rule_file_that_becomes_wrong_never_stops_what_was_running() {
    let mut line = line();
    fs::create_dir(line.path("exceptions")).unwrap();
    line.start_agent();
    let before = in_force(&line, |rules| rules["problems"] == 0);
    let file = line.path("rules/login_guessing.yml");
    let good = fs::read_to_string(&file).unwrap();
    write(&file, "title: broken\ndetection: [\n");
    let broken = |rules: &Value| {
        rules["named"][0].as_str().is_some_and(|named| {
            named.contains("login_guessing.yml:1: ")
                && named.contains("; the last good version of the file, of 20")
        })
    };
    let rules = in_force(&line, |rules| rules["problems"] == 1);
    assert!(broken(&rules) && rules["rules"] == before["rules"], "{rules}");
    judged(&line, "198.51.100.9");
    let said = line.operate(&["check"]).unwrap_err();
    assert!(said.contains("the last good version of the file"), "{said}");

    // Also when the agent starts with it.
    line.end_agent(false);
    line.start_agent();
    let rules = in_force(&line, |_| true);
    assert!(broken(&rules) && rules["rules"] == before["rules"], "{rules}");
    judged(&line, "198.51.100.10");

    // A file that is put right is used, and one that is removed is gone.
    write(&file, &good);
    in_force(&line, |rules| rules["problems"] == 0);
    fs::remove_file(line.path("rules/root_login.yml")).unwrap();
    in_force(&line, |rules| {
        rules["rules"].as_u64() == before["rules"].as_u64().map(|count| count - 1)
    });
    line.operate(&["check"]).unwrap();
    line.end_agent(false);
}

#[test]
fn a_rule_is_explained_without_an_agent() {
    let host = Host::new();
    host.except(
        &(exception("Many failed logins", "2026-01-01", NETWORK) + &exception("Failed login", "never", "")),
    );
    host.check(&shipped());
    let explain = |id: &str, json: bool| {
        let mut command = picket();
        command
            .args(["explain", id, "--config"])
            .arg(host.path("picket.toml"));
        let output = if json { command.arg("--json") } else { &mut command }
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8([output.stdout, output.stderr].concat()).unwrap(),
        )
    };
    let (known, said) = explain("e6eaea49-7676-599c-9182-a26a24d9acd7", false);
    assert!(known, "{said}");
    for expected in [
        "Many failed logins\n",
        "login_guessing.yml:21\n",
        "severity      high\n",
        "ATT&CK        T1110.001\n",
        "finds         Five refused logins from one address within two minutes.\n",
        "counts        \"Failed login\": from 5 events on, within 2m, for each source.ip\n",
        "may be        A job with an outdated password",
        "suggests      block_ip\n",
        "source.ip is 198.51.100.0/24 (a test), its time was over at 2026-01-02T00:00:00.000000Z; ",
        "exception     not counted as \"Failed login\": every event (a test), without end; ",
    ] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
    for name in ["Many failed logins", "brute_force"] {
        assert_eq!(explain(name, false).1, said);
    }
    let value: Value = serde_json::from_str(&explain("brute_force", true).1).unwrap();
    assert_eq!(
        (&value["rule"]["severity"], &value["exceptions"][0]["holds"]),
        (&"high".into(), &false.into())
    );
    let (known, said) = explain("nobody\u{1b}", false);
    assert!(
        !known && said.contains(r"'nobody\u{1b}' is the id or title of no rule"),
        "{said}"
    );
}

#[test]
fn a_finding_is_told_as_a_story_by_its_id_and_by_that_of_its_action() {
    let mut line = line();
    line.start_agent();
    let hostile = attack("198.51.100.9", 5).replace("for root from", "for \u{1b}]0;owned\u{7} from");
    line.log(&hostile);
    // Either may come first, and is remembered before it is sent.
    line.wait_for(|value| value["record"] == "finding");
    line.wait_for(|value| value["record"] == "outcome");
    let list = |line: &Line| -> Vec<Value> {
        let said = line.operate(&["findings", "--json"]).unwrap();
        said.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let found = list(&line);
    assert_eq!(found.len(), 1, "{found:?}");
    let finding = found[0]["finding"]["id"].as_str().unwrap();
    let action = found[0]["outcomes"][0]["action"]["id"].as_str().unwrap();
    let listed = line.operate(&["findings"]).unwrap();
    assert!(
        listed.contains(finding) && listed.contains("block_ip 198.51.100.9 would be done, for 10m"),
        "{listed}"
    );
    assert!(!listed.contains('\u{1b}'), "{listed:?}");

    let said = line.operate(&["explain", finding]).unwrap();
    for expected in [
        "Many failed logins, 5 times from 198.51.100.9",
        "why           Five refused logins from one address within two minutes.\n",
        "group         source.ip 198.51.100.9\n",
        "counted       5\n",
        &format!("take it back  picket undo {action}\n"),
        "exceptions    none\n",
    ] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
    let event = "sshd on host: login failed for \"\\u{1b}]0;owned\\u{7}\" from 198.51.100.9 by password\n";
    assert_eq!(said.matches(event).count(), 5, "{said}");
    assert!(!said.contains(['\u{1b}', '\u{7}']), "{said:?}");
    assert_eq!(line.operate(&["explain", action]).unwrap(), said);

    // What an operator does is a story of its own; what happens later is part of the first. Both outlive the agent.
    line.operate(&["undo", action]).unwrap();
    line.operate(&["blocks", "add", "203.0.113.9", "--reason", "a feeling"])
        .unwrap();
    line.end_agent(false);
    line.start_agent();
    let said = line.operate(&["explain", finding]).unwrap();
    assert!(
        said.contains("was taken back") && !said.contains("picket undo"),
        "{said}"
    );
    let blocks = line.operate(&["blocks", "list", "--json"]).unwrap();
    assert!(blocks.is_empty(), "monitor mode keeps nothing: {blocks}");
    let outcome = line.wait_for(|value| value["body"]["action"]["target"]["target"] == "203.0.113.9");
    let by_hand = outcome["body"]["action"]["id"].as_str().unwrap();
    let said = line.operate(&["explain", by_hand]).unwrap();
    assert!(said.contains("asked for by an operator: a feeling"), "{said}");
    line.operate(&["blocks", "add", "127.0.0.1"]).unwrap_err();
    let refused = line.wait_for(|value| value["body"]["decision"] == "refused");
    let refused = refused["body"]["action"]["id"].as_str().unwrap();
    let said = line.operate(&["explain", refused]).unwrap();
    assert!(
        said.contains("was refused: 127.0.0.1 is not blocked") && !said.contains("picket undo"),
        "{said}"
    );
    let said = line
        .operate(&["explain", "00000000-0000-7000-8000-000000000000"])
        .unwrap_err();
    assert!(said.contains("that this host remembers"), "{said}");

    // An exception that touches the rule is part of the story.
    fs::create_dir(line.path("exceptions")).unwrap();
    write(
        &line.path("exceptions/test.toml"),
        &exception("Many failed logins", "never", NETWORK),
    );
    in_force(&line, |rules| rules["exceptions"] == 1);
    line.log(&attack("198.51.100.10", 5));
    judged(&line, "203.0.113.1");
    let said = line.operate(&["explain", finding]).unwrap();
    assert!(
        said.contains("source.ip is 198.51.100.0/24 (a test), without end; held back 5 times"),
        "{said}"
    );
    line.end_agent(false);
}
