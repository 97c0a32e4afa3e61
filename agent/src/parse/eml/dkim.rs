//! DKIM-Signature (RFC 6376), verified without asking anybody: the keys are those that an operator keeps.
//!
//! A signature whose key is not kept is not verified, and that is neither good nor bad. RSA and Ed25519 with SHA-256 are
//! verified; SHA-1 proves nothing any more (RFC 8301). Files of mails end their lines as they like, so lines are made to end
//! as they did on the way.

use super::clip;
use super::fields::Fields;
use super::transfer::Encoding;
use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as RSA, UnparsedPublicKey,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// How many signatures of a mail are looked at.
const MOST: usize = 5;
/// How long a signature's field may be.
const LONGEST: usize = 16 << 10;
/// How many names a signature may list.
const NAMES: usize = 200;

/// Public keys by their names, such as `selector._domainkey.example.com`, each as its DNS record says it.
#[derive(Clone, Default, Debug)]
pub struct DkimKeys(HashMap<String, String>);

/// A signature, and whether it holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DkimSignature {
    /// The domain that signs.
    pub domain: String,
    /// Which of its keys.
    pub selector: String,
    /// Whether it holds.
    pub result: DkimResult,
    /// Why it does not, or was not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// Whether a signature holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DkimResult {
    /// The mail is as its signer sent it.
    Pass,
    /// It was changed, or never signed.
    Fail,
    /// The key is not kept here, or the signature is of a kind that is not verified.
    Unverified,
}

