//! What processes spend, as the kernel counts it; `None` where the kernel is not Linux.

#[cfg(target_os = "linux")]
mod linux {
    use procfs::process::{Process, Stat, all_processes};

    /// Processor time of this process since its start.
    pub fn cpu_us() -> Option<f64> {
        Some(ticks_us(&Process::myself().ok()?.stat().ok()?))
    }

    /// The most memory that this process has had at once.
    pub fn peak_mib() -> Option<f64> {
        let kib = Process::myself().ok()?.status().ok()?.vmhwm?;
        Some(kib as f64 / 1024.0)
    }

    /// The parent of a process, if the process's title holds this text: a server on another machine, or in a container,
    /// has process ids that mean somebody else here.
    pub fn parent_of(pid: i32, title: &str) -> Option<i32> {
        let process = Process::new(pid).ok()?;
        let titles = process.cmdline().ok()?;
        titles.iter().any(|word| word.contains(title)).then_some(process.stat().ok()?.ppid)
    }

    /// Processor time of a process, of its children, and of its children that have ended.
    pub fn family_us(parent: i32) -> Option<f64> {
        let head = Process::new(parent).ok()?.stat().ok()?;
        let children = all_processes().ok()?.filter_map(|process| process.ok()?.stat().ok());
        let living: f64 = children.filter(|stat| stat.ppid == parent).map(|stat| ticks_us(&stat)).sum();
        let ended = us(head.cutime.unsigned_abs() + head.cstime.unsigned_abs());
        Some(ticks_us(&head) + living + ended)
    }

    fn ticks_us(stat: &Stat) -> f64 {
        us(stat.utime + stat.stime)
    }

    fn us(ticks: u64) -> f64 {
        ticks as f64 * 1e6 / procfs::ticks_per_second() as f64
    }
}

#[cfg(target_os = "linux")]
pub use linux::{cpu_us, family_us, parent_of, peak_mib};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    /// Nothing is known.
    pub fn cpu_us() -> Option<f64> {
        None
    }

    /// Nothing is known.
    pub fn peak_mib() -> Option<f64> {
        None
    }

    /// Nothing is known.
    pub fn parent_of(_: i32, _: &str) -> Option<i32> {
        None
    }

    /// Nothing is known.
    pub fn family_us(_: i32) -> Option<f64> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{cpu_us, family_us, parent_of, peak_mib};
