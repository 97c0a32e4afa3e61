//! Files that land, as the sensors see them on the real kernel: each test has a mount namespace and file systems of its own.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use picket_agent::config::{Files, FilesSensor};
use picket_agent::enrich::Enricher;
use picket_agent::observation::{Body, Cursor, FileSeen, Observation};
use picket_agent::queue::queue;
use picket_agent::sense::{FilesFanotify, FilesInotify, Notice, Sensor};
use picket_agent::sys::Stop;
use picket_agent::sys::fanotify::Grants;
use picket_common::event::{ChangeKind, FileAction, Payload};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that is a file system of its own, which nobody else sees.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    /// `None` where this machine has none to give.
    fn tmpfs() -> Option<Self> {
        let ground = Self::bare()?;
        ground.shell("mount -t tmpfs -o size=512m,mode=755 tmpfs .");
        Some(ground)
    }

    fn bare() -> Option<Self> {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNS) {
            println!("skipped: no mount namespace of its own: {error}");
            return None;
        }
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&str>,
        )
        .unwrap();
        Some(Self {
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// Another process does it: what the agent's own does is never told.
    fn shell(&self, script: &str) -> u32 {
        let mut child = Command::new("sh")
            .args(["-ec", script])
            .current_dir(self.folder.path())
            .spawn()
            .unwrap();
        let pid = child.id();
        assert!(child.wait().unwrap().success(), "{script}");
        pid
    }

    fn watch(&self, paths: &[&str]) -> Watched {
        self.watch_with(paths, |files, notices| {
            Box::new(FilesFanotify::new(files, &[], &BTreeMap::new(), notices))
        })
    }

    fn watch_with(
        &self,
        paths: &[&str],
        sensor: impl FnOnce(&Files, mpsc::Sender<Notice>) -> Box<dyn Sensor>,
    ) -> Watched {
        let files = Files {
            sensor: FilesSensor::Auto,
            paths: paths.iter().map(|path| self.path(path)).collect(),
            ..Files::default()
        };
        let (notice, notices) = mpsc::channel();
        let (sender, seen) = queue("observed", 1024);
        let stop = Stop::new().unwrap();
        let mut sensor = sensor(&files, notice);
        sensor.begin();
        let thread = {
            let stop = stop.clone();
            thread::spawn(move || sensor.run(&sender, &stop).unwrap())
        };
        Watched {
            seen,
            notices,
            stop,
            thread: Some(thread),
            told: Vec::new(),
            end: self.path(paths[0]),
            ends: 0,
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["--recursive", "--lazy"])
            .arg(self.folder.path())
            .stderr(Stdio::null())
            .status();
    }
}

/// A sensor at work.
struct Watched {
    seen: Receiver<Observation>,
    notices: Receiver<Notice>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    told: Vec<(PathBuf, FileSeen)>,
    /// In which folder a file ends what is waited for.
    end: PathBuf,
    ends: u32,
}

impl Watched {
    fn next(&mut self) -> &(PathBuf, FileSeen) {
        let seen = self.seen.recv_timeout(PATIENCE).expect("more is told");
        let Body::File(mut seen) = seen.body else {
            panic!("{seen:?}")
        };
        if self.told.len() >= 100 {
            // Whoever holds too many keeps the sensor from opening more.
            seen.file = None;
        }
        self.told.push((seen.event.path.as_str().into(), *seen));
        self.told.last().unwrap()
    }

    /// Waits until this is told.
    fn until(&mut self, path: &Path) -> &FileSeen {
        while self.next().0 != path {}
        &self.told.last().unwrap().1
    }

    /// All that was told of what has happened so far: another file ends it, as the kernel keeps the order.
    fn all(&mut self) -> Vec<(PathBuf, FileSeen)> {
        self.ends += 1;
        let end = self.end.join(format!("the end {}", self.ends));
        let status = Command::new("touch").arg(&end).status().unwrap();
        assert!(status.success());
        self.until(&end);
        self.told.pop();
        std::mem::take(&mut self.told)
    }

    /// The same, as names below a folder with what happened.
    fn names(&mut self, below: &Path) -> Vec<(String, FileAction)> {
        let all = self.all();
        let name = |path: &Path| {
            path.strip_prefix(below)
                .unwrap_or(path)
                .to_str()
                .unwrap()
                .to_owned()
        };
        all.iter()
            .map(|(path, seen)| (name(path), seen.event.action))
            .collect()
    }

    /// Waits for a notice.
    fn notice(&self, text: &str) -> Notice {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            // A sensor that waits for room says nothing.
            while self.seen.try_recv().is_ok() {}
            match self.notices.recv_timeout(Duration::from_millis(10)) {
                Ok(notice) if notice.to_string().contains(text) => return notice,
                _ => {}
            }
        }
        panic!("nothing is said of '{text}'")
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.raise();
        // So that a sensor that waits for room ends as well.
        while self.seen.recv_timeout(Duration::from_millis(100)).is_ok() {}
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

fn content(seen: &mut FileSeen) -> String {
    let mut text = String::new();
    File::from(seen.file.take().expect("it was opened"))
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[test]
fn a_slow_writer_is_told_of_once_and_whole() {
    let Some(ground) = Ground::tmpfs() else { return };
    let mut watched = ground.watch(&["."]);
    let mut writer = Command::new("sh")
        .args([
            "-c",
            "exec 3>slow; while read -r line; do printf '%s' \"$line\" >&3; echo; done",
        ])
        .current_dir(ground.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (writer.stdin.take().unwrap(), writer.stdout.take().unwrap());
    for piece in ["a", "b", "c"] {
        writeln!(input, "{piece}").unwrap();
        output.read_exact(&mut [0]).unwrap();
        assert!(
            watched.names(&ground.path("")).is_empty(),
            "told of before it was closed"
        );
    }
    let pid = writer.id();
    drop(input);
    assert!(writer.wait().unwrap().success());
    let mut all = watched.all();
    assert_eq!(all.len(), 1, "{all:?}");
    let (path, seen) = &mut all[0];
    assert_eq!(*path, ground.path("slow"));
    assert_eq!(seen.event.action, FileAction::Written);
    assert_eq!(seen.event.size, Some(3));
    assert_eq!(seen.event.writer.as_ref().unwrap().process.pid, pid);
    assert_eq!(content(seen), "abc");
}

#[test]
fn what_is_moved_linked_or_made_executable_is_told_of_and_touching_is_not() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell(
        "mkdir -p www elsewhere; echo x > elsewhere/x; echo y > elsewhere/y; echo z > www/z; mkfifo www/fifo",
    );
    let mut watched = ground.watch(&["www"]);
    let www = ground.path("www");
    let is = |name: &str, action| (name.to_owned(), action);
    ground.shell("mv elsewhere/x www/x; ln elsewhere/y www/y; ln -s ../elsewhere/y www/link");
    let all = watched.names(&www);
    assert_eq!(
        all,
        [
            is("x", FileAction::Moved),
            is("y", FileAction::Moved),
            is("link", FileAction::Moved)
        ]
    );
    ground.shell("touch -c www/z; chmod 600 www/z; chmod 700 www/z; touch -c www/z; chmod 4755 www/z; chmod 4755 www/z; chown 7 www/z; rm www/y");
    let all = watched.names(&www);
    // The kernel puts together what nobody has read yet.
    assert!(
        (1..=2).contains(&all.len()) && all.iter().all(|told| *told == is("z", FileAction::Attributes)),
        "{all:?}"
    );
    ground.shell("echo > elsewhere/later; (cat < www/fifo > /dev/null &); echo > www/fifo; mkdir www/folder; : > www/end");
    assert_eq!(watched.names(&www), [is("end", FileAction::Written)]);
}

#[test]
fn links_tell_where_they_lead_and_files_what_they_are() {
    let Some(ground) = Ground::tmpfs() else { return };
    let mut watched = ground.watch(&["."]);
    ground.shell("printf 12345 > file; chown 33:44 file; chmod 640 file; ln -s /no/where link");
    let all = watched.all();
    let find = |name: &str| {
        &all.iter()
            .rev()
            .find(|(path, _)| *path == ground.path(name))
            .unwrap()
            .1
    };
    let link = find("link");
    assert_eq!(link.event.target.as_deref(), Some("/no/where"));
    assert!(link.file.is_none());
    let file = &find("file").event;
    let data = fs::metadata(ground.path("file")).unwrap();
    let identity = file.identity.unwrap();
    assert_eq!((identity.device, identity.inode), (data.dev(), data.ino()));
    assert_eq!((file.size, file.target.as_ref()), (Some(5), None));
}

#[test]
fn a_thousand_files_in_fresh_directories_are_all_told_of() {
    let Some(ground) = Ground::tmpfs() else { return };
    let mut watched = ground.watch(&["."]);
    ground.shell("for a in $(seq 100); do mkdir -p d/$a/deep/er; for b in 1 2 3 4 5 6 7 8 9 10; do echo $a > d/$a/deep/er/$b; done; done");
    let told: BTreeSet<PathBuf> = watched.all().into_iter().map(|(path, _)| path).collect();
    let wanted: BTreeSet<PathBuf> = (1..=100)
        .flat_map(|a| (1..=10).map(move |b| (a, b)))
        .map(|(a, b)| ground.path(format!("d/{a}/deep/er/{b}")))
        .collect();
    assert_eq!(told, wanted);
}

#[test]
fn a_tree_that_is_moved_here_is_looked_through() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir -p www out/tree/a/b; echo 1 > out/tree/1; echo 2 > out/tree/a/b/2");
    let mut watched = ground.watch(&["www"]);
    ground.shell("mv out/tree www/tree");
    let mut told = BTreeSet::new();
    while told.len() < 2 {
        let (path, seen) = watched.next();
        assert_eq!(seen.event.action, FileAction::Moved);
        told.insert(path.clone());
    }
    assert_eq!(
        told,
        BTreeSet::from([ground.path("www/tree/1"), ground.path("www/tree/a/b/2")])
    );
    // What lies there has another path from then on, also after it was asked for.
    ground.shell("echo 3 > www/tree/a/b/3; mv www/tree www/other; echo 4 > www/other/a/b/4");
    watched.until(&ground.path("www/other/a/b/4"));
    ground.shell("mv www/other out/; echo 5 > out/other/a/b/5");
    assert!(
        watched
            .all()
            .iter()
            .all(|(path, _)| path.starts_with(ground.path("www")))
    );
}

/// How many directories the kernel passes over for this process, by its own account.
fn passed_over() -> usize {
    let groups = fs::read_dir("/proc/self/fdinfo").unwrap();
    let marks = groups.filter_map(|group| fs::read_to_string(group.unwrap().path()).ok());
    let is_passed =
        |mark: &&str| mark.starts_with("fanotify ino:") && !mark.contains(" mask:0 ignored_mask:0 ");
    marks.map(|marks| marks.lines().filter(is_passed).count()).sum()
}

#[test]
fn what_is_passed_over_is_told_of_once_it_lies_where_it_matters() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir -p www/.git/objects/ab out/deep out/a/b");
    let mut watched = ground.watch(&["www"]);
    let within = |told: Vec<(PathBuf, FileSeen)>| {
        let names = told.into_iter().map(|(path, _)| path);
        names.collect::<Vec<_>>()
    };
    ground.shell("echo 1 > out/deep/1; echo 1 > out/a/b/1; echo 1 > www/.git/objects/ab/1");
    assert_eq!(within(watched.all()), Vec::<PathBuf>::new());
    // The kernel was asked before what comes now was looked at.
    watched.all();
    if passed_over() == 0 {
        println!("skipped: nothing is passed over before Linux 6.0");
        return;
    }
    assert_eq!(passed_over(), 3);

    ground.shell("mv out/deep www/deep; echo 2 > www/deep/2");
    watched.until(&ground.path("www/deep/2"));
    // By a directory above it, and out of what is excluded.
    ground.shell("mv out/a www/a; echo 2 > www/a/b/2; mv www/.git/objects www/kept; echo 2 > www/kept/ab/2");
    let mut missing = BTreeSet::from(
        ["www/a/b/2", "www/kept/ab/2", "www/a/b/1", "www/kept/ab/1"].map(|name| ground.path(name)),
    );
    while !missing.is_empty() {
        let (path, _) = watched.next();
        missing.remove(&path.clone());
    }
    watched.all();
    watched.all();
    assert_eq!(passed_over(), 0);
    ground.shell("echo 3 > www/deep/3; echo 3 > www/a/b/3");
    let told = within(watched.all());
    assert_eq!(told, ["www/deep/3", "www/a/b/3"].map(|name| ground.path(name)));

    ground.shell("mv www/deep out/deep; echo 4 > out/deep/4; echo 5 > out/deep/5");
    assert_eq!(within(watched.all()), Vec::<PathBuf>::new());
    ground.shell("echo 6 > out/deep/6; chmod +x out/deep/6; mv out/deep/6 www/6; ln out/deep/5 www/5");
    let told = within(watched.all());
    assert_eq!(told, ["www/6", "www/5"].map(|name| ground.path(name)));
}

#[test]
fn names_of_every_kind_are_told_of() {
    let Some(ground) = Ground::tmpfs() else { return };
    let mut watched = ground.watch(&["."]);
    let long = "x".repeat(255);
    let names: [&[u8]; 6] = [
        b"a\nb",
        b"\x1b[2J",
        b"\xff\xfe",
        b"-rf *",
        "\u{202e}txt".as_bytes(),
        long.as_bytes(),
    ];
    for name in names {
        let path = ground.path(OsStr::from_bytes(name));
        let status = Command::new("cp")
            .arg("--")
            .arg("/etc/hostname")
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        let (told, seen) = watched.next();
        assert_eq!(told.to_str().unwrap(), path.to_string_lossy());
        assert!(seen.file.is_some());
    }
}

#[test]
fn the_writer_is_known_with_its_start_and_by_its_pid_when_it_is_gone() {
    let Some(ground) = Ground::tmpfs() else { return };
    let mut watched = ground.watch(&["."]);
    // One that lives while it is looked at.
    let mut writer = Command::new("sh")
        .args(["-c", "echo > lives; read -r end"])
        .current_dir(ground.path("."))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", writer.id())).unwrap();
    let start: u64 = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_ascii_whitespace()
        .nth(19)
        .unwrap()
        .parse()
        .unwrap();
    let seen = watched.until(&ground.path("lives"));
    let program = seen.event.writer.as_deref().unwrap();
    assert_eq!((program.process.pid, program.process.start), (writer.id(), start));
    assert!(
        program.executable.as_ref().unwrap().ends_with("sh"),
        "{program:?}"
    );
    assert_eq!(
        program.command_line.as_deref(),
        Some("sh -c echo > lives; read -r end")
    );
    assert_eq!(program.effective_uid, Some(0));
    drop(writer.stdin.take());
    writer.wait().unwrap();
    // Those that are gone at once: never anybody else's start time.
    for _ in 0..50 {
        let pid = ground.shell("echo > gone");
        let program = watched
            .until(&ground.path("gone"))
            .event
            .writer
            .as_deref()
            .unwrap();
        assert_eq!(program.process.pid, pid);
        assert!(program.process.is_certain() || program.executable.is_none());
    }
}

#[test]
fn the_agents_own_files_are_never_told_of() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir own");
    let own = ground.path("own");
    let mut watched = ground.watch_with(&["."], |files, notices| {
        Box::new(FilesFanotify::new(
            files,
            std::slice::from_ref(&own),
            &BTreeMap::new(),
            notices,
        ))
    });
    fs::write(ground.path("by the agent"), "x").unwrap();
    ground.shell("echo > own/by-its-courier; echo > other");
    assert_eq!(
        watched.names(&ground.path("")),
        [("other".to_owned(), FileAction::Written)]
    );
}

