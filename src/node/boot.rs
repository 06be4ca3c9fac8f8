//! The life of one shard on its executor: recover, connect, serve, drain, close.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use ringmail_shards::config::ShardConfig;

use super::catalog::record::LARGEST_BATCH;
use super::catalog::{Catalog, CatalogLimits, TopicValues};
use super::error::StartError;
use super::logs::Logs;
use super::message::Message;
use super::recovery::Recovery;
use super::shard::{Shard, Shared};
use crate::config::Config;
use crate::native::serve::{ConnectionCount, Tasks};
use crate::native::{Sessions, Settings};
use crate::runtime::cores::ShardContext;
use crate::runtime::memory;
use crate::runtime::mesh::Seat;
use crate::runtime::net::ListenerSeat;
use crate::runtime::shutdown::Shutdown;
use crate::runtime::task::spawn;
use crate::runtime::timer::{sleep, timeout};

/// How long the closing of a log may take before it is given up. The next start then recovers as after a crash: nothing that
/// was acknowledged is lost.
const CLOSING_TIME: Duration = Duration::from_secs(30);

/// How often a shard that goes down looks how far it is.
const CLOSING_PAUSE: Duration = Duration::from_millis(2);

/// What a shard tells the thread that started it.
pub(super) enum Report {
    /// All shards serve.
    Ready,
    /// This shard cannot start.
    Failed(StartError),
    /// This shard has ended.
    Ended(usize),
}

/// What a shard takes along to its executor.
pub(super) struct ShardStart {
    pub(super) context: ShardContext,
    pub(super) config: Config,
    /// Where its segments are.
    pub(super) directory: PathBuf,
    pub(super) listeners: Vec<ListenerSeat>,
    pub(super) seat: Seat<Message>,
    /// The ports of all shards.
    pub(super) ports: Vec<u16>,
    pub(super) count: ConnectionCount,
    pub(super) shutdown: Shutdown,
    pub(super) reports: Sender<Report>,
}

/// Reports the end of a shard, even if it panics.
struct EndReport(usize, Sender<Report>);

impl Drop for EndReport {
    fn drop(&mut self) {
        // Whoever started the shards may be gone already.
        let _ = self.1.send(Report::Ended(self.0));
    }
}

impl ShardStart {
    /// Runs the shard until the shutdown is requested.
    pub(super) async fn run(self) {
        let reports = self.reports.clone();
        let _end = EndReport(self.context.shard, reports.clone());
        if let Err(error) = self.live().await {
            // Whoever started the shards may be gone already.
            let _ = reports.send(Report::Failed(error));
        }
    }

    async fn live(mut self) -> Result<(), StartError> {
        let listener = self.shutdown.listen().map_err(StartError::Signals)?;
        let (shard, catalog) = self.recover().await?;
        spawn(follow_disk(Rc::clone(&shard)));
        spawn(follow_time(Rc::clone(&shard)));
        let receiver = Rc::clone(&shard);
        let receive = move |from, messages| receiver.borrow_mut().messages(from as u16, messages);
        let mesh = self.seat.join(receive).await;
        shard.borrow_mut().connect(mesh);
        if let Some((catalog, changes)) = catalog {
            shard.borrow_mut().keep_catalog(catalog, changes, catalog_limits(&self.config, &self.ports));
        }
        let changed = shard.borrow().changed();
        while shard.borrow().is_loading() {
            changed.notified().await;
        }
        let receive_memory = self.config.limits.in_flight_per_shard.as_usize();
        let tasks = Tasks::new(Rc::clone(&shard), self.count, receive_memory);
        for seat in self.listeners.drain(..) {
            spawn(tasks.clone().accept(seat.take()));
        }
        if self.context.shard == 0 {
            // Whoever started the shards may be gone already.
            let _ = self.reports.send(Report::Ready);
        }
        listener.requested().await;
        shard.borrow_mut().drain();
        stop(&shard, self.config.node.shutdown_grace.into()).await;
        Ok(())
    }

