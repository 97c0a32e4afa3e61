//! From wishes to a file that landed.

use super::super::fields::file as fields;
use super::event::{Unmade, number, one_of};
use super::{ANYWHERE, Wish, program};
use picket_common::event::{
    ChangeKind, FileAction, FileBefore, FileChange, FileContent, FileEvent, FileIdentity, Program, YaraMatch,
};
use picket_common::process::ProcessId;

type Made = Result<(), Unmade>;

/// Gives a file a value; `name` is our own.
pub(super) fn file(file: &mut FileEvent, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    let never = || Unmade::Value(name.to_owned(), text.clone());
    let number = || number(name, &text);
    let some = || Some(text.as_str().into());
    let mut identity = file.identity.unwrap_or(FileIdentity { device: 1, inode: 1 });
    match name {
        "event.action" => {
            let action = one_of(FileAction::ALL, |action| wish.fits(action.as_str()));
            file.action = action.ok_or_else(never)?;
        }
        // By the order of the names the directory comes first, then the end of the name, the name, and the whole path.
        "file.directory" => file.path = format!("{}/x", text.trim_end_matches('/')).into(),
        "file.extension" => file.path = format!("{}.{text}", or_x(&file.path)).into(),
        "file.name" => file.path = named(file, &text)?.into(),
        "file.path" | ANYWHERE => file.path = path(file, &text).into(),
        "file.target_path" => file.target = some(),
        "file.inode" => {
            identity.inode = number()?.into();
            file.identity = Some(identity);
        }
        "picket.file.device" => {
            identity.device = number()?.into();
            file.identity = Some(identity);
        }
        "file.size" => file.size = Some(number()?.into()),
        "file.uid" => file.uid = Some(number()?),
        "file.gid" => file.gid = Some(number()?),
        "file.owner" => file.owner = some(),
        "file.mode" => file.mode = Some(mode(&text).ok_or_else(never)?),
        "picket.file.package_manager" if wish.fits("true") => file.package_manager = true,
        "picket.file.package_manager" => return Err(never()),
        "package.name" => file.package = some(),
        "host.hostname" => file.host = some(),
        _ => {
            if let Some(part) = name.strip_prefix("picket.file.change.") {
                let change = file.change.take();
                let mut change = change.unwrap_or_else(|| FileChange::new(ChangeKind::SetUid).into());
                change_of(&mut change, part, name, wish)?;
                file.change = Some(change);
            } else if let Some(part) = name.strip_prefix("picket.file.before.") {
                before_of(file.before.get_or_insert_default(), part, name, wish)?;
            } else if let Some(part) = name.strip_prefix("picket.file.").or(name.strip_prefix("file.")) {
                content_of(file.content.get_or_insert_default(), part, name, wish)?;
            } else {
                let unknown = || Box::new(Program::unknown(ProcessId::uncertain(1)));
                let mut writer = file.writer.take().unwrap_or_else(unknown);
                program::program(&mut writer, fields::ours(name), wish)?;
                file.writer = Some(writer);
            }
        }
    }
    Ok(())
}

fn content_of(content: &mut FileContent, part: &str, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    match part {
        "mime_type" => content.mime_type = Some(text.into()),
        "hash.sha256" => content.sha256 = text.into(),
        "hash.sha1" => content.sha1 = text.into(),
        "hash.md5" => content.md5 = text.into(),
        "entropy" => {
            let entropy = u16::try_from(number(name, &text)?).ok();
            let entropy = entropy.filter(|entropy| *entropy <= 800);
            content.entropy = entropy.ok_or_else(|| Unmade::Value(name.to_owned(), text))?;
        }
        "matches.rule" => content.matches.push(YaraMatch {
            rule: text.into(),
            source: "x".into(),
            tags: Vec::new(),
            description: None,
            score: None,
            attack: Vec::new(),
            respond: None,
            member: None,
        }),
        "unscanned" => content.unscanned = Some(text.into()),
        _ => return Err(Unmade::Field(name.to_owned())),
    }
    Ok(())
}

fn change_of(change: &mut FileChange, part: &str, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    match part {
        "kind" => {
            let kind = one_of(ChangeKind::ALL, |kind| wish.fits(kind.as_str()));
            change.kind = kind.ok_or_else(|| Unmade::Value(name.to_owned(), text))?;
        }
        "added" => change.added.push(text.into()),
        "added_count" => change.added_count = number(name, &text)?,
        "removed" => change.removed.push(text.into()),
        "removed_count" => change.removed_count = number(name, &text)?,
        "unknown" => change.unknown = Some(text.into()),
        _ => return Err(Unmade::Field(name.to_owned())),
    }
    Ok(())
}

fn before_of(before: &mut FileBefore, part: &str, name: &str, wish: &Wish) -> Made {
    let text = wish.text();
    match part {
        "size" => before.size = Some(number(name, &text)?.into()),
        "uid" => before.uid = Some(number(name, &text)?),
        "gid" => before.gid = Some(number(name, &text)?),
        "mode" => before.mode = Some(mode(&text).ok_or_else(|| Unmade::Value(name.to_owned(), text))?),
        "target_path" => before.target = Some(text.into()),
        _ => return Err(Unmade::Field(name.to_owned())),
    }
    Ok(())
}

/// The path with another name, which must end as is wished of its end.
fn named(file: &FileEvent, name: &str) -> Result<String, Unmade> {
    if let Some(extension) = file.extension().filter(|_| !file.path.is_empty())
        && !name.ends_with(&format!(".{extension}"))
    {
        return Err(Unmade::Together("file.extension", "file.name"));
    }
    // A name that is nothing but an end has none.
    let stem = if file.extension().is_some() && name.starts_with('.') {
        "x"
    } else {
        ""
    };
    Ok(format!("{}/{stem}{name}", file.directory().unwrap_or_default()))
}

/// A path that is so, with the name that was wished before.
fn path(file: &FileEvent, text: &str) -> String {
    if file.path.is_empty() || text.ends_with(file.name()) {
        return text.to_owned();
    }
    format!("{}/{}", text.trim_end_matches('/'), file.name())
}

fn or_x(path: &str) -> &str {
    if path.is_empty() { "/x" } else { path }
}

/// A mode that begins as the text does.
fn mode(text: &str) -> Option<u32> {
    if text == "x" {
        return Some(0o644);
    }
    let digits = format!("{text:0<4}");
    u32::from_str_radix(&digits, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
}
