//! What the system knows of a process: its threads, its descriptors, its time.

use std::{collections::BTreeMap, fs, time::Duration};

/// The names of a process's threads.
pub fn threads() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect();
    names.sort();
    names
}

/// How many descriptors of each kind this process has open.
pub fn descriptors() -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok) {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        // `socket:[123]` is a socket, whatever its number.
        let kind = target.split_once(":[").map_or(target.clone(), |(kind, _)| kind.to_owned());
        *kinds.entry(kind).or_insert(0) += 1;
    }
    kinds
}

/// The resident memory of this process, in KiB.
pub fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// The processor time that this process has used, all threads, in user and kernel.
pub fn cpu_time() -> Duration {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok) {
        // Nanoseconds on a processor, where /proc/self/stat counts ticks of 10 ms.
        let Ok(schedstat) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        total += schedstat.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(total)
}

/// The processor time that this thread has used.
pub fn thread_cpu_time() -> Duration {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
}

/// The processor time that the threads of this name have used.
pub fn cpu_time_of(thread_name: &str) -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok).map(|task| task.path());
    let of_that_name =
        threads.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == thread_name));
    let used = of_that_name.filter_map(|task| fs::read_to_string(task.join("schedstat")).ok());
    Duration::from_nanos(used.map(|used| used.split(' ').next().unwrap().parse::<u64>().unwrap()).sum())
}

/// The state of a process: `R`, `S`, `T` (stopped), `Z`; `None` if it is gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
