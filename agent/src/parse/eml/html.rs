//! HTML as a row of tags and texts. It is never built into a page: no tree, no style sheet, no script.
//!
//! One pass, as browsers read it where that matters for links: an open tag that is never closed ends with the text, raw text
//! (`script`, `style`) ends with its own tag, and quotes hold what is between them.

use super::clip;

/// How many attributes of a tag are read, and how much of each.
const ATTRIBUTES: usize = 64;
const VALUE: usize = 8 << 10;

/// A piece of HTML.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Token<'a> {
    Open(Tag),
    /// The name, in lower case.
    Close(String),
    /// Text as it lies, its references not resolved.
    Text(&'a str),
    /// What stands inside `style`, `script` and their like.
    Raw(&'a str),
}

/// A tag that opens.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Tag {
    /// In lower case.
    pub(super) name: String,
    /// Names in lower case, and values with their references resolved.
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// The value of an attribute; the first counts.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// Goes through a text.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    /// The element whose raw text follows.
    raw: Option<String>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            raw: None,
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(name) = self.raw.take() {
            let end = end_of_raw(self.rest, &name);
            return Some(Token::Raw(self.take(end)));
        }
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(after) = self.rest.strip_prefix('<') else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                return Some(Token::Text(self.take(end)));
            };
            if let Some(comment) = after.strip_prefix("!--") {
                let end = comment
                    .find("-->")
                    .map_or(self.rest.len(), |end| end + "<!---->".len());
                self.take(end);
            } else if after.starts_with(['!', '?']) {
                let end = after.find('>').map_or(self.rest.len(), |end| end + 2);
                self.take(end);
            } else if let Some(closing) = after.strip_prefix('/')
                && closing.starts_with(|sign: char| sign.is_ascii_alphabetic())
            {
                let end = closing.find('>').map_or(self.rest.len(), |end| end + 3);
                let name = name(closing);
                self.take(end);
                return Some(Token::Close(name));
            } else if after.starts_with(|sign: char| sign.is_ascii_alphabetic()) {
                let (tag, length) = tag(after);
                self.take(length + 1);
                if matches!(
                    tag.name.as_str(),
                    "script" | "style" | "title" | "textarea" | "xmp" | "noscript"
                ) {
                    // Mail programs run no scripts, so what `noscript` holds is shown.
                    self.raw = (tag.name != "noscript").then(|| tag.name.clone());
                }
                return Some(Token::Open(tag));
            } else {
                // A `<` that opens nothing is text.
                let end = after.find('<').map_or(self.rest.len(), |end| end + 1);
                return Some(Token::Text(self.take(end)));
            }
        }
    }
}

/// A tag's name, in lower case.
fn name(text: &str) -> String {
    let end = text.find(|sign: char| sign.is_ascii_whitespace() || "/>".contains(sign));
    clip(text.get(..end.unwrap_or(text.len())).unwrap_or(text), 32).to_ascii_lowercase()
}

/// A tag and its length with the `>`.
fn tag(text: &str) -> (Tag, usize) {
    let end = text
        .find(|sign: char| sign.is_ascii_whitespace() || "/>".contains(sign))
        .unwrap_or(text.len());
    let mut tag = Tag {
        name: name(text),
        attributes: Vec::new(),
    };
    let mut rest = text.get(end..).unwrap_or_default();
    loop {
        rest = rest.trim_start_matches(|sign: char| sign.is_ascii_whitespace() || sign == '/');
        if rest.is_empty() {
            return (tag, text.len());
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, text.len() - after.len());
        }
        let signs = rest.char_indices().skip(1);
        let end = signs
            .into_iter()
            .find(|(_, sign)| sign.is_ascii_whitespace() || "/>=".contains(*sign));
        let (key, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        rest = after.trim_start_matches(|sign: char| sign.is_ascii_whitespace());
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start_matches(|sign: char| sign.is_ascii_whitespace());
            let quote = after.chars().next().filter(|sign| matches!(sign, '"' | '\''));
            (value, rest) = match quote {
                Some(quote) => {
                    let inside = after.get(1..).unwrap_or_default();
                    inside.split_once(quote).unwrap_or((inside, ""))
                }
                None => {
                    let end = after.find(|sign: char| sign.is_ascii_whitespace() || sign == '>');
                    after.split_at(end.unwrap_or(after.len()))
                }
            };
        }
        if tag.attributes.len() < ATTRIBUTES {
            tag.attributes
                .push((clip(key, 64).to_ascii_lowercase(), resolved(clip(value, VALUE))));
        }
    }
}

