//! Files that landed as JSON.

use super::program::done_by;
use super::{last, put};
use crate::event::FileEvent;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// One file that landed as a nested ECS object.
pub fn file(event: &FileEvent, time: Option<Timestamp>) -> Value {
    let action = event.action.as_str();
    let mut root = match &event.writer {
        Some(writer) => done_by(writer, time, (action, "file", &["change"])),
        None => {
            let mut root = Map::new();
            put(&mut root, &["@timestamp"], time.map(|time| time.to_string()));
            put(&mut root, &["event", "action"], Some(action));
            put(&mut root, &["event", "category"], Some(json!(["file"])));
            put(&mut root, &["event", "type"], Some(json!(["change"])));
            root
        }
    };
    let mut put_file = |path: &str, value: Option<Value>| put(&mut root, &["file", path], value);
    let path = event.path.as_str();
    put_file("path", Some(path.into()));
    put_file("name", Some(last(path).into()));
    put_file(
        "directory",
        path.rsplit_once('/').map(|(folder, _)| folder.into()),
    );
    // ECS has ids and inodes as text.
    put_file("inode", event.identity.map(|file| file.inode.to_string().into()));
    put_file("size", event.size.map(Value::from));
    put_file("uid", event.uid.map(|uid| uid.to_string().into()));
    put_file("gid", event.gid.map(|gid| gid.to_string().into()));
    put_file("owner", event.owner.as_deref().map(Value::from));
    put_file("mode", event.mode.map(|mode| format!("{mode:04o}").into()));
    put(
        &mut root,
        &["picket", "file", "device"],
        event.identity.map(|file| file.device),
    );
    put(&mut root, &["package", "name"], event.package.as_deref());
    put(&mut root, &["host", "hostname"], event.host.as_deref());
    if let Some(content) = event.content.as_deref() {
        for (name, digest) in [
            ("sha256", &content.sha256),
            ("sha1", &content.sha1),
            ("md5", &content.md5),
        ] {
            let digest = Some(digest.as_str()).filter(|digest| !digest.is_empty());
            put(&mut root, &["file", "hash", name], digest);
        }
        put(&mut root, &["file", "mime_type"], content.mime_type.as_deref());
        put(&mut root, &["picket", "file", "entropy"], Some(content.entropy));
        let matches = Some(json!(content.matches)).filter(|_| !content.matches.is_empty());
        put(&mut root, &["picket", "file", "matches"], matches);
        put(
            &mut root,
            &["picket", "file", "unscanned"],
            content.unscanned.as_deref(),
        );
    }
    Value::Object(root)
}
