//! Reading records.

mod assignment;
mod batch;
mod config;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use bytes::Bytes;
use ringmail_wire::protocol::{ErrorCode, OffsetQuery, features};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep_until;

use self::assignment::Assignment;
use crate::client::link::Delivery;
use crate::core::{BrokerError, Fetched};
use crate::{Client, Error};

pub use batch::{ConsumedBatch, ConsumedRecord};
pub use config::{ConsumerConfig, OutOfRange, StartAt, Transport};

/// Subscriptions that are had on one connection of a shard before there is another: somewhat below what
/// brokers allow unless they are told otherwise.
const SUBSCRIPTIONS_PER_CONNECTION: usize = 1000;

/// Reads partitions; see [`Client::consumer`].
///
/// Batches of all assigned partitions come in one stream, those of each partition in order. A lost connection
/// is made again and reading goes on where it was. Dropping a future of this type's methods loses nothing.
///
/// ```no_run
/// # async fn example() -> Result<(), ringmail_sdk::Error> {
/// use ringmail_sdk::{Client, StartAt};
///
/// let client = Client::connect("127.0.0.1:7411").await?;
/// let mut consumer = client.consumer();
/// consumer.assign_topic("orders", StartAt::Start).await?;
/// consumer.until_end().await?;
/// while let Some(record) = consumer.next().await? {
///     println!("{} {:?}", record.offset, record.value);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    config: ConsumerConfig,
    assignments: Vec<Assignment>,
    /// Assignments that are to be started, and when.
    to_start: BTreeSet<(Instant, usize)>,
    /// Assignments that are not finished.
    unfinished: usize,
    /// The assignment that a stream belongs to, by the stream's key.
    streams: HashMap<u64, usize, RandomState>,
    next_key: u64,
    inbox: UnboundedReceiver<(u64, Delivery)>,
    inbox_sender: UnboundedSender<(u64, Delivery)>,
    /// Batches of one assignment that were received and not handed out yet.
    received: Option<(usize, Bytes)>,
    /// The batch whose records are handed out one by one.
    current: Option<(usize, ConsumedBatch)>,
}

impl Consumer {
    pub(crate) fn new(client: Client, config: ConsumerConfig) -> Self {
        let (inbox_sender, inbox) = unbounded_channel();
        Self {
            client,
            config,
            assignments: Vec::new(),
            to_start: BTreeSet::new(),
            unfinished: 0,
            streams: HashMap::default(),
            next_key: 0,
            inbox,
            inbox_sender,
            received: None,
            current: None,
        }
    }

    // ---- What to read ----

    /// Reads these partitions, each from its own place, and no others any more.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`], [`Error::Unsupported`], or that the broker cannot
    /// be reached; the assignment is as it was before then.
    pub async fn assign<'t>(
        &mut self,
        partitions: impl IntoIterator<Item = (&'t str, u32, StartAt)>,
    ) -> Result<(), Error> {
        self.check_transport().await?;
        let mut by_topic: BTreeMap<&str, Vec<(u32, StartAt)>> = BTreeMap::new();
        for (topic, partition, start) in partitions {
            by_topic.entry(topic).or_default().push((partition, start));
        }
        let mut assignments = Vec::new();
        let mut on_shard: HashMap<u16, usize> = HashMap::new();
        for (name, starts) in by_topic {
            let topic = self.client.refresh(name).await?;
            let positions = self.positions(name, &starts).await?;
            for ((partition, _), position) in starts.into_iter().zip(positions) {
                let count = on_shard.entry(topic.partition(partition)?.shard).or_default();
                let connection = *count / SUBSCRIPTIONS_PER_CONNECTION;
                *count += 1;
                assignments.push(Assignment::new(topic.name.clone(), partition, position, connection));
            }
        }
        self.replace(assignments);
        Ok(())
    }

    /// Reads all partitions of a topic, and nothing else any more.
    ///
    /// # Errors
    /// As [`Self::assign`].
    pub async fn assign_topic(&mut self, topic: &str, start: StartAt) -> Result<(), Error> {
        let partitions = self.client.refresh(topic).await?.partitions.len() as u32;
        self.assign((0..partitions).map(|partition| (topic, partition, start))).await
    }

