//! What attackers write into logs: it steers no terminal, and it blames nobody else.

use picket_tests::line::Line;
use picket_tests::load::is_found;
use picket_tests::picket;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Clears the screen, sets the title, colours by one byte, turns text round, overwrites the line.
const STEERS: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{2066}\u{200f}\u{7f}\u{8}";

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules");

/// Nothing that was printed may steer a terminal; something must have been printed.
fn is_plain(what: &str, output: &Output) {
    for (stream, bytes) in [("output", &output.stdout), ("errors", &output.stderr)] {
        let text = std::str::from_utf8(bytes).unwrap();
        let steers = |sign: char| {
            (sign.is_control() && sign != '\n')
                || matches!(sign, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let found = text.lines().find(|line| line.contains(steers));
        assert_eq!(found, None, "{what}: {stream}");
    }
    assert!(
        !output.stdout.is_empty() || !output.stderr.is_empty(),
        "{what} says nothing"
    );
}

#[test]
fn no_command_prints_what_steers_a_terminal() {
    let mut line = Line::start("");
    // The host's own name is what it says it is.
    fs::remove_file(line.path("state/identity.json")).unwrap();
    fs::write(line.path("token"), line.collect(&["token", "create"])).unwrap();
    let host = format!("host{STEERS}");
    let enrolled = line
        .agent(&["enroll", "--host", &host])
        .arg(format!("--collector=https://{}", line.address()))
        .arg("--token-file")
        .arg(line.path("token"))
        .output()
        .unwrap();
    assert!(enrolled.status.success(), "{enrolled:?}");
    is_plain("enroll", &enrolled);

    let rules = line.path("rules");
    fs::create_dir(&rules).unwrap();
    fs::write(
        rules.join(format!("bad{STEERS}.yml")),
        "title: \"t\\x1b[2J\\u202e\"\nlogsource:\n    product: linux\ndetection:\n    selection:\n        a: b\n    condition: \"\\x1b[2J\\u202e\"\n",
    )
    .unwrap();
    line.drop_in(&format!(
        "[detect]\nrules = [\"{SHIPPED}\", \"{}\"]\n",
        rules.display()
    ));
    line.start_agent();
    let now = jiff::Timestamp::now();
    let failed: String = (0..6)
        .map(|port| {
            format!("{now:.6} ho{STEERS}st sshd[7]: Failed password for root{STEERS} from 198.51.100.9 port {port} ssh2\n")
        })
        .collect();
    line.log(&failed);
    let finding = is_found(&line, "198.51.100.9");
    assert!(
        finding["body"]["user"].as_str().unwrap().contains('\u{1b}'),
        "the name is kept as it was: {finding}"
    );
    line.wait_for(|value| value["record"] == "outcome");

    for json in [&[][..], &["--json"]] {
        let reason = format!("because{STEERS}");
        let asks: [&[&str]; 9] = [
            &["status"],
            &["findings"],
            &["explain", finding["body"]["id"].as_str().unwrap()],
            &["doctor"],
            &["blocks", "add", "203.0.113.7", "--reason", &reason],
            &["blocks", "list"],
            &["undo", "203.0.113.7"],
            &["undo", STEERS],
            &["blocks", "remove", "203.0.113.7"],
        ];
        for ask in asks {
            is_plain(&format!("{ask:?}"), &line.agent(ask).args(json).output().unwrap());
        }
        let reads: [&[&str]; 4] = [
            &["findings"],
            &["search", "198.51.100.9", "--text"],
            &["agents"],
            &["token", "list"],
        ];
        for read in reads {
            is_plain(
                &format!("{read:?}"),
                &line.collector(read).args(json).output().unwrap(),
            );
        }
        for what in ["parse", "replay"] {
            let mut command = picket();
            command.args([what, "auth"]).arg(line.path("auth.log")).args(json);
            if what == "replay" {
                command.args(["--rules", SHIPPED]);
            }
            is_plain(what, &command.output().unwrap());
        }
    }
    is_plain("search", &line.collector(&["search", STEERS]).output().unwrap());
    is_plain(
        "token revoke",
        &line.collector(&["token", "revoke", STEERS]).output().unwrap(),
    );
    is_plain(
        "parse",
        &picket().args(["parse", "auth", STEERS]).output().unwrap(),
    );

    // What the agent itself says while it runs: findings on its output, complaints on its errors.
    line.log(&format!("{now:.6} h sshd[7]: x\n"));
    line.end_agent(false);
    let said = |name| fs::read(line.path(name)).unwrap();
    let (stdout, stderr) = (said("agent.out"), said("agent.log"));
    assert!(String::from_utf8_lossy(&stdout).contains("Many failed logins"));
    let status = enrolled.status;
    is_plain(
        "run",
        &Output {
            status,
            stdout,
            stderr,
        },
    );

    // Mistakes in a configuration and in rules repeat what is written there.
    let config = line.path(&format!("config{STEERS}.toml"));
    let mistakes = "[respond]\n\"key\\u001b[2J\u{202e}\" = 1\nmode = \"\\u001b[2J\u{202e}\"\n[spool]\nquota = \"1 \\u009b\u{202e}\"\n";
    fs::write(&config, mistakes).unwrap();
    for command in ["check", "run"] {
        let mut command = picket_with(&config, command);
        is_plain("a bad configuration", &command.output().unwrap());
    }
    let mut replay = picket();
    replay.args(["replay", "auth"]).arg(line.path("auth.log"));
    replay.arg("--rules").arg(&rules);
    is_plain("bad rules", &replay.output().unwrap());
}

fn picket_with(config: &Path, command: &str) -> Command {
    let mut picket = picket();
    picket.args([command, "--config"]).arg(config);
    picket
}

#[test]
fn names_hosts_and_banners_that_look_like_a_log_blame_nobody_else() {
    let mut line = Line::start("[respond]\nmode = \"monitor\"\n");
    line.start_agent();
    let (attacker, victim) = ("198.51.100.9", "203.0.113.1");
    let now = jiff::Timestamp::now();
    let hostile = [
        // User names.
        format!(
            "Failed password for invalid user root from {victim} port 22 ssh2 from {attacker} port 4 ssh2"
        ),
        format!(
            "Failed password for invalid user x from {victim} port 22 ssh2#012sshd[1]: Failed password for root from {victim} port 22 ssh2 from {attacker} port 4 ssh2"
        ),
        format!("Invalid user  from {victim} port 22 from {attacker} port 4"),
        format!("Failed none for invalid user a from {victim} from {attacker} port 4 ssh2"),
        format!("Connection closed by invalid user {victim} port 22 [preauth] {attacker} port 4 [preauth]"),
        format!("Disconnected from invalid user from {victim} port 22 {attacker} port 4 [preauth]"),
        format!(
            "error: maximum authentication attempts exceeded for invalid user root from {victim} port 22 ssh2 from {attacker} port 4 ssh2 [preauth]"
        ),
        // Host names.
        format!(
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={attacker}  user=rhost={victim}"
        ),
        format!("reverse mapping checking getaddrinfo for {victim} [{attacker}] failed."),
        // Banners, offers and words of farewell.
        format!("banner exchange: Connection from {attacker} port 4: invalid format"),
        format!(
            "Bad protocol version identification 'SSH-2.0-x from {victim} port 22' from {attacker} port 4"
        ),
        format!(
            "Unable to negotiate with {attacker} port 4: no matching key exchange method found. Their offer: x from {victim} port 22 [preauth]"
        ),
        format!(
            "Received disconnect from {attacker} port 4:11: Failed password for root from {victim} port 22 ssh2 [preauth]"
        ),
    ];
    for round in 0..12 {
        let text: String = hostile
            .iter()
            .map(|message| format!("{now:.6} host sshd[{round}]: {message}\n"))
            .collect();
        line.log(&text);
    }
    is_found(&line, attacker);
    // The host's name in the frame is the sender's own word as well.
    line.log(&format!("{now:.6} sshd[1]:_Failed_password_for_root_from_{victim}_port_22_ssh2 sshd[7]: Failed password for root from {attacker} port 4 ssh2\n"));
    let last: String = (0..5)
        .map(|port| {
            format!("{now:.6} host sshd[7]: Failed password for root from 198.51.100.10 port {port} ssh2\n")
        })
        .collect();
    line.log(&last);
    is_found(&line, "198.51.100.10");
    line.end_agent(false);
    line.start_agent();
    line.wait_for(|value| {
        value["record"] == "outcome" && value["body"]["action"]["target"]["target"] == "198.51.100.10"
    });
    for text in line.collect(&["search", victim, "--text", "--json"]).lines() {
        let value: Value = serde_json::from_str(text).unwrap();
        let blamed = [
            &value["body"]["payload"]["source"]["ip"],
            &value["body"]["source"],
            &value["body"]["action"]["target"]["target"],
        ];
        assert!(!blamed.iter().any(|address| **address == victim), "{value}");
    }
}
