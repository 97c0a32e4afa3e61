//! Files in which a look into them found what YARA rules describe.

use super::found::finding;
use super::meta::meta;
use super::{Detector, Findings};
use hashlink::LruCache;
use picket_common::event::{Event, FileEvent, Payload, YaraMatch};
use rsigma_parser::Level;
use std::collections::HashSet;

/// So many of what was found last are remembered, so that a file that is moved or made executable is not found once more.
const REMEMBERED: usize = 4096;
/// Of a longer title the beginning is kept.
const LONGEST: usize = 160;

/// See the module.
pub struct Yara {
    /// By path, digest of the content, and rule.
    found: LruCache<[String; 3], ()>,
}

impl Default for Yara {
    fn default() -> Self {
        Self {
            found: LruCache::new(REMEMBERED),
        }
    }
}

impl Yara {
    /// Whether a rule has not been found in this content under this path.
    fn is_new(&mut self, file: &FileEvent, digest: &str, rule: &str) -> bool {
        let key = [file.path.as_str(), digest, rule].map(str::to_owned);
        // Of a file that was too large for its digest nothing says that it is still the same.
        self.found.insert(key, ()).is_none() || digest.is_empty()
    }
}

impl Detector for Yara {
    fn name(&self) -> &'static str {
        "yara"
    }

    fn describe(&self) -> &'static str {
        "finds files by the YARA rules that match what is in them"
    }

    fn inspect(&mut self, event: &Event, findings: &mut Findings) {
        let Payload::File(file) = &event.payload else {
            return;
        };
        let Some(content) = file.content.as_deref() else {
            return;
        };
        // A rule may match in several members of an archive.
        let mut rules = HashSet::new();
        for found in &content.matches {
            if rules.insert(&found.rule) && self.is_new(file, &content.sha256, &found.rule) {
                let id = format!("yara:{}", found.rule);
                let mut meta = meta(
                    Some(&id),
                    &title(found),
                    Some(level(found.score)),
                    &[],
                    suggests(found),
                );
                meta.rule.attack = found.attack.iter().map(ToString::to_string).collect();
                findings
                    .found
                    .push(finding(&meta, event, Vec::new(), None, vec![event.id]));
            }
        }
    }
}

/// What it suggests for the file. What it found in a member of an archive is no reason to take all the others away.
fn suggests(found: &YaraMatch) -> Vec<String> {
    let wanted = found.respond.as_ref().filter(|_| found.member.is_none());
    wanted.map(ToString::to_string).into_iter().collect()
}

/// What the rule says of itself, as it may be anybody's: in plain text.
fn title(found: &YaraMatch) -> String {
    let said = found.description.as_ref().filter(|text| !text.trim().is_empty());
    let text = said.unwrap_or(&found.rule);
    let text = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default();
    text.escape_debug().to_string()
}

/// How bad it is, by the score from 0 to 100 that most public rules have.
const fn level(score: Option<u8>) -> Level {
    match score {
        Some(75..) => Level::High,
        Some(50..) | None => Level::Medium,
        Some(25..) => Level::Low,
        Some(_) => Level::Informational,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{FileAction, FileContent, Program};
    use picket_common::finding::Severity;
    use picket_common::ids::RecordId;
    use picket_common::process::ProcessId;
    use picket_common::time::Timestamp;

    fn matched(rule: &str, description: Option<&str>, score: Option<u8>) -> YaraMatch {
        YaraMatch {
            rule: rule.into(),
            source: "/rules/a.yar".into(),
            tags: Vec::new(),
            description: description.map(Into::into),
            score,
            attack: vec!["T1505.003".into()],
            respond: Some("quarantine".into()),
            member: None,
        }
    }

    fn landed(path: &str, digest: &str, matches: Vec<YaraMatch>) -> Event {
        let time = Timestamp::default();
        let mut file = FileEvent::new(path, FileAction::Written);
        let mut writer = Program::unknown(ProcessId { pid: 7, start: 9 });
        writer.executable = Some("/usr/sbin/nginx".into());
        file.writer = Some(writer.into());
        file.content = Some(
            FileContent {
                sha256: digest.into(),
                matches,
                ..FileContent::default()
            }
            .into(),
        );
        Event {
            id: RecordId::derived(time, &[path.as_bytes()]),
            time,
            observed: time,
            payload: Payload::File(file.into()),
        }
    }

    #[test]
    fn each_rule_is_found_once_in_the_same_content_with_whoever_wrote_it() {
        let mut yara = Yara::default();
        let mut find = |event: &Event| {
            let mut findings = Findings::default();
            yara.inspect(event, &mut findings);
            findings.found
        };
        let matches = vec![
            matched("shell", Some("A web\u{1b}[2J shell"), Some(80)),
            matched("shell", None, Some(80)),
            matched("other", None, Some(50)),
        ];
        let event = landed("/srv/a.php", "ab", matches.clone());
        let found = find(&event);
        let told: Vec<_> = found
            .iter()
            .map(|finding| {
                (
                    finding.rule.id.as_str(),
                    finding.severity,
                    finding.summary.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (
                    "yara:shell",
                    Severity::High,
                    r"A web\u{1b}[2J shell in /srv/a.php by /usr/sbin/nginx"
                ),
                (
                    "yara:other",
                    Severity::Medium,
                    "other in /srv/a.php by /usr/sbin/nginx"
                ),
            ]
        );
        assert!(
            found
                .iter()
                .all(|finding| finding.process.is_some_and(|process| process.pid == 7))
        );
        assert_eq!(found[0].suggests, ["quarantine"]);
        assert_eq!(found[0].rule.attack, ["T1505.003"]);
        let mut inside = matched("shell", None, Some(80));
        inside.member = Some("a.php".into());
        let archive = find(&landed("/srv/a.zip", "ef", vec![inside]));
        assert_eq!((archive.len(), archive[0].suggests.len()), (1, 0));
        assert_eq!(find(&event).len(), 0);
        assert_eq!(
            find(&landed("/srv/a.php", "cd", matches.clone())).len(),
            2,
            "other content"
        );
        assert_eq!(
            find(&landed("/srv/b.php", "ab", matches.clone())).len(),
            2,
            "another place"
        );
        let unknown = landed("/srv/big", "", matches);
        assert_eq!((find(&unknown).len(), find(&unknown).len()), (2, 2));
    }
}
