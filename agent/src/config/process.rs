//! `[process]`: how programs are seen.

use super::document::{Document, Section};
use super::mask;

/// How programs are seen, and what is kept of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// What sees them.
    pub sensor: ProcessSensor,
    /// Which events travel to the collector.
    pub keep: Keep,
    /// Patterns of secrets on command lines: regular expressions, of which the last group that matches is masked.
    pub mask: Vec<String>,
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

impl Default for Process {
    fn default() -> Self {
        Self {
            sensor: ProcessSensor::Auto,
            keep: Keep::Findings,
            mask: mask::DEFAULT
                .iter()
                .map(|pattern| (*pattern).to_owned())
                .collect(),
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
        let keep = section.text(document, "keep", r#""findings" or "all""#, |text| match text {
            "findings" => Ok(Keep::Findings),
            "all" => Ok(Keep::All),
            _ => Err(String::new()),
        });
        self.keep = keep.unwrap_or(self.keep);
        let masked = section.texts(document, "mask", "a regular expression", mask::check);
        if let Some(masked) = masked {
            self.mask = masked;
        }
        section.finish(document);
    }
}
