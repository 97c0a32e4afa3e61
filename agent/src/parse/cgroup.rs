//! The control group of a process, `/proc/PID/cgroup`: the container or the unit that it is in.
//!
//! The forms are those of Docker and containerd (`docs/cgroups`, `--cgroup-parent`), Podman's libpod, the kubelet's cgroup
//! managers (`kubepods`), CRI-O, LXC (`lxc.cgroup.dir`) and systemd-nspawn (`machine.slice`). Who may write to the hierarchy
//! names its groups, and so this is no proof: it is for people to find their way.

use picket_common::event::Container;

/// What runs containers under `PREFIX-ID.scope`.
const SCOPES: [(&str, &str); 7] = [
    ("docker-", "docker"),
    ("libpod-", "podman"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    ("podman-", "podman"),
    ("lxc-", "lxc"),
];
/// The containers' monitors are called nearly as the containers are.
const MONITORS: [&str; 2] = ["libpod-conmon-", "crio-conmon-"];
/// A longer name is cut.
const LONGEST: usize = 128;

/// What the text of the file tells. The hierarchies of version 1 are asked as well as that of version 2, and the first that
/// names a container counts.
pub fn container(text: &str) -> Option<Container> {
    let mut unit = None;
    for line in text.lines() {
        // A number, the controllers, and a path, in which further colons may be.
        let Some(path) = line.splitn(3, ':').nth(2) else {
            continue;
        };
        match of_path(path) {
            Some(found) if found.runtime.is_some() => return Some(found),
            found => unit = unit.or(found),
        }
    }
    unit
}

fn of_path(path: &str) -> Option<Container> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let pod = parts.iter().find_map(|part| pod(part));
    let named = parts
        .iter()
        .enumerate()
        .find_map(|(at, part)| name(&parts, at, part));
    let (runtime, id) = match (named, &pod) {
        (Some((runtime, id)), _) => (Some(runtime), Some(id)),
        // The kubelet's own groups end in the bare id of the container, whatever runs it.
        (None, Some(_)) => {
            let id = parts.last().copied().filter(|part| is_id(part));
            (id.map(|_| "containerd"), id)
        }
        (None, None) => (None, None),
    };
    if let Some(id) = id {
        return Some(Container {
            runtime: runtime.map(Into::into),
            id: Some(cut(id).into()),
            pod: pod.map(Into::into),
            unit: None,
        });
    }
    // The host's systemd knows the outermost.
    let is_unit = |part: &&&str| {
        [".service", ".scope", ".socket", ".mount"]
            .iter()
            .any(|end| part.ends_with(end))
    };
    let unit = parts.iter().find(is_unit)?;
    Some(Container {
        unit: Some(cut(unit).into()),
        ..Container::default()
    })
}

/// The runtime and the id, if this part of the path names a container.
fn name<'a>(parts: &[&'a str], at: usize, part: &'a str) -> Option<(&'static str, &'a str)> {
    let before = at.checked_sub(1).and_then(|at| parts.get(at)).copied();
    if MONITORS.iter().any(|monitor| part.starts_with(monitor)) {
        return None;
    }
    let bare = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, runtime) in SCOPES {
        if let Some(id) = bare.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Some((runtime, id));
        }
    }
    if let Some(machine) = bare.strip_prefix("machine-").filter(|_| part.ends_with(".scope")) {
        return Some(("systemd-nspawn", machine));
    }
    if let Some(machine) = part
        .strip_prefix("systemd-nspawn@")
        .and_then(|rest| rest.strip_suffix(".service"))
    {
        return Some(("systemd-nspawn", machine));
    }
    if let Some(id) = part.strip_prefix("lxc.payload.") {
        return Some(("lxc", id));
    }
    match before {
        Some("docker") if is_id(part) => Some(("docker", part)),
        Some("libpod_parent" | "libpod") if is_id(part) => Some(("podman", part)),
        Some("lxc" | "lxc.payload") => Some(("lxc", part)),
        // `ctr` and nerdctl name the group after containerd's own name space.
        Some("default" | "moby" | "buildkit") if at == 1 && is_id(part) => Some(("containerd", part)),
        _ => None,
    }
}

/// The uid of a Kubernetes pod: `pod1234…` of the one cgroup manager, `kubepods-burstable-pod1234_….slice` of the other.
fn pod(part: &str) -> Option<String> {
    let bare = match part.strip_suffix(".slice") {
        Some(slice) => slice.strip_prefix("kubepods-")?.rsplit_once("pod")?.1,
        None => part.strip_prefix("pod")?,
    };
    let uid = bare.replace('_', "-");
    // Static pods have a bare hash.
    let plain = uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (plain && (32..=36).contains(&uid.len())).then_some(uid)
}

