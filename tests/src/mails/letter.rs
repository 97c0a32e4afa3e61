//! A mail put together, with the header that the receiving server adds.

use super::{chance, pick};
use crate::attack_log::Dice;
use jiff::Timestamp;
use std::fmt::Write as _;

/// A mail before it is sent.
#[derive(Default)]
pub struct Letter {
    /// `From`, as it is written.
    pub from: String,
    /// `To`, as it is written.
    pub to: String,
    /// `Subject`, not encoded.
    pub subject: String,
    /// The address in `Return-Path`.
    pub return_path: String,
    /// The server that hands it over.
    pub host: String,
    /// The host in `Message-ID`.
    pub id_host: String,
    /// The domains that sign.
    pub signers: Vec<String>,
    /// Further fields, each with its line end.
    pub fields: String,
    /// Parts: type, file name or nothing, content.
    pub parts: Vec<(String, String, Vec<u8>)>,
    /// The charset of its texts.
    pub charset: &'static str,
    /// It stays within the house.
    pub internal: bool,
    /// A mailbox elsewhere passes it on, and so breaks SPF.
    pub forwarded: bool,
    /// Its parts are alternatives of one another.
    pub alternative: bool,
}

const MONDAY: i64 = 1_741_600_000;

impl Letter {
    /// The mail as it arrives.
    pub fn sent(self, dice: &mut Dice) -> Vec<u8> {
        let second = MONDAY + i64::try_from(dice.below(20_000_000)).expect("small");
        let time = Timestamp::from_second(second)
            .expect("near")
            .strftime("%a, %d %b %Y %H:%M:%S +0000")
            .to_string();
        let mut mail = self.received(dice, &time);
        let number = dice.below(1 << 40);
        writeln!(
            mail,
            "Message-ID: <{number:x}.{}@{}>",
            second % 10_000,
            self.id_host
        )
        .unwrap();
        writeln!(mail, "Date: {time}\nFrom: {}\nTo: {}", self.from, self.to).unwrap();
        writeln!(mail, "Subject: {}", word(&self.subject, dice)).unwrap();
        mail += &self.fields;
        mail += "MIME-Version: 1.0\n";
        let mut bytes = mail.into_bytes();
        match &self.parts[..] {
            [only] => self.part(only, dice, &mut bytes),
            parts => {
                let boundary = format!("=_part_{number:x}");
                let kind = if self.alternative { "alternative" } else { "mixed" };
                bytes.extend(format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\n\n").bytes());
                for part in parts {
                    bytes.extend(format!("--{boundary}\n").bytes());
                    self.part(part, dice, &mut bytes);
                }
                bytes.extend(format!("--{boundary}--\n").bytes());
            }
        }
        if chance(dice, 50) {
            return String::from_utf8(bytes.clone())
                .map_or(bytes, |text| text.replace('\n', "\r\n").into_bytes());
        }
        bytes
    }

    /// What the receiving server writes on top: three that do it in their own order, and one that checks nothing.
    fn received(&self, dice: &mut Dice, time: &str) -> String {
        let mut head = format!("Return-Path: <{}>\n", self.return_path);
        if self.internal {
            let hop = "Received: from app7 (app7.lan [10.20.0.7])\n\tby mail.empfang-haus.de (Postfix) with ESMTP id 4F";
            return format!("{head}{hop}; {time}\n");
        }
        let ip = format!("203.0.113.{}", 1 + dice.below(250));
        let sender = self.return_path.rsplit('@').next().unwrap_or_default();
        let author = self
            .from
            .rsplit('@')
            .next()
            .unwrap_or_default()
            .trim_end_matches('>');
        let aligned = self
            .signers
            .iter()
            .any(|signer| author.ends_with(signer.as_str()) || signer.ends_with(author));
        let spf = match (sender.is_empty(), self.forwarded) {
            (true, _) => "none",
            (_, true) => "softfail",
            _ => "pass",
        };
        let dmarc = if aligned || (spf == "pass" && sender.ends_with(author)) {
            if chance(dice, 75) { "pass" } else { "none" }
        } else {
            "none"
        };
        let mut results = format!("spf={spf} smtp.mailfrom={sender}");
        for signer in &self.signers {
            write!(
                results,
                ";\n\tdkim=pass (signature was verified) header.d={signer}"
            )
            .unwrap();
        }
        if self.signers.is_empty() {
            results += ";\n\tdkim=none";
        }
        write!(results, ";\n\tdmarc={dmarc} header.from={author}").unwrap();
        let hop = |by: &str| {
            format!(
                "Received: from {0} ({0} [{ip}])\n\tby {by} with ESMTPS id 7Q2x; {time}\n",
                self.host
            )
        };
        match dice.below(10) {
            0..4 => {
                let inner = "Received: from mx.empfang-haus.de (mx.empfang-haus.de [10.20.0.2])\n\tby imap.empfang-haus.de with LMTP";
                write!(
                    head,
                    "{inner}; {time}\nAuthentication-Results: mx.empfang-haus.de;\n\t{results}\n{}",
                    hop("mx.empfang-haus.de")
                )
                .unwrap();
            }
            4..6 => write!(
                head,
                "Authentication-Results: {results}\n{}",
                hop("mx3.postamt-eingang.com")
            )
            .unwrap(),
            6..8 => write!(
                head,
                "{}Authentication-Results: mx.postamt-eingang.com;\n\t{results}\n",
                hop("mx.postamt-eingang.com")
            )
            .unwrap(),
            _ => head += &hop("mx.empfang-haus.de"),
        }
        let submit = format!(
            "Received: from [192.168.1.{}] (unknown [192.168.1.9])\n\tby {} with ESMTPSA; {time}\n",
            dice.below(200),
            self.host
        );
        if chance(dice, 60) {
            head += &submit;
        }
        for signer in &self.signers {
            writeln!(head, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={signer}; s=s1;\n\th=From:To:Subject:Date; bh=AAAA; b=BBBB").unwrap();
        }
        head
    }

    fn part(&self, (kind, name, content): &(String, String, Vec<u8>), dice: &mut Dice, bytes: &mut Vec<u8>) {
        let is_text = kind.starts_with("text/") && name.is_empty();
        let charset = if self.charset.is_empty() {
            "utf-8"
        } else {
            self.charset
        };
        let text = String::from_utf8_lossy(content);
        let (encoded, charset) = match encode(&text, charset) {
            Some(encoded) if is_text => (encoded, charset),
            _ => (content.clone(), "utf-8"),
        };
        let name_field = if name.is_empty() {
            String::new()
        } else {
            format!("; name=\"{name}\"\nContent-Disposition: attachment; filename=\"{name}\"")
        };
        let charset = if is_text {
            format!("; charset={charset}")
        } else {
            String::new()
        };
        let (encoding, body) = match dice.below(3) {
            _ if kind.starts_with("message/") => ("7bit", encoded),
            0 if is_text => ("8bit", encoded),
            1 if is_text => ("quoted-printable", quoted_printable(&encoded)),
            _ => ("base64", base64(&encoded)),
        };
        bytes.extend(
            format!("Content-Type: {kind}{charset}{name_field}\nContent-Transfer-Encoding: {encoding}\n\n")
                .bytes(),
        );
        bytes.extend(body);
        bytes.push(b'\n');
    }
}

/// A subject as one of the usual programs writes it.
pub(super) fn word(text: &str, dice: &mut Dice) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    if *pick(dice, &[true, false]) {
        let encoded = base64(text.as_bytes());
        return format!(
            "=?UTF-8?B?{}?=",
            String::from_utf8_lossy(&encoded).replace('\n', "")
        );
    }
    let mut out = "=?utf-8?q?".to_owned();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('_'),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => write!(out, "={byte:02X}").unwrap(),
        }
    }
    out + "?="
}

