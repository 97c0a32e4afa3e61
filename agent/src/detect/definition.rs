//! What a rule matches or counts, as a digest: two rules with the same one go on with the same counts.

use super::correlation::Counted;
use rsigma_parser::SigmaRule;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The digest; words for people (title, description, level) are no part of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Definition([u8; 32]);

impl Definition {
    pub(super) fn of_single(rule: &SigmaRule) -> Self {
        let mut hash = Sha256::new();
        for part in [
            serde_json::to_value(&rule.logsource),
            serde_json::to_value(&rule.detection),
        ] {
            // Both are plain structures with text keys: they always have a JSON form.
            add(&mut hash, &part.unwrap_or_default());
        }
        Self(hash.finalize().into())
    }

    pub(super) fn of_correlation(id: &str, counted: &Counted) -> Self {
        let text = format!("{id:?} {:?} {} {:?}", counted.kind, counted.span, counted.groups);
        Self(Sha256::digest(text).into())
    }

    /// Makes a counted rule part of the definition of the rule that counts it.
    pub(super) fn counts(&mut self, other: &Self) {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(other.0);
        self.0 = hash.finalize().into();
    }
}

/// Objects by the order of their keys, as the parser keeps them in none.
fn add(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            hash.update(b"{");
            for (key, value) in entries {
                add(hash, &Value::from(key.as_str()));
                add(hash, value);
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            items.iter().for_each(|item| add(hash, item));
            hash.update(b"]");
        }
        // JSON texts end in a quote that cannot stand inside: none runs into the next.
        other => {
            hash.update(other.to_string());
            hash.update(b",");
        }
    }
}