/// 64 hexadecimal digits; 32 and up for older runtimes.
fn is_id(text: &str) -> bool {
    (32..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f0d9c3e5b1a4d7c8e2f6a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293";
    const POD: &str = "1b2c3d4e-5f60-7182-93a4-b5c6d7e8f901";

    #[test]
    fn each_runtime_is_known_by_its_paths() {
        let scope = POD.replace('-', "_");
        let cases = [
            // Docker with the systemd driver and with the cgroupfs driver, version 2 and 1.
            (format!("0::/system.slice/docker-{ID}.scope"), "docker", ID, ""),
            (format!("0::/docker/{ID}"), "docker", ID, ""),
            (
                format!("5:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/"),
                "docker",
                ID,
                "",
            ),
            (
                format!("0::/system.slice/docker-{ID}.scope/init.scope"),
                "docker",
                ID,
                "",
            ),
            // Podman as root, without root, and with the cgroupfs manager.
            (
                format!("0::/machine.slice/libpod-{ID}.scope/container"),
                "podman",
                ID,
                "",
            ),
            (
                format!("0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
                "podman",
                ID,
                "",
            ),
            (format!("0::/libpod_parent/libpod-{ID}"), "podman", ID, ""),
            // Kubernetes: containerd and CRI-O with systemd, and whichever with cgroupfs.
            (
                format!(
                    "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{scope}.slice/cri-containerd-{ID}.scope"
                ),
                "containerd",
                ID,
                POD,
            ),
            (
                format!("0::/kubepods.slice/kubepods-pod{scope}.slice/crio-{ID}.scope"),
                "cri-o",
                ID,
                POD,
            ),
            (
                format!("0::/kubepods/besteffort/pod{POD}/{ID}"),
                "containerd",
                ID,
                POD,
            ),
            (
                format!("4:cpu,cpuacct:/kubepods/pod{POD}/{ID}"),
                "containerd",
                ID,
                POD,
            ),
            // containerd alone.
            (
                format!("0::/system.slice/nerdctl-{ID}.scope"),
                "containerd",
                ID,
                "",
            ),
            (format!("0::/default/{ID}"), "containerd", ID, ""),
            (
                "0::/lxc.payload.web/system.slice/cron.service".to_owned(),
                "lxc",
                "web",
                "",
            ),
            ("3:pids:/lxc/web/init.scope".to_owned(), "lxc", "web", ""),
            (
                "0::/machine.slice/machine-web.scope/payload/init.scope".to_owned(),
                "systemd-nspawn",
                "web",
                "",
            ),
            (
                "0::/machine.slice/systemd-nspawn@web.service/payload".to_owned(),
                "systemd-nspawn",
                "web",
                "",
            ),
        ];
        for (text, runtime, id, pod) in cases {
            let expected = Container {
                runtime: Some(runtime.into()),
                id: Some(id.into()),
                pod: (!pod.is_empty()).then(|| pod.into()),
                unit: None,
            };
            assert_eq!(container(&text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_in_no_container_is_in_a_unit_or_nowhere() {
        let cases = [
            ("0::/system.slice/nginx.service", "nginx.service"),
            ("1:name=systemd:/system.slice/ssh.service\n0::/", "ssh.service"),
            (
                "0::/user.slice/user-1000.slice/session-3.scope",
                "session-3.scope",
            ),
            (
                "0::/user.slice/user-0.slice/user@0.service/app.slice/a.service",
                "user@0.service",
            ),
            ("0::/init.scope", "init.scope"),
            // The monitors of containers are not in them.
            (
                "0::/machine.slice/libpod-conmon-3f0d9c3e5b1a4d7c8e2f6a9b0c1d2e3f.scope",
                "libpod-conmon-3f0d9c3e5b1a4d7c8e2f6a9b0c1d2e3f.scope",
            ),
        ];
        for (text, unit) in cases {
            let found = container(text).unwrap();
            assert_eq!(
                (found.unit.as_deref(), found.runtime),
                (Some(unit), None),
                "{text}"
            );
        }
        let none = [
            "",
            "0::/",
            "nonsense",
            "0::/docker/short",
            "0::/podx/y",
            "::",
            "0::/../../x",
            "0::/lxc.monitor.web",
        ];
        for text in none {
            assert_eq!(container(text), None, "{text}");
        }
        let long = format!("0::/{}.service", "é".repeat(5000));
        assert_eq!(container(&long).unwrap().unit.unwrap().len(), LONGEST);
    }
}
