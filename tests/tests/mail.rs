//! `picket mail`: how well it tells mails that deceive from ordinary ones, and what hostile mails do to it.

use picket_tests::{mails, picket};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Judges files and folders, and gives a report for each mail.
fn judge(paths: &[&Path]) -> Vec<Value> {
    let output = picket().args(["mail", "--json"]).args(paths).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn reasons(report: &Value) -> String {
    let one = |reason: &Value| {
        format!(
            "{}{:+}",
            reason["id"].as_str().unwrap(),
            reason["points"].as_i64().unwrap()
        )
    };
    let all: Vec<String> = report["reasons"].as_array().unwrap().iter().map(one).collect();
    all.join(" ")
}

#[test]
fn ordinary_mails_stay_clean() {
    let folder = tempfile::tempdir().unwrap();
    let mails: Vec<mails::Ordinary> = (1..=3).flat_map(|seed| mails::ordinary(330, seed)).collect();
    for (at, mail) in mails.iter().enumerate() {
        fs::write(folder.path().join(format!("{at:04}.eml")), &mail.bytes).unwrap();
    }
    let reports = judge(&[folder.path()]);
    assert_eq!(reports.len(), mails.len());
    let mut wrong = BTreeMap::new();
    for (mail, report) in mails.iter().zip(&reports) {
        if report["verdict"] != "clean" {
            let entry: &mut (usize, String) = wrong.entry(mail.kind).or_default();
            entry.0 += 1;
            entry.1 = format!("{} {}: {}", report["path"], report["score"], reasons(report));
        }
    }
    let count: usize = wrong.values().map(|(count, _)| count).sum();
    println!(
        "{count} of {} ordinary mails are flagged: {wrong:#?}",
        mails.len()
    );
    assert!(
        count * 50 <= mails.len(),
        "more than 2 % are flagged: {count}: {wrong:#?}"
    );
}

/// The folder of the phishing pot's samples, which is not part of this repository.
fn phishing_pot() -> Option<PathBuf> {
    let folder = std::env::var_os("PICKET_PHISHING_POT").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: PICKET_PHISHING_POT does not name a folder of phishing mails");
    }
    folder
}

#[test]
fn phishing_mails_are_flagged() {
    let Some(folder) = phishing_pot() else { return };
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    files.sort();
    let reports = judge(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!(reports.len(), files.len(), "each mail has a report");
    // The signals were written with the first half in sight; of the second only the counts were ever looked at.
    let mut flagged = [[0, 0, 0], [0, 0, 0]];
    for (at, report) in reports.iter().enumerate() {
        let verdict = ["clean", "suspicious", "phishing"]
            .iter()
            .position(|name| report["verdict"] == **name)
            .unwrap();
        flagged[at % 2][verdict] += 1;
    }
    println!(
        "clean, suspicious, phishing; seen half {:?}, unseen half {:?}",
        flagged[0], flagged[1]
    );
    let clean: usize = flagged.iter().map(|[clean, ..]| clean).sum();
    assert!(
        10 * clean <= reports.len(),
        "fewer than 90 % are flagged: {flagged:?}"
    );
}