    async fn check_transport(&self) -> Result<(), Error> {
        let server = self.client.server().await?;
        if self.config.transport == Transport::Push && server.features & features::SUBSCRIBE == 0 {
            let feature = "subscriptions (`Transport::Poll` works without)";
            return Err(Error::Unsupported { server: self.client.address(), feature });
        }
        Ok(())
    }

    /// Offsets of the places to start at.
    async fn positions(&self, topic: &str, starts: &[(u32, StartAt)]) -> Result<Vec<u64>, Error> {
        let asked = starts.iter().filter_map(|(p, start)| start.query().err().map(|query| (*p, query)));
        let asked: Vec<_> = asked.collect();
        let mut answers = match asked.as_slice() {
            [] => Vec::new(),
            asked => self.client.list_offsets(topic, asked).await?,
        }
        .into_iter();
        let position = |(_, start): &(u32, StartAt)| {
            start.query().unwrap_or_else(|_| answers.next().expect("there is an answer to each question"))
        };
        Ok(starts.iter().map(position).collect())
    }

    fn replace(&mut self, assignments: Vec<Assignment>) {
        self.assignments = assignments;
        self.unfinished = self.assignments.len();
        self.to_start.clear();
        self.streams.clear();
        self.received = None;
        self.current = None;
        let now = Instant::now();
        self.to_start.extend((0..self.assignments.len()).map(|index| (now, index)));
    }

    /// Stops where the partitions end now: [`Self::next_batch`] and [`Self::next`] return `None` when all is
    /// read that there is at this moment.
    ///
    /// # Errors
    /// [`Error::OffsetOutOfRange`] if reading is to begin past an end, with [`OutOfRange::Fail`]; that the
    /// broker cannot be reached.
    pub async fn until_end(&mut self) -> Result<(), Error> {
        let mut by_topic: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
        for (index, assignment) in self.assignments.iter().enumerate() {
            by_topic.entry(assignment.topic.clone()).or_default().push(index);
        }
        let mut ends = Vec::new();
        for (topic, indexes) in by_topic {
            let queries = indexes.iter().map(|i| (self.assignments[*i].partition, OffsetQuery::Last));
            let offsets = self.client.list_offsets(&topic, &queries.collect::<Vec<_>>()).await?;
            ends.extend(indexes.into_iter().zip(offsets));
        }
        for (index, end) in &ends {
            let assignment = &self.assignments[*index];
            if assignment.position > *end && self.config.out_of_range == OutOfRange::Fail {
                return Err(assignment.out_of_range(format!("the partition ends at {end}")));
            }
        }
        for (index, end) in ends {
            self.assignments[index].until = Some(end);
        }
        self.count_unfinished();
        Ok(())
    }

    fn count_unfinished(&mut self) {
        self.unfinished = self.assignments.iter().filter(|a| !a.is_finished()).count();
    }

    /// Goes on reading a partition at another offset.
    ///
    /// # Errors
    /// [`Error::UnknownPartition`] if it is not assigned.
    pub fn seek(&mut self, topic: &str, partition: u32, offset: u64) -> Result<(), Error> {
        let index = self.find(topic, partition)?;
        self.stop(index);
        self.assignments[index].position = offset;
        self.count_unfinished();
        self.start_at(index, Instant::now());
        Ok(())
    }

    /// Has no batches of a partition come until [`Self::resume`].
    ///
    /// # Errors
    /// [`Error::UnknownPartition`] if it is not assigned.
    pub fn pause(&mut self, topic: &str, partition: u32) -> Result<(), Error> {
        let index = self.find(topic, partition)?;
        self.stop(index);
        self.assignments[index].paused = true;
        Ok(())
    }

    /// Ends [`Self::pause`].
    ///
    /// # Errors
    /// [`Error::UnknownPartition`] if it is not assigned.
    pub fn resume(&mut self, topic: &str, partition: u32) -> Result<(), Error> {
        let index = self.find(topic, partition)?;
        self.assignments[index].paused = false;
        self.start_at(index, Instant::now());
        Ok(())
    }

    /// The offset of the next record of a partition that will be handed out.
    ///
    /// # Errors
    /// [`Error::UnknownPartition`] if it is not assigned.
    pub fn position(&self, topic: &str, partition: u32) -> Result<u64, Error> {
        let index = self.find(topic, partition)?;
        Ok(match &self.current {
            Some((of, batch)) if *of == index && !batch.is_empty() => batch.first_offset(),
            _ => self.assignments[index].position,
        })
    }

