//! How a member gets from what it has to what it is to have: it gives up first, and gets what others have given up.

use super::member::{CurrentAssignment, MemberState};
use super::{Partition, Partitions};

/// What a member is to have, and as of which epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub epoch: i32,
    pub partitions: &'a Partitions,
}

/// The next step of a member. `owned` is what it says that it has, if it says so now; `is_free` whether nobody else has a
/// partition.
pub(super) fn step(
    current: &CurrentAssignment,
    target: Target<'_>,
    owned: Option<&Partitions>,
    is_free: impl Fn(Partition) -> bool,
) -> CurrentAssignment {
    match current.state {
        MemberState::Stable if current.epoch == target.epoch => current.clone(),
        MemberState::UnrevokedPartitions if !has_given_up(&current.revoking, owned) => current.clone(),
        // What it was asked to give up was on the way to a later epoch than its own.
        MemberState::UnrevokedPartitions => {
            advance(current, current.epoch.saturating_add(1), target, owned, is_free)
        }
        _ => advance(current, current.epoch, target, owned, is_free),
    }
}

/// Whether a member is known to have none of these any more. One that does not say what it has is taken to have them.
fn has_given_up(revoking: &Partitions, owned: Option<&Partitions>) -> bool {
    revoking.is_empty() || owned.is_some_and(|owned| owned.is_disjoint(revoking))
}

fn advance(
    current: &CurrentAssignment,
    epoch: i32,
    target: Target<'_>,
    owned: Option<&Partitions>,
    is_free: impl Fn(Partition) -> bool,
) -> CurrentAssignment {
    let previous_epoch = current.epoch;
    let kept: Partitions = current.assigned.intersection(target.partitions).copied().collect();
    let revoking: Partitions = current.assigned.difference(&kept).copied().collect();
    if !has_given_up(&revoking, owned) {
        let state = MemberState::UnrevokedPartitions;
        return CurrentAssignment { epoch, previous_epoch, state, assigned: kept, revoking };
    }
    let missing = target.partitions.difference(&kept).copied();
    let (free, unreleased): (Vec<_>, Vec<_>) = missing.partition(|&partition| is_free(partition));
    let mut assigned = kept;
    assigned.extend(free);
    let state = match unreleased.is_empty() {
        true => MemberState::Stable,
        false => MemberState::UnreleasedPartitions,
    };
    let next = CurrentAssignment {
        epoch: target.epoch,
        previous_epoch,
        state,
        assigned,
        revoking: Partitions::new(),
    };
    // A member that goes on waiting stays as it is, and nothing is written for it.
    match next.epoch == current.epoch && next.state == current.state && next.assigned == current.assigned {
        true => current.clone(),
        false => next,
    }
}

#[cfg(test)]
mod tests {
    use ringmail_kafka::codec::Uuid;

    use super::*;

    fn set(numbers: &[i32]) -> Partitions {
        numbers.iter().map(|&number| (Uuid([1; 16]), number)).collect()
    }

    fn at(epoch: i32, state: MemberState, assigned: &[i32], revoking: &[i32]) -> CurrentAssignment {
        CurrentAssignment {
            epoch,
            previous_epoch: epoch - 1,
            state,
            assigned: set(assigned),
            revoking: set(revoking),
        }
    }

    #[test]
    fn what_is_to_go_goes_before_anything_comes() {
        let target = set(&[2, 3, 4]);
        let target = Target { epoch: 7, partitions: &target };
        let stable = at(5, MemberState::Stable, &[1, 2], &[]);

        let asked = step(&stable, target, None, |_| true);
        assert_eq!(asked.state, MemberState::UnrevokedPartitions);
        assert_eq!((asked.epoch, &asked.assigned, &asked.revoking), (5, &set(&[2]), &set(&[1])));

        assert_eq!(step(&asked, target, None, |_| true), asked, "it says nothing of what it has");
        assert_eq!(step(&asked, target, Some(&set(&[1, 2])), |_| true), asked, "it still has it");

        let waiting = step(&asked, target, Some(&set(&[2])), |(_, number)| number != 4);
        assert_eq!(waiting.state, MemberState::UnreleasedPartitions);
        assert_eq!((waiting.epoch, &waiting.assigned), (7, &set(&[2, 3])));
        assert_eq!(step(&waiting, target, None, |(_, number)| number != 4), waiting);

        let done = step(&waiting, target, None, |_| true);
        assert_eq!((done.state, done.epoch, &done.assigned), (MemberState::Stable, 7, &set(&[2, 3, 4])));
    }

    #[test]
    fn the_next_revocation_begins_with_an_epoch_of_its_own() {
        let target = set(&[3]);
        let asked = at(5, MemberState::UnrevokedPartitions, &[2, 3], &[1]);
        let next = step(&asked, Target { epoch: 9, partitions: &target }, Some(&set(&[2, 3])), |_| true);
        assert_eq!((next.state, next.epoch), (MemberState::UnrevokedPartitions, 6));
        assert_eq!((&next.assigned, &next.revoking), (&set(&[3]), &set(&[2])));
    }
}
