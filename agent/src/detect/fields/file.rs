//! The fields of a file that landed, in the Elastic Common Schema's names and in those of Sigma's `file_event`.

use super::program::{self, number, owned, text};
use picket_common::event::{FileBefore, FileChange, FileContent, FileEvent};
use rsigma_eval::event::EventValue;
use std::borrow::Cow;

/// Every field that a rule can name, beside those of [`program`], which are whoever wrote the file.
pub(super) const OWN: &[&str] = &[
    "event.action",
    "file.path",
    "file.name",
    "file.extension",
    "file.directory",
    "file.target_path",
    "file.inode",
    "file.size",
    "file.uid",
    "file.gid",
    "file.owner",
    "file.mode",
    "file.mime_type",
    "file.hash.sha256",
    "file.hash.sha1",
    "file.hash.md5",
    "picket.file.device",
    "picket.file.package_manager",
    "picket.file.entropy",
    "picket.file.matches.rule",
    "picket.file.unscanned",
    "picket.file.change.kind",
    "picket.file.change.added",
    "picket.file.change.added_count",
    "picket.file.change.removed",
    "picket.file.change.removed_count",
    "picket.file.change.unknown",
    "picket.file.before.size",
    "picket.file.before.uid",
    "picket.file.before.gid",
    "picket.file.before.mode",
    "picket.file.before.target_path",
    "package.name",
    "host.hostname",
];

/// The name of Sigma's taxonomy that others do not have, with ours.
const SIGMA: &[(&str, &str)] = &[("TargetFilename", "file.path")];

/// Our name of a field.
pub(in super::super) fn ours(name: &str) -> &str {
    let known = program::SIGMA
        .iter()
        .chain(SIGMA)
        .find(|(sigma, _)| *sigma == name);
    known.map_or(name, |(_, ours)| ours)
}

/// Whether a field tells of more than that a file is there: a rule that asks for none of these is not about a file that was there
/// before, and of which only mode or owner changed.
pub(in super::super) fn is_of_attributes(name: &str) -> bool {
    matches!(
        name,
        "event.action" | "file.mode" | "file.uid" | "file.gid" | "file.owner"
    ) || name.starts_with("picket.file.before.")
}

/// The value of a field.
pub(super) fn value<'a>(file: &'a FileEvent, name: &str) -> Option<EventValue<'a>> {
    let identity = file.identity;
    match name {
        "TargetFilename" | "file.path" => text(Some(&file.path)),
        "event.action" => text(Some(file.action.as_str())),
        "file.name" => text(Some(file.name())),
        "file.extension" => text(file.extension()),
        "file.directory" => text(file.directory()),
        "file.target_path" => text(file.target.as_deref()),
        // As text, as the schema has it.
        "file.inode" => Some(owned(identity?.inode.to_string())),
        "file.size" => number(i64::try_from(file.size?).ok()?),
        "file.uid" => number(file.uid?),
        "file.gid" => number(file.gid?),
        "file.owner" => text(file.owner.as_deref()),
        "file.mode" => Some(octal(file.mode?)),
        "picket.file.device" => number(i64::try_from(identity?.device).ok()?),
        "picket.file.package_manager" => file.package_manager.then_some(EventValue::Bool(true)),
        "package.name" => text(file.package.as_deref()),
        "host.hostname" => text(file.host.as_deref()),
        _ => {
            if let Some(part) = name.strip_prefix("picket.file.change.") {
                return of_change(file.change.as_deref()?, part);
            }
            if let Some(part) = name.strip_prefix("picket.file.before.") {
                return of_before(file.before.as_deref()?, part);
            }
            match name.strip_prefix("picket.file.").or(name.strip_prefix("file.")) {
                Some(part) => of_content(file.content.as_deref()?, part),
                None => program::value(file.writer.as_deref()?, name),
            }
        }
    }
}

fn of_content<'a>(content: &'a FileContent, part: &str) -> Option<EventValue<'a>> {
    let digest = |digest: &'a str| text(Some(digest).filter(|digest| !digest.is_empty()));
    match part {
        "mime_type" => text(content.mime_type.as_deref()),
        "hash.sha256" => digest(&content.sha256),
        "hash.sha1" => digest(&content.sha1),
        "hash.md5" => digest(&content.md5),
        "entropy" => number(content.entropy),
        "matches.rule" => list(content.matches.iter().map(|found| found.rule.as_str())),
        "unscanned" => text(content.unscanned.as_deref()),
        _ => None,
    }
}