#[test]
fn what_is_excluded_is_not_told_of() {
    let Some(ground) = Ground::tmpfs() else { return };
    let mut watched = ground.watch(&["."]);
    ground.shell("mkdir -p repo/.git/objects/ab; echo > repo/.git/objects/ab/cd; echo > repo/.git/config");
    assert_eq!(
        watched.names(&ground.path("")),
        [("repo/.git/config".to_owned(), FileAction::Written)]
    );
}

#[test]
fn five_thousand_files_at_once_are_all_told_of() {
    let Some(ground) = Ground::tmpfs() else { return };
    let mut watched = ground.watch(&["."]);
    let started = Instant::now();
    ground.shell("seq 5000 | while read -r n; do echo $n > f$n; done");
    let written = started.elapsed();
    let mut told = BTreeSet::new();
    while told.len() < 5000 {
        let (path, seen) = watched.next();
        assert!(seen.file.is_some());
        told.insert(path.clone());
        watched.told.clear();
    }
    println!(
        "5,000 files: written in {written:?}, all told of after {:?}",
        started.elapsed()
    );
}

#[test]
fn as_long_as_too_many_files_are_open_the_next_ones_wait() {
    let Some(ground) = Ground::tmpfs() else { return };
    let watched = ground.watch(&["."]);
    ground.shell("seq 1500 | while read -r n; do echo $n > f$n; done");
    let mut open = Vec::new();
    let mut patience = PATIENCE;
    while let Ok(seen) = watched.seen.recv_timeout(patience) {
        let Body::File(seen) = seen.body else { panic!() };
        open.extend(seen.file);
        // So many it opens in any case; beyond them it may have come to where it waits.
        if open.len() >= 400 {
            patience = Duration::from_millis(500);
        }
    }
    assert!((400..=512).contains(&open.len()), "{}", open.len());
    // Some room is for what the sensor itself opens.
    let told = open.len();
    open.truncate(400);
    for at in told..1500 {
        open.pop();
        let Body::File(seen) = watched.seen.recv_timeout(PATIENCE).unwrap().body else {
            panic!()
        };
        open.push(seen.file.unwrap_or_else(|| panic!("file {at} was not opened")));
    }
    assert!(watched.notices.try_recv().is_err());
}

