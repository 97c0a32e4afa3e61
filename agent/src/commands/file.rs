//! The file of a finding as lines of its story: what it is, what became of it, and what is new in it.

use picket_common::event::{FileBefore, FileChange, FileEvent};

/// So many lines of a file are shown.
const SHOWN: usize = 16;

/// Names of lines, each with its text.
pub(super) fn lines(file: &FileEvent) -> Vec<(&'static str, String)> {
    let mut lines = vec![("file", format!("{:?}, {}", file.path, file.action.as_str()))];
    let mut facts = Vec::new();
    facts.extend(file.target.as_ref().map(|target| format!("a link to {target:?}")));
    facts.extend(file.size.map(|size| format!("{size} bytes")));
    facts.extend(file.mode.map(|mode| format!("mode {mode:04o}")));
    let owner = file.owner.as_ref().map(|owner| format!("of {owner:?}"));
    facts.extend(owner.or(file.uid.map(|uid| format!("of user {uid}"))));
    facts.extend(
        file.package
            .as_ref()
            .map(|package| format!("of the package {package:?}")),
    );
    if let Some(content) = &file.content {
        let kind = content.mime_type.as_ref();
        facts.extend(kind.map(|kind| kind.escape_debug().to_string()));
        let digest = Some(&content.sha256).filter(|digest| !digest.is_empty());
        facts.extend(digest.map(|digest| format!("SHA-256 {}", digest.escape_debug())));
    }
    if !facts.is_empty() {
        lines.push(("it is", facts.join(", ")));
    }
    lines.extend(file.before.as_deref().map(before));
    lines.extend(file.change.as_deref().into_iter().flat_map(changed));
    lines
}

fn before(before: &FileBefore) -> (&'static str, String) {
    let mut facts = Vec::new();
    facts.extend(
        before
            .target
            .as_ref()
            .map(|target| format!("a link to {target:?}")),
    );
    facts.extend(before.size.map(|size| format!("{size} bytes")));
    facts.extend(before.mode.map(|mode| format!("mode {mode:04o}")));
    facts.extend(before.uid.map(|uid| format!("of user {uid}")));
    facts.extend(before.gid.map(|gid| format!("of group {gid}")));
    ("it was", facts.join(", "))
}

fn changed(change: &FileChange) -> Vec<(&'static str, String)> {
    let shown = |name, lines: &[compact_str::CompactString]| {
        let lines = lines.iter().take(SHOWN);
        lines.map(|line| (name, format!("{line:?}"))).collect::<Vec<_>>()
    };
    let mut lines = shown("new line", &change.added);
    let more = change
        .added_count
        .saturating_sub(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    if more > 0 {
        lines.push(("new line", format!("{more} more")));
    }
    let gone = shown("line gone", &change.removed);
    let more = change
        .removed_count
        .saturating_sub(u32::try_from(gone.len()).unwrap_or(u32::MAX));
    lines.extend(gone);
    if more > 0 {
        lines.push(("line gone", format!("{more}, of which the text is not kept")));
    }
    lines.extend(
        change
            .unknown
            .as_ref()
            .map(|why| ("new lines", format!("not known: {why}"))),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{ChangeKind, FileAction};

    #[test]
    fn a_file_is_told_with_what_it_was_and_what_is_new() {
        let mut file = FileEvent::new("/etc/cron.d/a\u{1b}", FileAction::Moved);
        (file.size, file.mode, file.uid) = (Some(9), Some(0o4755), Some(7));
        file.before = Some(Box::new(FileBefore {
            mode: Some(0o644),
            ..FileBefore::default()
        }));
        let mut change = FileChange::new(ChangeKind::Cron);
        change.added = vec!["* * * * * root x".into()];
        change.removed = vec!["# none".into()];
        (change.added_count, change.removed_count) = (3, 2);
        file.change = Some(change.into());
        let told: Vec<String> = lines(&file)
            .iter()
            .map(|(name, text)| format!("{name}: {text}"))
            .collect();
        assert_eq!(
            told,
            [
                r#"file: "/etc/cron.d/a\u{1b}", moved"#,
                "it is: 9 bytes, mode 4755, of user 7",
                "it was: mode 0644",
                r#"new line: "* * * * * root x""#,
                "new line: 2 more",
                r##"line gone: "# none""##,
                "line gone: 1, of which the text is not kept",
            ]
        );
    }
}
