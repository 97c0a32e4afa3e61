//! Files that are known to be bad, by their SHA-256: programs that are started, and files that land.
//!
//! Files of plain text, a digest a line in hexadecimal digits, with a name behind it if there is one: what `sha256sum` writes,
//! and most lists that are handed around. A line that begins with `#` says nothing.

use super::about::About;
use super::found::finding;
use super::meta::{Meta, meta};
use super::rule_files::Problem;
use super::{Detector, Findings};
use picket_common::event::{Event, Payload};
use rsigma_parser::Level;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The id of the rule that its findings name.
const RULE: &str = "known-bad-file";
const TITLE: &str = "Known bad file";
/// More digests are not kept.
const MOST: usize = 4_000_000;
/// Of more different names, the further ones are not kept.
const MOST_NAMES: usize = 100_000;
/// Of a longer name the beginning is kept.
const LONGEST_NAME: usize = 80;
/// A longer line is cut, and then wrong.
const LONGEST_LINE: u64 = 4096;
/// More wrong lines of a file are counted, and not named.
const NAMED: usize = 100;
/// A digest in hexadecimal digits, with the end of the line.
const LINE: u64 = 65;

/// Digests, shared by all that hold them.
#[derive(Clone, Default)]
pub struct Hashes(Arc<All>);

#[derive(Default)]
struct All {
    files: Vec<PathBuf>,
    /// By digest.
    known: Vec<Known>,
    /// For each, the number of its file.
    names: Vec<(usize, String)>,
}

/// Small, as there are many.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    digest: [u8; 32],
    name: u32,
}

impl Hashes {
    /// Reads the files. What is wrong is named; the rest counts. Of a file that cannot be read, what `before` had of it stays.
    pub(super) fn load(files: &[PathBuf], before: &Self) -> (Self, Vec<Problem>) {
        let mut loading = Loading::default();
        for (number, file) in files.iter().enumerate() {
            if let Err(error) = loading.read(number, file) {
                let kept = loading.take_over(number, file, before);
                let stays = if kept {
                    "; what it held before stays in force"
                } else {
                    ""
                };
                let message = format!("cannot be read: {error}{stays}");
                loading.problems.push(Problem::new(file, 1, message));
            }
        }
        let Loading {
            mut known,
            names,
            problems,
            ..
        } = loading;
        known.sort_unstable();
        known.dedup_by_key(|known| known.digest);
        known.shrink_to_fit();
        let files = files.to_vec();
        (Self(Arc::new(All { files, known, names })), problems)
    }

    /// How many digests there are.
    pub fn len(&self) -> usize {
        self.0.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.known.is_empty()
    }

    /// What people may want to know of the rule.
    pub(super) fn about(&self) -> Option<About> {
        let file = self.0.files.first().filter(|_| !self.is_empty())?;
        let what = "A program was started, or a file landed, that is one of a list of known bad ones, by its SHA-256.";
        Some(About::of_hashes(&rule(TITLE), what, file))
    }

    /// The name of a digest, empty where there is none, and the file that it stands in.
    fn find(&self, digest: &str) -> Option<(&str, &Path)> {
        let all = &self.0;
        let digest = bytes(digest.as_bytes())?;
        let at = all
            .known
            .binary_search_by_key(&digest, |known| known.digest)
            .ok()?;
        let name = usize::try_from(all.known.get(at)?.name).ok()?;
        let (file, name) = all.names.get(name)?;
        Some((name, all.files.get(*file)?))
    }
}

impl Detector for Hashes {
    fn name(&self) -> &'static str {
        "hashes"
    }

    fn describe(&self) -> &'static str {
        "finds programs and files that are known to be bad"
    }

    fn inspect(&mut self, event: &Event, findings: &mut Findings) {
        let digest = match &event.payload {
            Payload::Exec(exec) => exec.sha256.as_deref(),
            Payload::File(file) => file.content.as_deref().map(|content| content.sha256.as_str()),
            _ => return,
        };
        let found = digest.and_then(|digest| self.find(digest));
        if let Some((name, file)) = found {
            let title = match name {
                "" => format!("{TITLE}, listed in {}", file.display().to_string().escape_debug()),
                name => format!("{TITLE} {}", name.escape_debug()),
            };
            let mut found = finding(&rule(&title), event, Vec::new(), None, vec![event.id]);
            found.rule.title = TITLE.to_owned();
            findings.found.push(found);
        }
    }
}