    fn find(&self, topic: &str, partition: u32) -> Result<usize, Error> {
        let found = self.assignments.iter().position(|a| a.partition == partition && &*a.topic == topic);
        found.ok_or_else(|| Error::UnknownPartition { topic: topic.to_owned(), partition })
    }

    /// Ends what comes of an assignment and forgets what has come; the position stays before that.
    fn stop(&mut self, index: usize) {
        let assignment = &mut self.assignments[index];
        if let Some(stream) = assignment.stream.take() {
            self.streams.remove(&stream.key);
        }
        self.received.take_if(|(of, _)| *of == index);
        if let Some((_, batch)) = self.current.take_if(|(of, _)| *of == index)
            && !batch.is_empty()
        {
            assignment.position = batch.first_offset();
        }
    }

    fn start_at(&mut self, index: usize, time: Instant) {
        self.to_start.insert((time, index));
    }

    // ---- Reading ----

    /// The next batch, of whichever partition; `None` if nothing is assigned, or if all was read up to the
    /// ends that [`Self::until_end`] set. Waits for it as long as it takes.
    ///
    /// # Errors
    /// [`Error::OffsetOutOfRange`] with [`OutOfRange::Fail`]; [`Error::DamagedBatch`]; [`Error::UnknownTopic`]
    /// if the topic was deleted; [`Error::Broker`] with, for example, [`ErrorCode::DamagedRange`]. The next
    /// call tries again from the same position.
    pub async fn next_batch(&mut self) -> Result<Option<ConsumedBatch>, Error> {
        if let Some((_, batch)) = self.current.take()
            && !batch.is_empty()
        {
            return Ok(Some(batch));
        }
        Ok(self.receive_batch().await?.map(|(_, batch)| batch))
    }

