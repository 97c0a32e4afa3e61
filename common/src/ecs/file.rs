//! Files that landed as JSON.

use super::program::done_by_somebody;
use super::put;
use crate::event::{FileBefore, FileChange, FileContent, FileEvent};
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// One file that landed as a nested ECS object.
pub fn file(event: &FileEvent, time: Option<Timestamp>) -> Value {
    let action = event.action.as_str();
    let mut root = done_by_somebody(event.writer.as_deref(), time, (action, "file", &["change"]));
    let mut put_file = |path: &str, value: Option<Value>| put(&mut root, &["file", path], value);
    let path = event.path.as_str();
    put_file("path", Some(path.into()));
    put_file("name", Some(event.name().into()));
    put_file("extension", event.extension().map(Value::from));
    put_file("directory", event.directory().map(Value::from));
    put_file("target_path", event.target.as_deref().map(Value::from));
    // ECS has ids and inodes as text.
    put_file("inode", event.identity.map(|file| file.inode.to_string().into()));
    put_file("size", event.size.map(Value::from));
    put_file("uid", event.uid.map(|uid| uid.to_string().into()));
    put_file("gid", event.gid.map(|gid| gid.to_string().into()));
    put_file("owner", event.owner.as_deref().map(Value::from));
    put_file("mode", event.mode.map(octal));
    put(
        &mut root,
        &["picket", "file", "device"],
        event.identity.map(|file| file.device),
    );
    put(&mut root, &["package", "name"], event.package.as_deref());
    let by_packages = event.package_manager.then_some(true);
    put(&mut root, &["picket", "file", "package_manager"], by_packages);
    put(&mut root, &["host", "hostname"], event.host.as_deref());
    if let Some(content) = event.content.as_deref() {
        put_content(&mut root, content);
    }
    if let Some(change) = event.change.as_deref() {
        put(&mut root, &["picket", "file", "change"], Some(changed(change)));
    }
    if let Some(before) = event.before.as_deref() {
        put(&mut root, &["picket", "file", "before"], Some(otherwise(before)));
    }
    Value::Object(root)
}

fn put_content(root: &mut Map<String, Value>, content: &FileContent) {
    for (name, digest) in [
        ("sha256", &content.sha256),
        ("sha1", &content.sha1),
        ("md5", &content.md5),
    ] {
        let digest = Some(digest.as_str()).filter(|digest| !digest.is_empty());
        put(root, &["file", "hash", name], digest);
    }
    put(root, &["file", "mime_type"], content.mime_type.as_deref());
    put(root, &["picket", "file", "entropy"], Some(content.entropy));
    let matches = Some(json!(content.matches)).filter(|_| !content.matches.is_empty());
    put(root, &["picket", "file", "matches"], matches);
    let unscanned = content.unscanned.as_deref();
    put(root, &["picket", "file", "unscanned"], unscanned);
}

fn changed(change: &FileChange) -> Map<String, Value> {
    let mut made = Map::new();
    put(&mut made, &["kind"], Some(change.kind.as_str()));
    let added = Some(json!(change.added)).filter(|_| !change.added.is_empty());
    put(&mut made, &["added"], added);
    put(&mut made, &["added_count"], Some(change.added_count));
    let removed = Some(json!(change.removed)).filter(|_| !change.removed.is_empty());
    put(&mut made, &["removed"], removed);
    put(&mut made, &["removed_count"], Some(change.removed_count));
    put(&mut made, &["unknown"], change.unknown.as_deref());
    made
}

fn otherwise(before: &FileBefore) -> Map<String, Value> {
    let mut made = Map::new();
    put(&mut made, &["size"], before.size);
    put(&mut made, &["uid"], before.uid.map(|uid| uid.to_string()));
    put(&mut made, &["gid"], before.gid.map(|gid| gid.to_string()));
    put(&mut made, &["mode"], before.mode.map(octal));
    put(&mut made, &["target_path"], before.target.as_deref());
    made
}

/// A mode as people write it.
fn octal(mode: u32) -> Value {
    format!("{mode:04o}").into()
}
