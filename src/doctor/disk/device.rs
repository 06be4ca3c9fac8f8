//! The block device under the file system.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Check, source};

pub(super) const NAME: &str = "block device";

/// Checks the device of the number `major:minor`.
pub(super) fn check(number: &str) -> Check {
    let queue = fs::canonicalize(format!("/sys/dev/block/{number}")).ok().and_then(|path| Queue::of(&path));
    queue.map_or_else(|| Check::not_exposed(NAME), |queue| judge(&queue))
}

/// What the kernel says about a device's request queue.
struct Queue {
    device: String,
    scheduler: String,
    write_cache: String,
    /// Whether a single write can be made durable without flushing the whole cache.
    fua: bool,
    /// Bytes.
    logical_block: u64,
}

impl Queue {
    /// The queue of the device at `path`, or of the whole disk if that is a partition.
    fn of(path: &Path) -> Option<Self> {
        let own = |path: &Path| path.join("queue").is_dir().then(|| path.to_owned());
        let disk: PathBuf = own(path).or_else(|| own(path.parent()?))?;
        let queue = disk.join("queue");
        let scheduler = source::text(queue.join("scheduler"))?;
        Some(Self {
            device: disk.file_name()?.to_string_lossy().into_owned(),
            scheduler: scheduler.split(['[', ']']).nth(1).unwrap_or(&scheduler).to_owned(),
            write_cache: source::text(queue.join("write_cache"))?,
            fua: source::number(queue.join("fua")) == Some(1),
            logical_block: source::number(queue.join("logical_block_size"))?,
        })
    }
}

fn judge(queue: &Queue) -> Check {
    let Queue { device, scheduler, write_cache, .. } = queue;
    let fua = if queue.fua { "FUA" } else { "no FUA" };
    let finding = format!("{device}: {write_cache} cache, {fua}, scheduler {scheduler}");
    if queue.logical_block > 4_096 {
        return Check::bad(
            NAME,
            format!("{finding}, blocks of {} bytes", queue.logical_block),
            "segments are written in blocks of 4 KiB: format the device with blocks of 4 KiB or less",
        );
    }
    if scheduler == "bfq" {
        let advice = format!(
            "it holds back syncs to be fair between processes: echo none > /sys/block/{device}/queue/scheduler"
        );
        return Check::warn(NAME, finding, advice);
    }
    Check::good(NAME, finding)
}

#[cfg(test)]
mod tests {
    use super::super::super::Verdict;
    use super::*;

    fn disk(root: &Path, scheduler: &str, logical_block: &str) -> PathBuf {
        let queue = root.join("vda/queue");
        fs::create_dir_all(&queue).unwrap();
        fs::create_dir_all(root.join("vda/vda1")).unwrap();
        for (name, text) in [
            ("scheduler", scheduler),
            ("write_cache", "write back\n"),
            ("fua", "0\n"),
            ("logical_block_size", logical_block),
        ] {
            fs::write(queue.join(name), text).unwrap();
        }
        root.join("vda")
    }

    #[test]
    fn a_partition_has_the_queue_of_its_disk() {
        let root = tempfile::tempdir().unwrap();
        let disk = disk(root.path(), "none [mq-deadline] bfq \n", "512\n");
        for path in [disk.join("vda1"), disk] {
            let check = judge(&Queue::of(&path).unwrap());
            assert_eq!(check, Check::good(NAME, "vda: write back cache, no FUA, scheduler mq-deadline"));
        }
        assert!(Queue::of(root.path()).is_none());
    }

    #[test]
    fn unfit_schedulers_and_blocks_are_told() {
        let root = tempfile::tempdir().unwrap();
        let judged =
            |scheduler, block| judge(&Queue::of(&disk(root.path(), scheduler, block)).unwrap()).verdict;
        assert_eq!(judged("none", "4096"), Verdict::Good);
        assert_eq!(judged("none [bfq]", "512"), Verdict::Warn);
        assert_eq!(judged("[none]", "16384"), Verdict::Bad);
    }
}
