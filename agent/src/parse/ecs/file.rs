//! Files that landed.

use super::document::{Document, Host, Named};
use compact_str::CompactString;
use picket_common::event::{
    FileAction, FileBefore, FileChange, FileContent, FileEvent, FileIdentity, YaraMatch,
};
use picket_common::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};

#[derive(Deserialize)]
struct Read {
    #[serde(default, rename = "@timestamp")]
    time: Option<Timestamp>,
    #[serde(default)]
    event: Action,
    file: FileRead,
    #[serde(default)]
    process: Option<IgnoredAny>,
    #[serde(default)]
    package: Named,
    #[serde(default)]
    host: Host,
    #[serde(default)]
    picket: Picket,
}

#[derive(Deserialize, Default)]
struct Action {
    #[serde(default)]
    action: Option<String>,
}

/// `file.*`
#[derive(Deserialize)]
struct FileRead {
    path: CompactString,
    #[serde(default)]
    target_path: Option<CompactString>,
    #[serde(default, deserialize_with = "number")]
    inode: Option<u64>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(flatten)]
    ids: Ids,
    #[serde(default)]
    owner: Option<CompactString>,
    #[serde(default)]
    mime_type: Option<CompactString>,
    #[serde(default)]
    hash: Digests,
}

/// Whose a file is, and who may do what with it.
#[derive(Deserialize, Default)]
struct Ids {
    #[serde(default, deserialize_with = "number")]
    uid: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    gid: Option<u64>,
    #[serde(default, deserialize_with = "octal")]
    mode: Option<u32>,
}

#[derive(Deserialize, Default)]
struct Digests {
    #[serde(default)]
    sha256: CompactString,
    #[serde(default)]
    sha1: CompactString,
    #[serde(default)]
    md5: CompactString,
}

#[derive(Deserialize, Default)]
struct Picket {
    #[serde(default)]
    file: Own,
}

/// `picket.file.*`
#[derive(Deserialize, Default)]
struct Own {
    #[serde(default)]
    device: Option<u64>,
    #[serde(default)]
    entropy: Option<u16>,
    #[serde(default)]
    matches: Vec<YaraMatch>,
    #[serde(default)]
    package_manager: bool,
    #[serde(default)]
    unscanned: Option<CompactString>,
    #[serde(default)]
    change: Option<Box<FileChange>>,
    #[serde(default)]
    before: Option<BeforeRead>,
}

/// `picket.file.before.*`
#[derive(Deserialize)]
struct BeforeRead {
    #[serde(default)]
    size: Option<u64>,
    #[serde(flatten)]
    ids: Ids,
    #[serde(default)]
    target_path: Option<CompactString>,
}

/// Reads one object about a file. Whoever wrote it is read as any program that did something is.
pub(super) fn file(line: &[u8]) -> Result<(Option<Timestamp>, FileEvent), serde_json::Error> {
    let read: Read = serde_json::from_slice(line)?;
    let (file, own) = (read.file, read.picket.file);
    let wanted = read.event.action.as_deref().unwrap_or_default();
    let action = FileAction::ALL.iter().find(|action| action.as_str() == wanted);
    // Whoever names no action of ours tells of files that were written or made.
    let mut event = FileEvent::new(file.path, action.copied().unwrap_or(FileAction::Written));
    if read.process.is_some() {
        let document: Document = serde_json::from_slice(line)?;
        event.writer = Some(super::program(document).into());
    }
    event.identity = file
        .inode
        .zip(own.device)
        .map(|(inode, device)| FileIdentity { device, inode });
    event.target = file.target_path;
    event.size = file.size;
    event.uid = id(file.ids.uid)?;
    event.gid = id(file.ids.gid)?;
    event.mode = file.ids.mode;
    event.owner = file.owner;
    event.package = read.package.name;
    event.host = read.host.hostname;
    event.package_manager = own.package_manager;
    event.change = own.change;
    if let Some(before) = own.before {
        event.before = Some(Box::new(FileBefore {
            size: before.size,
            uid: id(before.ids.uid)?,
            gid: id(before.ids.gid)?,
            mode: before.ids.mode,
            target: before.target_path,
        }));
    }
    let content = FileContent {
        sha256: file.hash.sha256,
        sha1: file.hash.sha1,
        md5: file.hash.md5,
        mime_type: file.mime_type,
        entropy: own.entropy.unwrap_or(0),
        matches: own.matches,
        unscanned: own.unscanned,
    };
    let looked = own.entropy.is_some() || content != FileContent::default();
    event.content = looked.then(|| content.into());
    Ok((read.time, event))
}

