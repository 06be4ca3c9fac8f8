//! One shard on its executor: the tasks that give it the disk, the time, the other shards and its connections.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use ringmail_shards::config::ShardConfig;

use super::cluster::ClusterId;
use super::error::StartError;
use super::host::Host;
use super::message::Message;
use super::recovery::{Recovered, Recovery, RecoveryError};
use super::settings::{self, Ports};
use super::shard::{Shard, Shared};
use crate::config::Config;
use crate::gateway::Protocol;
use crate::gateway::count::ConnectionCount;
use crate::gateway::serve::Listening;
use crate::runtime::cores::ShardContext;
use crate::runtime::disk::Disk;
use crate::runtime::memory;
use crate::runtime::mesh::Seat;
use crate::runtime::net::ListenerSeat;
use crate::runtime::shutdown::{Shutdown, ShutdownListener};
use crate::runtime::task::spawn;
use crate::runtime::timer::{now_ms, timeout};

/// How often the progress of a recovery is reported.
const REPORT_EVERY: Duration = Duration::from_secs(1);

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
    pub(super) cluster: ClusterId,
    /// Where its segments are.
    pub(super) directory: PathBuf,
    pub(super) listeners: Vec<(Protocol, ListenerSeat)>,
    pub(super) seat: Seat<Message>,
    /// The ports of all shards.
    pub(super) ports: Ports,
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
        let number = self.context.shard as u16;
        let (recovered, disk) = self.recover(number).await?;
        let host = Host::new(number, disk, self.shutdown.clone());
        let changed = host.step();
        let shard = Shard::new(&self.config, self.cluster, number, &self.ports, recovered, host);
        let shard = Rc::new(RefCell::new(shard));
        spawn(follow_disk(Rc::clone(&shard)));
        spawn(follow_time(Rc::clone(&shard)));
        let receiver = Rc::clone(&shard);
        let receive = move |from, messages| receiver.borrow_mut().messages(from as u16, messages);
        let mesh = self.seat.join(receive).await;
        shard.borrow_mut().outside().connect(mesh);
        shard.borrow_mut().turn();
        spawn(follow_shutdown(listener, Rc::clone(&shard)));
        while shard.borrow().is_loading() {
            changed.notified().await;
        }
        let receive_memory = self.config.limits.in_flight_per_shard.as_usize();
        let listening = Listening::new(Rc::clone(&shard), self.count, receive_memory);
        for (protocol, seat) in self.listeners.drain(..) {
            spawn(listening.clone().accept(seat.take(), protocol));
        }
        if self.context.shard == 0 && shard.borrow().is_serving() {
            // Whoever started the shards may be gone already.
            let _ = self.reports.send(Report::Ready);
        }
        while !shard.borrow().has_ended() {
            changed.notified().await;
        }
        let mesh = shard.borrow_mut().outside().disconnect();
        if let Some(mesh) = mesh {
            // A shard that has failed does not close its end.
            let _ = timeout(self.config.node.shutdown_grace.into(), mesh.close()).await;
        }
        tracing::info!(shard = number, "the shard has stopped");
        Ok(())
    }

    fn not_recovered(&self, shard: u16, error: RecoveryError) -> StartError {
        let directory = self.directory.clone();
        match error {
            RecoveryError::Log(reason) => StartError::Log { shard, directory, reason },
            RecoveryError::Catalog(reason) => StartError::Catalog { reason },
        }
    }

    /// Recovers the log; on shard 0 also the catalog.
    async fn recover(&self, shard: u16) -> Result<(Recovered, Disk), StartError> {
        let failed = |source| StartError::Disk { directory: self.directory.clone(), source };
        let (mut disk, files) = Disk::open(&self.directory).map_err(failed)?;
        let mib = files.iter().map(|file| file.bytes).sum::<u64>() >> 20;
        let incarnation = RandomState::new().hash_one(shard);
        let config = settings::engine(&self.config, shard, incarnation);
        let config = ShardConfig { allocate: memory::chunk, ..config };
        let mut recovery = Recovery::new(config, self.ports.shards(), &files, now_ms());
        let started = Instant::now();
        let mut report_at = started + REPORT_EVERY;
        let mut reads = 0_u64;
        while !recovery.step().map_err(|error| self.not_recovered(shard, error))? {
            reads += drive(&mut recovery, &mut disk).await.map_err(failed)?;
            if Instant::now() >= report_at {
                report_at += REPORT_EVERY;
                tracing::info!(shard, files = files.len(), mib, reads, "recovering the log");
            }
        }
        let ms = started.elapsed().as_millis();
        tracing::info!(shard, files = files.len(), mib, ms, "the log is recovered");
        Ok((recovery.finish(), disk))
    }
}

/// Hands operations to the disk and completions to the recovery; gives how many there were. Waits for at least one, unless
/// nothing is wanted of the disk.
async fn drive(recovery: &mut Recovery, disk: &mut Disk) -> std::io::Result<u64> {
    while let Some((id, op)) = recovery.next_io() {
        disk.submit(id, op);
    }
    disk.flush()?;
    if disk.in_flight() > 0 {
        disk.ready().await;
    }
    let mut completed = 0;
    while let Some((id, result)) = disk.poll() {
        recovery.complete(id, result);
        completed += 1;
    }
    Ok(completed)
}

/// Has a turn whenever the disk has completed something.
async fn follow_disk(shard: Shared<Host>) {
    while !shard.borrow().has_ended() {
        let ready = shard.borrow_mut().outside().disk_ready();
        ready.await;
        shard.borrow_mut().turn();
    }
}

/// Lets the shard know the time.
async fn follow_time(shard: Shared<Host>) {
    let early = shard.borrow_mut().outside().early_tick();
    while !shard.borrow().has_ended() {
        let pause = Duration::from_millis(shard.borrow_mut().plan_tick());
        if timeout(pause, early.notified()).await.is_none() {
            shard.borrow_mut().tick();
        }
    }
}

/// Has the shard stop once that is requested.
async fn follow_shutdown(listener: ShutdownListener, shard: Shared<Host>) {
    listener.requested().await;
    shard.borrow_mut().stop();
}
