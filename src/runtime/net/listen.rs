//! Ports, and the connections that come in at them.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::time::{Duration, Instant};

use glommio::GlommioError;
use glommio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use super::Stream;
use crate::runtime::timer::sleep;

/// Connections that the kernel keeps for a shard to accept.
const BACKLOG: i32 = 1024;

/// How long to leave a listener alone when the process has no descriptors or memory for a connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Descriptors of the process that connections leave to the files of segments.
const RESERVED_DESCRIPTORS: u64 = 64;

/// How often is said that connections cannot be accepted, at most.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How often a free port is looked for before giving up.
const PORT_ATTEMPTS: usize = 16;

/// How long an address may be in use before it counts as taken. The kernel closes the sockets of a broker that was killed some time
/// after the process is gone, since its rings are taken down behind it.
const LEFTOVER_TIME: Duration = Duration::from_secs(2);

/// How often is looked whether it has.
const LEFTOVER_PAUSE: Duration = Duration::from_millis(10);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error(
        "{0} is in use: another broker may be running; stop it, or choose another port (0 takes a free one)"
    )]
    Taken(SocketAddr),
    /// The address is not one of this machine.
    #[error("{0} is not an address of this machine: choose one that is, or 0.0.0.0 or [::] for all")]
    NotLocal(SocketAddr),
    /// The port is reserved.
    #[error(
        "listening on {0} is not allowed: ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one"
    )]
    Forbidden(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken(address),
            io::ErrorKind::AddrNotAvailable => Self::NotLocal(address),
            io::ErrorKind::PermissionDenied => Self::Forbidden(address),
            _ => Self::Other { address, source },
        }
    }
}

/// A bound listener on its way to the executor that will accept at it. Clients can connect already.
#[derive(Debug)]
pub struct ListenerSeat {
    listener: StdListener,
    address: SocketAddr,
}

/// Listens on `address` alone. Port 0 takes a free one. Blocks while the sockets of a process that was killed are in the way.
pub fn bind(address: SocketAddr) -> Result<ListenerSeat, BindError> {
    bind_socket(address, false).and_then(ListenerSeat::listen)
}

/// Listens on `address` once per shard; the kernel spreads connections over them. Port 0 takes a free one.
///
/// Fails with [`BindError::Taken`] if another process listens there, even if it would share.
pub fn bind_shared(address: SocketAddr, shards: usize) -> Result<Vec<ListenerSeat>, BindError> {
    if shards == 1 {
        return Ok(vec![bind(address)?]);
    }
    let mut taken = BindError::Taken(address);
    for _ in 0..if address.port() == 0 { PORT_ATTEMPTS } else { 1 } {
        match bind_free(address, shards) {
            // Somebody took the port that was free a moment ago: there are others.
            Err(error @ BindError::Taken(_)) => taken = error,
            bound => return bound,
        }
    }
    Err(taken)
}

fn bind_free(address: SocketAddr, shards: usize) -> Result<Vec<ListenerSeat>, BindError> {
    // With SO_REUSEPORT alone, a second broker of the same user would share the port in silence. A socket without it
    // cannot be bound beside any other.
    let probe = bind_socket(address, false)?;
    let address = local_address(&probe, address)?;
    drop(probe);
    let sockets: Vec<Socket> = (0..shards).map(|_| bind_socket(address, true)).collect::<Result<_, _>>()?;
    sockets.into_iter().map(ListenerSeat::listen).collect()
}

fn bind_socket(address: SocketAddr, shared: bool) -> Result<Socket, BindError> {
    let bound = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Connections of an earlier run may still be dying away.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
        socket.bind(&address.into())?;
        Ok(socket)
    };
    let deadline = Instant::now() + LEFTOVER_TIME;
    loop {
        match bound().map_err(|source| BindError::new(address, source)) {
            Err(BindError::Taken(_)) if Instant::now() < deadline => std::thread::sleep(LEFTOVER_PAUSE),
            result => return result,
        }
    }
}

fn local_address(socket: &Socket, wanted: SocketAddr) -> Result<SocketAddr, BindError> {
    let local = socket.local_addr().map_err(|source| BindError::new(wanted, source))?;
    Ok(local.as_socket().expect("a TCP socket has an internet address"))
}

impl ListenerSeat {
    fn listen(socket: Socket) -> Result<Self, BindError> {
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = local_address(&socket, unspecified)?;
        socket.listen(BACKLOG).map_err(|source| BindError::new(address, source))?;
        Ok(Self { listener: socket.into(), address })
    }

    /// Where it listens, with the port that was found if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes it up on this executor.
    pub fn take(self) -> Listener {
        // SAFETY: the descriptor is a listening socket, and is given away.
        let listener = unsafe { TcpListener::from_raw_fd(self.listener.into_raw_fd()) };
        Listener { listener, address: self.address, said: Cell::new(None) }
    }
}

/// Accepts connections on one executor.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    /// When was last said that connections cannot be accepted.
    said: Cell<Option<Instant>>,
}

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, with Nagle's algorithm off. While the process is out of descriptors or memory, or has no more
    /// descriptors than its files may need, connections wait or are closed; an error means that the listener is broken.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            let error = match self.listener.accept().await {
                Ok(stream) if !leaves_descriptors(&stream) => {
                    drop(stream);
                    self.pause(&io::Error::from_raw_os_error(libc::EMFILE)).await;
                    continue;
                }
                Ok(stream) => match Stream::accepted(stream) {
                    Ok(stream) => return Ok(stream),
                    // The client has gone already.
                    Err(_) => continue,
                },
                Err(GlommioError::IoError(error)) => error,
                Err(other) => return Err(io::Error::other(other.to_string())),
            };
            match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    self.pause(&error).await;
                }
                // Errors of the connection, not of the listener; see accept(2).
                Some(libc::EINTR | libc::ECONNABORTED | libc::EPROTO | libc::EPERM | libc::ENETDOWN)
                | Some(libc::EHOSTDOWN | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::ETIMEDOUT) => {}
                _ => return Err(error),
            }
        }
    }

    /// Leaves the listener alone for a while.
    async fn pause(&self, error: &io::Error) {
        if self.said.get().is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            self.said.set(Some(Instant::now()));
            tracing::warn!(
                %error,
                address = %self.address,
                "cannot accept connections for now: raise the limit of open files (ulimit -n), or have fewer clients"
            );
        }
        sleep(EXHAUSTED_PAUSE).await;
    }
}

/// Whether the process has descriptors left for its files beside this connection's. The kernel gives the lowest free one, so
/// its number says how many are in use.
fn leaves_descriptors(stream: &impl AsRawFd) -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes to the limit and to nothing else.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0;
    !known || stream.as_raw_fd().unsigned_abs() as u64 + RESERVED_DESCRIPTORS < limit.rlim_cur
}
