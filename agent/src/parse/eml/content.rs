//! A mail's texts, measured: what is shown, what is hidden, and where it leads.

use super::html::{Tag, Token, Tokens, resolved};
use super::link::{Link, LinkKind, Links};
use super::structure::Part;
use super::transfer::Encoding;
use super::{charset, clip};
use serde::Serialize;

/// How much of each text is looked at, and of all of them.
const ONE: usize = 2 << 20;
const ALL: usize = 8 << 20;
/// How much of the text is kept to judge words by their letters.
const SHOWN: usize = 64 << 10;
/// How many elements may be open at once.
const OPEN: usize = 256;

/// A mail's texts, measured. Lengths are in characters.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Body {
    /// There is a part of plain text with something in it.
    pub plain: bool,
    /// There is a part of HTML.
    pub html: bool,
    /// HTML came as base64.
    pub html_in_base64: bool,
    /// What a reader sees, blanks counted once.
    pub visible: usize,
    /// What HTML hides by its own styles: no display, no size, no opacity.
    pub hidden: usize,
    /// Pieces of hidden text in the midst of a word.
    pub split_words: usize,
    /// Characters without width between two letters.
    pub invisible_signs: usize,
    /// Pictures of more than a dot.
    pub pictures: usize,
    /// Forms.
    pub forms: usize,
    /// Fields for a password.
    pub password_fields: usize,
    /// Scripts, also those in attributes.
    pub scripts: usize,
    /// Frames and embedded objects.
    pub frames: usize,
    /// The beginning of the visible text.
    #[serde(skip)]
    pub shown: String,
}

/// Goes through the texts of a mail.
#[derive(Default)]
pub(super) struct Reader {
    body: Body,
    links: Links,
    read: usize,
    cut: bool,
    /// The last visible sign was a letter, and so many hidden ones came since.
    last_is_letter: bool,
    hidden_since: usize,
    last_is_blank: bool,
}

/// A link that is open.
struct Anchor {
    target: String,
    shown: String,
    has_picture: bool,
}

impl Reader {
    pub(super) fn read(&mut self, part: &Part<'_>) {
        let most = ONE.min(ALL.saturating_sub(self.read));
        let (bytes, more) = part.encoding.first(part.content, most);
        self.cut |= more;
        self.read += bytes.len();
        let text = charset::text(bytes, part.kind.charset.as_deref());
        if part.kind.essence.ends_with("html") {
            self.body.html = true;
            self.body.html_in_base64 |= part.encoding == Encoding::Base64;
            self.html(&text);
        } else {
            self.body.plain |= !text.trim().is_empty();
            self.links.scan(&text);
            // Beside HTML it says the same a second time.
            if !self.body.html {
                self.show(&text);
            }
        }
    }

    pub(super) fn finish(self, limits: &mut Vec<&'static str>) -> (Body, Vec<Link>) {
        if self.cut {
            limits.push("its texts are longer than what is looked at");
        }
        if self.links.too_many {
            limits.push("it has more than 1,000 different links");
        }
        (self.body, self.links.kept)
    }

    fn html(&mut self, text: &str) {
        let (mut open, mut hidden): (Vec<(String, bool)>, usize) = (Vec::new(), 0);
        let (mut anchor, mut base): (Option<Anchor>, Option<String>) = (None, None);
        for token in Tokens::new(text) {
            match token {
                Token::Text(text) => {
                    let text = resolved(text);
                    if hidden > 0 {
                        self.hide(&text);
                        continue;
                    }
                    self.show(&text);
                    match &mut anchor {
                        Some(anchor) => anchor
                            .shown
                            .push_str(clip(&text, 1_024_usize.saturating_sub(anchor.shown.len()))),
                        None => self.links.scan(&text),
                    }
                }
                Token::Open(tag) => {
                    if tag.name == "base" {
                        base = base.or_else(|| tag.attribute("href").map(str::to_owned));
                    }
                    if tag.name == "a" || tag.name == "area" {
                        self.close(anchor.take());
                        let target = tag.attribute("href").map(|target| based(target, base.as_deref()));
                        anchor = target.map(|target| Anchor {
                            target,
                            shown: String::new(),
                            has_picture: tag.name == "area",
                        });
                    }
                    if let Some(anchor) = &mut anchor {
                        anchor.has_picture |= tag.name == "img";
                    }
                    self.tag(&tag, base.as_deref());
                    if breaks(&tag.name) {
                        self.gap();
                    }
                    if !is_void(&tag.name) && open.len() < OPEN {
                        let hides = is_hidden(&tag);
                        hidden += usize::from(hides);
                        open.push((tag.name, hides));
                    }
                }
                Token::Close(name) => {
                    if name == "a" {
                        self.close(anchor.take());
                    }
                    if breaks(&name) {
                        self.gap();
                    }
                    // What was opened inside and never closed ends with it.
                    if let Some(at) = open.iter().rposition(|(open, _)| *open == name) {
                        let closed = open.drain(at..).filter(|(_, hides)| *hides).count();
                        hidden = hidden.saturating_sub(closed);
                    }
                }
                Token::Raw(_) => {}
            }
        }
        self.close(anchor);
    }

