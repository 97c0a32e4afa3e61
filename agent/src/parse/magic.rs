//! What a file is by its first bytes, whatever its name says: the one table for files that land, what lies in them, and what mails
//! carry.

use serde::Serialize;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the formats' own names say it")]
pub enum Magic {
    Empty,
    Pe,
    Elf,
    MachO,
    JavaClass,
    Script,
    Lnk,
    Zip,
    OfficeXml,
    Jar,
    Apk,
    Ole,
    OneNote,
    Rtf,
    Pdf,
    Html,
    Svg,
    Xml,
    Rar,
    SevenZip,
    Gzip,
    Xz,
    Bzip2,
    Zstd,
    Tar,
    Cab,
    Iso,
    DiskImage,
    Chm,
    Png,
    Jpeg,
    Gif,
    Webp,
    Tiff,
    Bmp,
    Audio,
    Video,
    Calendar,
    Contact,
    Mail,
    Text,
    Data,
}

/// A kind of file in the words of all who ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// What judges look at.
    pub magic: Magic,
    /// As in `file.mime_type`.
    pub mime: &'static str,
    /// As YARA rules expect it in `filetype`.
    pub name: &'static str,
}

/// So many bytes of a file's beginning are enough for [`Kind::of`].
pub const LOOKED_AT: usize = 64 << 10;