fn rule(title: &str) -> Meta {
    let (tags, suggests) = (["attack.t1204.002".to_owned()], vec!["kill_tree".to_owned()]);
    meta(Some(RULE), title, Some(Level::High), &tags, suggests)
}

#[derive(Default)]
struct Loading {
    known: Vec<Known>,
    names: Vec<(usize, String)>,
    problems: Vec<Problem>,
    /// The places of names that were seen, and of the one that stands for all others of a file.
    places: HashMap<(usize, String), u32>,
}

impl Loading {
    fn read(&mut self, number: usize, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let data = file.metadata()?;
        if !data.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let lines = usize::try_from(data.len() / LINE).unwrap_or(MOST);
        self.known.reserve_exact(lines.min(MOST));
        let (mut input, mut line) = (BufReader::new(file), Vec::new());
        let (mut at, mut wrong) = (0, 0);
        // What was read before an error counts all the same: it is not what was there before.
        loop {
            line.clear();
            if input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            at += 1;
            if line.len() as u64 == LONGEST_LINE && line.last() != Some(&b'\n') {
                input.skip_until(b'\n')?;
            }
            if let Err(message) = self.line(number, line.trim_ascii()) {
                wrong += 1;
                if wrong <= NAMED {
                    self.problems.push(Problem::new(path, at, message.to_owned()));
                }
            }
        }
        if wrong > NAMED {
            let message = format!("{} more lines are wrong", wrong - NAMED);
            self.problems.push(Problem::new(path, at, message));
        }
        Ok(())
    }

    fn line(&mut self, file: usize, line: &[u8]) -> Result<(), &'static str> {
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        let end = line
            .iter()
            .position(|byte| b" \t,;".contains(byte))
            .unwrap_or(line.len());
        let (digest, name) = line.split_at(end);
        let digest = bytes(digest)
            .ok_or("is no SHA-256: 64 hexadecimal digits, and a name behind them if there is one")?;
        if self.known.len() >= MOST {
            return Err("is left out: there are more than 4000000 digests");
        }
        let name = String::from_utf8_lossy(name);
        let name = name.trim_start_matches([' ', '\t', ',', ';', '*', '#']);
        let name = self.place(
            file,
            name.get(..name.floor_char_boundary(LONGEST_NAME))
                .unwrap_or_default(),
        );
        self.known.push(Known { digest, name });
        Ok(())
    }

    fn place(&mut self, file: usize, name: &str) -> u32 {
        let name = if self.names.len() < MOST_NAMES { name } else { "" };
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let names = &mut self.names;
        let key = (file, name.to_owned());
        *self.places.entry(key).or_insert_with(|| {
            names.push((file, name.to_owned()));
            next
        })
    }

    /// Takes what was known of a file before. Whether there was anything.
    fn take_over(&mut self, number: usize, file: &Path, before: &Hashes) -> bool {
        let Some(old) = before.0.files.iter().position(|known| known == file) else {
            return false;
        };
        let had = self.known.len();
        for known in &before.0.known {
            let name = usize::try_from(known.name)
                .ok()
                .and_then(|name| before.0.names.get(name));
            if let Some((_, name)) = name.filter(|(file, _)| *file == old) {
                let name = self.place(number, name);
                self.known.push(Known { name, ..*known });
            }
        }
        self.known.len() > had
    }
}

