//! Real files, rotated in every way.

use super::*;
use crate::observation::Body;
use crate::queue::queue;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::thread::JoinHandle;
use std::time::Duration;

/// A sensor at work on one file, `log` in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
    stop: Stop,
    seen: mpsc::Receiver<Observation>,
    notices: mpsc::Receiver<Notice>,
    thread: Option<JoinHandle<()>>,
    last: Option<Cursor>,
}

impl Bench {
    fn start(prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        Self::resume(folder, None)
    }

    fn resume(folder: tempfile::TempDir, cursor: Option<Cursor>) -> Self {
        let file = folder.path().join("log");
        let source: Arc<str> = format!("file:{}", file.display()).into();
        let cursors = cursor
            .into_iter()
            .map(|cursor| (source.clone(), cursor))
            .collect();
        let (tell, notices) = mpsc::channel();
        let (send, seen) = queue("test", 16);
        let stop = Stop::new().unwrap();
        let raised = stop.clone();
        let mut sensor = AuthFile::new(&[file], Start::Beginning, &cursors, tell);
        let thread = std::thread::spawn(move || sensor.run(&send, &raised).unwrap());
        Self {
            folder,
            stop,
            seen,
            notices,
            thread: Some(thread),
            last: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text.as_bytes());
    }

    fn next(&mut self) -> Observation {
        let seen = self
            .seen
            .recv_timeout(Duration::from_secs(10))
            .expect("something is seen");
        self.last = seen.origin.cursor.clone();
        seen
    }

    fn line(&mut self) -> String {
        let seen = self.next();
        assert!(!seen.again);
        text(&seen)
    }

    fn lines(&mut self, expected: &[&str]) {
        for line in expected {
            assert_eq!(self.line(), *line);
        }
    }

    fn end(mut self) -> (tempfile::TempDir, Option<Cursor>) {
        self.finish();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (folder, self.last.clone())
    }

    fn finish(&mut self) {
        self.stop.raise();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn append(path: &Path, text: &[u8]) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text).unwrap();
}

fn text(seen: &Observation) -> String {
    let Body::Line(line) = &seen.body else { panic!() };
    String::from_utf8_lossy(line).into_owned()
}

#[test]
fn lines_in_halves_with_odd_bytes_and_ends() {
    let mut bench = Bench::start(|_| {});
    bench.append("log", "one\ntw");
    bench.lines(&["one"]);
    bench.append("log", "o\r\n\n");
    bench.lines(&["two"]);
    append(&bench.path("log"), b"\xff\xfe\0x\n\0\0\0after a hole\n");
    bench.lines(&["\u{fffd}\u{fffd}\0x", "after a hole"]);
}

#[test]
fn lines_that_are_too_long_are_counted_and_nothing_else_is_lost() {
    let mut bench = Bench::start(|_| {});
    let long = "x".repeat(3 * LONGEST);
    bench.append("log", "one\n");
    bench.append("log", &long);
    bench.lines(&["one"]);
    bench.append(
        "log",
        &format!("{long}\ntwo\n{}\nthree\n", "y".repeat(LONGEST - 1)),
    );
    bench.lines(&["two", &"y".repeat(LONGEST - 1), "three"]);
    let Ok(Notice::Lost { lost, .. }) = bench.notices.recv_timeout(Duration::from_secs(10)) else {
        panic!()
    };
    assert_eq!(lost, 1);
}

#[test]
fn rotation_by_rename_reads_the_old_file_to_its_end() {
    let mut bench = Bench::start(|folder| append(&folder.join("log"), b"one\n"));
    bench.lines(&["one"]);
    for round in 0..20 {
        bench.append("log", &format!("before {round}\n"));
        fs::rename(bench.path("log"), bench.path("log.1")).unwrap();
        bench.append("log.1", &format!("late {round}\n"));
        bench.append("log", &format!("new {round}\n"));
        let mut got = [bench.line(), bench.line(), bench.line()];
        assert_eq!(got[0], format!("before {round}"));
        got.sort();
        assert_eq!(got[1..], [format!("late {round}"), format!("new {round}")]);
    }
}

#[test]
fn rotation_by_copy_and_truncate_begins_anew() {
    let mut bench = Bench::start(|folder| append(&folder.join("log"), b"one\ntwo\n"));
    bench.lines(&["one", "two"]);
    fs::copy(bench.path("log"), bench.path("log.1")).unwrap();
    File::create(bench.path("log")).unwrap();
    bench.append("log", "three\n");
    bench.lines(&["three"]);
    // Written anew, and longer than before, at one stroke.
    fs::write(bench.path("log"), "another beginning\nfour\n").unwrap();
    bench.lines(&["another beginning", "four"]);
}

