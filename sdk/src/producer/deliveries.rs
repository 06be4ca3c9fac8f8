//! What became of records: for those who wait for one, and for those who ask later.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::Error;

/// Ends of batches that are kept over all partitions of a producer, at most; and for each at least.
const KEPT_ENDS: usize = 64 * 1024;
const MIN_KEPT_ENDS: usize = 16;

/// Records of one fate: `first..end` in sequence.
#[derive(Debug)]
struct End {
    first: u64,
    end: u64,
    /// The offset of the first record, or why they failed.
    result: Result<u64, Error>,
}

#[derive(Debug, Default)]
struct Partition {
    ends: VecDeque<End>,
    /// Records below this sequence are settled.
    settled: u64,
    waiting: Vec<(u64, Waiter)>,
}

type Waiter = oneshot::Sender<Result<u64, Error>>;

/// The fates of a producer's records.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    partitions: Vec<Partition>,
    first_failure: Option<Error>,
}

/// The fate of a record.
#[derive(Debug)]
pub(super) enum Status {
    Known(Result<u64, Error>),
    /// It will be told.
    Later(oneshot::Receiver<Result<u64, Error>>),
}

impl Deliveries {
    /// Makes room for so many partitions.
    pub fn grow(&mut self, partitions: u32) {
        let partitions = self.partitions.len().max(partitions as usize);
        self.partitions.resize_with(partitions, Partition::default);
    }

    /// The sequence below which all records of the partition are settled.
    pub fn settled(&self, partition: u32) -> u64 {
        self.partitions[partition as usize].settled
    }

    /// Notes the end of the next batch of a partition; batches end in the order of their records.
    pub fn settle(&mut self, partition: u32, first: u64, records: u32, result: Result<u64, Error>) {
        let kept = (KEPT_ENDS / self.partitions.len().max(1)).max(MIN_KEPT_ENDS);
        let partition = &mut self.partitions[partition as usize];
        let end = first + u64::from(records);
        assert_eq!(partition.settled, first, "batches end in the order of their records");
        partition.settled = end;
        partition.tell(end, first, &result);
        if let Err(error) = &result
            && !matches!(error, Error::NotAcknowledged)
        {
            self.first_failure.get_or_insert_with(|| error.clone());
        }
        partition.keep(End { first, end, result }, kept);
    }

    /// What became of a record, or how to learn it.
    pub fn status(&mut self, partition: u32, sequence: u64) -> Status {
        let partition = &mut self.partitions[partition as usize];
        if sequence >= partition.settled {
            let (tell, told) = oneshot::channel();
            partition.waiting.push((sequence, tell));
            return Status::Later(told);
        }
        let place = partition.ends.partition_point(|end| end.end <= sequence);
        Status::Known(match partition.ends.get(place) {
            Some(end) if end.first <= sequence => end.of(sequence),
            _ => Err(Error::TicketExpired),
        })
    }

    /// Nothing will be settled any more: whoever waits learns that.
    pub fn end(&mut self) {
        self.partitions.iter_mut().for_each(|partition| partition.waiting.clear());
    }

    /// The first failure since the last time this was asked.
    pub fn take_failure(&mut self) -> Option<Error> {
        self.first_failure.take()
    }
}

impl Partition {
    /// Tells those who wait for a record below `end`.
    fn tell(&mut self, end: u64, first: u64, result: &Result<u64, Error>) {
        for (sequence, waiter) in self.waiting.extract_if(.., |(sequence, _)| *sequence < end) {
            // Whoever has stopped waiting needs no word.
            let _ = waiter.send(result.clone().map(|offset| offset + (sequence - first)));
        }
    }

    /// Keeps an end; successes that follow on each other in sequence and offset are one.
    fn keep(&mut self, end: End, kept: usize) {
        if let (Some(last), Ok(offset)) = (self.ends.back_mut(), &end.result)
            && last.end == end.first
            && last.result.as_ref().is_ok_and(|base| base + (last.end - last.first) == *offset)
        {
            last.end = end.end;
            return;
        }
        if self.ends.len() >= kept {
            self.ends.pop_front();
        }
        self.ends.push_back(end);
    }
}

impl End {
    fn of(&self, sequence: u64) -> Result<u64, Error> {
        self.result.clone().map(|offset| offset + (sequence - self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(deliveries: &mut Deliveries, sequence: u64) -> Result<u64, Error> {
        match deliveries.status(0, sequence) {
            Status::Known(result) => result,
            Status::Later(_) => panic!("record {sequence} is not settled"),
        }
    }

    #[test]
    fn offsets_follow_from_the_batch() {
        let mut deliveries = Deliveries::default();
        deliveries.grow(1);
        deliveries.settle(0, 0, 10, Ok(100));
        deliveries.settle(0, 10, 5, Ok(110));
        deliveries.settle(0, 15, 5, Ok(300));
        assert_eq!(deliveries.partitions[0].ends.len(), 2, "batches that follow on each other are one");
        for (sequence, offset) in [(0, 100), (9, 109), (10, 110), (14, 114), (15, 300), (19, 304)] {
            assert_eq!(known(&mut deliveries, sequence).unwrap(), offset);
        }
        assert!(matches!(deliveries.status(0, 20), Status::Later(_)));
        assert!(deliveries.take_failure().is_none());
    }

    #[test]
    fn whoever_waits_is_told() {
        let mut deliveries = Deliveries::default();
        deliveries.grow(1);
        let Status::Later(mut second) = deliveries.status(0, 1) else { panic!("settled") };
        let Status::Later(mut fourth) = deliveries.status(0, 3) else { panic!("settled") };
        deliveries.settle(0, 0, 3, Ok(7));
        assert_eq!(second.try_recv().unwrap().unwrap(), 8);
        assert!(fourth.try_recv().is_err());
        deliveries.settle(0, 3, 1, Err(Error::Closed));
        assert!(matches!(fourth.try_recv().unwrap(), Err(Error::Closed)));
        assert!(matches!(known(&mut deliveries, 3), Err(Error::Closed)));
        assert!(matches!(deliveries.take_failure(), Some(Error::Closed)));
        assert!(deliveries.take_failure().is_none());
    }

    #[test]
    fn old_ends_are_forgotten() {
        let mut deliveries = Deliveries::default();
        deliveries.grow(KEPT_ENDS as u32);
        for n in 0..100 {
            deliveries.settle(0, n, 1, Ok(n * 2));
        }
        assert!(matches!(known(&mut deliveries, 0), Err(Error::TicketExpired)));
        assert_eq!(known(&mut deliveries, 99).unwrap(), 198);
    }
}
