//! What a process spends: CPU time, system calls, memory.

use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter};
use serde::{Deserialize, Serialize};

/// Where the kernel tells the number of the tracepoint that every system call passes.
const SYSTEM_CALL_TRACEPOINT: &str = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id";

/// Counts the system calls of this process, if it may.
static SYSTEM_CALLS: OnceLock<Option<Mutex<Counter>>> = OnceLock::new();

/// What a process spent on its part of a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    process: u32,
    cpu: Duration,
    system_calls: Option<u64>,
}

impl Cost {
    /// CPU time, user and system, of all threads.
    pub(crate) fn cpu(&self) -> Duration {
        self.cpu
    }

    /// The sum over the processes in `costs`. Two parts played in one process report the same expense twice: it
    /// counts once.
    pub(crate) fn total(costs: &[Self]) -> (Duration, Option<u64>) {
        let mut counted: Vec<&Self> = Vec::new();
        for cost in costs {
            match counted.iter_mut().find(|known| known.process == cost.process) {
                Some(known) if known.cpu < cost.cpu => *known = cost,
                Some(_) => {}
                None => counted.push(cost),
            }
        }
        let cpu = counted.iter().map(|cost| cost.cpu).sum();
        let system_calls = counted.iter().map(|cost| cost.system_calls).sum();
        (cpu, system_calls)
    }
}

/// The state of the process's accounts at one moment.
pub(crate) struct Snapshot {
    cpu: Duration,
    system_calls: Option<u64>,
}

impl Snapshot {
    /// The accounts as they stand.
    pub(crate) fn now() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
        let cpu = duration(usage.user_time()) + duration(usage.system_time());
        Ok(Self { cpu, system_calls: system_calls() })
    }

    /// What the process has spent since.
    pub(crate) fn cost(&self) -> Result<Cost> {
        let now = Self::now()?;
        let system_calls = now.system_calls.zip(self.system_calls).map(|(after, before)| after - before);
        Ok(Cost { process: std::process::id(), cpu: now.cpu.saturating_sub(self.cpu), system_calls })
    }
}

/// Begins to count system calls. To be called before the process has a second thread: threads inherit the counter.
///
/// Counting slows each call a little, so it is done in the warm-up, whose times are thrown away. Where the kernel
/// does not let this user count, nothing is counted and the figure is missing.
pub(crate) fn count_system_calls() {
    SYSTEM_CALLS.get_or_init(|| system_call_counter().ok().map(Mutex::new));
}

fn system_call_counter() -> Result<Counter> {
    let id = fs::read_to_string(SYSTEM_CALL_TRACEPOINT)?.trim().parse()?;
    let mut counter = Builder::new(Tracepoint::with_id(id)).inherit(true).include_kernel().build()?;
    counter.enable()?;
    Ok(counter)
}

fn system_calls() -> Option<u64> {
    let counter = SYSTEM_CALLS.get()?.as_ref()?;
    counter.lock().unwrap_or_else(PoisonError::into_inner).read().ok()
}

/// The memory that this process has written and shares with no other, in bytes.
pub(crate) fn private_memory() -> Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").context("/proc/self/smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).context("no Private_Dirty")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

fn duration(value: TimeVal) -> Duration {
    Duration::from_secs(value.tv_sec() as u64) + Duration::from_micros(value.tv_usec() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(process: u32, milliseconds: u64, system_calls: Option<u64>) -> Cost {
        Cost { process, cpu: Duration::from_millis(milliseconds), system_calls }
    }

    #[test]
    fn one_process_counts_once() {
        let costs = [cost(1, 5, Some(10)), cost(1, 7, Some(12)), cost(2, 1, Some(1))];
        assert_eq!(Cost::total(&costs), (Duration::from_millis(8), Some(13)));
    }

    #[test]
    fn an_unknown_number_of_calls_stays_unknown() {
        assert_eq!(Cost::total(&[cost(1, 5, None), cost(2, 1, Some(1))]).1, None);
    }

    #[test]
    fn memory_is_known() {
        assert!(private_memory().unwrap() > 0);
    }
}
