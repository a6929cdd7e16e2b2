//! The machine that the figures come from.

use std::fmt;
use std::fs;
use std::thread::available_parallelism;

use serde::Serialize;

/// What is worth knowing of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    /// How many threads ran or wanted to, over the minute before the first case.
    load: f64,
}

/// Beyond this load, others take so much of the machine that figures mean little.
const BUSY: f64 = 0.5;

impl Machine {
    /// This machine.
    pub(crate) fn this() -> Self {
        let memory_kib: u64 = field("/proc/meminfo", "MemTotal")
            .and_then(|value| value.trim_end_matches("kB").trim().parse().ok())
            .unwrap_or_default();
        Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into()),
            cores: available_parallelism().map_or(1, |cores| cores.get()),
            memory_gib: memory_kib.div_ceil(1024 * 1024),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
            load: load().unwrap_or_default(),
        }
    }

    /// A remark on the conditions, if they are bad.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.load > BUSY).then(|| {
            format!("The machine was busy (load {:.1}) before the first case: do not trust the figures.", self.load)
        })
    }
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gib, kernel, .. } = self;
        write!(f, "{cpu}, {cores} cores, {memory_gib} GiB, Linux {kernel}")
    }
}

/// The value of the first line `name: value` of a file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (_, value) = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
    Some(value.trim().into())
}