#[test]
fn more_than_the_kernels_queue_holds_is_found_again_and_said() {
    let Some(ground) = Ground::tmpfs() else { return };
    let limit: usize = fs::read_to_string("/proc/sys/fs/fanotify/max_queued_events")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    if limit > 100_000 {
        println!("skipped: the kernel's queue holds {limit} notices: too many to fill");
        return;
    }
    let mut watched = ground.watch(&["."]);
    // Nobody reads the queue behind the sensor, so it waits, and the kernel's fills up.
    let count = limit + 3000;
    ground.shell(&format!(
        "mkdir many; seq {count} | split --lines=1 --suffix-length=5 - many/f"
    ));
    let mut told = BTreeSet::new();
    while told.len() < count {
        let path = watched.next().0.clone();
        told.insert(path);
        watched.told.clear();
    }
    let notice = watched.notice("more happened than the kernel's queue");
    assert!(matches!(notice, Notice::Lost { .. }), "{notice:?}");
    watched.notice("were found by looking for them");
}

#[test]
fn file_systems_that_come_and_go_are_watched_as_long_as_they_are_there() {
    let Some(ground) = Ground::tmpfs() else { return };
    let mut watched = ground.watch(&["."]);
    ground.shell("mkdir disk; mount -t tmpfs tmpfs disk; mkdir disk/d; echo 1 > disk/d/1");
    watched.until(&ground.path("disk/d/1"));
    ground.shell("echo 2 > disk/d/2");
    watched.until(&ground.path("disk/d/2"));
    // It can be unmounted while it is watched.
    watched.told.clear();
    ground.shell("umount disk; mkdir elsewhere; mount -t tmpfs tmpfs elsewhere; mkdir elsewhere/d; echo 3 > elsewhere/d/3");
    watched.until(&ground.path("elsewhere/d/3"));
    ground.shell(
        "mount --move elsewhere disk 2> /dev/null || { mount --bind elsewhere disk; umount elsewhere; }",
    );
    ground.shell("echo 4 > disk/d/4");
    watched.until(&ground.path("disk/d/4"));
    ground.shell("mount -o remount,ro disk; mount -o remount,rw disk; echo 5 > disk/d/5; rm -r disk/d; mkdir disk/d; echo 6 > disk/d/6");
    watched.until(&ground.path("disk/d/6"));
}