    fn close(&mut self, anchor: Option<Anchor>) {
        let Some(anchor) = anchor else { return };
        let shown: Vec<&str> = anchor.shown.split_whitespace().collect();
        let kind = if shown.is_empty() && anchor.has_picture {
            LinkKind::Picture
        } else {
            LinkKind::Text
        };
        self.links.add(&anchor.target, &shown.join(" "), kind);
    }

    fn tag(&mut self, tag: &Tag, base: Option<&str>) {
        let mut lead = |name: &str, kind| {
            if let Some(target) = tag.attribute(name) {
                self.links.add(&based(target, base), "", kind);
            }
        };
        match tag.name.as_str() {
            "form" => {
                lead("action", LinkKind::Form);
                self.body.forms += 1;
            }
            "input" => {
                let is_password = tag
                    .attribute("type")
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("password"));
                self.body.password_fields += usize::from(is_password);
            }
            "button" => lead("formaction", LinkKind::Form),
            "img" => {
                lead("src", LinkKind::Fetched);
                let is_dot = |name: &str| {
                    tag.attribute(name)
                        .is_some_and(|size| matches!(size.trim(), "0" | "1" | "0px" | "1px"))
                };
                self.body.pictures += usize::from(!is_dot("width") && !is_dot("height"));
            }
            "iframe" | "frame" | "embed" => {
                lead("src", LinkKind::Fetched);
                self.body.frames += 1;
            }
            "object" => {
                lead("data", LinkKind::Fetched);
                self.body.frames += 1;
            }
            "script" => self.body.scripts += 1,
            "meta"
                if tag
                    .attribute("http-equiv")
                    .is_some_and(|name| name.eq_ignore_ascii_case("refresh")) =>
            {
                let content = tag.attribute("content").unwrap_or_default();
                if let Some((_, target)) = content.split_once(['=']) {
                    self.links
                        .add(target.trim_matches(['\'', '"', ' ']), "", LinkKind::Refresh);
                }
            }
            _ => {}
        }
        let handlers = ["onload", "onerror", "onclick", "onmouseover", "onfocus"];
        self.body.scripts += handlers
            .iter()
            .filter(|name| tag.attribute(name).is_some())
            .count();
    }

    fn show(&mut self, text: &str) {
        for sign in text.chars() {
            if is_invisible(sign) {
                self.hidden_since += 1;
                self.body.invisible_signs += usize::from(self.last_is_letter);
                continue;
            }
            let is_blank = sign.is_whitespace() || sign == '\u{a0}';
            if is_blank {
                self.gap();
                continue;
            }
            if self.last_is_letter && self.hidden_since > 0 && sign.is_alphabetic() {
                self.body.split_words += 1;
            }
            (self.last_is_letter, self.hidden_since, self.last_is_blank) = (sign.is_alphabetic(), 0, false);
            self.body.visible += 1;
            if self.body.shown.len() < SHOWN {
                self.body.shown.push(sign);
            }
        }
    }

    /// Something between two words.
    fn gap(&mut self) {
        if !self.last_is_blank && self.body.visible > 0 {
            self.body.visible += 1;
            if self.body.shown.len() < SHOWN {
                self.body.shown.push(' ');
            }
        }
        (self.last_is_letter, self.hidden_since, self.last_is_blank) = (false, 0, true);
    }

    fn hide(&mut self, text: &str) {
        let count = text.chars().filter(|sign| !sign.is_whitespace()).count();
        self.body.hidden += count;
        self.hidden_since += count;
    }
}

/// A target with the page's base before it.
fn based(target: &str, base: Option<&str>) -> String {
    match base {
        Some(base) if !target.contains(':') && !target.starts_with(['#', '/']) => format!("{base}{target}"),
        _ => target.to_owned(),
    }
}

/// Signs without width. Joiners belong to many scripts' and emojis' own spelling; between Latin letters they do not.
fn is_invisible(sign: char) -> bool {
    matches!(sign, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn is_hidden(tag: &Tag) -> bool {
    if tag.attribute("hidden").is_some() {
        return true;
    }
    let Some(style) = tag.attribute("style") else {
        return false;
    };
    let style: String = style
        .chars()
        .filter(|sign| !sign.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    style.split(';').any(|rule| {
        let rule = rule.trim_end_matches("!important");
        matches!(
            rule,
            "display:none" | "visibility:hidden" | "opacity:0" | "opacity:0.0"
        ) || rule
            .strip_prefix("font-size:0")
            .is_some_and(|rest| matches!(rest, "" | "px" | "pt" | "em" | "rem" | "%" | ".0px"))
    })
}

fn breaks(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "br"
            | "td"
            | "th"
            | "tr"
            | "table"
            | "li"
            | "ul"
            | "ol"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "hr"
            | "img"
            | "center"
            | "blockquote"
            | "section"
            | "article"
            | "header"
            | "footer"
            | "option"
            | "body"
            | "pre"
    )
}

fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "source"
            | "track"
            | "wbr"
    )
}