fn encode(text: &str, charset: &str) -> Option<Vec<u8>> {
    let one = |sign: char| match (charset, u32::from(sign)) {
        (_, code @ ..0x80) => u8::try_from(code).ok(),
        ("iso-8859-1" | "iso-8859-15" | "windows-1252", code @ 0xa0..0x100) => u8::try_from(code).ok(),
        ("windows-1251", code @ 0x410..=0x44f) => u8::try_from(code - 0x410 + 0xc0).ok(),
        ("windows-1251", 0x451) => Some(0xb8),
        _ => None,
    };
    if charset == "utf-8" {
        return Some(text.as_bytes().to_vec());
    }
    text.chars().map(one).collect()
}

pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for (at, group) in bytes.chunks(3).enumerate() {
        let bits = group
            .iter()
            .chain([&0, &0])
            .take(3)
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        text.extend((0..=group.len()).map(|at| DIGITS[bits >> (18 - 6 * at) & 63]));
        text.extend(std::iter::repeat_n(b'=', 3 - group.len()));
        if at % 19 == 18 {
            text.push(b'\n');
        }
    }
    text
}

fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut length) = (Vec::new(), 0);
    for byte in bytes {
        if length > 72 && *byte != b'\n' {
            out.extend(b"=\n");
            length = 0;
        }
        match byte {
            b'\n' => {
                out.push(b'\n');
                length = 0;
            }
            b'=' | 0x80.. => {
                out.extend(format!("={byte:02X}").bytes());
                length += 3;
            }
            _ => {
                out.push(*byte);
                length += 1;
            }
        }
    }
    out
}