/// Where the raw text of an element ends.
fn end_of_raw(text: &str, name: &str) -> usize {
    let ends = memchr::memmem::find_iter(text.as_bytes(), "</").find(|at| {
        let after = text.get(at + 2..).unwrap_or_default();
        after
            .get(..name.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(name))
    });
    ends.unwrap_or(text.len())
}

/// A text with its character references resolved.
pub(super) fn resolved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        match reference(after) {
            Some((sign, length)) => {
                out.push(sign);
                rest = after.get(length..).unwrap_or_default();
            }
            None => {
                out.push('&');
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// The references that text hides in, by number or by name, and their length.
fn reference(text: &str) -> Option<(char, usize)> {
    const NAMES: &[(&str, char)] = &[
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&apos;", '\''),
        ("&nbsp;", '\u{a0}'),
        ("&shy;", '\u{ad}'),
        ("&zwnj;", '\u{200c}'),
        ("&zwj;", '\u{200d}'),
        ("&ZeroWidthSpace;", '\u{200b}'),
        ("&colon;", ':'),
        ("&sol;", '/'),
        ("&bsol;", '\\'),
        ("&period;", '.'),
        ("&commat;", '@'),
        ("&num;", '#'),
        ("&lpar;", '('),
        ("&rpar;", ')'),
        ("&hyphen;", '\u{2010}'),
        ("&Tab;", '\t'),
        ("&NewLine;", '\n'),
        ("&copy;", '©'),
        ("&reg;", '®'),
        ("&trade;", '™'),
        ("&ndash;", '–'),
        ("&mdash;", '—'),
        ("&hellip;", '…'),
        ("&auml;", 'ä'),
        ("&ouml;", 'ö'),
        ("&uuml;", 'ü'),
        ("&Auml;", 'Ä'),
        ("&Ouml;", 'Ö'),
        ("&Uuml;", 'Ü'),
        ("&szlig;", 'ß'),
        ("&eacute;", 'é'),
        ("&egrave;", 'è'),
        ("&agrave;", 'à'),
        ("&ccedil;", 'ç'),
        ("&ntilde;", 'ñ'),
    ];
    let Some(number) = text.strip_prefix("&#") else {
        let mut named = NAMES.iter().filter(|(name, _)| text.starts_with(name));
        return named.next().map(|(name, sign)| (*sign, name.len()));
    };
    let (radix, digits) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (16, digits),
        None => (10, number),
    };
    let count = digits
        .chars()
        .take(12)
        .take_while(|sign| sign.is_digit(radix))
        .count();
    let value = u32::from_str_radix(digits.get(..count)?, radix).ok()?;
    let length = text.len() - digits.len() + count;
    let ends = digits.get(count..).is_some_and(|rest| rest.starts_with(';'));
    Some((
        char::from_u32(value).unwrap_or('\u{fffd}'),
        length + usize::from(ends),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_browsers_read_them() {
        let text = "a< b<!-- <a href=no> --><A HREF = \"x&amp;y>z\" a='1' Href=2>t&#x68;</a ><br/><style>p{}</STYLE><a href=u";
        let tokens: Vec<Token<'_>> = Tokens::new(text).collect();
        let tag = |at: usize| match &tokens[at] {
            Token::Open(tag) => tag,
            other => panic!("{other:?}"),
        };
        assert_eq!(tokens[0], Token::Text("a"));
        assert_eq!(tokens[1], Token::Text("< b"));
        assert_eq!(tag(2).name, "a");
        assert_eq!(tag(2).attribute("href"), Some("x&y>z"));
        assert_eq!(tokens[3], Token::Text("t&#x68;"));
        assert_eq!(tokens[4], Token::Close("a".to_owned()));
        assert_eq!(tag(5).name, "br");
        assert_eq!(tokens[7], Token::Raw("p{}"));
        assert_eq!(tag(9).attribute("href"), Some("u"));
    }

    #[test]
    fn references_are_resolved_once() {
        assert_eq!(
            resolved("&amp;lt; &#104;&#x74tp&colon; &unknown; &#x110000; &"),
            "&lt; http: &unknown; \u{fffd} &"
        );
    }

    #[test]
    fn broken_html_takes_linear_time() {
        for piece in [
            "<a ",
            "<a href='",
            "<!--",
            "</a",
            "&#",
            "<script>",
            "<",
            "<a/",
            "a=b ",
        ] {
            let text = piece.repeat((1 << 20) / piece.len());
            let started = std::time::Instant::now();
            let count = Tokens::new(&text).count();
            drop(resolved(&text));
            assert!(started.elapsed().as_secs() < 5, "{piece}: {count}");
        }
    }
}
