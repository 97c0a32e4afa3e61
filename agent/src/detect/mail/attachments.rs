//! What a mail brings along.

use super::signals::*;
use super::{Case, Reasons};
use crate::parse::eml::Attachment;
use crate::parse::magic::Magic;

/// Endings of files that run when they are opened, on any of the usual systems.
const RUN: &[&str] = &[
    "apk", "app", "appx", "bat", "chm", "cmd", "com", "cpl", "desktop", "dll", "exe", "hta", "iqy", "jar",
    "jnlp", "js", "jse", "lnk", "msc", "msi", "msix", "ps1", "psm1", "py", "reg", "scr", "sct", "sh", "url",
    "vbe", "vbs", "wsf", "wsh", "xll",
];
/// Endings of files that people expect to open without harm.
const READ: &[&str] = &[
    "bmp", "csv", "doc", "docx", "gif", "jpeg", "jpg", "mp3", "mp4", "odt", "pdf", "png", "ppt", "pptx",
    "rtf", "tif", "tiff", "txt", "wav", "xls", "xlsx",
];

pub(super) fn look(case: &Case<'_>, reasons: &mut Reasons) {
    for attachment in &case.mail.attachments {
        one(attachment, reasons);
    }
    let is_file = |attachment: &Attachment| attachment.name.is_some() && !attachment.magic.is_media();
    let brings = case.mail.attachments.iter().any(is_file);
    reasons.add_if(
        brings && case.mail.body.visible < 20 && !case.vouching.aligned,
        ATTACHED_MAIL_ONLY,
    );
}

fn one(attachment: &Attachment, reasons: &mut Reasons) {
    let name = attachment.name.as_deref().unwrap_or_default();
    let (last, before) = endings(name);
    let magic = attachment.magic;
    let runs = magic.runs() || RUN.contains(&last.as_str());
    if runs {
        reasons.add(ATTACHED_PROGRAM, name);
    }
    if (runs
        || matches!(
            last.as_str(),
            "html" | "htm" | "shtml" | "svg" | "iso" | "img" | "zip" | "rar" | "7z"
        ))
        && READ.contains(&before.as_str())
    {
        reasons.add(ATTACHED_TWO_ENDINGS, name);
    }
    if name.contains([
        '\u{202a}', '\u{202b}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    ]) {
        reasons.add(DIRECTION, name);
    }
    let hides = |member: &&String| {
        let (last, _) = endings(member);
        RUN.contains(&last.as_str()) || matches!(last.as_str(), "html" | "htm" | "iso" | "img" | "vhd")
    };
    if magic == Magic::Zip
        && let Some(member) = attachment.members.iter().find(hides)
    {
        reasons.add(ATTACHED_IN_ARCHIVE, member);
    }
    match magic {
        Magic::Html => reasons.add(ATTACHED_HTML, name),
        Magic::Svg => reasons.add(ATTACHED_SVG, name),
        Magic::Iso | Magic::DiskImage => reasons.add(ATTACHED_DISK, name),
        Magic::OneNote => reasons.add(ATTACHED_ONENOTE, name),
        _ if matches!(last.as_str(), "html" | "htm" | "shtml" | "xhtml" | "mht") => {
            reasons.add(ATTACHED_HTML, name)
        }
        _ if last == "svg" && attachment.declared != "image/svg+xml" => reasons.add(ATTACHED_SVG, name),
        _ if matches!(last.as_str(), "iso" | "img" | "vhd" | "vhdx") => reasons.add(ATTACHED_DISK, name),
        _ if last == "one" => reasons.add(ATTACHED_ONENOTE, name),
        _ => {}
    }
    if attachment.macros {
        reasons.add(ATTACHED_MACROS, name);
    }
    if attachment.encrypted {
        reasons.add(ATTACHED_ENCRYPTED, name);
    }
    if !fits(magic, &last) {
        reasons.add(ATTACHED_MISMATCH, &format!("{name} is {magic:?}"));
    }
}

/// Whether a file is what its ending says, for the endings that people trust.
fn fits(magic: Magic, ending: &str) -> bool {
    match ending {
        "pdf" => matches!(magic, Magic::Pdf | Magic::Empty),
        "png" | "jpg" | "jpeg" | "gif" | "bmp" | "tif" | "tiff" | "webp" => {
            magic.is_media() || magic == Magic::Empty
        }
        "docx" | "xlsx" | "pptx" => {
            matches!(magic, Magic::OfficeXml | Magic::Zip | Magic::Ole | Magic::Empty)
        }
        "doc" | "xls" | "ppt" => {
            !magic.runs() && !magic.holds_files() && magic != Magic::Pdf || magic == Magic::Zip
        }
        "zip" => matches!(
            magic,
            Magic::Zip | Magic::OfficeXml | Magic::Jar | Magic::Apk | Magic::Empty
        ),
        "txt" | "csv" => !magic.runs() && !magic.holds_files(),
        _ => true,
    }
}

/// A name's last ending and the one before, in lower case.
fn endings(name: &str) -> (String, String) {
    let name = name.trim().trim_end_matches('.').to_lowercase();
    let mut parts = name.rsplit('.').map(|part| part.trim().to_owned());
    match (parts.next(), parts.next(), parts.next()) {
        (Some(last), Some(before), Some(_)) => (last, before),
        (Some(last), Some(_), None) => (last, String::new()),
        _ => (String::new(), String::new()),
    }
}