#[test]
fn what_is_mounted_at_two_places_is_told_of_where_it_is_watched() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir -p data/www www; mount --bind data/www www");
    let mut watched = ground.watch(&["www"]);
    ground.shell("echo > www/a; echo > data/www/b; echo > data/c; ");
    let told: Vec<String> = watched
        .names(&ground.path("www"))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(told, ["a", "b"]);
}

#[test]
fn a_real_disk_is_watched() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("truncate -s 32M image; mkfs.ext4 -q image; mkdir disk; mount -o loop image disk");
    let mut watched = ground.watch(&["disk"]);
    ground.shell("mkdir disk/d; echo 1 > disk/d/1; mv disk/d/1 disk/d/2; chmod +x disk/d/2");
    let all = watched.names(&ground.path("disk"));
    assert!(all.contains(&("d/1".to_owned(), FileAction::Written)), "{all:?}");
    assert!(all.contains(&("d/2".to_owned(), FileAction::Moved)), "{all:?}");
    // Made without a name, and given one once it is whole.
    let program = "import ctypes,os\nf=os.open('disk/d',os.O_TMPFILE|os.O_RDWR,0o644)\nos.write(f,b'x')\n\
        assert ctypes.CDLL(None).linkat(-100,f'/proc/self/fd/{f}'.encode(),-100,b'disk/d/named',0x400)==0\nos.close(f)";
    let done = Command::new("python3")
        .args(["-c", program])
        .current_dir(ground.path(""))
        .status()
        .unwrap();
    assert!(done.success());
    let seen = watched.until(&ground.path("disk/d/named"));
    assert_eq!(seen.event.action, FileAction::Written);
}

