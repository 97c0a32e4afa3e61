//! Pieces of text without which a matcher cannot match, in lower case: they are all looked for at once, and a rule is asked
//! only where one of its pieces was found.

use super::needed::{Needed, all, any};
use regex_syntax::hir::{Class, Hir, HirKind};
use rsigma_eval::CompiledMatcher;
use rsigma_eval::matcher::GroupMode;
use std::collections::BTreeSet;

/// A shorter piece is in so many texts that looking for it saves nothing.
const SHORTEST: usize = 2;

/// Pieces of which a text that the matcher takes holds one; `None` where it need not hold any.
pub(super) fn pieces(matcher: &CompiledMatcher) -> Needed<String> {
    match matcher {
        CompiledMatcher::Exact { value, .. }
        | CompiledMatcher::Contains { value, .. }
        | CompiledMatcher::StartsWith { value, .. }
        | CompiledMatcher::EndsWith { value, .. } => one(value.to_lowercase()),
        CompiledMatcher::AhoCorasickSet { needles, .. } => {
            any(needles.iter().map(|needle| one(needle.to_lowercase())))
        }
        CompiledMatcher::Regex(regex) => of_pattern(regex.as_str()),
        CompiledMatcher::RegexSetMatch { set, mode } => {
            let parts = set.patterns().iter().map(|pattern| of_pattern(pattern));
            grouped(*mode, parts)
        }
        CompiledMatcher::AnyOf(parts) => any(parts.iter().map(pieces)),
        CompiledMatcher::AllOf(parts) => all(parts.iter().map(pieces), worth),
        CompiledMatcher::CaseInsensitiveGroup { children, mode } => {
            grouped(*mode, children.iter().map(pieces))
        }
        _ => None,
    }
}

/// The shortest piece decides: the longer it is, the rarer.
fn worth(pieces: &BTreeSet<String>) -> usize {
    pieces.iter().map(String::len).min().unwrap_or(usize::MAX)
}

fn one(piece: String) -> Needed<String> {
    (piece.len() >= SHORTEST).then(|| BTreeSet::from([piece]))
}

fn grouped(mode: GroupMode, parts: impl Iterator<Item = Needed<String>>) -> Needed<String> {
    match mode {
        GroupMode::Any => any(parts),
        GroupMode::All => all(parts, worth),
    }
}

/// Pieces of what a regular expression matches.
fn of_pattern(pattern: &str) -> Needed<String> {
    let mut parser = regex_syntax::ParserBuilder::new().utf8(false).build();
    of_hir(&parser.parse(pattern).ok()?)
}

fn of_hir(hir: &Hir) -> Needed<String> {
    match hir.kind() {
        HirKind::Capture(capture) => of_hir(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of_hir(&repetition.sub),
        HirKind::Alternation(parts) => any(parts.iter().map(of_hir)),
        HirKind::Concat(parts) => {
            let mut best = all(parts.iter().map(of_hir), worth);
            // What stands side by side is one piece.
            let mut piece = String::new();
            for part in parts {
                match plain(part) {
                    Some(text) => piece.push_str(&text),
                    None => best = all([best, one(std::mem::take(&mut piece))].into_iter(), worth),
                }
            }
            all([best, one(piece)].into_iter(), worth)
        }
        _ => one(plain(hir)?),
    }
}

/// The one text, in lower case, that a part matches.
fn plain(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(String::new()),
        HirKind::Literal(literal) => Some(std::str::from_utf8(&literal.0).ok()?.to_lowercase()),
        // One letter in both cases is one letter here. Some have a third form, which is another.
        HirKind::Class(Class::Unicode(class)) => {
            let mut found = None;
            for range in class.ranges() {
                if u32::from(range.end()) - u32::from(range.start()) > 2 {
                    return None;
                }
                for sign in range.start()..=range.end() {
                    let lower = sign.to_lowercase().to_string();
                    if found.get_or_insert_with(|| lower.clone()) != &lower {
                        return None;
                    }
                }
            }
            found
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Vec<String> {
        of_pattern(pattern).into_iter().flatten().collect()
    }

    #[test]
    fn what_an_expression_cannot_match_without_is_found() {
        for (pattern, pieces) in [
            (r"sh\s+-i\b.*/dev/(tcp|udp)/", &["/dev/"][..]),
            (r"\b(curl|wget)\s[^|]*\|\s*(ba)?sh", &["curl", "wget"]),
            (r"(?i)MkDir", &["mkdir"]),
            (r"^/tmp/[a-z]+\.x$", &["/tmp/"]),
            (r"(abc)+d?", &["abc"]),
            (r"(?i)kiss", &["ki"]),
            (r"a|bcd", &[]),
            (r"(abc)?", &[]),
            (r"\w+", &[]),
            (r"[ab]c", &[]),
        ] {
            assert_eq!(of(pattern), pieces, "{pattern}");
        }
    }
}
