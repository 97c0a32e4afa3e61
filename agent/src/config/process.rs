//! `[process]`: how programs are seen.

use super::document::{Document, Section};
use super::mask;
use super::values::{ABSOLUTE, SPAN, path, ring, span};
use compact_str::CompactString;
use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

/// More names of variables would cost with every program.
const MOST_VARIABLES: usize = 32;

/// How programs are seen, and what is kept of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// What sees them.
    pub sensor: ProcessSensor,
    /// How many bytes the kernel keeps of what the agent has not yet read: a power of two.
    pub ring: u32,
    /// Programs that are not judged, by the path of their file.
    pub exclude_images: Vec<PathBuf>,
    /// Folders of cgroups in which nothing is seen.
    pub exclude_cgroups: Vec<PathBuf>,
    /// Which events travel to the collector.
    pub keep: Keep,
    /// How much time lies between two looks of the sensor that looks now and then.
    pub poll: Duration,
    /// The names of the variables of its environment that are kept of a program.
    pub environment: Vec<CompactString>,
    /// Patterns of secrets on command lines: regular expressions, of which the last group that matches is masked.
    pub mask: Vec<String>,
}

/// What sees programs start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessSensor {
    /// The first of the others that works here.
    Auto,
    /// A program in the kernel, which counts what it misses.
    Ebpf,
    /// The kernel's process connector, and a look into `/proc`.
    Netlink,
    /// A look into `/proc` now and then.
    Poll,
    /// Nothing.
    None,
}

/// Which events travel to the collector.
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
            ring: 4 << 20,
            environment: ENVIRONMENT.map(CompactString::from).to_vec(),
            exclude_images: Vec::new(),
            exclude_cgroups: Vec::new(),
            keep: Keep::Findings,
            poll: Duration::from_secs(1),
            mask: mask::DEFAULT
                .iter()
                .map(|pattern| (*pattern).to_owned())
                .collect(),
        }
    }
}

impl Keep {
    /// What a section sets as `keep`.
    pub(super) fn of(section: &mut Section<'_>, document: &mut Document<'_>) -> Option<Self> {
        section.text(document, "keep", r#""findings" or "all""#, |text| match text {
            "findings" => Ok(Self::Findings),
            "all" => Ok(Self::All),
            _ => Err(String::new()),
        })
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
        let images = section.texts(document, "exclude_images", ABSOLUTE, path);
        self.exclude_images = images.unwrap_or_else(|| std::mem::take(&mut self.exclude_images));
        let cgroups = section.texts(document, "exclude_cgroups", ABSOLUTE, path);
        self.exclude_cgroups = cgroups.unwrap_or_else(|| std::mem::take(&mut self.exclude_cgroups));
        self.keep = Keep::of(&mut section, document).unwrap_or(self.keep);
        let poll = section.text(document, "poll", SPAN, span);
        self.poll = poll.unwrap_or(self.poll);
        let name = "the name of a variable, such as \"LD_PRELOAD\"";
        let count = Cell::new(0);
        let environment = section.texts(document, "environment", name, |text| {
            count.set(count.get() + 1);
            if count.get() > MOST_VARIABLES {
                return Err(format!("there are more than {MOST_VARIABLES}"));
            }
            let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=');
            if plain && (1..=64).contains(&text.len()) {
                Ok(text.into())
            } else {
                Err(String::new())
            }
        });
        if let Some(environment) = environment {
            self.environment = environment;
        }
        let masked = section.texts(document, "mask", "a regular expression", mask::check);
        if let Some(masked) = masked {
            self.mask = masked;
        }
        section.finish(document);
    }
}
