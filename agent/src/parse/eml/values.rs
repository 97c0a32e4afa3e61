//! The values of single fields, each read up to a bounded length.

use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, Address, HeaderValue};
use picket_common::time::Timestamp;
use serde::Serialize;

/// How much of a list of addresses is read.
const ADDRESSES: usize = 64 << 10;
/// How much of any other value is read.
const OTHER: usize = 8 << 10;

/// A name and an address, as a header gives them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mailbox {
    /// The name, decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address, in the case in which it was written.
    pub address: String,
}

impl Mailbox {
    /// The domain of the address, in lower case.
    pub fn domain(&self) -> Option<String> {
        let (_, domain) = self.address.rsplit_once('@')?;
        let domain = domain.trim().trim_end_matches('.').to_ascii_lowercase();
        (!domain.is_empty()).then_some(domain)
    }
}

/// What a part is declared to be, and its parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ContentType {
    /// In lower case, as `text/html`; of a disposition the one word.
    pub(super) essence: String,
    pub(super) charset: Option<String>,
    pub(super) boundary: Option<String>,
    pub(super) name: Option<String>,
    pub(super) file_name: Option<String>,
}

impl Default for ContentType {
    fn default() -> Self {
        Self {
            essence: "text/plain".to_owned(),
            charset: None,
            boundary: None,
            name: None,
            file_name: None,
        }
    }
}

/// Text in which words may be encoded.
pub(super) fn text(value: &[u8]) -> String {
    match MessageStream::new(&line(value, OTHER)).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        _ => String::new(),
    }
}

/// Text as it was written, its folds undone.
pub(super) fn unfolded(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value.get(..OTHER).unwrap_or(value));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A list of addresses, and whether it is longer than what was read.
pub(super) fn mailboxes(value: &[u8]) -> (Vec<Mailbox>, bool) {
    let line = line(value, ADDRESSES);
    let boxes = match MessageStream::new(&line).parse_address() {
        HeaderValue::Address(Address::List(list)) => list.into_iter().filter_map(mailbox).collect(),
        HeaderValue::Address(Address::Group(groups)) => {
            let all = groups.into_iter().flat_map(|group| group.addresses);
            all.filter_map(mailbox).collect()
        }
        _ => Vec::new(),
    };
    (boxes, value.len() > ADDRESSES)
}

fn mailbox(address: Addr<'_>) -> Option<Mailbox> {
    let name = address.name.map(|name| name.trim().to_owned());
    let name = name.filter(|name| !name.is_empty());
    let address = address
        .address
        .map(|address| address.trim().to_owned())
        .unwrap_or_default();
    (name.is_some() || !address.is_empty()).then_some(Mailbox { name, address })
}

/// A moment.
pub(super) fn date(value: &[u8]) -> Option<Timestamp> {
    match MessageStream::new(&line(value, OTHER)).parse_date() {
        HeaderValue::DateTime(date) if date.is_valid() => Some(Timestamp::from_micros(
            date.to_timestamp().checked_mul(1_000_000)?,
        )),
        _ => None,
    }
}

/// A declared type or disposition.
pub(super) fn content_type(value: &[u8]) -> ContentType {
    let line = line(value, OTHER);
    let HeaderValue::ContentType(read) = MessageStream::new(&line).parse_content_type() else {
        return ContentType::default();
    };
    let mut essence = read.c_type.to_ascii_lowercase();
    if let Some(subtype) = &read.c_subtype {
        essence = format!("{essence}/{}", subtype.to_ascii_lowercase());
    }
    // `text(b"…")` undoes encoded words, which do not belong here and are everywhere.
    let take = |name: &str| read.attribute(name).map(str::to_owned);
    let decoded = |name: &str| take(name).map(|value| text(value.as_bytes()));
    ContentType {
        essence,
        charset: take("charset"),
        boundary: take("boundary").filter(|boundary| !boundary.trim().is_empty()),
        name: decoded("name"),
        file_name: decoded("filename"),
    }
}

/// A value as a line of its own, and no longer than so many bytes.
fn line(value: &[u8], most: usize) -> Vec<u8> {
    let mut line = value.get(..most).unwrap_or(value).to_vec();
    // A fold that was cut would be read as the next field.
    line.truncate(line.trim_ascii_end().len());
    line.extend_from_slice(b"\r\n");
    line
}
