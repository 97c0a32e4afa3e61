//! What a file is by its first bytes, whatever its name says.

/// A kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    /// As in `file.mime_type`.
    pub(super) mime: &'static str,
    /// As rules expect it in `filetype`.
    pub(super) name: &'static str,
}

/// Bytes at a place that tell a kind; the first that fits counts.
#[rustfmt::skip]
const BINARY: &[(usize, &[u8], &str, &str)] = &[
    (0, b"\x7fELF", "application/x-elf", "ELF"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable", "EXE"),
    (0, b"\xfe\xed\xfa\xce", "application/x-mach-binary", "MACH-O"),
    (0, b"\xfe\xed\xfa\xcf", "application/x-mach-binary", "MACH-O"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary", "MACH-O"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary", "MACH-O"),
    (0, b"\0asm", "application/wasm", "WASM"),
    (0, b"dex\n", "application/vnd.android.dex", "DEX"),
    (0, b"MDMP", "application/x-dmp", "MDMP"),
    (0, b"%PDF-", "application/pdf", "PDF"),
    (0, b"{\\rtf", "application/rtf", "RTF"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", "OLE"),
    (0, b"L\0\0\0\x01\x14\x02\0", "application/x-ms-shortcut", "LNK"),
    (0, b"PK\x03\x04", "application/zip", "ZIP"),
    (0, b"PK\x05\x06", "application/zip", "ZIP"),
    (0, b"\x1f\x8b", "application/gzip", "GZIP"),
    (0, b"BZh", "application/x-bzip2", "BZIP2"),
    (0, b"\xfd7zXZ\0", "application/x-xz", "XZ"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd", "ZSTD"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", "7ZIP"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar", "RAR"),
    (0, b"MSCF", "application/vnd.ms-cab-compressed", "CAB"),
    (257, b"ustar", "application/x-tar", "TAR"),
    (0, b"!<arch>\n", "application/x-archive", "AR"),
    (0, b"\xed\xab\xee\xdb", "application/x-rpm", "RPM"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3", "SQLITE"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png", "PNG"),
    (0, b"GIF8", "image/gif", "GIF"),
    (0, b"\xff\xd8\xff", "image/jpeg", "JPG"),
    (8, b"WEBP", "image/webp", "WEBP"),
    (8, b"WAVE", "audio/wav", "WAV"),
    (4, b"ftyp", "video/mp4", "MP4"),
    (0, b"OggS", "application/ogg", "OGG"),
    (0, b"ID3", "audio/mpeg", "MP3"),
];

/// Beginnings of texts, after white space, in lower case.
#[rustfmt::skip]
const TEXT: &[(&[u8], &str, &str)] = &[
    (b"<?php", "text/x-php", "PHP"),
    (b"<?=", "text/x-php", "PHP"),
    (b"<?xml", "text/xml", "XML"),
    (b"<%@ page language=\"c#", "text/x-aspx", "ASP"),
    (b"<%@ webhandler", "text/x-aspx", "ASP"),
    (b"<%@ page", "text/x-jsp", "JSP"),
    (b"<%", "text/x-asp", "ASP"),
    (b"<!doctype html", "text/html", "HTML"),
    (b"<html", "text/html", "HTML"),
    (b"<svg", "image/svg+xml", "SVG"),
    (b"@echo off", "text/x-bat", "BATCH"),
    (b"from: ", "message/rfc822", "EML"),
    (b"return-path: ", "message/rfc822", "EML"),
    (b"received: ", "message/rfc822", "EML"),
    (b"delivered-to: ", "message/rfc822", "EML"),
    (b"-----begin ", "application/x-pem-file", "PEM"),
];

/// Programs that a first line of `#!` may name.
#[rustfmt::skip]
const SCRIPTS: &[(&str, &str, &str)] = &[
    ("python", "text/x-python", "Python"),
    ("perl", "text/x-perl", "Perl"),
    ("ruby", "text/x-ruby", "Ruby"),
    ("php", "text/x-php", "PHP"),
    ("node", "text/javascript", "JavaScript"),
    ("pwsh", "text/x-powershell", "PowerShell"),
    ("sh", "text/x-shellscript", "Shell"),
];

/// So many bytes are looked at.
const LOOKED_AT: usize = 512;

/// The kind, where the bytes tell one.
pub(super) fn kind(bytes: &[u8]) -> Option<Kind> {
    for (at, magic, mime, name) in BINARY {
        let fits = bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic));
        if fits {
            return Some(Kind { mime, name });
        }
    }
    let head = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    if head.is_empty() || !is_text(head) {
        return None;
    }
    if let Some(line) = head.strip_prefix(b"#!") {
        return Some(script(line));
    }
    let start = head.trim_ascii_start().to_ascii_lowercase();
    for (beginning, mime, name) in TEXT {
        if start.starts_with(beginning) {
            return Some(Kind { mime, name });
        }
    }
    let (mime, name) = ("text/plain", "TXT");
    Some(Kind { mime, name })
}

fn script(line: &[u8]) -> Kind {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let program = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let mut named = words.next().map(program).unwrap_or_default();
    if named == "env" {
        named = words
            .find(|word| !word.starts_with('-'))
            .map(program)
            .unwrap_or_default();
    }
    let known = SCRIPTS.iter().find(|(name, ..)| named.contains(name));
    let (mime, name) = known.map_or(("text/x-script", "Script"), |(_, mime, name)| (*mime, *name));
    Kind { mime, name }
}

/// No byte that texts have no use for.
fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_a_kind_and_names_play_no_part() {
        for (bytes, name) in [
            (&b"\x7fELF\x02"[..], "ELF"),
            (b"#!/usr/bin/env -S python3 -u\nimport os", "Python"),
            (b"#!/bin/bash\n", "Shell"),
            (b"#! /opt/thing\n", "Script"),
            (b"\n\n<?PHP echo 1;", "PHP"),
            (b"<%@ page import=\"java.io.*\" %>", "JSP"),
            (b"<%@ Page Language=\"C#\" %>", "ASP"),
            (b"GIF89a<?php", "GIF"),
            (b"From: a@example.org\n", "EML"),
            (b"words", "TXT"),
        ] {
            assert_eq!(kind(bytes).map(|kind| kind.name), Some(name), "{bytes:?}");
        }
        assert_eq!(kind(b""), None);
        assert_eq!(kind(&[0; 100]), None);
        assert_eq!(kind(b"\xffnothing known\0"), None);
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(kind(&tar).unwrap().name, "TAR");
    }
}
