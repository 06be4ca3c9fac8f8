//! Disks that break their contract.

use ringmail_simulator::engine::LYING_SEEDS;
use ringmail_simulator::figures::Figures;
use ringmail_simulator::run::{World, episode};
use ringmail_simulator::trace::Show;

/// Episodes of each kind.
const EPISODES: u64 = 16;

fn figures_of(seeds: impl Iterator<Item = u64>) -> Figures {
    seeds.fold(Figures::default(), |mut sum, seed| {
        sum += episode(World::Engine, seed, 4000, Show::Nothing)
            .unwrap_or_else(|violation| panic!("{seed}: {}: {}", violation.check, violation.words));
        sum
    })
}

#[test]
fn lies_of_disks_are_told_and_found() {
    let Figures { disks, damage_reported, damaged_reads, .. } =
        figures_of((1..=EPISODES).map(|k| k * LYING_SEEDS - 1));
    assert!(disks.lost_writes > 0 && disks.misdirected_writes > 0 && disks.rotten_bits > 0, "{disks:?}");
    assert!(damage_reported > 0, "nobody noticed {} lies", disks.lies());
    assert!(damaged_reads > 0, "no reader met one of {} lies", disks.lies());
}

#[test]
fn disks_that_keep_their_contract_are_not_called_damaged() {
    let honest = (0..LYING_SEEDS - 1).chain(LYING_SEEDS..2 * LYING_SEEDS - 1);
    let Figures { disks, damage_reported, damaged_reads, .. } = figures_of(honest);
    assert_eq!((disks.lies(), damage_reported, damaged_reads), (0, 0, 0));
    assert!(disks.lost_sectors > 0, "there were crashes");
}
