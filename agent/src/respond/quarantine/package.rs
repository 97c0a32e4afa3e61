//! Whether a file is as its package brought it.

use super::subject::Subject;
use crate::sys::{Tool, ToolError};
use std::fs;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
/// Where packages put files.
const FOLDERS: [&str; 8] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/opt", "/var/lib",
];
/// Where, inside those, they do not.
const LOCAL: &str = "/usr/local";

/// Why a file is to be spared; `None` when no package owns it, or it is another than the one that the package brought.
pub(super) fn spares(subject: &Subject) -> Option<String> {
    let path = subject.path.as_path();
    let may_own = FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.starts_with(LOCAL);
    // A package's names are UTF-8.
    let name = path.to_str().filter(|_| may_own)?;
    let asked = match (Tool::find("dpkg-query"), Tool::find("rpm")) {
        (Ok(dpkg), _) => of_dpkg(&dpkg, name),
        (_, Ok(rpm)) => of_rpm(&rpm, name, &subject.sha256),
        _ => return None,
    };
    asked.unwrap_or_else(|error| Some(format!("it cannot be told whether a package owns it: {error}")))
}

fn of_dpkg(dpkg: &Tool, name: &str) -> Result<Option<String>, ToolError> {
    let mut known = None;
    // Where /bin is a link into /usr, packages may know their files by either name.
    for name in [Some(name), name.strip_prefix("/usr")].into_iter().flatten() {
        let special = |sign: char| matches!(sign, '*' | '?' | '[' | ']' | '\\').then_some('\\');
        let pattern: String = name
            .chars()
            .flat_map(|sign| special(sign).into_iter().chain([sign]))
            .collect();
        match dpkg.run(&["--search", "--", &pattern], "", PATIENCE) {
            Ok(said) => known = known.or_else(|| Some((owner(&said, name)?.to_owned(), name.to_owned()))),
            Err(ToolError::Failed { complaint, .. }) if complaint.contains("no path found") => {}
            Err(error) => return Err(error),
        }
    }
    let Some((package, name)) = known else {
        return Ok(None);
    };
    let sums = [package.as_str(), package.split(':').next().unwrap_or_default()]
        .iter()
        .find_map(|package| fs::read_to_string(format!("/var/lib/dpkg/info/{package}.md5sums")).ok());
    let sums = sums.unwrap_or_default();
    let sum = sums.lines().find_map(|line| {
        let (sum, path) = line.split_once("  ")?;
        (Path::new("/").join(path) == Path::new(&name)).then_some(sum)
    });
    let package = package.escape_debug();
    let Some(sum) = sum else {
        return Ok(Some(format!(
            "it belongs to the package {package}, which says not what is in it"
        )));
    };
    match Tool::find("md5sum")?.run(
        &["--status", "--check", "-"],
        &format!("{sum}  {name}\n"),
        PATIENCE,
    ) {
        Ok(_) => Ok(Some(unchanged(&package.to_string()))),
        Err(ToolError::Failed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `coreutils: /usr/bin/ls` or `libc6:amd64, libc6:i386: /usr/share/doc/libc6`
fn owner<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    said.lines().find_map(|line| {
        let owners = line.strip_suffix(name)?.strip_suffix(": ")?;
        let owner = owners.split(", ").next()?;
        (!owner.starts_with("diversion by")).then_some(owner)
    })
}

fn of_rpm(rpm: &Tool, name: &str, sha256: &str) -> Result<Option<String>, ToolError> {
    let format = "[%{NAME} %{FILEDIGESTS} %{FILENAMES}\\n]";
    let said = match rpm.run(
        &["--query", "--file", "--queryformat", format, "--", name],
        "",
        PATIENCE,
    ) {
        Ok(said) => said,
        Err(ToolError::Failed { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let brought = said.lines().find_map(|line| {
        let mut words = line.splitn(3, ' ');
        let (package, digest, path) = (words.next()?, words.next()?, words.next()?);
        (path == name).then_some((package, digest))
    });
    Ok(match brought {
        // A digest of another kind cannot be compared.
        Some((package, digest)) if digest == sha256 || digest.len() != sha256.len() => {
            Some(unchanged(package))
        }
        _ => None,
    })
}

fn unchanged(package: &str) -> String {
    format!("it is as the package {} brought it", package.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_told_from_what_dpkg_says() {
        let said =
            "diversion by dash from: /bin/sh\ncoreutils: /usr/bin/ls\nlibc6:amd64, libc6:i386: /a: b\n";
        assert_eq!(owner(said, "/usr/bin/ls"), Some("coreutils"));
        assert_eq!(owner(said, "/a: b"), Some("libc6:amd64"));
        assert_eq!(owner(said, "/bin/sh"), None);
    }
}