/// Bytes at a place that tell a kind; the first that fits counts.
#[rustfmt::skip]
const BINARY: &[(usize, &[u8], Magic, &str, &str)] = &[
    (0, b"\x7fELF", Magic::Elf, "application/x-elf", "ELF"),
    (0, b"MZ", Magic::Pe, "application/vnd.microsoft.portable-executable", "EXE"),
    (0, b"\xfe\xed\xfa\xce", Magic::MachO, "application/x-mach-binary", "MACH-O"),
    (0, b"\xfe\xed\xfa\xcf", Magic::MachO, "application/x-mach-binary", "MACH-O"),
    (0, b"\xce\xfa\xed\xfe", Magic::MachO, "application/x-mach-binary", "MACH-O"),
    (0, b"\xcf\xfa\xed\xfe", Magic::MachO, "application/x-mach-binary", "MACH-O"),
    (0, b"\xca\xfe\xba\xbe", Magic::JavaClass, "application/java-vm", "CLASS"),
    (0, b"\0asm", Magic::Data, "application/wasm", "WASM"),
    (0, b"dex\n", Magic::Data, "application/vnd.android.dex", "DEX"),
    (0, b"MDMP", Magic::Data, "application/x-dmp", "MDMP"),
    (0, b"{\\rt", Magic::Rtf, "application/rtf", "RTF"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Magic::Ole, "application/x-ole-storage", "OLE"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", Magic::OneNote, "application/onenote", "ONE"),
    (0, b"L\0\0\0\x01\x14\x02\0", Magic::Lnk, "application/x-ms-shortcut", "LNK"),
    (0, b"ITSF", Magic::Chm, "application/vnd.ms-htmlhelp", "CHM"),
    (0, b"PK\x03\x04", Magic::Zip, "application/zip", "ZIP"),
    (0, b"PK\x05\x06", Magic::Zip, "application/zip", "ZIP"),
    (0, b"\x1f\x8b", Magic::Gzip, "application/gzip", "GZIP"),
    (0, b"BZh", Magic::Bzip2, "application/x-bzip2", "BZIP2"),
    (0, b"\xfd7zXZ\0", Magic::Xz, "application/x-xz", "XZ"),
    (0, b"\x28\xb5\x2f\xfd", Magic::Zstd, "application/zstd", "ZSTD"),
    (0, b"7z\xbc\xaf\x27\x1c", Magic::SevenZip, "application/x-7z-compressed", "7ZIP"),
    (0, b"Rar!\x1a\x07", Magic::Rar, "application/vnd.rar", "RAR"),
    (0, b"MSCF", Magic::Cab, "application/vnd.ms-cab-compressed", "CAB"),
    (257, b"ustar", Magic::Tar, "application/x-tar", "TAR"),
    (0x8001, b"CD001", Magic::Iso, "application/x-iso9660-image", "ISO"),
    (0, b"vhdxfile", Magic::DiskImage, "application/x-vhdx", "VHDX"),
    (0, b"conectix", Magic::DiskImage, "application/x-vhd", "VHD"),
    (0, b"!<arch>\n", Magic::Data, "application/x-archive", "AR"),
    (0, b"\xed\xab\xee\xdb", Magic::Data, "application/x-rpm", "RPM"),
    (0, b"SQLite format 3\0", Magic::Data, "application/vnd.sqlite3", "SQLITE"),
    (0, b"\x89PNG\r\n\x1a\n", Magic::Png, "image/png", "PNG"),
    (0, b"GIF8", Magic::Gif, "image/gif", "GIF"),
    (0, b"\xff\xd8\xff", Magic::Jpeg, "image/jpeg", "JPG"),
    (0, b"II*\0", Magic::Tiff, "image/tiff", "TIF"),
    (0, b"MM\0*", Magic::Tiff, "image/tiff", "TIF"),
    (8, b"WEBP", Magic::Webp, "image/webp", "WEBP"),
    (8, b"WAVE", Magic::Audio, "audio/wav", "WAV"),
    (4, b"ftyp", Magic::Video, "video/mp4", "MP4"),
    (0, b"OggS", Magic::Audio, "application/ogg", "OGG"),
    (0, b"ID3", Magic::Audio, "audio/mpeg", "MP3"),
];

const PDF: Kind = Kind::new(Magic::Pdf, "application/pdf", "PDF");
const BMP: Kind = Kind::new(Magic::Bmp, "image/bmp", "BMP");
const HTML: Kind = Kind::new(Magic::Html, "text/html", "HTML");
const SVG: Kind = Kind::new(Magic::Svg, "image/svg+xml", "SVG");
const XML: Kind = Kind::new(Magic::Xml, "text/xml", "XML");
const PLAIN: Kind = Kind::new(Magic::Text, "text/plain", "TXT");

/// Beginnings of texts, after white space, in lower case; the first that fits counts.
#[rustfmt::skip]
const TEXT: &[(&str, Kind)] = &[
    ("<?php", Kind::new(Magic::Text, "text/x-php", "PHP")),
    ("<?=", Kind::new(Magic::Text, "text/x-php", "PHP")),
    ("<%@ page language=\"c#", Kind::new(Magic::Text, "text/x-aspx", "ASP")),
    ("<%@ webhandler", Kind::new(Magic::Text, "text/x-aspx", "ASP")),
    ("<%@ page", Kind::new(Magic::Text, "text/x-jsp", "JSP")),
    ("<%", Kind::new(Magic::Text, "text/x-asp", "ASP")),
    ("<!doctype html", HTML),
    ("<html", HTML),
    ("@echo off", Kind::new(Magic::Script, "text/x-bat", "BATCH")),
    ("from:", Kind::new(Magic::Mail, "message/rfc822", "EML")),
    ("return-path:", Kind::new(Magic::Mail, "message/rfc822", "EML")),
    ("received:", Kind::new(Magic::Mail, "message/rfc822", "EML")),
    ("delivered-to:", Kind::new(Magic::Mail, "message/rfc822", "EML")),
    ("begin:vcalendar", Kind::new(Magic::Calendar, "text/calendar", "ICS")),
    ("begin:vcard", Kind::new(Magic::Contact, "text/vcard", "VCF")),
    ("-----begin ", Kind::new(Magic::Text, "application/x-pem-file", "PEM")),
];

/// What makes a text a page, at its beginning or that of a line.
const PAGES: [&str; 9] = [
    "<!doctype html",
    "<html",
    "<head",
    "<body",
    "<script",
    "<meta",
    "<iframe",
    "<form",
    "<title",
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

/// Of a text so many bytes are looked at; readers of PDF take its mark anywhere in them.
const BEGINNING: usize = 1024;

impl Kind {
    const fn new(magic: Magic, mime: &'static str, name: &'static str) -> Self {
        Self { magic, mime, name }
    }

    /// The kind, where the bytes tell one: a file's, or the first [`LOOKED_AT`] of them.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        for (at, sign, magic, mime, name) in BINARY {
            if bytes.get(*at..).is_some_and(|rest| rest.starts_with(sign)) {
                return Some(Self::new(*magic, mime, name));
            }
        }
        if let Some(line) = bytes.strip_prefix(b"#!") {
            return Some(script(line));
        }
        let start = bytes.get(..BEGINNING).unwrap_or(bytes);
        if memchr::memmem::find(start, b"%PDF-").is_some() {
            return Some(PDF);
        }
        // Two letters are too few to tell it by; the four bytes are always zero.
        if start.starts_with(b"BM") && start.get(6..10) == Some(&[0; 4]) {
            return Some(BMP);
        }
        text(start)
    }
}

