//! YARA rules, and matching them against bytes.

use super::protocol::Problem;
use super::rules::Source;
use crate::parse::magic::Kind;
use boreal::compiler::CompilerParams;
use boreal::scanner::{CallbackEvents, EvaluatedRule, ScanCallbackResult, ScanError, ScanEvent, ScanParams};
use boreal::{Compiler, Metadata, MetadataValue, Scanner};
use compact_str::CompactString;
use picket_common::action::ActionKind;
use picket_common::event::YaraMatch;
use std::time::{Duration, Instant};

/// What rules may ask about a file beside its bytes. `md5` is of the file as a whole.
const VARIABLES: [&str; 6] = ["filename", "filepath", "extension", "filetype", "owner", "md5"];
/// As many matches of one file are told.
pub(super) const MOST_MATCHES: usize = 64;
/// As much of a name or description is told, in characters.
const LONGEST_TEXT: usize = 256;
/// As many tags of a rule, and techniques, are told.
const MOST_TAGS: usize = 8;
/// In this a rule names the response that it suggests.
const RESPOND: &str = "picket_respond";
/// What a rule can suggest. Anything else would be done to whoever wrote the file, of whom it knows nothing.
const RESPONSE: &str = ActionKind::Quarantine.as_str();

/// Compiled rules. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Rules(Scanner);

/// Bytes, and what is known about them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) bytes: &'a [u8],
    /// The path, of a member of an archive that inside it.
    pub(super) path: &'a str,
    pub(super) kind: Option<Kind>,
    pub(super) owner: &'a str,
    pub(super) md5: &'a str,
}

impl Rules {
    /// Compiles what can be compiled. A file in which anything is wrong is left out as a whole, and named: half of it might
    /// match without the half that keeps it from matching too much.
    pub(super) fn compile(sources: &[Source]) -> (Self, Vec<Problem>) {
        let (compiler, mut problems) = compile(sources);
        let rules = Self(compiler.finalize());
        problems.extend(rules.wrong_responses());
        if problems.is_empty() {
            return (rules, problems);
        }
        // What came before the mistake has been taken already.
        let is_good = |source: &&Source| problems.iter().all(|problem| problem.file != source.name);
        let good: Vec<Source> = sources.iter().filter(is_good).cloned().collect();
        (Self(compile(&good).0.finalize()), problems)
    }

