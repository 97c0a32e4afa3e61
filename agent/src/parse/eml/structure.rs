//! The parts of a mail: one pass over its lines, no recursion.

use super::fields::Fields;
use super::transfer::Encoding;
use super::values::{self, ContentType};

/// How many boundaries may be open at once.
const DEEPEST: usize = 32;
/// How many parts are looked at.
const MOST: usize = 1_000;

/// A mail's parts.
#[derive(Default)]
pub(super) struct Structure<'a> {
    /// The mail's own header.
    pub(super) top: Option<Fields<'a>>,
    /// Those that hold no parts themselves, in their order.
    pub(super) parts: Vec<Part<'a>>,
    /// A part was taken as it is, for it lay too deep.
    pub(super) too_deep: bool,
    /// Parts were left out.
    pub(super) too_many: bool,
    start: usize,
    /// How many parts were begun, those that hold mails counted as well.
    seen: usize,
}

/// A part that holds no others.
pub(super) struct Part<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) kind: ContentType,
    pub(super) encoding: Encoding,
    /// As it was sent.
    pub(super) content: &'a [u8],
}

impl<'a> Structure<'a> {
    /// What follows the mail's own header.
    pub(super) fn content(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start..).unwrap_or_default()
    }
}

impl Part<'_> {
    /// Whether it is shown as text.
    pub(super) fn is_text(&self) -> bool {
        let shown = matches!(
            self.kind.essence.as_str(),
            "text/plain"
                | "text/html"
                | "text/enriched"
                | "text/x-amp-html"
                | "text/watch-html"
                | "text/rfc822-headers"
        ) || self.kind.essence.starts_with("multipart/");
        shown && !self.is_attached()
    }

    /// Whether it asks to be kept as a file.
    pub(super) fn is_attached(&self) -> bool {
        let disposition = self.fields.first("content-disposition").map(values::content_type);
        let is_file = disposition
            .as_ref()
            .is_some_and(|kind| kind.essence == "attachment");
        is_file || self.file_name().is_some()
    }

    /// The name that it gives itself.
    pub(super) fn file_name(&self) -> Option<String> {
        let disposition = self.fields.first("content-disposition").map(values::content_type);
        disposition
            .and_then(|kind| kind.file_name)
            .or_else(|| self.kind.name.clone())
            .filter(|name| !name.trim().is_empty())
    }

    /// Whether it lasts until the end of the bytes.
    pub(super) fn ends_with(&self, bytes: &[u8]) -> bool {
        self.content.as_ptr_range().end == bytes.as_ptr_range().end
    }
}

/// Takes a mail apart.
pub(super) fn read(bytes: &[u8]) -> Structure<'_> {
    let mut structure = Structure::default();
    let mut open: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    loop {
        let (fields, length) = Fields::read(bytes.get(at..).unwrap_or_default());
        at += length;
        if structure.top.is_none() {
            structure.top = Some(fields.clone());
            structure.start = at.min(bytes.len());
        }
        let kind = fields
            .first("content-type")
            .map(values::content_type)
            .unwrap_or_default();
        let encoding = Encoding::of(fields.first("content-transfer-encoding"));
        let is_container = kind.essence.starts_with("multipart/") && kind.boundary.is_some();
        let mut content_starts = Some(at);
        if is_container && open.len() < DEEPEST {
            open.extend(kind.boundary.clone().map(String::into_bytes));
            content_starts = None;
        } else if matches!(kind.essence.as_str(), "message/rfc822" | "message/global") && encoding.is_plain()
        {
            // Its header follows at once. Each counts as a part, so there is an end to them.
            if structure.seen < MOST && at < bytes.len() {
                structure.seen += 1;
                continue;
            }
        }
        structure.too_deep |= is_container && content_starts.is_some();
        let next = seek(bytes, at, &mut open);
        if let Some(start) = content_starts.take() {
            structure.seen += 1;
            if structure.seen > MOST {
                structure.too_many = true;
                return structure;
            }
            let content = bytes.get(start..next.end).unwrap_or_default();
            structure.parts.push(Part {
                fields,
                kind,
                encoding,
                content,
            });
        }
        match next.begins {
            Some(begins) => at = begins,
            None => return structure,
        }
    }
}

struct Next {
    /// Where what comes before the boundary ends.
    end: usize,
    /// Where the next part's header begins, if one does.
    begins: Option<usize>,
}

/// Seeks the next line that opens a part, closing what it closes.
fn seek(bytes: &[u8], from: usize, open: &mut Vec<Vec<u8>>) -> Next {
    let (mut at, mut end) = (from, None);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if open.is_empty() {
            break;
        }
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let line = rest.get(..length).unwrap_or_default();
        if let Some((depth, closes)) = boundary(line, open) {
            end.get_or_insert(at);
            open.truncate(if closes { depth } else { depth + 1 });
            if !closes {
                return Next {
                    end: end.unwrap_or(at),
                    begins: Some(at + length),
                };
            }
        }
        at += length;
    }
    Next {
        end: end.unwrap_or(bytes.len()),
        begins: None,
    }
}

/// Which of the open boundaries a line is, and whether it closes it.
fn boundary(line: &[u8], open: &[Vec<u8>]) -> Option<(usize, bool)> {
    let rest = line.strip_prefix(b"--")?.trim_ascii_end();
    let at = |name: &[u8]| {
        open.iter()
            .rposition(|boundary| boundary.as_slice().trim_ascii_end() == name)
    };
    if let Some(depth) = at(rest) {
        return Some((depth, false));
    }
    Some((at(rest.strip_suffix(b"--")?)?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(text: &str) -> Vec<String> {
        let structure = read(text.as_bytes());
        let text = |part: &Part<'_>| {
            format!(
                "{}:{}",
                part.kind.essence,
                String::from_utf8_lossy(part.content).trim()
            )
        };
        structure.parts.iter().map(text).collect()
    }

    #[test]
    fn parts_are_found_in_parts_and_in_mails_inside_the_mail() {
        let mail = "Content-Type: multipart/mixed; boundary=a\n\npreamble\n--a\nContent-Type: multipart/alternative; \
                    boundary=\"b b\"\n\n--b b\nContent-Type: text/plain\n\none\n--b b\nContent-Type: text/html\n\ntwo\n--b b--\nepilogue\n\
                    --a\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: text/plain\n\nthree\n--a--\nfour\n";
        assert_eq!(
            contents(mail),
            ["text/plain:one", "text/html:two", "text/plain:three"]
        );
    }

    #[test]
    fn a_boundary_that_an_outer_part_owns_closes_the_inner_one() {
        let mail = "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--a\n\ntwo";
        assert_eq!(contents(mail), ["text/plain:one", "text/plain:two"]);
    }

    #[test]
    fn what_lies_too_deep_is_one_part_and_said() {
        let mut mail = String::new();
        for depth in 0..1_000 {
            mail += &format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n");
        }
        let structure = read(mail.as_bytes());
        assert!(structure.too_deep);
        assert_eq!(structure.parts.len(), 1);
        let forwarded = "Content-Type: message/rfc822\n\n".repeat(5_000);
        assert!(read(forwarded.as_bytes()).parts.len() <= 1);
    }
}