/// A digest from its hexadecimal digits.
fn bytes(text: &[u8]) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{Credentials, ExecEvent};
    use picket_common::ids::RecordId;
    use picket_common::process::ProcessId;
    use picket_common::time::Timestamp;
    use std::fmt::Write as _;
    use std::fs;

    fn digest(number: u64) -> String {
        format!(
            "{:016x}{:048x}",
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            number
        )
    }

    fn summaries(hashes: &mut Hashes, sha256: Option<String>) -> Vec<String> {
        let time = Timestamp::default();
        let exec = ExecEvent {
            sha256: sha256.map(Into::into),
            ..ExecEvent::new(ProcessId { pid: 7, start: 9 }, "/tmp/x", Credentials::default())
        };
        let event = Event {
            id: RecordId::derived(time, &[b"a"]),
            time,
            observed: time,
            payload: Payload::Exec(exec.into()),
        };
        let mut findings = Findings::default();
        hashes.inspect(&event, &mut findings);
        let found = findings.found.into_iter();
        found
            .map(|finding| {
                assert_eq!(
                    (finding.rule.id.as_str(), finding.rule.title.as_str()),
                    (RULE, TITLE)
                );
                assert_eq!(
                    (finding.process.unwrap().pid, finding.events),
                    (7, vec![event.id])
                );
                finding.summary
            })
            .collect()
    }

    #[test]
    fn what_is_listed_is_found_and_each_wrong_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bad.txt");
        let (one, two, three) = (digest(1), digest(2).to_uppercase(), digest(3));
        let text = format!("# a list\n\n{one}\n{two}  *Mirai\u{1b}[2J\nxyz\n{three},c,d\n{three}00\n");
        fs::write(&file, text).unwrap();
        let files = [file.clone(), folder.path().join("gone.txt")];
        let (mut hashes, problems) = Hashes::load(&files, &Hashes::default());
        let lines: Vec<(bool, usize)> = problems
            .iter()
            .map(|problem| (problem.file == file, problem.line))
            .collect();
        assert_eq!(lines, [(true, 5), (true, 7), (false, 1)]);
        assert_eq!(hashes.len(), 3);
        let listed = format!("Known bad file, listed in {} by /tmp/x", file.display());
        assert_eq!(summaries(&mut hashes, Some(one)), [listed]);
        let named = r"Known bad file Mirai\u{1b}[2J by /tmp/x";
        assert_eq!(summaries(&mut hashes, Some(two.to_lowercase())), [named]);
        assert_eq!(
            summaries(&mut hashes, Some(three.clone())),
            ["Known bad file c,d by /tmp/x"]
        );
        for other in [None, Some(digest(4)), Some("xyz".to_owned())] {
            assert_eq!(summaries(&mut hashes, other), [] as [&str; 0]);
        }

        // A file that cannot be read any more stays in force, one that is written anew does not.
        fs::remove_file(&file).unwrap();
        let (mut kept, problems) = Hashes::load(&files, &hashes);
        assert_eq!((kept.len(), problems.len()), (3, 2));
        assert!(problems[0].message.contains("stays in force"), "{problems:?}");
        assert_eq!(summaries(&mut kept, Some(three.clone())).len(), 1);
        fs::write(&file, digest(4)).unwrap();
        let (mut fresh, _) = Hashes::load(&files, &kept);
        assert_eq!((fresh.len(), summaries(&mut fresh, Some(three)).len()), (1, 0));
    }

    #[test]
    fn a_million_fit_and_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bad.txt");
        let mut text = String::new();
        for number in 0..1_000_000_u64 {
            writeln!(text, "{} family{}", digest(number), number % 1000).unwrap();
        }
        fs::write(&file, &text).unwrap();
        drop(text);
        let (mut hashes, problems) = Hashes::load(&[file], &Hashes::default());
        assert_eq!((hashes.len(), problems.len()), (1_000_000, 0));
        let bytes = hashes.0.known.capacity() * size_of::<Known>();
        assert!(bytes <= 60 << 20, "{bytes} bytes");
        assert_eq!(
            summaries(&mut hashes, Some(digest(123_456))),
            ["Known bad file family456 by /tmp/x"]
        );
        assert_eq!(summaries(&mut hashes, Some(digest(1_000_001))), [] as [&str; 0]);
    }
}
