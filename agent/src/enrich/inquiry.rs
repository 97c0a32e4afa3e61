//! What takes too long for whoever judges: a thread of its own finds it out.

use super::hashes;
use super::packages::Packages;
use super::rpm::Rpm;
use crate::observation::{Body, FileKey, Hashed, Observation, Origin, Owned};
use crate::queue::Sender;
use compact_str::CompactString;
use picket_common::process::ProcessId;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};

/// How many questions wait. More are not asked, and nothing is known by the answer that does not come.
const OPEN: usize = 256;
/// Whose so many files are, rpm is asked at once.
const MOST_OF_RPM: usize = 256;
/// How dpkg calls a file until all of its package are there.
const ON_THE_WAY: [&str; 2] = [".dpkg-new", ".dpkg-tmp"];

/// Where questions are put; its clones are one place.
#[derive(Clone)]
pub struct Inquiries {
    questions: SyncSender<Question>,
    packages: Arc<RwLock<Packages>>,
}

/// Whoever answers.
pub struct Inquirer {
    questions: Receiver<Question>,
    packages: Arc<RwLock<Packages>>,
    root: PathBuf,
}

enum Question {
    /// What does this file hold that a process ran by this path?
    Hash(ProcessId, CompactString, FileKey),
    /// Are the packages still those that are known?
    Packages,
    /// Whose are these files?
    Owners(Vec<CompactString>),
    /// No more are asked.
    End,
}

impl Inquirer {
    /// Both ends. `root` is where the system's files lie: `/`.
    pub fn new(root: impl Into<PathBuf>) -> (Inquiries, Self) {
        let (send, questions) = sync_channel(OPEN);
        let packages = Arc::<RwLock<Packages>>::default();
        let inquiries = Inquiries {
            questions: send,
            packages: Arc::clone(&packages),
        };
        let inquirer = Self {
            questions,
            packages,
            root: root.into(),
        };
        (inquiries, inquirer)
    }

    /// Answers until [`Inquiries::end`], or until nobody can ask any more. What is found out goes where observations go.
    pub fn answer(&self, observed: &Sender<Observation>) {
        self.look();
        for question in &self.questions {
            match question {
                Question::Hash(process, path, file) => {
                    let sha256 = hashes::take(process, &path, &file);
                    let hashed = Hashed { file, sha256 };
                    if observed
                        .wait(observation("hashes", Body::Hashed(hashed)))
                        .is_err()
                    {
                        return;
                    }
                }
                Question::Packages => self.look(),
                Question::Owners(paths) => {
                    if observed
                        .wait(observation("packages", Body::Owned(self.owners(paths))))
                        .is_err()
                    {
                        return;
                    }
                }
                Question::End => return,
            }
        }
    }

    /// Whose files are, by what the package managers of this host have written down by now.
    fn owners(&self, paths: Vec<CompactString>) -> Owned {
        self.look();
        let known = read(&self.packages);
        let rpm = known.version().is_none().then(Rpm::find).flatten();
        let owner = |path: &CompactString| {
            let path = in_place(path);
            known
                .owner(path)
                .cloned()
                .or_else(|| rpm.as_ref().and_then(|rpm| rpm.owner(path)))
        };
        // What rpm is asked takes milliseconds for each.
        let most = if rpm.is_some() { MOST_OF_RPM } else { usize::MAX };
        let answer = |(at, path): (usize, CompactString)| {
            let owner = (at < most).then(|| owner(&path)).flatten();
            (path, owner)
        };
        Owned(paths.into_iter().enumerate().map(answer).collect())
    }

    /// Reads the lists of packages, if they are not those that are known.
    pub fn look(&self) {
        let version = read(&self.packages).version();
        match Packages::read(&self.root, version) {
            Ok(Some(packages)) => *self.packages.write().unwrap_or_else(PoisonError::into_inner) = packages,
            Ok(None) => {}
            Err(error) => tracing::warn!(
                "{}: {error}; owners of files stay as they are known",
                Packages::DPKG
            ),
        }
    }
}

impl Inquiries {
    /// Asks for a hash. Whether that was possible.
    pub(super) fn hash(&self, process: ProcessId, path: &str, file: FileKey) -> bool {
        let question = Question::Hash(process, path.into(), file);
        self.questions.try_send(question).is_ok()
    }

    /// Asks whether packages came or went.
    pub(super) fn look_at_packages(&self) {
        // Who has so much to do is asked again soon.
        drop(self.questions.try_send(Question::Packages));
    }

    /// Asks whose files are, by the lists as they are then. Whether that was possible.
    pub(super) fn ask_owners(&self, paths: Vec<CompactString>) -> bool {
        self.questions.try_send(Question::Owners(paths)).is_ok()
    }

    /// The package that owns a path, as far as is known now.
    pub(super) fn owner(&self, path: &str) -> Option<CompactString> {
        read(&self.packages).owner(in_place(path)).cloned()
    }

    /// Ends whoever answers.
    pub fn end(&self) {
        // Nobody is there to be ended where that fails.
        drop(self.questions.send(Question::End));
    }
}

/// The path that a file will have once its package is there: rpm writes `NAME;XXXXXXXX` first, and dpkg `NAME.dpkg-new`.
fn in_place(path: &str) -> &str {
    let of_dpkg = ON_THE_WAY.iter().find_map(|end| path.strip_suffix(end));
    of_dpkg.unwrap_or_else(|| match path.rsplit_once(';') {
        Some((place, mark)) if mark.len() == 8 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()) => place,
        _ => path,
    })
}

fn read(packages: &RwLock<Packages>) -> std::sync::RwLockReadGuard<'_, Packages> {
    packages.read().unwrap_or_else(PoisonError::into_inner)
}

fn observation(source: &str, body: Body) -> Observation {
    Observation {
        origin: Origin {
            source: source.into(),
            position: Vec::new(),
            cursor: None,
        },
        observed: jiff::Timestamp::now().into(),
        again: false,
        body,
    }
}
