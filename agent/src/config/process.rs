//! `[process]`: how programs are seen.

use super::document::{Document, Section};
use super::values::{ABSOLUTE, path, ring};
use std::path::PathBuf;

/// How programs are seen, and what is kept of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// What sees them.
    pub sensor: ProcessSensor,
    /// How many bytes the kernel keeps of what the agent has not yet read: a power of two.
    pub ring: u32,
    /// The names of those variables of the environment that are taken.
    pub environment: Vec<String>,
    /// Programs that are not judged, by the path of their file.
    pub exclude_images: Vec<PathBuf>,
    /// Folders of cgroups in which nothing is seen.
    pub exclude_cgroups: Vec<PathBuf>,
    /// Which events travel to the collector.
    pub keep: Keep,
}

/// What sees programs start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessSensor {
    /// The first of the others that works here.
    Auto,
    /// A program in the kernel, which misses nothing.
    Ebpf,
    /// The kernel's process connector, and a look into `/proc`.
    Netlink,
    /// A look into `/proc` now and then.
    Poll,
    /// Nothing.
    None,
}

/// Which events about processes travel to the collector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Those that a finding rests on.
    Findings,
    /// All.
    All,
}

/// What makes a program load what others wrote, or hides what was typed.
const ENVIRONMENT: [&str; 8] = [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "BASH_ENV",
    "HISTFILE",
    "PYTHONPATH",
    "PERL5OPT",
    "NODE_OPTIONS",
];

impl Default for Process {
    fn default() -> Self {
        Self {
            sensor: ProcessSensor::Auto,
            ring: 8 << 20,
            environment: ENVIRONMENT.map(str::to_owned).to_vec(),
            exclude_images: Vec::new(),
            exclude_cgroups: Vec::new(),
            keep: Keep::Findings,
        }
    }
}

impl Process {
    /// Lays what a section sets over these settings.
    pub(super) fn overlay(&mut self, document: &mut Document<'_>, mut section: Section<'_>) {
        let wanted = r#""auto", "ebpf", "netlink", "poll" or "none""#;
        let sensor = section.text(document, "sensor", wanted, |text| match text {
            "auto" => Ok(ProcessSensor::Auto),
            "ebpf" => Ok(ProcessSensor::Ebpf),
            "netlink" => Ok(ProcessSensor::Netlink),
            "poll" => Ok(ProcessSensor::Poll),
            "none" => Ok(ProcessSensor::None),
            _ => Err(String::new()),
        });
        self.sensor = sensor.unwrap_or(self.sensor);
        let wanted = r#"a power of two such as "8MiB", from "64KiB" to "1GiB""#;
        self.ring = section.text(document, "ring", wanted, ring).unwrap_or(self.ring);
        let names = section.texts(document, "environment", "the name of a variable", name);
        self.environment = names.unwrap_or_else(|| std::mem::take(&mut self.environment));
        let images = section.texts(document, "exclude_images", ABSOLUTE, path);
        self.exclude_images = images.unwrap_or_else(|| std::mem::take(&mut self.exclude_images));
        let cgroups = section.texts(document, "exclude_cgroups", ABSOLUTE, path);
        self.exclude_cgroups = cgroups.unwrap_or_else(|| std::mem::take(&mut self.exclude_cgroups));
        let keep = section.text(document, "keep", r#""findings" or "all""#, |text| match text {
            "findings" => Ok(Keep::Findings),
            "all" => Ok(Keep::All),
            _ => Err(String::new()),
        });
        self.keep = keep.unwrap_or(self.keep);
        section.finish(document);
    }
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['=', '\0']) {
        Err(String::new())
    } else {
        Ok(text.to_owned())
    }
}