    /// Recovers the log; on shard 0 also the catalog, with the number of changes since its last snapshot.
    async fn recover(&self) -> Result<(Shared, Option<(Catalog, usize)>), StartError> {
        let (number, shards) = (self.context.shard as u16, self.context.shards as u16);
        let mut recovery = Recovery::run(&self.directory, shard_config(&self.config, number)).await?;
        let catalog = if number == 0 { Some(recovery.catalog().await?) } else { None };
        let (engine, disk) = recovery.finish();
        let logs = Logs::new(number, shards, engine, self.config.limits.in_flight_per_shard.as_usize());
        let sessions = Sessions::new(settings(&self.config, number, self.ports.clone()));
        let shard = Shard::new(logs, sessions, disk, self.shutdown.clone());
        Ok((Rc::new(RefCell::new(shard)), catalog))
    }
}

/// Has a turn whenever the disk has completed something.
async fn follow_disk(shard: Shared) {
    while !shard.borrow().has_ended() {
        let ready = shard.borrow().disk_ready();
        ready.await;
        shard.borrow_mut().turn();
    }
}

/// Lets the shard know the time.
async fn follow_time(shard: Shared) {
    let hurry = shard.borrow().hurry();
    while !shard.borrow().has_ended() {
        let pause = Duration::from_millis(shard.borrow_mut().plan_tick());
        if timeout(pause, hurry.notified()).await.is_none() {
            shard.borrow_mut().tick();
        }
    }
}

/// Waits until every shard has answered what it had taken, then closes the log.
async fn stop(shard: &Shared, grace: Duration) {
    let number = shard.borrow_mut().number();
    if !wait_until(grace, || shard.borrow().is_drained()).await {
        tracing::warn!(
            shard = number,
            "requests are unanswered after node.shutdown_grace: they are given up"
        );
    }
    shard.borrow_mut().close();
    if !wait_until(CLOSING_TIME, || shard.borrow_mut().is_closed()).await {
        tracing::warn!(shard = number, "the log could not be closed in time; the next start recovers it");
    }
    let mesh = shard.borrow_mut().end();
    if let Some(mesh) = mesh {
        // A shard that has failed does not close its end.
        let _ = timeout(grace, mesh.close()).await;
    }
    tracing::info!(shard = number, "the shard has stopped");
}

/// Whether the condition came true within `limit`.
async fn wait_until(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(CLOSING_PAUSE).await;
    }
    true
}

fn shard_config(config: &Config, shard: u16) -> ShardConfig {
    let (log, limits) = (&config.log, &config.limits);
    ShardConfig {
        shard,
        incarnation: RandomState::new().hash_one(shard),
        allocate: memory::chunk,
        segment_bytes: log.segment.bytes(),
        write_bytes: log.write.as_usize(),
        writes_in_flight: log.writes_in_flight.into(),
        tail_cache_bytes: log.tail_cache.as_usize(),
        spare_segments: log.prefill_segments.into(),
        // Topics are held to limits.batch by their own configuration; the catalog's batches must fit in any case.
        max_batch_bytes: limits.batch.as_usize().max(LARGEST_BATCH),
        max_pending_bytes: limits.in_flight_per_shard.as_usize(),
        read_bytes: log.read_ahead.as_usize(),
        reads_in_flight: log.reads_in_flight.into(),
        clean_below: log.clean_below,
        clean_bytes_per_second: log.clean_bandwidth.bytes(),
        ..ShardConfig::default()
    }
}

fn settings(config: &Config, shard: u16, ports: Vec<u16>) -> Settings {
    let limits = &config.limits;
    Settings {
        shard,
        max_frame: limits.frame.as_usize(),
        in_flight: limits.in_flight_per_connection.as_usize(),
        idle_timeout_ms: limits.idle_timeout.millis(),
        handshake_timeout_ms: limits.handshake_timeout.millis(),
        subscriptions: limits.subscriptions_per_connection as usize,
        fetch_response: limits.fetch_response.as_usize(),
        host: config.node.advertised_host.clone(),
        ports,
    }
}

fn catalog_limits(config: &Config, ports: &[u16]) -> CatalogLimits {
    let (limits, topics) = (&config.limits, &config.topics);
    CatalogLimits {
        shards: ports.len() as u16,
        partitions_per_topic: limits.partitions_per_topic,
        partitions: limits.partitions,
        default_partitions: topics.partitions,
        defaults: TopicValues {
            max_message_bytes: u32::try_from(limits.batch.bytes()).unwrap_or(u32::MAX),
            retention_bytes: topics.retention_size.get().map(|size| size.bytes()),
            retention_ms: topics.retention_time.get().map(|time| time.millis()),
        },
    }
}