fn id(number: Option<u64>) -> Result<Option<u32>, serde_json::Error> {
    let narrow = |number| u32::try_from(number).map_err(|_| serde_json::Error::custom("an id is too large"));
    number.map(narrow).transpose()
}

/// The schema has inodes and ids as text; some write them as numbers.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(CompactString),
    }
    match Deserialize::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number)),
        Some(Either::Text(text)) => text.parse().map(Some).map_err(D::Error::custom),
    }
}

fn octal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let text: Option<CompactString> = Deserialize::deserialize(deserializer)?;
    let read = |text: CompactString| u32::from_str_radix(&text, 8).map_err(D::Error::custom);
    text.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::ecs;
    use picket_common::event::{ChangeKind, Payload, Program};
    use picket_common::process::ProcessId;

    #[test]
    fn what_is_written_of_a_file_is_read_back() {
        let time = Timestamp::from_micros(1_700_000_000_123_456);
        let mut bare = FileEvent::new("/srv/a", FileAction::Found);
        let mut full = FileEvent::new("/etc/cron.d/x", FileAction::Moved);
        let mut writer = Program::unknown(ProcessId { pid: 7, start: 9 });
        writer.executable = Some("/usr/bin/vi".into());
        full.writer = Some(writer.into());
        full.identity = Some(FileIdentity {
            device: 7,
            inode: u64::MAX,
        });
        full.target = Some("/tmp/x".into());
        (full.size, full.uid, full.gid, full.mode) = (Some(9), Some(0), Some(u32::MAX), Some(0o4755));
        (full.owner, full.package, full.host) =
            (Some("root".into()), Some("cron".into()), Some("web1".into()));
        let found = YaraMatch {
            rule: "one".into(),
            source: "/rules/a.yar".into(),
            tags: vec!["tag".into()],
            description: None,
            score: Some(70),
            attack: vec!["T1027".into()],
            respond: Some("quarantine".into()),
            member: Some("a/b".into()),
        };
        full.package_manager = true;
        full.content = Some(Box::new(FileContent {
            sha256: "00".into(),
            sha1: "11".into(),
            md5: "22".into(),
            mime_type: Some("text/plain".into()),
            entropy: 420,
            matches: vec![found],
            unscanned: Some("no room".into()),
        }));
        let mut change = FileChange::new(ChangeKind::Cron);
        (change.added, change.added_count) = (vec!["* * * * * root id".into()], 1);
        full.change = Some(change.into());
        let before = FileBefore {
            mode: Some(0o644),
            uid: Some(33),
            target: Some("/tmp/y".into()),
            ..FileBefore::default()
        };
        full.before = Some(before.into());
        for event in [full, bare.clone()] {
            let payload = Payload::File(event.into());
            let line = ecs::event(&payload, Some(time)).to_string();
            let read = super::super::event(line.as_bytes()).unwrap().unwrap();
            assert_eq!(read, (Some(time), payload), "{line}");
        }
        bare.action = FileAction::Written;
        let other = r#"{"event":{"category":["file"],"type":["creation"],"action":"creation"},"file":{"path":"/srv/a"}}"#;
        let (_, read) = super::super::event(other.as_bytes()).unwrap().unwrap();
        assert_eq!(read, Payload::File(bare.into()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (wrong, says) in [
            (r#"{"path":1}"#, "string"),
            (r"{}", "path"),
            (r#"{"path":"/a","mode":"0999"}"#, "digit"),
            (r#"{"path":"/a","uid":"5000000000"}"#, "too large"),
        ] {
            let line = format!(r#"{{"event":{{"category":"file","type":"change"}},"file":{wrong}}}"#);
            let error = super::super::event(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }
}