#[test]
fn a_watched_tree_that_is_removed_and_made_again_is_watched() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir -p www/a; echo > www/a/1");
    let mut watched = ground.watch(&["www"]);
    watched.end = ground.path("www");
    ground.shell("rm -r www; mkdir -p www/a; echo > www/a/2");
    watched.until(&ground.path("www/a/2"));
    // A link in its place leads to what is watched then.
    ground.shell("mkdir new; mv www old; ln -s new www; echo > new/3");
    watched.until(&ground.path("new/3"));
}

#[test]
fn what_lies_on_an_overlay_is_told_of_or_it_is_said_that_it_is_not() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir lower upper work merged; echo > lower/old; mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged");
    let mut watched = ground.watch(&["merged"]);
    match watched.notices.try_recv() {
        Ok(notice) => println!("an overlay: {notice}"),
        Err(_) => {
            ground.shell("echo 1 > merged/new; echo 2 >> merged/old");
            watched.until(&ground.path("merged/new"));
            watched.until(&ground.path("merged/old"));
        }
    }
}

#[test]
fn what_fanotify_refuses_inotify_watches() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir lower upper work merged plain; mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged");
    let files = |sensor, paths: &[&str]| Files {
        sensor,
        paths: paths.iter().map(|path| ground.path(path)).collect(),
        ..Files::default()
    };
    let (notices, _heard) = mpsc::channel();
    let chosen = |sensor, paths: &[&str]| {
        let sensors =
            picket_agent::plugs::file_sensors(&files(sensor, paths), &[], &BTreeMap::new(), &notices);
        let describe = |sensor: Box<dyn Sensor>| format!("{}: {}", sensor.name(), sensor.describe());
        sensors.into_iter().map(describe).collect::<Vec<_>>()
    };
    let below = |path: &str| format!("files that land below {}", ground.path(path).display());
    let blind = ", without knowing who wrote them";
    assert_eq!(
        chosen(FilesSensor::Auto, &["plain"]),
        [format!("files_fanotify: {}", below("plain"))]
    );
    assert_eq!(
        chosen(FilesSensor::Auto, &["merged"]),
        [
            format!("files_fanotify: {}", below("merged")),
            format!("files_inotify: {}{blind}", below("merged"))
        ]
    );
    assert_eq!(
        chosen(FilesSensor::Inotify, &["plain"]),
        [format!("files_inotify: {}{blind}", below("plain"))]
    );
    assert!(chosen(FilesSensor::None, &["plain"]).is_empty() && chosen(FilesSensor::Auto, &[]).is_empty());
}

