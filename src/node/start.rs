//! Starting and stopping the broker: everything that can fail is checked before anybody is told that it is ready.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::boot::{Report, ShardStart};
use super::datadir::DataDir;
use super::error::StartError;
use crate::config::Config;
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
    /// The port of each shard.
    pub shard_ports: Vec<u16>,
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
        native: listeners.address,
        shard_ports: listeners.ports.clone(),
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
    address: Option<SocketAddr>,
    ports: Vec<u16>,
    seats: Vec<Vec<ListenerSeat>>,
}

impl Listeners {
    fn bind(config: &Config, shards: u16) -> Result<Self, StartError> {
        let Some(address) = config.listen.native.get() else {
            let seats = (0..shards).map(|_| Vec::new()).collect();
            return Ok(Self { address: None, ports: vec![0; shards.into()], seats });
        };
        let first = config.listen.shard_port(0);
        if first > 0 && first.checked_add(shards - 1).is_none() {
            return Err(StartError::Ports { first, shards });
        }
        let shared = net::bind_shared(address, shards.into())?;
        let address = shared.first().map(ListenerSeat::address);
        let mut listeners = Self { address, ports: Vec::new(), seats: Vec::new() };
        for (shard, shared) in (0..).zip(shared) {
            let own = SocketAddr::new(shared.address().ip(), config.listen.shard_port(shard));
            let own = net::bind(own)?;
            listeners.ports.push(own.address().port());
            listeners.seats.push(vec![shared, own]);
        }
        Ok(listeners)
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
