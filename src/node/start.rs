//! Starting and stopping the broker: everything that can fail is checked before anybody is told that it is ready.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::boot::{Report, ShardStart};
use super::datadir::DataDir;
use super::error::StartError;
use super::settings::Ports;
use crate::config::Config;
use crate::gateway::Protocol;
use crate::gateway::count::ConnectionCount;
use crate::runtime::cores::{self, CpuId, ShardHandle};
use crate::runtime::mesh;
use crate::runtime::net::{self, ListenerSeat};
use crate::runtime::shutdown::Shutdown;

/// Where a broker that is ready can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The native protocol's shared listener; `None` if it is off.
    pub native: Option<SocketAddr>,
    /// The native protocol's port of each shard.
    pub shard_ports: Vec<u16>,
    /// Kafka's shared listener; `None` if it is off.
    pub kafka: Option<SocketAddr>,
    /// The port of each shard for Kafka's clients; empty if that is off, or they have the shared one alone.
    pub kafka_shard_ports: Vec<u16>,
    /// The data directory.
    pub data: PathBuf,
    /// Whether the data directory is new.
    pub fresh: bool,
}

/// Runs a broker as `config` says until `shutdown` is requested. `ready` is called once clients are served.
///
/// # Errors
/// If it cannot start, or ends otherwise than by request.
pub fn run(config: &Config, shutdown: &Shutdown, ready: impl FnOnce(&Ready)) -> Result<(), StartError> {
    let cores = config.node.cores.resolve().map_err(StartError::Cores)?;
    let cores: Vec<CpuId> = cores.into_iter().map(CpuId).collect();
    cores::check(&cores)?;
    let wanted = if config.node.shards == 0 { cores.len() as u16 } else { config.node.shards };
    let data = DataDir::open(&config.node.data, wanted)?;
    let listeners = Listeners::bind(config, data.shards())?;
    if data.is_fresh() {
        let cluster = data.cluster().map(tracing::field::display);
        tracing::info!(data = %data.path().display(), node = data.node(), cluster, "the data directory is new");
    }
    let is_ready = Ready {
        native: listeners.native,
        shard_ports: listeners.ports.native.clone(),
        kafka: listeners.kafka,
        kafka_shard_ports: listeners.ports.kafka.clone(),
        data: data.path().to_owned(),
        fresh: data.is_fresh(),
    };
    let cpus: Vec<CpuId> = cores.iter().cycle().take(data.shards().into()).copied().collect();
    let (reports, inbox) = channel();
    let handles = start_shards(config, &data, &cpus, listeners, shutdown, &reports)?;
    // From here on a shard that is gone is noticed by its reports.
    drop(reports);
    supervise(&inbox, shutdown, || ready(&is_ready))?;
    handles.into_iter().try_for_each(|handle| Ok(handle.join()?))
}

/// Follows the reports of the shards until all have ended.
fn supervise(inbox: &Receiver<Report>, shutdown: &Shutdown, ready: impl FnOnce()) -> Result<(), StartError> {
    let mut ready = Some(ready);
    let mut unexpected = None;
    for report in inbox {
        match report {
            Report::Ready => {
                if let Some(ready) = ready.take() {
                    ready();
                }
            }
            Report::Failed(error) => return Err(error),
            Report::Ended(shard) if !shutdown.is_requested() => {
                tracing::error!(shard, "a shard has ended unexpectedly: stopping");
                unexpected = Some(StartError::Ended(shard));
                shutdown.request();
            }
            Report::Ended(_) => {}
        }
    }
    unexpected.map_or(Ok(()), Err)
}

/// The listeners of all shards.
struct Listeners {
    /// Of the native protocol's shared listener.
    native: Option<SocketAddr>,
    /// Of Kafka's shared listener.
    kafka: Option<SocketAddr>,
    ports: Ports,
    /// By shard.
    seats: Vec<Vec<(Protocol, ListenerSeat)>>,
}

impl Listeners {
    fn bind(config: &Config, shards: u16) -> Result<Self, StartError> {
        let listen = &config.listen;
        let seats = (0..shards).map(|_| Vec::new()).collect();
        let none = vec![0; shards.into()];
        let mut listeners = Self { native: None, kafka: None, ports: Ports::of_native(none), seats };
        if let Some(address) = listen.native.get() {
            listeners.native = listeners.bind_shared(Protocol::Native, address)?;
            let first = listen.first_shard_port();
            listeners.ports.native =
                listeners.bind_own(Protocol::Native, address, first, "listen.shard_ports_from")?;
        }
        if let Some(address) = listen.kafka.get() {
            listeners.kafka = listeners.bind_shared(Protocol::Kafka, address)?;
            listeners.ports.kafka_shared = listeners.kafka.map_or(0, |address| address.port());
            if !config.kafka.single_port {
                let first = listen.first_kafka_shard_port();
                listeners.ports.kafka =
                    listeners.bind_own(Protocol::Kafka, address, first, "listen.kafka_shard_ports_from")?;
            }
        }
        Ok(listeners)
    }

    /// Binds the listener that all shards share; gives where it is.
    fn bind_shared(
        &mut self,
        protocol: Protocol,
        address: SocketAddr,
    ) -> Result<Option<SocketAddr>, StartError> {
        let shared = net::bind_shared(address, self.seats.len())?;
        let bound = shared.first().map(ListenerSeat::address);
        for (seats, shared) in self.seats.iter_mut().zip(shared) {
            seats.push((protocol, shared));
        }
        Ok(bound)
    }

    /// Binds a listener for each shard, from the port `first` on, or anywhere if that is 0; gives their ports.
    fn bind_own(
        &mut self,
        protocol: Protocol,
        address: SocketAddr,
        first: u16,
        key: &'static str,
    ) -> Result<Vec<u16>, StartError> {
        let shards = self.seats.len() as u16;
        if first > 0 && first.checked_add(shards - 1).is_none() {
            return Err(StartError::Ports { first, shards, key });
        }
        let mut ports = Vec::new();
        for (shard, seats) in (0..).zip(&mut self.seats) {
            let port = if first == 0 { 0 } else { first + shard };
            let own = net::bind(SocketAddr::new(address.ip(), port))?;
            ports.push(own.address().port());
            seats.push((protocol, own));
        }
        Ok(ports)
    }
}

fn start_shards(
    config: &Config,
    data: &DataDir,
    cpus: &[CpuId],
    listeners: Listeners,
    shutdown: &Shutdown,
    reports: &Sender<Report>,
) -> Result<Vec<ShardHandle<()>>, StartError> {
    let count = ConnectionCount::new(config.limits.connections as usize);
    let cluster = data.cluster().expect("an open directory has a cluster id");
    let ports = listeners.ports;
    let mut listeners = listeners.seats.into_iter();
    let mut seats = mesh::seats(cpus.len()).into_iter();
    let handles = cores::run(cpus, |context| {
        let start = ShardStart {
            context,
            config: config.clone(),
            cluster,
            directory: data.shard_path(context.shard as u16),
            listeners: listeners.next().expect("there are listeners for every shard"),
            seat: seats.next().expect("there is a seat for every shard"),
            ports: ports.clone(),
            count: count.clone(),
            shutdown: shutdown.clone(),
            reports: reports.clone(),
        };
        move || start.run()
    })?;
    Ok(handles)
}