#[test]
fn with_what_an_older_kernel_tells_the_same_is_seen_and_writers_are_known_by_their_pid_alone() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir -p www elsewhere; echo x > elsewhere/x; echo y > elsewhere/y");
    let without_target = Grants {
        target: false,
        ..Grants::ALL
    };
    for (grants, certain) in [(without_target, true), (Grants::NONE, false)] {
        let mut watched = ground.watch_with(&["www"], |files, notices| {
            Box::new(FilesFanotify::new(files, &[], &BTreeMap::new(), notices).granted(grants))
        });
        let mut writer = Command::new("sh")
            .args([
                "-ec",
                "echo z > www/z; cp -l elsewhere/y www/y; mv elsewhere/x www/x; chmod +x www/x; read -r end",
            ])
            .current_dir(ground.path(""))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let seen = watched.until(&ground.path("www/z"));
        let process = seen.event.writer.as_ref().unwrap().process;
        assert_eq!((process.pid, process.is_certain()), (writer.id(), certain));
        assert!(seen.file.is_some());
        assert_eq!(
            watched.until(&ground.path("www/y")).event.action,
            FileAction::Moved
        );
        let moved = watched.until(&ground.path("www/x"));
        assert!(moved.event.action == FileAction::Moved && moved.file.is_some());
        drop(writer.stdin.take());
        writer.wait().unwrap();
        ground.shell("mv www/x elsewhere/x; chmod -x elsewhere/x; rm www/y www/z");
    }
}

