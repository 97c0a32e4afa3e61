//! Holds the object that is kept beside the kernel's part to its source.

use std::path::Path;
use std::process::Command;

/// The clang that the object was made with, Debian 12's. Another one makes another object, which is as good but not the same.
const CLANG: &str = "clang version 14.0.6";

#[test]
fn the_object_that_is_kept_is_what_its_source_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/ebpf");
    let version = Command::new("clang").arg("--version").output();
    let version = version.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).into()
    });
    if !version.contains(CLANG) {
        let own = version.lines().next().unwrap_or("none");
        println!("skipped: needs {CLANG}, and here is {own}");
        return;
    }
    let arguments = std::fs::read_to_string(folder.join("clang.args")).unwrap();
    let made = tempfile::tempdir().unwrap();
    let object = made.path().join("made.o");
    let clang = Command::new("clang")
        .args(arguments.split_ascii_whitespace())
        .arg("-Werror")
        .arg("-o")
        .arg(&object)
        .arg("picket.bpf.c")
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(
        clang.status.success(),
        "{}",
        String::from_utf8_lossy(&clang.stderr)
    );
    let (made, kept) = (
        std::fs::read(&object).unwrap(),
        std::fs::read(folder.join("picket.bpf.o")).unwrap(),
    );
    assert!(
        made == kept,
        "agent/ebpf/picket.bpf.o is not what its source gives; in agent/ebpf: clang $(cat clang.args) -o picket.bpf.o picket.bpf.c"
    );
}
