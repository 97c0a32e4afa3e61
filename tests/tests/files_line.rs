//! Files that land, from whoever writes them to the collector.

use picket_tests::line::Line;
use picket_tests::samples;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Writes each line that it reads at once and without its end, closes the file when it reads "closed", and stays.
const SLOW: &str = r#"{ while IFS= read -r piece && [ "$piece" != closed ]; do printf %s "$piece"; done; } > "$1"; read -r _"#;
/// Between two pieces, as one who is slow waits.
const PAUSE: Duration = Duration::from_millis(50);

fn line(folder: &Path) -> Line {
    Line::start(&format!("[files]\npaths = [\"{}\"]\n", folder.display()))
}

fn write_slowly(path: &Path, pieces: &[&str]) -> Child {
    let mut writer = Command::new("sh")
        .args(["-c", SLOW, "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    for piece in pieces {
        writeln!(writer.stdin.as_mut().unwrap(), "{piece}").unwrap();
        std::thread::sleep(PAUSE);
    }
    writeln!(writer.stdin.as_mut().unwrap(), "closed").unwrap();
    writer
}

fn is_by(value: &Value, rule: &str) -> bool {
    value["record"] == "finding" && value["body"]["rule"]["id"] == format!("yara:{rule}")
}

fn found(line: &Line, rule: &str) -> usize {
    let all = line.collect(&["findings", "--json"]);
    let values = all
        .lines()
        .map(|text| serde_json::from_str::<Value>(text).unwrap());
    values.filter(|value| is_by(value, rule)).count()
}

#[test]
fn a_web_shell_that_is_dropped_slowly_is_found_once_with_whoever_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut line = line(folder.path());
    line.start_agent();
    let (shell, rule) = (folder.path().join("upload.php"), "php_runs_what_is_asked");
    let mut writer = write_slowly(&shell, samples::pieces(rule));
    let finding = line.wait_for(|value| is_by(value, rule));
    let body = &finding["body"];
    let summary = body["summary"].as_str().unwrap();
    assert!(summary.contains(shell.to_str().unwrap()), "{summary}");
    assert_eq!(body["process"]["pid"], writer.id(), "{finding}");
    assert_eq!(body["severity"], "high", "{finding}");
    drop(writer.stdin.take());
    writer.wait().unwrap();

    // It is told of again, and holds what it held.
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(
        folder.path().join("last.com"),
        samples::pieces("eicar_test_file").concat(),
    )
    .unwrap();
    line.wait_for(|value| is_by(value, "eicar_test_file"));
    assert_eq!(found(&line, rule), 1);

    let status = line.operate(&["status", "--json"]).unwrap();
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["scanned"]["waiting"], 0, "{status}");
    assert!(status["scanned"]["scanned"].as_u64().unwrap() >= 2, "{status}");
    let story = line.operate(&["explain", body["id"].as_str().unwrap()]).unwrap();
    assert!(story.contains("upload.php"), "{story}");
}

#[test]
fn a_file_that_landed_while_no_agent_ran_is_found_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut line = line(folder.path());
    line.start_agent();
    let rule = "eicar_test_file";
    fs::write(folder.path().join("first.com"), samples::pieces(rule).concat()).unwrap();
    line.wait_for(|value| is_by(value, rule));
    line.end_agent(true);
    fs::write(folder.path().join("late.com"), samples::pieces(rule).concat()).unwrap();
    line.start_agent();
    let about = |value: &Value| {
        value["body"]["summary"]
            .as_str()
            .is_some_and(|text| text.contains("late.com"))
    };
    line.wait_for(|value| is_by(value, rule) && about(value));
}

#[test]
fn a_yara_rule_that_is_added_finds_what_lands_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let rules = tempfile::tempdir().unwrap();
    let mut line = line(folder.path());
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules");
    fs::create_dir_all(line.path("conf.d")).unwrap();
    line.drop_in(&format!(
        "[detect]\nrules = [\"{}\", \"{}\"]\n",
        shipped.display(),
        rules.path().display()
    ));
    line.start_agent();
    line.wait_until_agent_says("files are scanned by process", 1);
    let rule = r#"rule added { strings: $a = "a word of its own" condition: $a }"#;
    fs::write(rules.path().join("added.yar"), rule).unwrap();
    line.wait_until_agent_says("files are scanned by process", 2);
    fs::write(folder.path().join("text"), "a word of its own").unwrap();
    line.wait_for(|value| is_by(value, "added"));
}
