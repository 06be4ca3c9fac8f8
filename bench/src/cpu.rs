//! Where threads run, and what a process costs: pinning, CPU time and resident memory.

use std::fs;
use std::io;
use std::mem;
use std::time::Duration;

use crate::error::{Error, Result};

/// The two cores of a measurement: the broker (or a bare server, or the disk probe) has one, the client the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// Core of the side that is measured.
    pub broker: usize,
    /// Core of the side that makes the load.
    pub client: usize,
}

/// Binds the calling thread to one core. Threads and processes that it starts later inherit the binding.
///
/// # Errors
///
/// When this machine (or the cgroup of this process) has no such core.
pub fn pin(core: usize) -> Result<()> {
    // SAFETY: cpu_set_t is a plain bit set, for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    if core >= libc::CPU_SETSIZE as usize {
        return Err(Error::Usage(format!(
            "core {core} is past the {} that Linux can pin to",
            libc::CPU_SETSIZE
        )));
    }
    // SAFETY: core is below CPU_SETSIZE, so that the bit lies inside the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: pid 0 is the calling thread, and the set outlives the call, which only reads it.
    let status = unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &set) };
    if status != 0 {
        return Err(Error::System { action: "pin a thread to its core", source: io::Error::last_os_error() });
    }
    Ok(())
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time of the whole thread group since it started; io_uring's workers belong to it.
    pub cpu: Duration,
    /// Resident memory now, in KiB.
    pub rss_kib: u64,
    /// The most resident memory that the process ever had, in KiB.
    pub rss_peak_kib: u64,
}

/// Reads the usage of a process from `/proc`.
///
/// # Errors
///
/// When there is no such process.
pub fn usage(pid: u32) -> Result<Usage> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        fs::read_to_string(&path).map_err(Error::file("read", path))
    };
    let status = read("status")?;
    Ok(Usage {
        cpu: parse_cpu(&read("stat")?, ticks_per_second())
            .ok_or_else(|| Error::Broker(format!("has a /proc/{pid}/stat that cannot be read")))?,
        rss_kib: parse_kib(&status, "VmRSS:").unwrap_or(0),
        rss_peak_kib: parse_kib(&status, "VmHWM:").unwrap_or(0),
    })
}

fn ticks_per_second() -> u64 {
    // SAFETY: sysconf reads a constant of the system.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100)
}

/// Sum of `utime` and `stime`, fields 14 and 15. The second field is the command's name and may hold spaces and
/// brackets, so that counting starts after its last bracket.
fn parse_cpu(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_nanos((user + system) * (1_000_000_000 / ticks_per_second)))
}

fn parse_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_name_with_brackets() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 1000 5000 80";
        assert_eq!(parse_cpu(stat, 100), Some(Duration::from_secs(2)));
        assert_eq!(parse_cpu("42 (short) S 1", 100), None);
    }

    #[test]
    fn memory_is_read_by_name() {
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(parse_kib(status, "VmRSS:"), Some(1024));
        assert_eq!(parse_kib(status, "VmHWM:"), Some(2048));
        assert_eq!(parse_kib(status, "VmSwap:"), None);
    }

    #[test]
    fn a_busy_process_uses_cpu_and_memory() {
        let before = usage(std::process::id()).unwrap();
        assert!(before.rss_kib > 0 && before.rss_peak_kib >= before.rss_kib);
        let start = std::time::Instant::now();
        let mut sum = 0u64;
        while start.elapsed() < Duration::from_millis(60) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(usage(std::process::id()).unwrap().cpu > before.cpu);
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(usage(u32::MAX - 1).is_err());
    }

    #[test]
    fn a_core_that_does_not_exist_is_an_error() {
        assert!(pin(1023).is_err());
        assert!(pin(5000).is_err());
    }
}