    /// The rules that suggest what they cannot.
    fn wrong_responses(&self) -> Vec<Problem> {
        let wrong = |rule: boreal::scanner::RuleDetails<'_>| {
            let value = self.value_of(rule.metadatas, RESPOND)?;
            let named = match value {
                MetadataValue::Bytes(text) => {
                    String::from_utf8_lossy(self.0.get_bytes_symbol(text)).into_owned()
                }
                MetadataValue::Integer(number) => number.to_string(),
                MetadataValue::Boolean(yes) => yes.to_string(),
            };
            (named != RESPONSE).then(|| Problem {
                file: rule.namespace.to_owned(),
                line: None,
                message: format!(
                    "{RESPOND} of the rule {}: '{}' is nothing that a YARA rule can suggest; known is {RESPONSE}",
                    cut(rule.name),
                    cut(&named).escape_debug()
                ),
            })
        };
        self.0.rules().filter_map(wrong).collect()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.rules().count()
    }

    /// Matches all rules, and gives why not all were, if so. Those that matched before the time was over are told.
    pub(super) fn matches(
        &mut self,
        subject: &Subject<'_>,
        until: Instant,
        found: &mut Vec<YaraMatch>,
    ) -> Option<String> {
        self.describe(subject);
        let time = until.saturating_duration_since(Instant::now());
        if time.is_zero() {
            return Some("the time was over before all was matched".to_owned());
        }
        self.0
            .set_scan_params(ScanParams::default().timeout_duration(Some(time)));
        let broken = holds_another(subject.bytes).then(|| broken(subject.bytes));
        let bytes = broken.as_deref().unwrap_or(subject.bytes);
        let (result, stopped) = match self.0.scan_mem(bytes) {
            Ok(result) => (result, None),
            Err((error, result)) => (result, Some(error)),
        };
        for rule in &result.rules {
            found.push(self.told(rule));
        }
        let Some(stopped) = stopped else {
            let why =
                "a file for several processors holds another such: it was matched without its first byte";
            return broken.is_some().then(|| why.to_owned());
        };
        match stopped {
            ScanError::Timeout => Some(match self.slow(bytes, time) {
                Some(rule) => format!("the rule {rule} took too long"),
                None => "matching took too long".to_owned(),
            }),
            error => Some(error.to_string()),
        }
    }

    fn describe(&mut self, subject: &Subject<'_>) {
        let name = subject.path.rsplit('/').next().unwrap_or_default();
        let extension = name.rfind('.').and_then(|at| name.get(at..)).unwrap_or_default();
        let extension = extension.to_ascii_lowercase();
        let kind = subject.kind.map_or("", |kind| kind.name);
        let values = [name, subject.path, &extension, kind, subject.owner, subject.md5];
        for (variable, value) in VARIABLES.iter().zip(values) {
            // All of them were declared, as text.
            drop(self.0.define_symbol(variable, value));
        }
    }

    fn told(&self, rule: &EvaluatedRule<'_>) -> YaraMatch {
        let tags = rule.tags.iter().take(MOST_TAGS);
        YaraMatch {
            rule: cut(rule.name),
            source: cut(rule.namespace),
            tags: tags.map(|tag| cut(self.0.get_string_symbol(*tag))).collect(),
            description: self.text_of(rule.metadatas, "description"),
            score: self.number_of(rule.metadatas, "score"),
            attack: self
                .text_of(rule.metadatas, "attack")
                .map(|text| techniques(&text))
                .unwrap_or_default(),
            respond: self.text_of(rule.metadatas, RESPOND),
            member: None,
        }
    }

    fn value_of(&self, all: &[Metadata], key: &str) -> Option<MetadataValue> {
        let found = all
            .iter()
            .find(|entry| self.0.get_string_symbol(entry.name).eq_ignore_ascii_case(key));
        found.map(|entry| entry.value)
    }

    fn text_of(&self, all: &[Metadata], key: &str) -> Option<CompactString> {
        match self.value_of(all, key)? {
            MetadataValue::Bytes(text) => Some(cut(&String::from_utf8_lossy(self.0.get_bytes_symbol(text)))),
            _ => None,
        }
    }

    fn number_of(&self, all: &[Metadata], key: &str) -> Option<u8> {
        match self.value_of(all, key)? {
            MetadataValue::Integer(number) => u8::try_from(number).ok(),
            MetadataValue::Bytes(text) => std::str::from_utf8(self.0.get_bytes_symbol(text))
                .ok()?
                .parse()
                .ok(),
            MetadataValue::Boolean(_) => None,
        }
        .filter(|score| *score <= 100)
    }

    /// The rule at which the time was over: all rules are matched once more, and told one after the other, until one is not.
    /// `None` when it is over before the first, as while looking for strings.
    fn slow(&self, bytes: &[u8], time: Duration) -> Option<String> {
        let mut scanner = self.0.clone();
        let params = ScanParams::default()
            .timeout_duration(Some(time))
            .include_not_matched_rules(true)
            .callback_events(CallbackEvents::RULE_MATCH | CallbackEvents::RULE_NO_MATCH);
        scanner.set_scan_params(params);
        let mut told = 0_usize;
        let outcome = scanner.scan_mem_with_callback(bytes, |event| {
            if matches!(event, ScanEvent::RuleMatch(_) | ScanEvent::RuleNoMatch(_)) {
                told += 1;
            }
            ScanCallbackResult::Continue
        });
        if told == 0 || !matches!(outcome, Err(ScanError::Timeout)) {
            return None;
        }
        let mut in_order = self.0.rules().filter(|rule| !rule.is_private);
        in_order
            .nth(told)
            .map(|rule| format!("{} of {}", cut(rule.name), cut(rule.namespace)))
    }
}

fn compile(sources: &[Source]) -> (Compiler, Vec<Problem>) {
    let mut compiler = Compiler::new();
    // The worker has no files to include.
    compiler.set_params(CompilerParams::default().disable_includes(true));
    for variable in VARIABLES {
        compiler.define_symbol(variable, "");
    }
    let mut problems = Vec::new();
    for source in sources {
        if let Err(error) = compiler.add_rules_str_in_namespace(&source.text, &source.name) {
            problems.push(problem(source, &error.to_string()));
        }
    }
    (compiler, problems)
}

