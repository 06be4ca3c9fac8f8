//! The real broker is killed under the load of the SDK, again and again, at every moment of its life: nothing that was acknowledged
//! or read is lost, nothing comes twice, nothing is out of order. `LOOPS` says how often, `SEED` when.

#[path = "../native/broker.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code, reason = "brokers know it")]
mod client;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;

use broker::{Broker, Data};
use support::book::Crash;
use support::campaign::{Campaign, Ending, Site, moment};
use support::rng::Rng;
use support::world::World;

const DEFAULT_LOOPS: u64 = 20;

fn main() -> ExitCode {
    let mut campaign = Campaign::new(World::new(Crash::Kill), DEFAULT_LOOPS);
    let loops = campaign.loops();
    // One shard, then two, then three.
    for (until, first, then) in [(loops / 2, 1, 1), (loops, 2, 3)] {
        let data = Data::new();
        let (world, figures) = (Arc::clone(&campaign.world), Arc::clone(&campaign.figures));
        let mut site = Site::new(data.path(), &[], &world, &figures);
        site.shards = first;
        campaign.run(&mut site, &mut Kill, until, then);
    }
    campaign.report()
}

/// SIGKILL: under load, while the broker starts, while it goes down in an orderly way; or no SIGKILL at all.
struct Kill;

impl Ending for Kill {
    fn end(&mut self, broker: Broker, site: &Site, rng: &mut Rng) {
        sleep(moment(rng, 900));
        let log = match rng.below(10) {
            0 => broker.stop(),
            1 => stop_twice(broker, rng),
            2 | 3 => {
                broker.signal("TERM");
                sleep(moment(rng, 60));
                broker.kill()
            }
            _ => broker.kill(),
        };
        site.hear(&log, self);
        if rng.below(4) == 0 {
            for _ in 0..=rng.below(3) {
                let starting = site.spawn();
                sleep(moment(rng, 80));
                site.hear(&starting.kill(), self);
            }
        }
    }

    fn is_due(&self, _: &str) -> bool {
        false
    }
}

/// The second signal ends the process at once, if it has not ended by then.
fn stop_twice(mut broker: Broker, rng: &mut Rng) -> String {
    broker.signal("TERM");
    sleep(moment(rng, 20));
    broker.try_signal("TERM");
    broker.wait().1
}
