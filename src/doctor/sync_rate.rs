//! How long it takes to make a small write durable.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::Check;
use super::scratch::{AlignedBuffer, BLOCK, Scratch};

const NAME: &str = "sync";

/// How long each way of syncing is measured.
const TIME: Duration = Duration::from_millis(500);

/// Blocks of the file that are written over in turn.
const BLOCKS: usize = 1_024;

/// Slower than this, an unbatched producer waits noticeably: no solid-state disk should be.
const SLOW: Duration = Duration::from_millis(5);

/// Faster than this, nothing can have been made durable: no device is.
const IMPLAUSIBLE: Duration = Duration::from_micros(5);

/// Measures one 4 KiB write at a time into already written extents, as segments are written to once they are
/// recycled: with `fdatasync` after each, and with O_DSYNC.
pub(super) fn check(scratch: &Scratch) -> Check {
    match measure(scratch) {
        Ok((flush, dsync)) => judge(&flush, &dsync),
        Err(error) => Check::bad(
            NAME,
            format!("writing failed: {error}"),
            "check the disk and the kernel's log (dmesg)",
        ),
    }
}

fn measure(scratch: &Scratch) -> io::Result<(Latencies, Latencies)> {
    scratch.plain.write_all_at(&AlignedBuffer::new(BLOCKS * BLOCK), 0)?;
    scratch.plain.sync_all()?;
    let flush = repeat(&scratch.plain, File::sync_data)?;
    let dsync = repeat(&scratch.dsync, |_| Ok(()))?;
    Ok((flush, dsync))
}

fn repeat(file: &File, sync: impl Fn(&File) -> io::Result<()>) -> io::Result<Latencies> {
    let block = AlignedBuffer::new(BLOCK);
    let mut latencies = Vec::new();
    let end = Instant::now() + TIME;
    while Instant::now() < end {
        let position = latencies.len() % BLOCKS * BLOCK;
        let start = Instant::now();
        file.write_all_at(&block, position as u64)?;
        sync(file)?;
        latencies.push(start.elapsed());
    }
    Ok(Latencies::new(latencies))
}

/// The latencies of equal operations, one after the other; never empty.
struct Latencies(Vec<Duration>);

impl Latencies {
    fn new(mut latencies: Vec<Duration>) -> Self {
        assert!(!latencies.is_empty(), "at least one operation is measured, however long it takes");
        latencies.sort_unstable();
        Self(latencies)
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    fn median(&self) -> Duration {
        self.percentile(50)
    }

    fn per_second(&self) -> f64 {
        self.0.len() as f64 / self.0.iter().sum::<Duration>().as_secs_f64()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {} us, p99 {} us, {:.0}/s",
            self.median().as_micros(),
            self.percentile(99).as_micros(),
            self.per_second()
        )
    }
}

fn judge(flush: &Latencies, dsync: &Latencies) -> Check {
    let comparison = compare(flush.median(), dsync.median());
    let finding = format!("4 KiB write and fdatasync: {flush}; write with O_DSYNC: {dsync}; {comparison}");
    match flush.median().min(dsync.median()) {
        median if median < IMPLAUSIBLE => Check::warn(
            NAME,
            finding,
            "no disk is this fast: make sure that syncs reach a device that keeps data when the power fails",
        ),
        median if median > SLOW => Check::warn(
            NAME,
            finding,
            "a solid-state disk, best one with power-loss protection, would acknowledge sooner",
        ),
        _ => Check::good(NAME, finding),
    }
}

/// Which way is faster. Differences below a tenth come and go from run to run.
fn compare(flush: Duration, dsync: Duration) -> &'static str {
    let (low, high) = (flush.min(dsync), flush.max(dsync));
    match high.abs_diff(low) * 10 > high {
        false => "both take as long",
        true if dsync < flush => "O_DSYNC is faster",
        true => "fdatasync is faster",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn latencies(micros: impl IntoIterator<Item = u64>) -> Latencies {
        Latencies::new(micros.into_iter().map(Duration::from_micros).collect())
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let hundred = latencies((1..=100).rev());
        assert_eq!(hundred.median(), Duration::from_micros(50));
        assert_eq!(hundred.percentile(99), Duration::from_micros(99));
        assert_eq!(latencies([7]).percentile(99), Duration::from_micros(7));
        assert_eq!(latencies([500, 1_500]).to_string(), "p50 500 us, p99 500 us, 1000/s");
    }

    #[test]
    fn the_faster_way_is_judged() {
        let judge = |flush, dsync| judge(&latencies([flush]), &latencies([dsync]));
        assert_eq!(judge(150, 20_000).verdict, Verdict::Good);
        assert_eq!(judge(9_000, 8_000).verdict, Verdict::Warn);
        assert_eq!(judge(2, 200).verdict, Verdict::Warn);
        assert!(judge(200, 100).finding.ends_with("O_DSYNC is faster"));
        assert!(judge(100, 200).finding.ends_with("fdatasync is faster"));
        assert!(judge(205, 200).finding.ends_with("both take as long"));
    }
}