impl DkimKeys {
    /// Adds a key's record, such as `v=DKIM1; k=rsa; p=…`.
    pub fn insert(&mut self, name: &str, record: String) {
        self.0.insert(name.to_ascii_lowercase(), record);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads and verifies all signatures.
pub(super) fn read(fields: &Fields<'_>, content: &[u8], keys: &DkimKeys) -> Vec<DkimSignature> {
    let signed = fields.all("dkim-signature").take(MOST);
    let places = signed
        .filter(|(_, value)| value.len() <= LONGEST)
        .map(|(place, _)| place);
    places
        .filter_map(|place| signature(fields, place, content, keys))
        .collect()
}

fn signature(fields: &Fields<'_>, place: usize, content: &[u8], keys: &DkimKeys) -> Option<DkimSignature> {
    let field = fields.iter().nth(place)?;
    let tags = tags(&String::from_utf8_lossy(field.value));
    let tag = |name: &str| tags.get(name).map(String::as_str);
    let (domain, selector) = (clip(tag("d")?, 253), clip(tag("s")?, 253));
    let verdict = verify(
        fields,
        place,
        content,
        &tags,
        keys.0
            .get(&format!("{selector}._domainkey.{domain}").to_ascii_lowercase()),
    );
    let (result, reason) = match verdict {
        Ok(()) => (DkimResult::Pass, None),
        Err((result, reason)) => (result, Some(reason)),
    };
    Some(DkimSignature {
        domain: domain.to_ascii_lowercase(),
        selector: selector.to_owned(),
        result,
        reason,
    })
}

type Verdict<T> = Result<T, (DkimResult, &'static str)>;

fn verify(
    fields: &Fields<'_>,
    place: usize,
    content: &[u8],
    tags: &HashMap<String, String>,
    key: Option<&String>,
) -> Verdict<()> {
    use DkimResult::{Fail, Unverified};
    let key = self::tags(key.ok_or((Unverified, "its key is not kept here"))?);
    let tag = |name: &str| tags.get(name).map_or("", String::as_str);
    let algorithm = tag("a").to_ascii_lowercase();
    let kind = key.get("k").map_or("rsa", String::as_str).to_ascii_lowercase();
    match algorithm.as_str() {
        "rsa-sha256" | "ed25519-sha256" if algorithm.starts_with(&kind) => {}
        "rsa-sha256" | "ed25519-sha256" => return Err((Fail, "its key is of another kind")),
        _ => return Err((Unverified, "its algorithm is not verified")),
    }
    let public = decoded(key.get("p").map_or("", String::as_str));
    if public.is_empty() {
        return Err((Fail, "its key was taken back"));
    }
    let (header, body) = tag("c").split_once('/').unwrap_or((tag("c"), "simple"));
    let relaxed = |word: &str| match word.trim() {
        "relaxed" => Ok(true),
        "" | "simple" => Ok(false),
        _ => Err((Fail, "its form is not known")),
    };
    let (relaxed_header, relaxed_body) = (relaxed(header)?, relaxed(body)?);
    let limit = match tag("l") {
        "" => None,
        text => Some(text.parse().map_err(|_| (Fail, "its length is no number"))?),
    };
    if body_digest(content, relaxed_body, limit)? != *decoded(tag("bh")) {
        return Err((Fail, "the content is not what was signed"));
    }
    let names: Vec<&str> = tag("h").split(':').map(str::trim).take(NAMES).collect();
    if !names.iter().any(|name| name.eq_ignore_ascii_case("from")) {
        return Err((Fail, "it does not cover From"));
    }
    let message = signed_fields(fields, place, &names, relaxed_header);
    let signature = decoded(tag("b"));
    let holds = if kind == "rsa" {
        UnparsedPublicKey::new(&RSA, public).verify(&message, &signature)
    } else {
        // What is signed here is the digest (RFC 8463).
        UnparsedPublicKey::new(&ED25519, public).verify(&Sha256::digest(&message), &signature)
    };
    holds.map_err(|_| (Fail, "the header is not what was signed"))
}

/// `a=b; c=d`, without any blanks: none of the values that are looked at has one.
fn tags(text: &str) -> HashMap<String, String> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    pairs
        .take(50)
        .map(|(name, value)| (plain(name).to_ascii_lowercase(), plain(value)))
        .collect()
}

fn decoded(base64: &str) -> Vec<u8> {
    Encoding::Base64.first(base64.as_bytes(), LONGEST).0
}

/// The digest of the content in its canonical form. Empty lines count when a line follows them.
fn body_digest(content: &[u8], relaxed: bool, limit: Option<usize>) -> Verdict<Vec<u8>> {
    let mut digest = Sha256::new();
    let (mut left, mut empty, mut any) = (limit.unwrap_or(usize::MAX), 0_usize, false);
    let mut add = |bytes: &[u8]| {
        let taken = bytes.get(..left).unwrap_or(bytes);
        digest.update(taken);
        left -= taken.len();
    };
    for line in content.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if relaxed {
            squeezed(line).into()
        } else {
            std::borrow::Cow::Borrowed(line)
        };
        if line.is_empty() {
            empty += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty) {
            add(b"\r\n");
        }
        add(&line);
        add(b"\r\n");
        any = true;
    }
    if !any && !relaxed {
        add(b"\r\n");
    }
    if limit.is_some() && left > 0 {
        return Err((DkimResult::Fail, "the content is shorter than what was signed"));
    }
    Ok(digest.finalize().to_vec())
}

/// The fields that a signature names, each name from the bottom, and then the signature itself without its own value.
fn signed_fields(fields: &Fields<'_>, place: usize, names: &[&str], relaxed: bool) -> Vec<u8> {
    let mut used: HashMap<String, usize> = HashMap::new();
    let mut message = Vec::new();
    for name in names {
        let count = used.entry(name.to_ascii_lowercase()).or_default();
        let mut same = fields
            .iter()
            .rev()
            .filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
        if let Some(field) = same.nth(*count) {
            canonical(field.name, field.value, field.whole, relaxed, &mut message);
            message.extend_from_slice(b"\r\n");
        }
        *count += 1;
    }
    if let Some(own) = fields.iter().nth(place) {
        let value = without_signature(own.value);
        let prefix = own.whole.len() - own.value.len();
        let whole = [own.whole.get(..prefix).unwrap_or_default(), &value].concat();
        canonical(own.name, &value, &whole, relaxed, &mut message);
    }
    message
}

fn canonical(name: &[u8], value: &[u8], whole: &[u8], relaxed: bool, out: &mut Vec<u8>) {
    if relaxed {
        let value: Vec<u8> = value
            .iter()
            .copied()
            .filter(|byte| !b"\r\n".contains(byte))
            .collect();
        out.extend(name.to_ascii_lowercase());
        out.push(b':');
        out.extend_from_slice(squeezed(&value).trim_ascii_start());
        return;
    }
    for (at, line) in whole.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
}

/// With each run of blanks as one, and none at the end.
fn squeezed(line: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(line.len());
    for byte in line {
        match byte {
            b' ' | b'\t' if out.last() == Some(&b' ') => {}
            b' ' | b'\t' => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    out.truncate(out.trim_ascii_end().len());
    out
}

/// With `b=` emptied.
fn without_signature(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for (at, pair) in value.split(|byte| *byte == b';').enumerate() {
        if at > 0 {
            out.push(b';');
        }
        let equals = memchr::memchr(b'=', pair)
            .filter(|at| pair.get(..*at).is_some_and(|name| name.trim_ascii() == b"b"));
        out.extend_from_slice(equals.and_then(|at| pair.get(..=at)).unwrap_or(pair));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};

    /// Signs as a sender would, from the rules of RFC 6376 spelt out for this one mail.
    fn signed(kind: &str) -> (String, DkimKeys) {
        let from = "from:Alice <alice@example.com>\r\nsubject:Hello there\r\n";
        let bh = base64(&Sha256::digest(b"One two\r\n\r\nthree\r\n"));
        let start = format!(
            "v=1; a={kind}-sha256; c=relaxed/relaxed; d=example.com; s=s1; h=From:Subject:Subject; bh={bh}; b="
        );
        let message = format!("{from}dkim-signature:{start}");
        let (signature, public) = if kind == "rsa" {
            let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .unwrap();
            (
                signature,
                AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key())
                    .unwrap()
                    .as_ref()
                    .to_vec(),
            )
        } else {
            let key = Ed25519KeyPair::generate().unwrap();
            (
                key.sign(&Sha256::digest(message.as_bytes())).as_ref().to_vec(),
                key.public_key().as_ref().to_vec(),
            )
        };
        let mut keys = DkimKeys::default();
        keys.insert(
            "s1._domainkey.example.com",
            format!("v=DKIM1; k={kind}; p={}", base64(&public)),
        );
        let mail = format!(
            "DKIM-Signature: {start}{}\nFrom:  Alice\n\t<alice@example.com>\nSubject: Hello  there\n\nOne \t two  \n\nthree\n\n\n",
            base64(&signature)
        );
        (mail, keys)
    }

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let bits = group
                .iter()
                .chain([&0, &0])
                .take(3)
                .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
            for at in 0..=group.len() {
                text.push(char::from(DIGITS[bits >> (18 - 6 * at) & 63]));
            }
            text.extend(std::iter::repeat_n('=', 3 - group.len()));
        }
        text
    }

