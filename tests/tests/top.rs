//! `picket top`: what a real agent counts of what it costs.

use picket_tests::line::Line;
use serde_json::Value;
use std::fs;
use std::process::Command;

#[test]
fn what_the_agent_costs_is_told_by_rule_and_by_executable() {
    let mut line = Line::start("[process]\nsensor = \"ebpf\"\n");
    line.start_agent();
    let miner = line.path("xmrig");
    fs::copy("/bin/true", &miner).unwrap();
    let mut pid = 0;
    for _ in 0..300 {
        let mut child = Command::new(&miner).spawn().unwrap();
        pid = child.id();
        child.wait().unwrap();
    }
    line.wait_for(|value| {
        value["record"] == "finding"
            && value["body"]["rule"]["title"] == "Miner of coins"
            && value["body"]["process"]["pid"] == pid
    });
    let report: Value = serde_json::from_str(&line.operate(&["top", "--json"]).unwrap()).unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    assert!(report["events"].as_u64().unwrap() >= 599, "{report}");
    assert!(
        number(&report["processor"]) > 0.0 && number(&report["seconds"]) > 0.0,
        "{report}"
    );
    let named = |list: &str, key: &str, name: &str| {
        let rows = report[list].as_array().unwrap();
        rows.iter()
            .find(|row| row[key] == name)
            .cloned()
            .unwrap_or_else(|| panic!("{name}: {report}"))
    };
    let rule = named("rules", "title", "Miner of coins");
    assert_eq!(rule["matches"], 300, "each of them, measured or not");
    // About one in 61 of some 600 events is measured, and told as if all had been.
    let asked = rule["asked"].as_u64().unwrap();
    assert!(
        asked > 0 && asked % 61 == 0 && number(&rule["seconds"]) > 0.0,
        "{rule}"
    );
    let image = named("images", "image", miner.to_str().unwrap());
    // The end of the last one may not have been told of yet.
    assert!(
        (599..=600).contains(&image["events"].as_u64().unwrap()),
        "{image}"
    );
    assert!(number(&image["seconds"]) > 0.0 && number(&report["judging"]) >= number(&image["seconds"]));
    assert_eq!(report["lost"], serde_json::json!({}));

    let shown = line.operate(&["top"]).unwrap();
    let row = shown
        .lines()
        .find(|row| row.ends_with("Miner of coins"))
        .expect("the rule");
    assert!(row.contains(" 300 "), "{shown}");
    assert!(
        shown.lines().any(|row| row.ends_with(miner.to_str().unwrap())),
        "{shown}"
    );
    line.end_agent(false);
}
