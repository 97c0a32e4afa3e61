//! A text that meets what is wished of it.

use regex_syntax::hir::{Class, Hir, HirKind};

/// No regular expression makes a longer text.
const LONGEST: usize = 10_000;

/// How a text should be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in super::super) struct Wish {
    whole: Option<String>,
    start: String,
    parts: Vec<String>,
    end: String,
}

impl Wish {
    /// Exactly so.
    pub(in super::super) fn whole(text: &str) -> Self {
        Self {
            whole: Some(text.to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn start(text: &str) -> Self {
        Self {
            start: text.to_owned(),
            ..Self::default()
        }
    }

    /// With this somewhere in it.
    pub(super) fn part(text: &str) -> Self {
        Self {
            parts: vec![text.to_owned()],
            ..Self::default()
        }
    }

    pub(super) fn end(text: &str) -> Self {
        Self {
            end: text.to_owned(),
            ..Self::default()
        }
    }

    /// With something in it that a regular expression matches.
    pub(super) fn regex(pattern: &str) -> Option<Self> {
        let mut parser = regex_syntax::ParserBuilder::new().utf8(false).build();
        let mut text = String::new();
        write(&parser.parse(pattern).ok()?, &mut text)?;
        Some(Self::part(&text))
    }

    /// Both at once; what contradicts itself is left to the matcher to refuse.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.whole = self.whole.or_else(|| other.whole.clone());
        self.parts.extend(other.parts.iter().cloned());
        // Of two beginnings one is the beginning of the other.
        if other.start.len() > self.start.len() {
            self.start.clone_from(&other.start);
        }
        if other.end.len() > self.end.len() {
            self.end.clone_from(&other.end);
        }
        self
    }

    /// A text that is so; never an empty one, unless that is what is wished.
    pub(super) fn text(&self) -> String {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let mut text = self.start.clone();
        for part in &self.parts {
            if !text.contains(part) {
                text.push_str(part);
            }
        }
        if !text.ends_with(&self.end) || text.len() == self.start.len() {
            text.push_str(&self.end);
        }
        if text.is_empty() { "x".to_owned() } else { text }
    }

    /// Whether one of a few fixed names is so.
    pub(super) fn fits(&self, name: &str) -> bool {
        let same = |text: &String| text.eq_ignore_ascii_case(name);
        let lower = |text: &String| text.to_ascii_lowercase();
        self.whole.as_ref().is_none_or(same)
            && name.starts_with(&lower(&self.start))
            && name.ends_with(&lower(&self.end))
            && self.parts.iter().all(|part| name.contains(&lower(part)))
    }
}

/// Writes the shortest text that comes to mind; `None` when none does.
fn write(hir: &Hir, text: &mut String) -> Option<()> {
    if text.len() > LONGEST {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(Class::Unicode(class)) => {
            let ranges: Vec<(u32, u32)> = class
                .iter()
                .map(|range| (range.start().into(), range.end().into()))
                .collect();
            text.push(member(&ranges)?);
        }
        HirKind::Class(Class::Bytes(class)) => {
            let ranges: Vec<(u32, u32)> = class
                .iter()
                .map(|range| (range.start().into(), range.end().into()))
                .collect();
            text.push(member(&ranges)?);
        }
        HirKind::Repetition(repetition) => {
            for _ in 0..repetition.min {
                write(&repetition.sub, text)?;
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, text))?,
        HirKind::Alternation(parts) => write(parts.first()?, text)?,
    }
    Some(())
}

/// A sign of a class, a plain one if it has any.
fn member(ranges: &[(u32, u32)]) -> Option<char> {
    let has = |sign: char| {
        ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&sign.into()))
    };
    let plain = "a0A /-._".chars().find(|sign| has(*sign));
    plain.or_else(|| char::from_u32(ranges.first()?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_together_once_each() {
        let wish = Wish::start("/tmp/")
            .and(&Wish::part("tmp"))
            .and(&Wish::part("a b"));
        assert_eq!(wish.and(&Wish::end("/sh")).text(), "/tmp/a b/sh");
        assert_eq!(Wish::end("/sh").text(), "/sh");
        assert_eq!(Wish::default().text(), "x");
        assert_eq!(Wish::whole("").text(), "");
    }

    #[test]
    fn regular_expressions_get_a_text_that_they_match() {
        for (pattern, text) in [
            (r"\s-[FTd]\s", " -F "),
            (r"^(curl|wget) .*\| *(ba)?sh$", "curl |sh"),
            ("(?i)AB{3}", "abbb"),
            ("[^-a0]x", "Ax"),
        ] {
            assert_eq!(
                Wish::regex(pattern).unwrap().text().to_lowercase(),
                text.to_lowercase()
            );
        }
        assert_eq!(Wish::regex("(a{1000}){1000}"), None);
        assert_eq!(Wish::regex("("), None);
    }

    #[test]
    fn names_fit_what_is_wished() {
        assert!(Wish::whole("Login").fits("login") && Wish::part("og").fits("login"));
        assert!(Wish::default().fits("login"));
        assert!(!Wish::start("x").fits("login") && !Wish::end("x").fits("login"));
    }
}
