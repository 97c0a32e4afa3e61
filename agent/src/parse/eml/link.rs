//! What a text asks its reader to open.

use super::url::Url;
use super::{clip, domain};
use serde::Serialize;
use std::collections::HashSet;

/// How many links are kept.
const MOST: usize = 1_000;
/// How much of a link's text is kept.
const TEXT: usize = 300;

/// A link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Link {
    /// Where it leads.
    #[serde(flatten)]
    pub url: Url,
    /// What the reader sees of it.
    #[serde(rename = "shown", skip_serializing_if = "String::is_empty")]
    pub shown: String,
    /// How it is followed.
    pub kind: LinkKind,
}

/// How a link is followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// The reader clicks on a text.
    Text,
    /// The reader clicks on a picture.
    Picture,
    /// It stands in plain text, and mail programs make a link of it.
    Plain,
    /// The reader sends a form.
    Form,
    /// A picture, a frame or a style that is fetched to show the mail.
    Fetched,
    /// The mail goes there by itself.
    Refresh,
}

impl Link {
    /// The host that its text names, when the text is an address of the web: `https://bank.example/login`, `www.bank.example`,
    /// `bank.example`.
    pub fn claimed_host(&self) -> Option<String> {
        let text = self.shown.trim().trim_end_matches(['.', ',', '/', '>', ')']);
        let text = text.trim_start_matches(['<', '(', '»', '›', ' ']);
        if text.is_empty() || text.contains(char::is_whitespace) || text.contains('@') {
            return None;
        }
        let url = match Url::read(text) {
            Some(url) if url.is_web() => url,
            Some(_) => return None,
            None => Url::read(&format!("http://{text}"))?,
        };
        let name = url.name()?;
        // `report.pdf` and `v1.2` are no hosts; `readme.md` is, so a bare name needs more than two parts or a common ending.
        let is_bare = !text.contains("://") && !text.starts_with("www.");
        let is_common = [
            ".com", ".net", ".org", ".de", ".fr", ".nl", ".uk", ".es", ".it", ".br", ".eu",
        ]
        .iter()
        .any(|ending| name.ends_with(ending));
        (domain::is_registered(name) && (!is_bare || is_common)).then(|| name.to_owned())
    }
}

/// The links found so far, each once.
#[derive(Default)]
pub(super) struct Links {
    seen: HashSet<(Url, String, LinkKind)>,
    pub(super) kept: Vec<Link>,
    /// Some were left out.
    pub(super) too_many: bool,
}

impl Links {
    pub(super) fn add(&mut self, target: &str, shown: &str, kind: LinkKind) {
        let Some(url) = Url::read(target) else { return };
        // What is only fetched or inline is not where the reader is led; the mail's own parts are `cid:`.
        if matches!(
            url.scheme.as_str(),
            "cid" | "mid" | "tel" | "sms" | "mailto" | "about"
        ) {
            return;
        }
        if kind == LinkKind::Fetched && !url.is_web() {
            return;
        }
        let mut url = url;
        url.text = clip(&url.text, 2_048).to_owned();
        let shown = clip(shown.trim(), TEXT).to_owned();
        if self.kept.len() >= MOST {
            self.too_many = true;
        } else if self.seen.insert((url.clone(), shown.clone(), kind)) {
            self.kept.push(Link { url, shown, kind });
        }
    }

    /// Adds what mail programs make links of in a plain text.
    pub(super) fn scan(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut from = 0;
        for at in memchr::memmem::find_iter(bytes, "://") {
            if at < from {
                continue;
            }
            let before = text
                .get(at.saturating_sub(5)..at)
                .or_else(|| text.get(at.saturating_sub(4)..at));
            let before = before.unwrap_or_default().to_ascii_lowercase();
            let scheme = ["https", "http", "ftp"]
                .into_iter()
                .find(|scheme| before.ends_with(scheme));
            let Some(start) = scheme.map(|scheme| at - scheme.len()) else {
                continue;
            };
            let found = self.target(text, start);
            from = start + found;
        }
        for at in memchr::memmem::find_iter(bytes, "www.") {
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            if before.is_none_or(|byte| byte.is_ascii_whitespace() || b"(<>[".contains(byte)) {
                let rest = text.get(at..).unwrap_or_default();
                let end = end_of_target(rest);
                let target = rest.get(..end).unwrap_or_default();
                self.add(&format!("http://{target}"), "", LinkKind::Plain);
            }
        }
    }

    fn target(&mut self, text: &str, start: usize) -> usize {
        let rest = text.get(start..).unwrap_or_default();
        let end = end_of_target(rest);
        self.add(rest.get(..end).unwrap_or_default(), "", LinkKind::Plain);
        end
    }
}

fn end_of_target(text: &str) -> usize {
    let ends = |sign: char| sign.is_whitespace() || sign.is_control() || "<>\"|".contains(sign);
    let text = clip(text, 4_096);
    let end = text.find(ends).unwrap_or(text.len());
    let target = text.get(..end).unwrap_or_default();
    let mut target = target.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', ']', '*', '_']);
    // A bracket that was opened inside belongs to it.
    if target.ends_with(')') && !target.contains('(') {
        target = target.trim_end_matches(')');
    }
    target.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_holds_links() {
        let mut links = Links::default();
        links.scan("See (https://a.example/x). Or HTTP://b.example/y, www.c.example; xhttp no://z ftp://d.example/(1)");
        let hosts: Vec<&str> = links.kept.iter().filter_map(|link| link.url.name()).collect();
        assert_eq!(hosts, ["a.example", "b.example", "d.example", "www.c.example"]);
        assert_eq!(links.kept[0].url.text, "https://a.example/x");
    }

    #[test]
    fn a_text_names_a_host_or_it_does_not() {
        let claimed = |shown: &str| {
            let url = Url::read("https://t.example.net/").unwrap();
            let (shown, kind) = (shown.to_owned(), LinkKind::Text);
            Link { url, shown, kind }.claimed_host()
        };
        assert_eq!(
            claimed("https://www.example.com/a").as_deref(),
            Some("www.example.com")
        );
        assert_eq!(claimed("example.com").as_deref(), Some("example.com"));
        for none in [
            "Click here",
            "report.pdf",
            "a@example.com",
            "v1.2",
            "",
            "example.invalid-suffix-x",
        ] {
            assert_eq!(claimed(none), None, "{none}");
        }
    }
}