fn of_change<'a>(change: &'a FileChange, part: &str) -> Option<EventValue<'a>> {
    match part {
        "kind" => text(Some(change.kind.as_str())),
        "added" => list(change.added.iter().map(compact_str::CompactString::as_str)),
        "added_count" => number(change.added_count),
        "removed" => list(change.removed.iter().map(compact_str::CompactString::as_str)),
        "removed_count" => number(change.removed_count),
        "unknown" => text(change.unknown.as_deref()),
        _ => None,
    }
}

fn of_before<'a>(before: &'a FileBefore, part: &str) -> Option<EventValue<'a>> {
    match part {
        "size" => number(i64::try_from(before.size?).ok()?),
        "uid" => number(before.uid?),
        "gid" => number(before.gid?),
        "mode" => Some(octal(before.mode?)),
        "target_path" => text(before.target.as_deref()),
        _ => None,
    }
}

fn octal(mode: u32) -> EventValue<'static> {
    owned(format!("{mode:04o}"))
}

/// What is asked of several may be true of any.
fn list<'a>(texts: impl Iterator<Item = &'a str>) -> Option<EventValue<'a>> {
    let values: Vec<EventValue<'a>> = texts.map(|text| EventValue::Str(Cow::Borrowed(text))).collect();
    (!values.is_empty()).then_some(EventValue::Array(values))
}

#[cfg(test)]
mod tests {
    use super::super::{View, same_as_json};
    use super::*;
    use picket_common::event::{ChangeKind, FileAction, FileIdentity, YaraMatch};

    fn full() -> FileEvent {
        let mut file = FileEvent::new("/etc/cron.d/x.sh", FileAction::Moved);
        file.writer = Some(program::full().into());
        file.identity = Some(FileIdentity {
            device: 7,
            inode: u64::MAX,
        });
        file.target = Some("/tmp/x".into());
        (file.size, file.uid, file.gid, file.mode) = (Some(9), Some(0), Some(1), Some(0o4755));
        (file.owner, file.package, file.host) =
            (Some("root".into()), Some("cron".into()), Some("web1".into()));
        let found = |rule: &str| YaraMatch {
            rule: rule.into(),
            source: "/rules/a.yar".into(),
            tags: Vec::new(),
            description: None,
            score: None,
            attack: Vec::new(),
            respond: None,
            member: None,
        };
        file.content = Some(Box::new(FileContent {
            sha256: "00".into(),
            sha1: "11".into(),
            md5: "22".into(),
            mime_type: Some("text/x-shellscript".into()),
            entropy: 420,
            matches: vec![found("one"), found("other")],
            unscanned: Some("the time was over".into()),
        }));
        let mut change = FileChange::new(ChangeKind::Cron);
        change.added = vec!["* * * * * root id".into(), "# x".into()];
        change.removed = vec!["# y".into()];
        (change.added_count, change.removed_count) = (2, 1);
        (change.unknown, file.package_manager) = (Some("the file is no text".into()), true);
        file.change = Some(change.into());
        file.before = Some(Box::new(FileBefore {
            size: Some(8),
            uid: Some(33),
            gid: Some(33),
            mode: Some(0o644),
            target: Some("/tmp/y".into()),
        }));
        file
    }

    #[test]
    fn rules_and_json_know_the_same_fields() {
        let event = full();
        let names = [program::NAMES, program::WHENCE, OWN].concat();
        same_as_json(&View::File(&event), names.into_iter());
        for (sigma, name) in program::SIGMA.iter().chain(SIGMA) {
            assert!(value(&event, sigma).is_some(), "{sigma}");
            assert_eq!(value(&event, sigma), value(&event, name), "{sigma}");
        }
        assert_eq!(value(&event, "file.mode"), text(Some("4755")));
        assert_eq!(value(&event, "picket.file.before.mode"), text(Some("0644")));
        assert_eq!(value(&event, "file.extension"), text(Some("sh")));
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let event = FileEvent::new("/root/.profile", FileAction::Written);
        let names = [program::NAMES, program::WHENCE, OWN].concat();
        let there: Vec<&str> = names
            .into_iter()
            .filter(|name| value(&event, name).is_some())
            .collect();
        assert_eq!(
            there,
            ["event.action", "file.path", "file.name", "file.directory"]
        );
    }
}