fn text(start: &[u8]) -> Option<Kind> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let is_text = |byte: &u8| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    let plain = !start.is_empty() && start.iter().all(is_text);
    let start = start.trim_ascii_start();
    let text = String::from_utf8_lossy(start).to_ascii_lowercase();
    if let Some((_, kind)) = TEXT.iter().find(|(beginning, _)| text.starts_with(beginning)) {
        return Some(*kind);
    }
    if text.starts_with('<') && text.contains("<svg") {
        return Some(SVG);
    }
    let begins = |page: &&str| {
        let places = memchr::memmem::find_iter(text.as_bytes(), page);
        places
            .map(|at| at.checked_sub(1))
            .any(|before| before.is_none_or(|before| text.as_bytes().get(before) == Some(&b'\n')))
    };
    if PAGES.iter().any(begins) || text.starts_with("<!--") && text.contains("<html") {
        return Some(HTML);
    }
    if text.starts_with("<?xml") {
        return Some(XML);
    }
    plain.then_some(PLAIN)
}

fn script(line: &[u8]) -> Kind {
    let line = line.get(..BEGINNING).unwrap_or(line);
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
    Kind::new(Magic::Script, mime, name)
}

impl Magic {
    /// Looks at the first [`LOOKED_AT`] bytes of a file.
    pub fn of(head: &[u8]) -> Self {
        if head.is_empty() {
            return Self::Empty;
        }
        Kind::of(head).map_or(Self::Data, |kind| kind.magic)
    }

    /// What a zip file is by the names in it.
    #[must_use]
    pub fn of_members(self, members: &[String]) -> Self {
        let has = |sought: &str| members.iter().any(|name| name == sought);
        if self != Self::Zip {
            self
        } else if has("[Content_Types].xml") {
            Self::OfficeXml
        } else if has("AndroidManifest.xml") {
            Self::Apk
        } else if has("META-INF/MANIFEST.MF") {
            Self::Jar
        } else {
            self
        }
    }

    /// Whether it is run when it is opened.
    pub fn runs(self) -> bool {
        matches!(
            self,
            Self::Pe
                | Self::Elf
                | Self::MachO
                | Self::JavaClass
                | Self::Script
                | Self::Lnk
                | Self::Jar
                | Self::Apk
                | Self::Chm
        )
    }

    /// Whether it holds other files.
    pub fn holds_files(self) -> bool {
        matches!(
            self,
            Self::Zip
                | Self::Rar
                | Self::SevenZip
                | Self::Gzip
                | Self::Xz
                | Self::Bzip2
                | Self::Zstd
                | Self::Tar
                | Self::Cab
                | Self::Iso
                | Self::DiskImage
        )
    }

    /// Whether it is a picture, sound or film.
    pub fn is_media(self) -> bool {
        matches!(
            self,
            Self::Png
                | Self::Jpeg
                | Self::Gif
                | Self::Webp
                | Self::Tiff
                | Self::Bmp
                | Self::Audio
                | Self::Video
        )
    }
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
            // What unpacks itself.
            (b"#!/bin/sh\nexit\n\0\x01\x02", "Shell"),
            (b"#! /opt/thing\n", "Script"),
            (b"\n\n<?PHP echo 1;\n<html>", "PHP"),
            (b"<%@ page import=\"java.io.*\" %>", "JSP"),
            (b"<%@ Page Language=\"C#\" %>", "ASP"),
            (b"GIF89a<?php", "GIF"),
            (b"From: a@example.org\n", "EML"),
            (b"@ECHO OFF\r\n", "BATCH"),
            (b"\xef\xbb\xbf<!-- x --><html>", "HTML"),
            (b"words\n<form action=x>", "HTML"),
            (b"words <form action=x>", "TXT"),
            (b"<?xml version=\"1.0\"?><svg>", "SVG"),
            (b"<?xml version=\"1.0\"?><a>", "XML"),
            (b"junk\0%PDF-1.7", "PDF"),
            (b"MZ%PDF-1.7", "EXE"),
            (b"BM\x36\x10\0\0\0\0\0\0\x36\0", "BMP"),
            (b"BMW is a make of car", "TXT"),
            (b"words", "TXT"),
        ] {
            assert_eq!(Kind::of(bytes).map(|kind| kind.name), Some(name), "{bytes:?}");
        }
        for none in [&b""[..], &[0; 100], b"\xffnothing known\0"] {
            assert_eq!(Kind::of(none), None);
        }
        assert_eq!(
            (Magic::of(b""), Magic::of(&[0; 100])),
            (Magic::Empty, Magic::Data)
        );
    }

    #[test]
    fn signs_further_in_are_found_within_what_is_looked_at() {
        for (at, sign, _, _, name) in BINARY {
            let mut bytes = vec![0xff; at + sign.len()];
            bytes[*at..].copy_from_slice(sign);
            assert!(bytes.len() <= LOOKED_AT, "{name}");
            assert_eq!(Kind::of(&bytes).unwrap().name, *name);
        }
    }
}