/// As [`Ground::watch`], by inotify.
fn by_inotify(ground: &Ground, paths: &[&str]) -> Watched {
    let mut watched = ground.watch_with(paths, |files, notices| {
        Box::new(FilesInotify::new(files, &[], &BTreeMap::new(), notices))
    });
    watched.all();
    watched
}

#[test]
fn without_fanotify_what_is_written_moved_linked_and_made_executable_is_told_of() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir -p www/deep elsewhere/tree/a; echo x > elsewhere/x; echo y > elsewhere/y; echo > elsewhere/tree/a/1");
    let mut watched = by_inotify(&ground, &["www"]);
    ground.shell("echo z > www/deep/z; mv elsewhere/x www/x; ln elsewhere/y www/y; ln -s / www/link; chmod 755 www/deep/z; touch -c www/deep/z");
    let is = |name: &str, action| (name.to_owned(), action);
    let all = watched.names(&ground.path("www"));
    let wanted = [
        is("deep/z", FileAction::Written),
        is("x", FileAction::Moved),
        is("y", FileAction::Moved),
        is("link", FileAction::Moved),
        is("deep/z", FileAction::Attributes),
    ];
    assert_eq!(all, wanted);
    ground.shell("mv elsewhere/tree www/tree");
    watched.until(&ground.path("www/tree/a/1"));
    ground.shell("mv www/tree www/other; echo > www/other/a/2");
    watched.until(&ground.path("www/other/a/2"));
    ground.shell("mv www/other elsewhere/; echo > elsewhere/other/a/3");
    let all = watched.all();
    assert!(
        all.iter().all(|(path, _)| path.starts_with(ground.path("www"))),
        "{all:?}"
    );
}

#[test]
fn without_fanotify_a_thousand_files_in_fresh_directories_are_all_told_of() {
    let Some(ground) = Ground::tmpfs() else { return };
    let mut watched = by_inotify(&ground, &["."]);
    ground.shell("for a in $(seq 100); do mkdir -p d/$a/deep/er; for b in 1 2 3 4 5 6 7 8 9 10; do echo $a > d/$a/deep/er/$b; done; done");
    let mut told = BTreeSet::new();
    while told.len() < 1000 {
        told.insert(watched.next().0.clone());
    }
    // What is mounted later as well, and what is on an overlay.
    ground.shell(
        "mkdir disk lower upper work merged; mount -t tmpfs tmpfs disk; mkdir disk/d; echo > disk/d/1",
    );
    watched.until(&ground.path("disk/d/1"));
    ground.shell(
        "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; echo > merged/2",
    );
    watched.until(&ground.path("merged/2"));
}

