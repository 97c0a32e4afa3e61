//! Patterns of paths: `?` and `*` stand for what is between two slashes, `**` for anything.

use std::fmt;

/// A pattern, matched against whole paths, byte by byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glob(String);

/// Longer ones are no patterns of paths.
const LONGEST: usize = 4096;

impl Glob {
    /// A pattern for paths from the root: it begins with `/` or `**`. An error says nothing more.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = (text.starts_with('/') || text.starts_with("**")) && text.len() <= LONGEST;
        if fits && !text.contains('\0') {
            Ok(Self(text.to_owned()))
        } else {
            Err(String::new())
        }
    }

    /// Whether it means whatever may come to lie in this folder, at any depth.
    pub fn matches_all_below(&self, folder: &[u8]) -> bool {
        // What ends in two stars goes on to fit, whatever follows what it fits.
        self.0.ends_with("**") && self.matches(&[folder, b"/"].concat())
    }

    /// Whether a path is one of those that it means.
    pub fn matches(&self, path: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut at, mut next) = (0, 0);
        // Where to go on in the pattern and in the path after the last star of each kind, once what follows it does not fit.
        let mut star: Option<(usize, usize)> = None;
        let mut stars = None;
        loop {
            let rest = pattern.get(next..).unwrap_or_default();
            let byte = path.get(at).copied();
            match (rest, byte) {
                ([b'*', b'*', ..], _) => {
                    next += 2;
                    // As in `/**/x`: what the stars stand for may be nothing, and then one slash is enough.
                    if let Some(b'/') = pattern.get(next)
                        && (next == 2 || pattern.get(next - 3) == Some(&b'/'))
                        && (at == 0 || path.get(at - 1) == Some(&b'/'))
                    {
                        stars = Some((next, at));
                        star = None;
                        next += 1;
                        continue;
                    }
                    stars = Some((next, at));
                    star = None;
                    continue;
                }
                ([b'*', ..], _) => {
                    next += 1;
                    star = Some((next, at));
                    continue;
                }
                ([], None) => return true,
                ([b'?', ..], Some(byte)) if byte != b'/' => {
                    at += 1;
                    next += 1;
                    continue;
                }
                ([wanted, ..], Some(byte)) if *wanted == byte && *wanted != b'?' => {
                    at += 1;
                    next += 1;
                    continue;
                }
                _ => {}
            }
            if let Some((after, tried)) = star
                && path.get(tried).is_some_and(|byte| *byte != b'/')
            {
                star = Some((after, tried + 1));
                (next, at) = (after, tried + 1);
            } else if let Some((after, tried)) = stars
                && tried < path.len()
            {
                star = None;
                stars = Some((after, tried + 1));
                (next, at) = (after, tried + 1);
            } else {
                return false;
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stop_at_slashes_and_two_do_not() {
        let cases: &[(&str, &str, bool)] = &[
            ("/tmp/*.log", "/tmp/a.log", true),
            ("/tmp/*.log", "/tmp/a/b.log", false),
            ("/tmp/**", "/tmp/a/b.log", true),
            ("/tmp/**", "/tmp", false),
            ("/tmp/**", "/tmp2/a", false),
            ("/home/*/.cache/**", "/home/a/.cache/x/y", true),
            ("/home/*/.cache/**", "/home/a/b/.cache/x", false),
            ("**/.git/objects/**", "/srv/x/.git/objects/ab/cd", true),
            ("**/.git/objects/**", "/srv/x/git/objects/ab/cd", false),
            ("/a/**/z", "/a/z", true),
            ("/a/**/z", "/a/b/c/z", true),
            ("/a/**/z", "/a/b/c/zz", false),
            ("/a/*b*c", "/a/xbxbxc", true),
            ("/a/*b*c", "/a/xbx/bxc", false),
            ("/a/**b*/c", "/a/x/yb1/b2/c", true),
            ("/a?c", "/abc", true),
            ("/a?c", "/a/c", false),
            ("/a", "/a", true),
            ("/a", "/ab", false),
        ];
        for (pattern, path, fits) in cases {
            let glob = Glob::parse(pattern).unwrap();
            assert_eq!(glob.matches(path.as_bytes()), *fits, "{pattern} {path}");
        }
        assert!(Glob::parse("tmp/*").is_err() && Glob::parse("").is_err());
    }

    #[test]
    fn a_pattern_full_of_stars_takes_no_longer_than_its_square() {
        let glob = Glob::parse(&format!("/{}x", "*a**b".repeat(200))).unwrap();
        assert!(!glob.matches("/ab".repeat(1300).as_bytes()));
    }
}
