//! `[indicators]`: lists of what is known to be bad. `[history]`: what is remembered of what this host has seen.

use super::document::{Document, Section};
use super::values::{ABSOLUTE, SPAN, path, quota, set, span};
use picket_common::action::Network;
use std::path::PathBuf;
use std::time::Duration;

/// Lists of what is known to be bad.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Indicators {
    /// Their files.
    pub files: Vec<PathBuf>,
    /// What lists may name inside these, although it is private, reserved, or wider than a list should name.
    pub allow: Vec<Network>,
}

/// How much is remembered of what this host has seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    /// For how long after it was last seen.
    pub keep: Duration,
    /// In how many bytes.
    pub quota: u64,
}

impl Default for History {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(90 * 86_400),
            quota: 64 << 20,
        }
    }
}

impl Indicators {
    pub(super) fn overlay(&mut self, document: &mut Document<'_>, mut section: Section<'_>) {
        set(&mut self.files, section.texts(document, "files", ABSOLUTE, path));
        let wanted = "an address or network, such as \"10.0.0.0/8\"";
        let network = |text: &str| text.parse().map_err(|_| String::new());
        set(&mut self.allow, section.texts(document, "allow", wanted, network));
        section.finish(document);
    }
}

impl History {
    pub(super) fn overlay(&mut self, document: &mut Document<'_>, mut section: Section<'_>) {
        set(&mut self.keep, section.text(document, "keep", SPAN, span));
        let wanted = r#"an amount such as "64MiB", at least 1MiB"#;
        set(&mut self.quota, section.text(document, "quota", wanted, quota));
        section.finish(document);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    #[test]
    fn lists_and_history_are_set_and_what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picket.toml");
        let load = |text: &str| {
            fs::write(&file, text).unwrap();
            crate::config::load(&file)
        };
        let text = "[indicators]\nfiles = [\"/etc/picket/c2.csv\"]\nallow = [\"10.0.0.0/8\", \"::1\"]\n\
                    [history]\nkeep = \"7d\"\nquota = \"8MiB\"\n";
        let loaded = load(text);
        assert_eq!(loaded.problems, []);
        let (indicators, history) = (loaded.settings.indicators, loaded.settings.history);
        assert_eq!((indicators.files.len(), indicators.allow.len()), (1, 2));
        assert_eq!(
            (history.keep, history.quota),
            (Duration::from_secs(7 * 86_400), 8 << 20)
        );
        let wrong = "[indicators]\nfiles = [\"c2.csv\"]\nallow = [\"ten\"]\n\
                     [history]\nkeep = \"0s\"\nquota = \"1KiB\"\n[detect]\nhashes = []\n";
        assert_eq!(load(wrong).problems.len(), 5);
    }
}
