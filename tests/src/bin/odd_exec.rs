//! Starts programs in ways that no shell does: `odd_exec HOW [FILE]`.

use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, execve, fexecve, setresuid};
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::{env, io};

const TRUE: &CStr = c"/bin/true";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let none: [&CStr; 0] = [];
    match words[..] {
        ["no-arguments"] => execve(TRUE, &none, &none)?,
        // As many as one argument may have bytes, again and again until there are two megabytes.
        ["many-arguments"] => {
            let long = CString::new("x".repeat(100 << 10))?;
            let mut args = vec![c"true".to_owned()];
            args.extend(std::iter::repeat_n(long, 20));
            execve(TRUE, &args, &none)?
        }
        ["unlinked", file] => {
            fs::copy("/bin/true", file)?;
            let opened = open(file, OFlag::O_PATH, Mode::empty())?;
            fs::remove_file(file)?;
            fexecve(&opened, &[c"unlinked"], &none)?
        }
        ["memfd"] => {
            let memory = memfd_create(c"payload", MFdFlags::MFD_CLOEXEC)?;
            let mut to = File::from(memory);
            io::copy(&mut File::open("/bin/true")?, &mut to)?;
            fexecve(&to, &[c"[kworker/0:1]"], &none)?
        }
        // The mount namespace that the file is mounted in goes with it before the file is run.
        ["gone-namespace", folder] => {
            let own = File::open("/proc/self/ns/mnt")?;
            unshare(CloneFlags::CLONE_NEWNS)?;
            let no = None::<&str>;
            mount(no, "/", no, MsFlags::MS_REC | MsFlags::MS_PRIVATE, no)?;
            mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), no)?;
            let file = format!("{folder}/true");
            fs::copy("/bin/true", &file)?;
            let opened = open(file.as_str(), OFlag::O_PATH, Mode::empty())?;
            nix::sched::setns(own, CloneFlags::CLONE_NEWNS)?;
            fexecve(&opened, &[c"orphan"], &none)?
        }
        ["detached", folder] => {
            unshare(CloneFlags::CLONE_NEWNS)?;
            let no = None::<&str>;
            mount(no, "/", no, MsFlags::MS_REC | MsFlags::MS_PRIVATE, no)?;
            mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), no)?;
            let file = format!("{folder}/true");
            fs::copy("/bin/true", &file)?;
            let opened = open(file.as_str(), OFlag::O_PATH, Mode::empty())?;
            umount2(folder, MntFlags::MNT_DETACH)?;
            fexecve(&opened, &[c"orphan"], &none)?
        }
        // Needs CAP_SETUID, and no set-uid file.
        ["become-root"] => {
            setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0))?;
            execve(TRUE, &[c"true"], &none)?
        }
        ["rename", name] => {
            nix::sys::prctl::set_name(&CString::new(name)?)?;
            execve(TRUE, &[c"harmless"], &none)?
        }
        // All threads but the first end with the process.
        ["threads", count] => {
            for _ in 0..count.parse::<u32>()? {
                std::thread::spawn(std::thread::park);
            }
            return Ok(());
        }
        _ => return Err("odd_exec HOW [FILE]".into()),
    };
    Ok(())
}
