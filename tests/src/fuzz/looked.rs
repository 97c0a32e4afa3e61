//! What lands on a host: mails, archives, programs, whatever anybody makes look like one.

use picket_agent::detect::mail::{MailPolicy, judge};
use picket_agent::parse::eml::{self, Border};
use picket_agent::parse::magic::{Kind, LOOKED_AT, Magic};
use picket_agent::parse::{tar, zip};
use picket_agent::scan::{Limits, Look};
use rustix::fs::{MemfdFlags, memfd_create};
use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// A rule for each of the modules that take formats apart, beside those that are shipped.
const MODULES: &str = r#"
import "elf"
import "pe"
import "macho"
import "math"
import "hash"
import "time"
rule elf { condition: elf.number_of_sections > 0 or elf.symtab_entries > 0 or elf.dynsym_entries > 0 or elf.dynamic_section_entries > 0 }
rule pe { condition: pe.number_of_sections > 0 or pe.imports("a.dll", "b") or pe.exports("c") or pe.number_of_resources > 0 or pe.rich_signature.key == 1 or pe.imphash() == "d" or pe.number_of_signatures > 0 or pe.pdb_path == "e" or pe.version_info["f"] == "g" }
rule macho { condition: macho.number_of_segments > 0 or macho.ncmds > 0 }
rule measured { condition: math.entropy(0, filesize) > 1.0 and hash.md5(0, filesize) != "h" and time.now() > 0 }
"#;

pub(super) fn mail(bytes: &[u8]) {
    let mail = eml::read(bytes, false, &Border::default());
    let policy = MailPolicy {
        domains: vec!["example.org".to_owned()],
    };
    let judgement = judge(&mail, &policy);
    assert!((0..=100).contains(&judgement.score));
    assert_eq!(
        judge(&mail, &policy),
        judgement,
        "it is judged the same at any time"
    );
    let told = serde_json::to_vec(&(&mail, &judgement)).expect("it can be told");
    // Lists are bounded: a mail of a few bytes fills no screen.
    assert!(
        told.len() <= 64 * bytes.len() + 16_384,
        "{} of {}",
        told.len(),
        bytes.len()
    );
}

pub(super) fn magic(bytes: &[u8]) {
    let head = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    assert_eq!(Kind::of(head), Kind::of(bytes), "no more than that is looked at");
    assert_eq!(Magic::of(bytes) == Magic::Empty, bytes.is_empty());
}

pub(super) fn archive(bytes: &[u8]) {
    let inside = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr()) || part.is_empty();
    for member in zip::members(bytes).into_iter().flatten() {
        assert!(inside(member.packed) && inside(member.name));
    }
    let members = tar::members(bytes).inspect(|(_, member)| assert!(inside(member)));
    assert!(members.count() <= bytes.len() / 512);
    look(bytes, &[]);
}

pub(super) fn scan(bytes: &[u8]) {
    thread_local!(static RULES: Vec<(String, String)> = rules());
    RULES.with(|rules| {
        let rules: Vec<(&str, &str)> = rules
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        look(bytes, &rules);
    });
}

/// Looks into bytes as a worker does that has rules, or none.
fn look(bytes: &[u8], rules: &[(&str, &str)]) {
    thread_local!(static LOOKS: [RefCell<Option<Look>>; 2] = const { [const { RefCell::new(None) }; 2] });
    let limits = Limits {
        // Nothing that is this short takes so long.
        time: Duration::from_secs(5),
        unpacked: 32 << 20,
        ..Limits::default()
    };
    let mut file = File::from(memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("a file in memory"));
    file.write_all(bytes).expect("memory takes all");
    LOOKS.with(|looks| {
        let look = &mut *looks[usize::from(!rules.is_empty())].borrow_mut();
        let look = look.get_or_insert_with(|| {
            let (look, problems) = Look::new(rules, limits);
            assert!(problems.is_empty(), "{problems:?}");
            look
        });
        let content = look.inspect(&file.into(), "/srv/upload/name.gz", "www-data");
        assert_eq!(content.sha256.len(), 64);
        assert!(content.matches.len() <= 64 && content.entropy <= 800);
        let unscanned = content.unscanned.unwrap_or_default();
        assert!(
            !unscanned.contains("too long") && !unscanned.contains("the time was over"),
            "{unscanned}"
        );
    });
}

fn rules() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules/yara");
    let mut rules = vec![("modules".to_owned(), MODULES.to_owned())];
    for file in folder.read_dir().expect("rules are shipped") {
        let path = file.expect("it is listed").path();
        if path.extension().is_some_and(|ending| ending == "yar") {
            let text = std::fs::read_to_string(&path).expect("it can be read");
            rules.push((path.display().to_string(), text));
        }
    }
    assert!(rules.len() > 1);
    rules
}
