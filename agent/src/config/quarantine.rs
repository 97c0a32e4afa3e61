//! `[respond.quarantine]`: which files are taken away, and how long they are kept.

use super::document::{Document, Section};
use super::values::{ABSOLUTE, SPAN, path, quota, set, size, span};
use std::path::PathBuf;
use std::time::Duration;

/// Databases that are commonly found; their files change all the time and mean nothing alone.
const DATABASES: [&str; 14] = [
    "/var/lib/clickhouse",
    "/var/lib/cassandra",
    "/var/lib/couchdb",
    "/var/lib/dpkg",
    "/var/lib/elasticsearch",
    "/var/lib/etcd",
    "/var/lib/influxdb",
    "/var/lib/ldap",
    "/var/lib/mongodb",
    "/var/lib/mysql",
    "/var/lib/pgsql",
    "/var/lib/postgresql",
    "/var/lib/redis",
    "/var/lib/rpm",
];

/// Which files are taken away, beside what rules suggest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantine {
    /// The folder in which they are kept.
    pub directory: PathBuf,
    /// How many bytes of them are kept at most.
    pub quota: u64,
    /// How long a file is kept that a finding had taken away; then it is deleted.
    pub keep: Duration,
    /// Rules whose findings ask for it, by title or id, whatever they suggest themselves.
    pub rules: Vec<String>,
    /// Files, and folders with all that is in them, that are left alone.
    pub protect: Vec<PathBuf>,
    /// How many findings may take a file away within a minute; a rule that is wrong must not take the host apart.
    pub max_per_minute: usize,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self {
            directory: "/var/lib/picket/quarantine".into(),
            quota: 1 << 30,
            keep: Duration::from_secs(90 * 86_400),
            rules: Vec::new(),
            protect: DATABASES.map(PathBuf::from).to_vec(),
            max_per_minute: 60,
        }
    }
}

impl Quarantine {
    pub(super) fn overlay(&mut self, document: &mut Document<'_>, mut section: Section<'_>) {
        let directory = section.text(document, "directory", ABSOLUTE, path);
        set(&mut self.directory, directory);
        let wanted = r#"an amount such as "1GiB", at least 1MiB"#;
        set(&mut self.quota, section.text(document, "quota", wanted, quota));
        set(&mut self.keep, section.text(document, "keep", SPAN, span));
        let named = |text: &str| match text.trim() {
            "" => Err(String::new()),
            _ => Ok(text.to_owned()),
        };
        let rules = section.texts(document, "rules", "the title or id of a rule", named);
        set(&mut self.rules, rules);
        let protect = section.texts(document, "protect", ABSOLUTE, path);
        set(&mut self.protect, protect);
        let most = section.number(document, "max_per_minute", 1..=100_000);
        set(&mut self.max_per_minute, most.and_then(size));
        section.finish(document);
    }
}
