//! The machine that figures come from.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// What figures depend on, as the kernel tells it.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processor.
    pub cpu: String,
    /// Logical processors that are online.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Kernel release.
    pub kernel: String,
    /// Device, file system and options below the data directory.
    pub disk: String,
    /// When the report was made, UTC.
    pub date: String,
}

impl Machine {
    /// Describes this machine; `data` lies on the disk that is measured. What cannot be found out is "unknown".
    pub fn describe(data: &Path) -> Self {
        let cpu_info = read("/proc/cpuinfo");
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            cpu: field(&cpu_info, "model name").unwrap_or("unknown").to_owned(),
            cores: cpu_info.lines().filter(|line| line.starts_with("processor")).count(),
            memory_mib: field(&read("/proc/meminfo"), "MemTotal").and_then(kib).unwrap_or(0) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            disk: mount(&read("/proc/mounts"), data).unwrap_or_else(|| "unknown".to_owned()),
            date: utc(since_1970.as_secs()),
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value after `name` and a colon.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

fn kib(value: &str) -> Option<u64> {
    value.strip_suffix("kB")?.trim().parse().ok()
}

/// Device, file system and options of the longest mount point that `path` lies under.
fn mount(mounts: &str, path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let under = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (device, point) = (fields.next()?, fields.next()?);
        path.starts_with(point)
            .then(|| (point.len(), format!("{device} {}", fields.take(2).collect::<Vec<_>>().join(" "))))
    });
    under.max_by_key(|(length, _)| *length).map(|(_, text)| text)
}

/// `YYYY-MM-DD HH:MM UTC`, by Hinnant's days-to-civil algorithm: years that start in March end in the leap day.
fn utc(seconds: u64) -> String {
    let (days, in_day) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", in_day / 3600, in_day % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_709_251_199), "2024-02-29 23:59 UTC");
        assert_eq!(utc(1_767_225_600), "2026-01-01 00:00 UTC");
    }

    #[test]
    fn the_longest_mount_point_wins() {
        let mounts = "/dev/a / ext4 rw 0 0\n/dev/b /proc xfs ro 0 0\n/dev/c /procession ext4 rw 0 0\n";
        assert_eq!(mount(mounts, Path::new("/proc/self")).unwrap(), "/dev/b xfs ro");
        assert_eq!(mount(mounts, Path::new("/")).unwrap(), "/dev/a ext4 rw");
    }

    #[test]
    fn this_machine_has_a_processor_and_memory() {
        let machine = Machine::describe(Path::new("/"));
        assert!(machine.cores > 0 && machine.memory_mib > 0);
        assert!(!machine.kernel.is_empty() && machine.disk != "unknown");
    }
}
