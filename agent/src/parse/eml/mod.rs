//! A mail: who wrote it, how it came, and what is in it, from bytes that a stranger made.
//!
//! `structure` takes the parts apart in one pass over the lines, without recursion: at most 32 boundaries are open at once and
//! 1,000 parts are looked at; the rest is left out and said (`Mail::limits`). `mail-parser` reads single fields of a bounded
//! length, where the grammar is hard (addresses, encoded words, parameters, dates) and all charsets. Texts are looked at up to
//! 2 MiB each, attachments are decoded in pieces and never held. Nothing is rendered, fetched or executed.

mod attachment;
mod authentication;
mod charset;
mod content;
mod dkim;
mod domain;
mod fields;
mod headers;
mod html;
mod link;
mod received;
mod structure;
mod transfer;
mod url;
mod values;

pub use attachment::{Attachment, Digests};
pub use authentication::{AuthenticationResults, Method, Trust};
pub use content::Body;
pub use dkim::{DkimKeys, DkimResult, DkimSignature};
pub use domain::{is_address, organisation};
pub use headers::Headers;
pub use link::{Link, LinkKind};
pub use received::{Hop, Route, is_public};
pub use url::{Host, Url};
pub use values::Mailbox;

use content::Reader;
use fields::Fields;
use serde::Serialize;
use std::borrow::Cow;

/// How many bytes of a mail are looked at.
pub const MOST: usize = 64 << 20;

/// What a mail holds, as far as it was looked at.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Mail {
    /// Its header fields.
    pub headers: Headers,
    /// How it came.
    #[serde(flatten)]
    pub route: Route,
    /// What receivers say of its origin, newest first.
    pub authentication: Vec<AuthenticationResults>,
    /// Its signatures, verified where the key is known.
    pub dkim: Vec<DkimSignature>,
    /// Its texts, measured.
    pub body: Body,
    /// Where its texts lead, each pair of target and text once.
    pub urls: Vec<Link>,
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// What was not looked at, and why.
    pub limits: Vec<&'static str>,
}

/// What is known of the receiver's own side.
#[derive(Clone, Default, Debug)]
pub struct Border {
    /// Names of its own servers, as in `by` and in Authentication-Results; those below them count as well.
    pub servers: Vec<String>,
    /// Public keys of signatures.
    pub keys: DkimKeys,
}

/// Reads a mail. Any bytes give one; `more` says that it is longer than what is given.
pub fn read(bytes: &[u8], more: bool, border: &Border) -> Mail {
    let mut limits = Vec::new();
    let longer = more || bytes.len() > MOST;
    if longer {
        limits.push("it is longer than 64 MiB");
    }
    let bytes = normal(bytes.get(..MOST).unwrap_or(bytes));
    let structure = structure::read(&bytes);
    let nothing = Fields::default();
    let fields = structure.parts.first().map_or(&nothing, |part| &part.fields);
    let top = structure.top.as_ref().unwrap_or(fields);
    let route = received::route(top, border);
    let authentication = authentication::read(top, &route, border);
    let mut reader = Reader::default();
    let mut attachments = Vec::new();
    for part in &structure.parts {
        if part.is_text() {
            reader.read(part);
        } else {
            let whole = !(longer && part.ends_with(&bytes));
            attachments.push(attachment::read(part, whole));
        }
    }
    if structure.too_deep {
        limits.push("its parts are nested more than 32 deep");
    }
    if structure.too_many {
        limits.push("it has more than 1,000 parts");
    }
    let dkim = dkim::read(top, structure.content(&bytes), &border.keys);
    let (body, urls) = reader.finish(&mut limits);
    Mail {
        headers: headers::read(top),
        route,
        authentication,
        dkim,
        body,
        urls,
        attachments,
        limits,
    }
}

/// With line feeds, where there are none but carriage returns.
fn normal(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\n', bytes).is_some() || memchr::memchr(b'\r', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let line = |byte: &u8| if *byte == b'\r' { b'\n' } else { *byte };
    Cow::Owned(bytes.iter().map(line).collect())
}

/// The first so many bytes of a text, at the edge of a character.
fn clip(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}
