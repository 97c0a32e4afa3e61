//! Finds the files, puts them together, and refuses those that somebody else could have written.

use super::document::{Document, Problem, Section};
use super::process::ProcessSensor;
use super::settings::{Auth, Journal, Settings};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// No configuration is longer; a log given by mistake is.
const LONGEST: u64 = 1 << 20;

/// What the files came to.
#[derive(Debug)]
pub struct Loaded {
    /// The settings; no agent is to run by them unless there are no problems.
    pub settings: Settings,
    /// The files that were read, in order: each is laid over those before it.
    pub files: Vec<PathBuf>,
    /// Every mistake in every file.
    pub problems: Vec<Problem>,
}

/// Reads `main`, then every `*.toml` of the folder `conf.d` beside it in the order of their names.
pub fn load(main: &Path) -> Loaded {
    let mut loaded = Loaded {
        settings: Settings::default(),
        files: Vec::new(),
        problems: Vec::new(),
    };
    let mut wanted = vec![main.to_owned()];
    let folder = main.parent().unwrap_or(Path::new(".")).join("conf.d");
    match drop_ins(&folder) {
        Ok(found) => wanted.extend(found),
        Err(error) => loaded
            .problems
            .push(whole(&folder, format!("cannot be listed: {error}"))),
    }
    for file in wanted {
        match read(&file) {
            Ok(text) => {
                let (mut document, table) = Document::read(&file, &text);
                loaded.settings.overlay(&mut document, Section::root(table));
                loaded.problems.extend(document.into_problems());
                loaded.files.push(file);
            }
            Err(message) => loaded.problems.push(whole(&file, message)),
        }
    }
    if loaded.problems.is_empty() {
        let contradictions = contradictions(&loaded.settings);
        loaded
            .problems
            .extend(contradictions.into_iter().map(|message| whole(main, message)));
    }
    loaded
}

/// Every `*.toml` of a folder in the order of their names; none when the folder is not there.
pub(crate) fn drop_ins(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    Ok(paths)
}

/// Reads a file that only its owner may write.
pub(crate) fn read(file: &Path) -> Result<String, String> {
    let data = file
        .metadata()
        .map_err(|error| format!("cannot be read: {error}"))?;
    if !data.is_file() {
        return Err("is no regular file".to_owned());
    }
    if data.mode() & 0o022 != 0 {
        return Err(format!(
            "others than its owner may write it (mode {:o}): chmod go-w {}",
            data.mode() & 0o777,
            file.display()
        ));
    }
    let mut text = String::new();
    File::open(file)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > LONGEST {
        return Err("is longer than 1 MiB: this is no configuration".to_owned());
    }
    Ok(text)
}

/// What no single value is wrong in, but two together are; said of the settings as a whole.
fn contradictions(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    if settings.respond.longest_block < settings.respond.block {
        found.push("respond.longest_block must not be shorter than respond.block".to_owned());
    }
    if settings.auth.journal == Journal::Yes
        && !settings.auth.files.is_empty()
        && settings.auth.files != Auth::default().files
    {
        found.push(
            "auth.journal is \"yes\" and auth.files names files: what is in both would count twice; \
             set auth.files to [], or auth.journal to \"no\""
                .to_owned(),
        );
    }
    if settings.auth.files.is_empty()
        && settings.auth.journal == Journal::No
        && settings.process.sensor == ProcessSensor::None
    {
        found.push(
            "auth.files is empty, and auth.journal \"no\" and process.sensor \"none\": there is nothing to watch"
                .to_owned(),
        );
    }
    found
}

