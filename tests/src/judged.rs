//! Events in the names of the Elastic Common Schema, judged by the shipped rules.

use crate::picket;
use serde_json::Value;
use std::fs;

/// The shipped rules of Sigma.
pub const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules/sigma");

/// For each event, the titles of the rules that fire on it.
pub fn findings_in(events: &[Value]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.ndjson");
    let lines = events.iter().map(|event| format!("{event}\n"));
    fs::write(&file, lines.collect::<String>()).expect("a file");
    let output = picket()
        .args(["replay", "exec", "--json", "--rules", SHIPPED])
        .arg(&file)
        .output()
        .expect("picket starts");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let mut found = vec![Vec::new(); events.len()];
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let finding: Value = serde_json::from_str(line).expect("JSON");
        if finding["kind"] == "finding" {
            let at = finding["line"].as_u64().and_then(|at| usize::try_from(at).ok());
            let title = finding["rule"]["title"].as_str().expect("a title");
            found[at.expect("a line") - 1].push(title.to_owned());
        }
    }
    found
}

/// Lays one value over another, field by field.
pub fn lay(event: &mut Value, over: Value) {
    match (event, over) {
        (Value::Object(event), Value::Object(over)) => {
            for (name, value) in over {
                lay(event.entry(name).or_insert(Value::Null), value);
            }
        }
        (event, over) => *event = over,
    }
}