    /// The next record, of whichever partition; `None` as with [`Self::next_batch`].
    ///
    /// # Errors
    /// As [`Self::next_batch`].
    pub async fn next(&mut self) -> Result<Option<ConsumedRecord<'_>>, Error> {
        if self.current.as_ref().is_none_or(|(_, batch)| batch.is_empty()) {
            self.current = None;
            self.current = self.receive_batch().await?;
        }
        Ok(self.current.as_mut().and_then(|(_, batch)| batch.take_first()))
    }

    async fn receive_batch(&mut self) -> Result<Option<(usize, ConsumedBatch)>, Error> {
        loop {
            if let Some(batch) = self.cut()? {
                return Ok(Some(batch));
            }
            if self.unfinished == 0 {
                return Ok(None);
            }
            self.start_due().await?;
            let next_start = self.to_start.first().map(|(time, _)| *time);
            tokio::select! {
                Some((key, delivery)) = self.inbox.recv() => self.take(key, delivery)?,
                () = sleep_until(next_start.unwrap_or_else(Instant::now).into()), if next_start.is_some() => {}
            }
        }
    }

    /// The next batch of what was received.
    fn cut(&mut self) -> Result<Option<(usize, ConsumedBatch)>, Error> {
        while let Some((index, mut batches)) = self.received.take() {
            let assignment = &mut self.assignments[index];
            if batches.is_empty() || assignment.is_finished() {
                self.after_received(index);
                continue;
            }
            match assignment.cut(&mut batches, self.config.check_batches) {
                Ok(batch) => {
                    self.received = Some((index, batches));
                    if let Some(batch) = batch {
                        return Ok(Some((index, batch)));
                    }
                }
                Err(error) => {
                    self.retry(index);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// All that was received of an assignment was handed out: has more come, or stops at the end.
    fn after_received(&mut self, index: usize) {
        if self.assignments[index].is_finished() {
            self.stop(index);
            self.unfinished -= 1;
        } else if self.assignments[index].is_to_start() {
            self.start_at(index, Instant::now());
        }
    }

    /// Starts the assignments whose time has come.
    async fn start_due(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        while let Some((time, index)) = self.to_start.first().copied().filter(|(time, _)| *time <= now) {
            if self.assignments[index].is_to_start() {
                match self.start(index).await {
                    Ok(()) => {}
                    Err(error) if error.is_connection() || error.is_retriable() => {
                        self.to_start.remove(&(time, index));
                        self.retry(index);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.to_start.remove(&(time, index));
        }
        Ok(())
    }

    async fn start(&mut self, index: usize) -> Result<(), Error> {
        let assignment = &self.assignments[index];
        let topic = if assignment.stale {
            self.client.refresh(&assignment.topic).await?
        } else {
            self.client.topic(&assignment.topic).await?
        };
        let owner = topic.partition(assignment.partition)?;
        if let Some(query) = assignment.reset {
            let offsets = self.client.list_offsets(&topic.name, &[(assignment.partition, query)]).await?;
            let assignment = &mut self.assignments[index];
            (assignment.position, assignment.reset) = (offsets[0], None);
        }
        let assignment = &self.assignments[index];
        let link = self.client.shard_link_nth(owner.shard, assignment.connection).await?;
        let share = self.config.share(self.assignments.len());
        let key = self.next_key;
        self.next_key += 1;
        self.streams.insert(key, index);
        let assignment = &mut self.assignments[index];
        assignment.stale = false;
        assignment.start(owner, link, self.config.transport, share, key, self.inbox_sender.clone());
        Ok(())
    }

    /// Starts an assignment again, after a pause that grows with its failures.
    fn retry(&mut self, index: usize) {
        self.stop(index);
        let assignment = &mut self.assignments[index];
        assignment.failures += 1;
        assignment.stale = true;
        let pause = self.client.config().backoff(assignment.failures);
        self.start_at(index, Instant::now() + pause);
    }

    fn take(&mut self, key: u64, delivery: Delivery) -> Result<(), Error> {
        // What comes of a stream that was stopped is of no interest.
        let Some(index) = self.streams.get(&key).copied() else { return Ok(()) };
        match delivery {
            Delivery::Begun => self.assignments[index].failures = 0,
            Delivery::Batches(batches) => self.received = Some((index, batches)),
            Delivery::Nothing { until } => self.skip(index, until),
            Delivery::Fetched(fetched) => return self.take_fetched(index, fetched),
            Delivery::Ended(error) => return self.ended(index, error),
        }
        Ok(())
    }

    /// Nothing is left to be read of a partition before `until`.
    fn skip(&mut self, index: usize, until: u64) {
        let assignment = &mut self.assignments[index];
        assignment.position = assignment.position.max(until);
        self.received = Some((index, Bytes::new()));
    }

    fn take_fetched(&mut self, index: usize, fetched: Vec<Fetched>) -> Result<(), Error> {
        self.stop(index);
        let mut batches = Bytes::new();
        if let Some(partition) = fetched.into_iter().next() {
            if let Some(code) = partition.error() {
                let (start, end) = (partition.header.log_start, partition.header.high_watermark);
                let message = format!("the partition's offsets are {start} to {end}");
                return self.ended(index, BrokerError { code, message }.into());
            }
            batches = partition.batches;
            if batches.is_empty() {
                self.skip(index, partition.header.high_watermark);
            }
        }
        self.assignments[index].failures = 0;
        self.received = Some((index, batches));
        Ok(())
    }

    /// Sees to a stream that the broker or the connection has ended.
    fn ended(&mut self, index: usize, error: Error) -> Result<(), Error> {
        let code = error.code();
        if code == Some(ErrorCode::OffsetOutOfRange) {
            return self.out_of_range(index, &error);
        }
        if code == Some(ErrorCode::InvalidSubscription) && self.assignments[index].next_connection() {
            self.stop(index);
            self.start_at(index, Instant::now());
            return Ok(());
        }
        self.retry(index);
        let passes = error.is_connection() || error.is_retriable();
        if passes || code == Some(ErrorCode::UnknownPartition) { Ok(()) } else { Err(error) }
    }

    fn out_of_range(&mut self, index: usize, error: &Error) -> Result<(), Error> {
        self.retry(index);
        let assignment = &mut self.assignments[index];
        assignment.reset = match self.config.out_of_range {
            OutOfRange::Earliest => Some(OffsetQuery::First),
            OutOfRange::Latest => Some(OffsetQuery::Last),
            OutOfRange::Fail => return Err(assignment.out_of_range(error.to_string())),
        };
        Ok(())
    }
}