#[test]
fn without_fanotify_what_the_kernel_could_not_keep_is_found() {
    let Some(ground) = Ground::tmpfs() else { return };
    let limit: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    if limit > 100_000 {
        println!("skipped: the kernel's queue holds {limit} events: too many to fill");
        return;
    }
    ground.shell("mkdir many");
    let mut watched = by_inotify(&ground, &["."]);
    let count = limit + 3000;
    ground.shell(&format!(
        "seq {count} | split --lines=1 --suffix-length=5 - many/f"
    ));
    let mut told = BTreeSet::new();
    while told.len() < count {
        let path = watched.next().0.clone();
        told.insert(path);
        watched.told.clear();
    }
    let notice = watched.notice("more happened than the kernel's queue");
    assert!(matches!(notice, Notice::Lost { .. }), "{notice:?}");
}

type Made = fn(&Files, &BTreeMap<Arc<str>, Cursor>, mpsc::Sender<Notice>) -> Box<dyn Sensor>;

#[test]
fn what_lands_while_the_agent_is_away_is_found_when_it_comes_back() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir www; echo > www/before; touch -d 2000-01-01 www/before");
    let changed = |name: &str| {
        let data = fs::metadata(ground.path(name)).unwrap();
        data.ctime() * 1_000_000 + data.ctime_nsec() / 1000
    };
    // The clock of files is coarse.
    while !ground.path("www/meanwhile").exists() || changed("www/meanwhile") <= changed("www/before") {
        ground.shell("echo > www/meanwhile; touch -d 2000-01-01 www/meanwhile");
    }
    // A second more is looked at than was missed.
    let last = u64::try_from(changed("www/meanwhile") + 1_000_000).unwrap();
    let sensors: [(&str, Made); 2] = [
        (FilesFanotify::SOURCE, |files, cursors, notices| {
            Box::new(FilesFanotify::new(files, &[], cursors, notices))
        }),
        (FilesInotify::SOURCE, |files, cursors, notices| {
            Box::new(FilesInotify::new(files, &[], cursors, notices))
        }),
    ];
    for (source, sensor) in sensors {
        let cursors = BTreeMap::from([(source.into(), Cursor::Number { number: last })]);
        let mut watched = ground.watch_with(&["www"], |files, notices| sensor(files, &cursors, notices));
        let (path, seen) = watched.next();
        assert_eq!(*path, ground.path("www/meanwhile"), "{source}");
        assert_eq!(seen.event.action, FileAction::Found);
        watched.told.clear();
        assert!(watched.all().is_empty());
        fs::remove_file(ground.path("www/the end 1")).unwrap();
    }
}

#[test]
fn a_key_that_is_added_is_told_of_by_its_line_and_by_who_added_it() {
    let Some(ground) = Ground::tmpfs() else { return };
    ground.shell("mkdir -p home/eve/.ssh");
    let watched = ground.watch(&["home"]);
    let now = jiff::Timestamp::now().into();
    let mut enricher = Enricher::new(jiff::tz::TimeZone::UTC, now).knowing_files(&ground.path("nowhere"));
    let mut next = || {
        let mut events = Vec::new();
        let mut seen = watched.seen.recv_timeout(PATIENCE).unwrap();
        if let Body::File(file) = &mut seen.body {
            enricher.look(file, seen.observed);
        }
        enricher.enrich(seen, &mut events);
        match events.pop().unwrap().payload {
            Payload::File(file) => *file,
            other => panic!("{other:?}"),
        }
    };
    ground.shell("echo 'ssh-ed25519 AAAA eve@home' > home/eve/.ssh/authorized_keys");
    next();
    ground.shell("echo 'ssh-ed25519 BBBB mallory' >> home/eve/.ssh/authorized_keys; echo > home/eve/notes");
    let file = next();
    let change = file.change.as_ref().unwrap();
    assert_eq!(change.kind, ChangeKind::AuthorizedKeys);
    assert_eq!(change.added, ["ssh-ed25519 BBBB mallory"]);
    assert_eq!((change.removed_count, file.package_manager), (0, false));
    let before = file.before.as_deref().unwrap();
    assert_eq!((before.size, before.mode), (Some(26), None));
    assert_eq!(next().change, None);
}
