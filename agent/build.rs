//! Builds the program for the kernel: with clang where there is one, else the object that was built beforehand is taken.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What clang is told; `tests/tests/bpf_object.rs` builds with the same. One object serves all processors whose bytes have this
/// order, as all offsets come from the running kernel.
const ARGUMENTS: &str = include_str!("ebpf/clang.args");
const PREBUILT: &str = "ebpf/picket.bpf.o";
const SOURCES: [&str; 5] = ["picket.bpf.c", "picket.h", "helpers.h", "vmlinux.h", "clang.args"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for source in SOURCES {
        println!("cargo::rerun-if-changed=ebpf/{source}");
    }
    println!("cargo::rerun-if-changed={PREBUILT}");
    println!("cargo::rerun-if-env-changed=PATH");
    let object = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?).join("picket.bpf.o");
    // In the folder of the source, so that no path of this machine gets into the object.
    let clang = Command::new("clang")
        .args(ARGUMENTS.split_ascii_whitespace())
        .arg("-o")
        .arg(&object)
        .arg("picket.bpf.c")
        .current_dir("ebpf")
        .output();
    match clang {
        Ok(clang) if clang.status.success() => {}
        // There is no clang: that is what the other object is for.
        Err(_) => drop(fs::copy(PREBUILT, &object)?),
        Ok(clang) => {
            let complaint = String::from_utf8_lossy(&clang.stderr);
            let first = complaint
                .lines()
                .find(|line| line.contains("error"))
                .unwrap_or("it says nothing");
            println!(
                "cargo::warning=clang cannot build the program for the kernel ({first}); {PREBUILT} is taken"
            );
            fs::copy(PREBUILT, &object)?;
        }
    }
    Ok(())
}