    fn result(mail: &str, keys: &DkimKeys) -> (DkimResult, Option<&'static str>) {
        let (fields, at) = Fields::read(mail.as_bytes());
        let read = read(&fields, &mail.as_bytes()[at..], keys);
        (read[0].result, read[0].reason)
    }

    #[test]
    fn a_signature_holds_until_a_word_is_changed() {
        for kind in ["rsa", "ed25519"] {
            let (mail, keys) = signed(kind);
            assert_eq!(result(&mail, &keys), (DkimResult::Pass, None), "{kind}");
            assert_eq!(result(&mail.replace('\n', "\r\n"), &keys).0, DkimResult::Pass);
            let changed = result(&mail.replace("three", "four"), &keys);
            assert_eq!(
                changed,
                (DkimResult::Fail, Some("the content is not what was signed"))
            );
            let changed = result(&mail.replace("alice@", "mallory@"), &keys);
            assert_eq!(
                changed,
                (DkimResult::Fail, Some("the header is not what was signed"))
            );
            let added = mail.replace("\n\nOne", "\nSubject: Urgent\n\nOne");
            assert_eq!(
                result(&added, &keys).0,
                DkimResult::Fail,
                "a second subject was signed to be absent"
            );
            assert_eq!(result(&mail, &DkimKeys::default()).0, DkimResult::Unverified);
            assert_eq!(
                result(&mail.replace("h=From:", "h=To:"), &keys).0,
                DkimResult::Fail
            );
            assert_eq!(
                result(&mail.replace("-sha256", "-sha1"), &keys).0,
                DkimResult::Unverified
            );
        }
    }

    #[test]
    fn simple_form_keeps_blanks_and_drops_empty_lines_at_the_end() {
        let digest = |text: &[u8]| Sha256::digest(text).to_vec();
        assert_eq!(body_digest(b"a \n\n\n", false, None).unwrap(), digest(b"a \r\n"));
        assert_eq!(body_digest(b"", false, None).unwrap(), digest(b"\r\n"));
        assert_eq!(body_digest(b"", true, None).unwrap(), digest(b""));
        assert_eq!(body_digest(b"ab\n", false, Some(1)).unwrap(), digest(b"a"));
        assert!(body_digest(b"ab\n", false, Some(5)).is_err());
    }
}