#[test]
fn removal_and_return_and_folders_that_are_not_there_yet() {
    let mut bench = Bench::start(|_| {});
    bench.append("log", "one\n");
    bench.lines(&["one"]);
    fs::remove_file(bench.path("log")).unwrap();
    bench.append("log", "two\n");
    bench.lines(&["two"]);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/c/log");
    let (tell, _notices) = mpsc::channel();
    let (send, seen) = queue("test", 16);
    let stop = Stop::new().unwrap();
    let mut sensor = AuthFile::new(
        std::slice::from_ref(&file),
        Start::Beginning,
        &BTreeMap::new(),
        tell,
    );
    let raised = stop.clone();
    let thread = std::thread::spawn(move || sensor.run(&send, &raised).unwrap());
    for part in ["a", "a/b", "a/b/c"] {
        fs::create_dir(folder.path().join(part)).unwrap();
    }
    append(&file, b"deep\n");
    assert_eq!(text(&seen.recv_timeout(Duration::from_secs(10)).unwrap()), "deep");
    stop.raise();
    thread.join().unwrap();
}

#[test]
fn what_is_no_file_is_named_and_waited_for() {
    let mut bench = Bench::start(|folder| {
        nix::unistd::mkfifo(&folder.join("log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    });
    let Ok(Notice::Warning(said)) = bench.notices.recv_timeout(Duration::from_secs(10)) else {
        panic!()
    };
    assert!(said.contains("no regular file"), "{said}");
    fs::remove_file(bench.path("log")).unwrap();
    fs::create_dir(bench.path("log")).unwrap();
    fs::remove_dir(bench.path("log")).unwrap();
    append(&bench.path("elsewhere"), b"through a link\n");
    std::os::unix::fs::symlink("elsewhere", bench.path("log")).unwrap();
    bench.lines(&["through a link"]);
    bench.append("elsewhere", "more\n");
    bench.lines(&["more"]);
}

#[test]
fn after_a_restart_it_goes_on_at_the_next_line_and_reads_what_was_before_again() {
    let mut bench = Bench::start(|folder| append(&folder.join("log"), b"one\ntwo\nthree\n"));
    bench.lines(&["one", "two"]);
    let (folder, cursor) = bench.end();
    append(&folder.path().join("log"), b"four\n");
    let mut bench = Bench::resume(folder, cursor);
    for expected in ["one", "two"] {
        let seen = bench.next();
        assert!(seen.again);
        assert_eq!(text(&seen), expected);
    }
    bench.lines(&["three", "four"]);
}

#[test]
fn after_a_restart_rotated_files_are_read_first() {
    for copied in [false, true] {
        let mut bench = Bench::start(|folder| append(&folder.join("log"), b"one\ntwo\n"));
        bench.lines(&["one"]);
        let (folder, cursor) = bench.end();
        let path = |name: &str| folder.path().join(name);
        if copied {
            fs::copy(path("log"), path("log.2")).unwrap();
            File::create(path("log")).unwrap();
        } else {
            fs::rename(path("log"), path("log.2")).unwrap();
        }
        append(&path("log"), b"three\n");
        let later = SystemTime::now() + Duration::from_secs(1);
        fs::rename(path("log"), path("log.1")).unwrap();
        File::options()
            .append(true)
            .open(path("log.1"))
            .unwrap()
            .set_modified(later)
            .unwrap();
        append(&path("log"), b"four\n");
        let mut bench = Bench::resume(folder, cursor);
        assert!(bench.next().again);
        bench.lines(&["two", "three", "four"]);
    }
}

#[test]
fn a_file_that_is_gone_after_a_restart_is_a_loss() {
    let mut bench = Bench::start(|folder| append(&folder.join("log"), b"one\n"));
    bench.lines(&["one"]);
    let (folder, cursor) = bench.end();
    fs::write(folder.path().join("log"), "new\n").unwrap();
    let mut bench = Bench::resume(folder, cursor);
    bench.lines(&["new"]);
    assert!(matches!(
        bench.notices.recv_timeout(Duration::from_secs(10)),
        Ok(Notice::Lost { .. })
    ));
}

#[test]
fn a_start_at_the_end_holds_after_a_kill_before_anything_was_read() {
    for begins in [Some("old\n"), Some(""), None] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        if let Some(text) = begins {
            fs::write(&file, text).unwrap();
        }
        let (tell, _) = mpsc::channel();
        let mut sensor = AuthFile::new(&[file], Start::End, &BTreeMap::new(), tell);
        let places = sensor.begin();
        drop(sensor);
        append(&folder.path().join("log"), b"new\n");
        let mut bench = Bench::resume(folder, Some(places[0].1.clone()));
        if begins == Some("old\n") {
            assert!(bench.next().again);
        }
        bench.lines(&["new"]);
    }
}

#[test]
fn a_log_that_was_moved_away_and_comes_back_is_not_read_again() {
    let mut bench = Bench::start(|folder| append(&folder.join("log"), b"one\n"));
    bench.lines(&["one"]);
    fs::rename(bench.path("log"), bench.path("aside")).unwrap();
    std::os::unix::fs::symlink("log", bench.path("log")).unwrap();
    let Ok(Notice::Warning(said)) = bench.notices.recv_timeout(Duration::from_secs(10)) else {
        panic!()
    };
    assert!(said.contains("symbolic links"), "{said}");
    bench.append("aside", "two\n");
    fs::rename(bench.path("aside"), bench.path("log")).unwrap();
    bench.lines(&["two"]);
    bench.append("log", "three\n");
    bench.lines(&["three"]);
}