fn whole(file: &Path, message: String) -> Problem {
    Problem {
        file: file.to_owned(),
        at: None,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn load_text(text: &str) -> Loaded {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picket.toml");
        write(&file, text);
        load(&file)
    }

    #[test]
    fn all_mistakes_are_named_at_once_with_their_places() {
        let loaded = load_text(
            "[respond]\nmode = \"enforced\"\nprotekt = []\nprotect = [\"198.51.100.0/24\", \"é\", 7]\n\n[auth]\nfiles = \"x\"\n\n[bogus]\na = 1\n",
        );
        let found: Vec<String> = loaded
            .problems
            .iter()
            .map(|problem| {
                let (line, column) = problem.at.unwrap();
                format!("{line}:{column} {}", problem.message)
            })
            .collect();
        assert_eq!(found.len(), 6, "{found:#?}");
        assert!(
            found[0].starts_with("2:8 respond.mode must be \"monitor\" or \"enforce\""),
            "{}",
            found[0]
        );
        assert!(
            found[1].starts_with("3:1 unknown key 'protekt' in [respond]; did you mean 'protect'?"),
            "{}",
            found[1]
        );
        assert!(
            found[2].starts_with("4:31 an item of respond.protect must be"),
            "{}",
            found[2]
        );
        assert!(
            found[3].starts_with("4:36 an item of respond.protect must be"),
            "{}",
            found[3]
        );
        assert!(
            found[4].starts_with("7:9 auth.files must be a list"),
            "{}",
            found[4]
        );
        assert!(
            found[5].starts_with("9:2 unknown key 'bogus' here"),
            "{}",
            found[5]
        );
    }

    #[test]
    fn broken_toml_is_named_and_read_around() {
        let loaded = load_text("[respond]\nmode = \nblock = \"1h\"\n[auth\n");
        assert!(loaded.problems.len() >= 2, "{:?}", loaded.problems);
        assert_eq!(loaded.problems[0].at.unwrap().0, 2);
    }

    #[test]
    fn drop_ins_are_laid_over_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("picket.toml");
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        write(&main, "[respond]\nmode = \"enforce\"\nblock = \"5m\"\n");
        write(
            &folder.path().join("conf.d/20.toml"),
            "[respond]\nblock = \"2h\"\n",
        );
        write(
            &folder.path().join("conf.d/10.toml"),
            "[respond]\nblock = \"1h\"\n[auth]\njournal = \"yes\"\n",
        );
        write(&folder.path().join("conf.d/ignored.txt"), "nonsense");
        let loaded = load(&main);
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.files.len(), 3);
        assert_eq!(loaded.settings.respond.mode, Mode::Enforce);
        assert_eq!(loaded.settings.respond.block, Duration::from_secs(7200));
        assert_eq!(loaded.settings.auth.journal, Journal::Yes);
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("picket.toml");
        write(&main, "");
        fs::set_permissions(&main, fs::Permissions::from_mode(0o664)).unwrap();
        assert!(load(&main).problems[0].to_string().contains("chmod go-w"));
    }

    #[test]
    fn what_cannot_be_a_configuration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            load(folder.path()).problems[0]
                .message
                .contains("no regular file")
        );
        assert!(
            load(&folder.path().join("missing.toml")).problems[0]
                .message
                .contains("cannot be read")
        );
        let long = folder.path().join("long.toml");
        write(&long, &"#".repeat(2 << 20));
        assert!(load(&long).problems[0].message.contains("longer than"));
        fs::write(&long, b"a = \"\xff\"").unwrap();
        assert!(load(&long).problems[0].message.contains("cannot be read"));
    }

    #[test]
    fn values_out_of_bounds_and_contradictions_are_named() {
        let loaded = load_text(
            "[respond]\nblock = \"2h\"\nlongest_block = \"1h\"\n[auth]\nfiles = []\njournal = \"no\"\n\
             [process]\nsensor = \"none\"\n",
        );
        assert_eq!(loaded.problems.len(), 2, "{:?}", loaded.problems);
        let loaded = load_text("[auth]\nfiles = [\"/var/log/messages\"]\njournal = \"yes\"\n");
        assert!(
            loaded.problems[0].message.contains("would count twice"),
            "{:?}",
            loaded.problems
        );
        let loaded = load_text(
            "[respond]\nblock = \"0s\"\nlongest_block = \"99999999999999999999d\"\nmax_blocks = 0\n[spool]\nquota = \"5 bytes\"\ndirectory = \"spool\"\n[detect]\ngroups = -1\n",
        );
        assert_eq!(loaded.problems.len(), 6, "{:?}", loaded.problems);
    }
}