/// The ids of techniques in a text, such as `T1505.003, T1027`.
fn techniques(text: &str) -> Vec<CompactString> {
    let is_id = |word: &&str| {
        let digits =
            |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
        word.strip_prefix('T').is_some_and(|id| match id.split_once('.') {
            Some((whole, part)) => digits(whole, 4) && digits(part, 3),
            None => digits(id, 4),
        })
    };
    let words = text.split(|sign: char| sign == ',' || sign.is_whitespace());
    words.filter(is_id).take(MOST_TAGS).map(Into::into).collect()
}

/// Takes the place out of a complaint such as `mem:3:5: error: expected …`, followed by the lines that it is about.
fn problem(source: &Source, complaint: &str) -> Problem {
    let first = complaint.lines().next().unwrap_or_default();
    let mut parts = first.splitn(4, ':');
    let (_, line, _column, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
    let line = line.and_then(|line| line.parse().ok());
    let message = rest.filter(|_| line.is_some()).unwrap_or(first).trim();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    Problem {
        file: source.name.clone(),
        line,
        message: cut(message).into(),
    }
}

/// What a rule or a file calls itself, cut to a length that is told.
pub(super) fn cut(text: &str) -> CompactString {
    text.chars().take(LONGEST_TEXT).collect()
}

/// Whether a Mach-O file for several processors has another one in the place of a program. There is none of use, and boreal 1.4 follows
/// them as deep as they go: one that holds itself is the end of whoever looks into it.
fn holds_another(bytes: &[u8]) -> bool {
    const SEVERAL: [&[u8]; 2] = [b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"];
    let begins = |bytes: &[u8], magic: &[&[u8]]| magic.iter().any(|magic| bytes.starts_with(magic));
    // Kinds of processor, then where its program begins, in four bytes or in eight.
    let (length, place) = match bytes {
        _ if !begins(bytes, &SEVERAL) => return false,
        [_, _, _, 0xbe, ..] => (20, 8..12),
        _ => (32, 8..16),
    };
    let entries = bytes.get(8..).unwrap_or_default().chunks_exact(length);
    let count = bytes.get(4..8).and_then(|count| count.try_into().ok());
    let count = count.map_or(0, u32::from_be_bytes);
    let mut programs = (0..count).zip(entries).filter_map(|(_, entry)| {
        let digits = entry.get(place.clone())?;
        let place = digits
            .iter()
            .fold(0, |place, digit| place << 8 | u64::from(*digit));
        bytes.get(usize::try_from(place).ok()?..)
    });
    programs.any(|program| begins(program, &SEVERAL))
}

/// The same bytes as no such file.
fn broken(bytes: &[u8]) -> Vec<u8> {
    let mut broken = bytes.to_owned();
    if let Some(first) = broken.first_mut() {
        *first = 0;
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> Source {
        Source {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    fn subject<'a>(bytes: &'a [u8], path: &'a str) -> Subject<'a> {
        Subject {
            bytes,
            path,
            kind: Kind::of(bytes),
            owner: "root",
            md5: "",
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_file_for_several_processors_that_holds_itself_ends_nobody() {
        let rules = "import \"macho\" rule several { condition: macho.nfat_arch > 0 } rule text { strings: $a = \"words\" condition: $a }";
        let (mut rules, problems) = Rules::compile(&[source("macho.yar", rules)]);
        assert_eq!(problems, []);
        let of = |magic: u8, place: &[u8]| {
            let head: &[u8] = &[0xca, 0xfe, 0xba, magic, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 3];
            [head, place, &[0, 0, 0, 50, 0, 0, 0, 0], b"words", &[0; 50]].concat()
        };
        let mut names = |bytes: &[u8]| {
            let mut found = Vec::new();
            let why = rules.matches(&subject(bytes, "/f"), soon(), &mut found);
            (
                found
                    .iter()
                    .map(|found| found.rule.to_string())
                    .collect::<Vec<_>>(),
                why,
            )
        };
        for itself in [of(0xbe, &[0; 4]), of(0xbf, &[0; 8])] {
            let (found, why) = names(&itself);
            assert_eq!(found, ["text"]);
            assert!(why.unwrap().contains("holds another"));
        }
        // An ordinary one.
        assert_eq!(
            names(&of(0xbe, &[0, 0, 0, 36])),
            (vec!["several".to_owned(), "text".to_owned()], None)
        );
    }

    #[test]
    fn a_file_that_is_wrong_is_named_with_its_line_and_the_rest_match() {
        let sources = [
            source(
                "good.yar",
                "rule good : tag { meta: description = \"d\" score = 70 condition: true }",
            ),
            source(
                "bad.yar",
                "rule fine { condition: true }\nrule bad {\n  condition: $nothing\n}",
            ),
            source("worse.yar", "rule fine { condition: true }\n\nrule { }"),
            source("more.yar", "include \"good.yar\""),
        ];
        let (mut rules, problems) = Rules::compile(&sources);
        assert_eq!(rules.count(), 1);
        let places: Vec<_> = problems
            .iter()
            .map(|problem| (&*problem.file, problem.line))
            .collect();
        assert_eq!(
            places,
            [
                ("bad.yar", Some(3)),
                ("worse.yar", Some(3)),
                ("more.yar", Some(1))
            ]
        );
        assert!(
            problems[0].message.contains("$nothing") || problems[0].message.contains("nothing"),
            "{problems:?}"
        );
        let mut found = Vec::new();
        assert_eq!(rules.matches(&subject(b"", "/a"), soon(), &mut found), None);
        assert_eq!(
            (found[0].rule.as_str(), found[0].source.as_str()),
            ("good", "good.yar")
        );
        assert_eq!(
            (found[0].score, found[0].description.as_deref()),
            (Some(70), Some("d"))
        );
        assert_eq!(found[0].tags, ["tag"]);
    }

    #[test]
    fn a_rule_names_techniques_and_what_it_suggests_which_must_be_known() {
        let text = |respond: &str| {
            format!(
                "rule good {{ meta: attack = \"T1505.003, T1027 none T12345\" {respond} condition: true }}"
            )
        };
        let sources = [
            source("good.yar", &text("picket_respond = \"quarantine\"")),
            source("bad.yar", &text("picket_respond = \"kill\"")),
            source("worse.yar", &text("picket_respond = true")),
        ];
        let (mut rules, problems) = Rules::compile(&sources);
        let told: Vec<_> = problems
            .iter()
            .map(|problem| (&*problem.file, &*problem.message))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "bad.yar",
                    "picket_respond of the rule good: 'kill' is nothing that a YARA rule can suggest; known is quarantine"
                ),
                (
                    "worse.yar",
                    "picket_respond of the rule good: 'true' is nothing that a YARA rule can suggest; known is quarantine"
                ),
            ]
        );
        let mut found = Vec::new();
        assert_eq!(rules.matches(&subject(b"", "/a"), soon(), &mut found), None);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].attack, ["T1505.003", "T1027"]);
        assert_eq!(found[0].respond.as_deref(), Some("quarantine"));
    }

    #[test]
    fn rules_may_ask_for_name_path_extension_kind_and_owner() {
        let text = r#"rule all { condition: filename == "Shell.PHP" and filepath == "/srv/www/Shell.PHP"
            and extension == ".php" and filetype == "GIF" and owner == "root" and md5 == "" }"#;
        let (mut rules, problems) = Rules::compile(&[source("v.yar", text)]);
        assert_eq!(problems, []);
        let mut found = Vec::new();
        assert_eq!(
            rules.matches(&subject(b"GIF89a", "/srv/www/Shell.PHP"), soon(), &mut found),
            None
        );
        assert_eq!(found.len(), 1);
        rules.matches(&subject(b"GIF89a", "/srv/www/other.php"), soon(), &mut found);
        assert_eq!(
            found.len(),
            1,
            "what was set for one file is not kept for the next"
        );
    }

    #[test]
    fn a_rule_that_takes_too_long_is_named_and_those_before_it_are_told() {
        let sources = [
            source("quick.yar", "rule quick { condition: true }"),
            source(
                "slow.yar",
                "private rule hidden { condition: true }\nrule slow { condition: for all i in (0..100000000000) : (uint8(i % filesize) == 97) }",
            ),
            source("last.yar", "rule last { condition: true }"),
        ];
        let (mut rules, problems) = Rules::compile(&sources);
        assert_eq!(problems, []);
        let mut found = Vec::new();
        let until = Instant::now() + Duration::from_millis(300);
        let why = rules.matches(&subject(b"aaaa", "/a"), until, &mut found).unwrap();
        assert_eq!(why, "the rule slow of slow.yar took too long");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].rule, "quick");
    }
}
