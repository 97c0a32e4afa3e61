//! What a file is by its first bytes.

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

impl Magic {
    /// Looks at the first 64 KiB of a file.
    pub(super) fn of(head: &[u8]) -> Self {
        const SIGNS: &[(&[u8], Magic)] = &[
            (b"MZ", Magic::Pe),
            (b"\x7fELF", Magic::Elf),
            (b"\xcf\xfa\xed\xfe", Magic::MachO),
            (b"\xce\xfa\xed\xfe", Magic::MachO),
            (b"\xca\xfe\xba\xbe", Magic::JavaClass),
            (b"#!", Magic::Script),
            (b"L\0\0\0\x01\x14\x02\0", Magic::Lnk),
            (b"PK\x03\x04", Magic::Zip),
            (b"PK\x05\x06", Magic::Zip),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Magic::Ole),
            (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", Magic::OneNote),
            (b"{\\rt", Magic::Rtf),
            (b"Rar!\x1a\x07", Magic::Rar),
            (b"7z\xbc\xaf\x27\x1c", Magic::SevenZip),
            (b"\x1f\x8b", Magic::Gzip),
            (b"\xfd7zXZ\0", Magic::Xz),
            (b"BZh", Magic::Bzip2),
            (b"MSCF", Magic::Cab),
            (b"vhdxfile", Magic::DiskImage),
            (b"conectix", Magic::DiskImage),
            (b"ITSF", Magic::Chm),
            (b"\x89PNG", Magic::Png),
            (b"\xff\xd8\xff", Magic::Jpeg),
            (b"GIF8", Magic::Gif),
            (b"II*\0", Magic::Tiff),
            (b"MM\0*", Magic::Tiff),
            (b"BM", Magic::Bmp),
            (b"ID3", Magic::Audio),
            (b"OggS", Magic::Audio),
            (b"BEGIN:VCALENDAR", Magic::Calendar),
            (b"BEGIN:VCARD", Magic::Contact),
        ];
        if head.is_empty() {
            return Self::Empty;
        }
        if head.get(0x8001..0x8006) == Some(b"CD001") {
            return Self::Iso;
        }
        let start = head.get(..1_024).unwrap_or(head);
        if memchr::memmem::find(start, b"%PDF-").is_some() {
            return Self::Pdf;
        }
        if let Some((_, magic)) = SIGNS.iter().find(|(sign, _)| head.starts_with(sign)) {
            return *magic;
        }
        match (head.get(..4), head.get(8..12), head.get(4..8)) {
            (Some(b"RIFF"), Some(b"WEBP"), _) => return Self::Webp,
            (Some(b"RIFF"), Some(b"WAVE"), _) => return Self::Audio,
            (_, _, Some(b"ftyp")) => return Self::Video,
            _ => {}
        }
        Self::of_text(start)
    }

    fn of_text(start: &[u8]) -> Self {
        let start = start
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(start)
            .trim_ascii_start();
        let text = String::from_utf8_lossy(start).to_ascii_lowercase();
        let is_html = [
            "<!doctype html",
            "<html",
            "<head",
            "<body",
            "<script",
            "<meta",
            "<iframe",
            "<form",
            "<title",
        ]
        .iter()
        .any(|sign| text.starts_with(sign) || text.contains(&format!("\n{sign}")));
        if text.starts_with("<svg") || (text.starts_with('<') && text.contains("<svg")) {
            Self::Svg
        } else if is_html || (text.starts_with("<!--") && text.contains("<html")) {
            Self::Html
        } else if text.starts_with("<?xml") {
            Self::Xml
        } else if text.starts_with("from:")
            || text.starts_with("received:")
            || text.starts_with("return-path:")
        {
            Self::Mail
        } else if start
            .iter()
            .any(|byte| *byte < b' ' && !b"\t\r\n\x0c\x1b".contains(byte))
        {
            Self::Data
        } else {
            Self::Text
        }
    }

    /// What a zip file is by the names in it.
    pub(super) fn of_members(self, members: &[String]) -> Self {
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

    pub(super) fn is_zip(self) -> bool {
        self == Self::Zip
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
