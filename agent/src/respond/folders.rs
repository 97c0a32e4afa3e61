//! Where a host has what it stands on, in folders that only root can write.

/// Its programs.
pub(super) const PROGRAMS: [&str; 6] = [
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];
/// Its libraries with the loader, and programs that are started by others.
pub(super) const LIBRARIES: [&str; 5] = ["/usr/lib", "/usr/lib64", "/usr/libexec", "/lib", "/lib64"];
