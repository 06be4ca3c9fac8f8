//! The power of the broker's disk is cut under the load of the SDK, again and again: nothing that was acknowledged as synced, and
//! nothing that was read, is lost. `LOOPS` says how often, `SEED` when.
//!
//! The data is on an ext4 file system in a file on a loop device, and that file is on another such file system. There are two kinds of
//! cuts, both by `FS_IOC_SHUTDOWN` without flushing the journal. The next start is from what is on the device after its journal was
//! replayed.
//!
//! - **Of the file system** with the data: what it had not committed is lost: sizes, names, allocations, and everything written to
//!   blocks that were allocated and not synced. What was written to blocks that were in use before stays.
//! - **Of the disk** below it, that is of the file system with the image: that one's page cache is a write cache that forgets.
//!   Everything is lost that was not flushed by a sync, but for what happened to be written back; random parts of it are, beforehand.
//!
//! What this does not show: a device that lies about flushing, or that tears a block of 4 KiB.

#[path = "../native/broker.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code, reason = "brokers know it")]
mod client;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use broker::Broker;
use support::book::Crash;
use support::campaign::{Campaign, Ending, Site, moment};
use support::findings::Kind;
use support::mount::Mount;
use support::rng::Rng;
use support::world::World;

const DEFAULT_LOOPS: u64 = 5;
const INNER_BYTES: u64 = 1 << 30;
const OUTER_BYTES: u64 = INNER_BYTES + (128 << 20);
/// Answers that were on their way when the power went may still be told.
const LAST_WORDS: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let mut campaign = Campaign::new(World::new(Crash::PowerCut), DEFAULT_LOOPS);
    let loops = campaign.loops();
    let unfilled: &[&str] = &["log.prefill_segments=0"];
    // Segments that were filled with zeros before, whose blocks are in use, and such as were only allocated.
    for (until, settings, first, then) in [(loops / 2, &[][..], 1, 2), (loops, unfilled, 2, 3)] {
        let mut power = match PowerCut::new() {
            Ok(power) => power,
            Err(words) => {
                println!(
                    "power cuts: skipped, as this process may not mount file systems of its own: {words}"
                );
                return ExitCode::SUCCESS;
            }
        };
        let (world, figures) = (Arc::clone(&campaign.world), Arc::clone(&campaign.figures));
        let mut site = Site::new(power.inner.at().join("data"), settings, &world, &figures);
        site.shards = first;
        campaign.run(&mut site, &mut power, until, then);
    }
    campaign.report()
}

/// A disk whose power can be cut.
struct PowerCut {
    /// Dropped first: it is in a file of the other.
    inner: Mount,
    outer: Mount,
}

impl PowerCut {
    fn new() -> Result<Self, String> {
        let outer = Mount::new(OUTER_BYTES)?;
        Ok(Self { inner: Mount::inside(&outer, INNER_BYTES)?, outer })
    }

    fn cut(&self, disk: bool, rng: &mut Rng) {
        if disk && rng.below(2) == 0 {
            self.write_back_some(rng);
        }
        let cut = if disk { self.outer.cut_off() } else { self.inner.cut_off() };
        cut.expect("a mounted file system can be cut off");
    }

    /// Has random parts of the disk's cache written, as a disk does in an order of its own.
    fn write_back_some(&self, rng: &mut Rng) {
        let image = File::open(self.inner.image()).expect("the image is there");
        for _ in 0..rng.below(64) {
            let (from, length) = (rng.below(INNER_BYTES) & !0xfff, (1 + rng.below(2048)) << 12);
            // SAFETY: the descriptor is open; the call has no memory arguments.
            unsafe {
                libc::sync_file_range(
                    image.as_raw_fd(),
                    from as libc::off64_t,
                    length as libc::off64_t,
                    libc::SYNC_FILE_RANGE_WRITE,
                );
            }
        }
    }

    /// Has the power back.
    fn restore(&self, disk: bool) -> Result<(), String> {
        self.inner.unmount()?;
        if disk {
            self.outer.unmount()?;
            self.outer.mount()?;
        }
        self.inner.mount()
    }

    fn cut_and_restore(&self, site: &Site, rng: &mut Rng, end: impl FnOnce() -> String) {
        let disk = rng.below(2) == 0;
        self.cut(disk, rng);
        sleep(moment(rng, 50));
        site.hear(&end(), self);
        sleep(LAST_WORDS);
        if let Err(words) = self.restore(disk) {
            site.world.findings.add(Kind::Broken, || format!("the file system does not come back: {words}"));
            panic!("{words}");
        }
    }
}

impl Ending for PowerCut {
    fn end(&mut self, broker: Broker, site: &Site, rng: &mut Rng) {
        sleep(moment(rng, 900));
        let going_down = rng.below(4) == 0;
        if going_down {
            broker.signal("TERM");
            sleep(moment(rng, 60));
        }
        self.cut_and_restore(site, rng, || broker.kill());
        if rng.below(4) == 0 {
            let starting = site.spawn();
            sleep(moment(rng, 80));
            self.cut_and_restore(site, rng, || starting.kill());
        }
    }

    /// The disk fails before the broker is ended.
    fn is_due(&self, line: &str) -> bool {
        ["takes no more writes", "could not be marked", "cannot be used", "no further segment can be created"]
            .iter()
            .any(|words| line.contains(words))
    }
}
