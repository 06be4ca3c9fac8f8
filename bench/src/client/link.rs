//! A socket and the SDK's connection on it.

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use ringmail_sdk::core::{Connection, Event};

use super::Patience;
use crate::error::{Error, Result};

/// A connection to the broker. Requests carry a token `T` that comes back with the answer.
pub struct Link<T> {
    stream: TcpStream,
    connection: Connection<T>,
    patience: Patience,
}

/// What a link waits for.
#[derive(Clone, Copy)]
pub struct Interest(libc::pollfd);

impl<T> Link<T> {
    /// Connects. The handshake goes out with the first request.
    ///
    /// # Errors
    ///
    /// When nobody listens at `address`.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).map_err(Error::system("connect to the broker"))?;
        stream.set_nodelay(true).map_err(Error::system("set TCP_NODELAY"))?;
        stream.set_nonblocking(true).map_err(Error::system("make a socket non-blocking"))?;
        Ok(Self { stream, connection: Connection::new("ringmail-bench"), patience: Patience::new() })
    }

    /// For sending requests.
    pub fn connection(&mut self) -> &mut Connection<T> {
        &mut self.connection
    }

    /// Sends and receives as much as the socket takes and has at once. Says whether any byte moved.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the broker owes an answer and has been silent for too long.
    pub fn exchange(&mut self) -> Result<bool> {
        let moved = self.move_bytes()?;
        self.patience.check(moved || self.connection.in_flight() == 0)?;
        Ok(moved)
    }

    fn move_bytes(&mut self) -> Result<bool> {
        let mut moved = false;
        while self.connection.output_bytes() > 0 {
            match would_block(self.connection.write_to(&mut self.stream)) {
                Ok(Some(_)) => moved = true,
                Ok(None) => break,
                Err(source) => return Err(Error::System { action: "send to the broker", source }),
            }
        }
        match would_block(self.receive()) {
            Ok(Some(0)) => Err(Error::Broker("closed the connection".to_owned())),
            Ok(received) => Ok(moved | received.is_some()),
            Err(source) => Err(Error::System { action: "receive from the broker", source }),
        }
    }

    /// The next event that has arrived.
    ///
    /// # Errors
    ///
    /// When the broker refuses the connection, or does not speak its protocol.
    pub fn next_event(&mut self) -> Result<Option<Event<T>>> {
        let event =
            self.connection.poll().map_err(|error| Error::Client(format!("cannot go on: {error}")))?;
        match event {
            Some(Event::Refused(error)) => Err(Error::Broker(format!("refuses the connection: {error}"))),
            event => Ok(event),
        }
    }

    /// Receives into memory that is not set to zero before: that would cost more than the small answers themselves.
    fn receive(&mut self) -> io::Result<usize> {
        let buffer = self.connection.receive_buffer();
        let received = recv(self.stream.as_raw_fd(), buffer.spare_capacity_mut())?;
        let filled = buffer.len() + received;
        // SAFETY: recv has initialised the `received` bytes that follow the buffer's length, within its capacity.
        unsafe { buffer.set_len(filled) };
        Ok(received)
    }

    /// What to wait for once nothing moves any more.
    pub fn interest(&self) -> Interest {
        let writing = if self.connection.output_bytes() > 0 { libc::POLLOUT } else { 0 };
        Interest(libc::pollfd { fd: self.stream.as_raw_fd(), events: libc::POLLIN | writing, revents: 0 })
    }
}

/// Waits until one of some links can move bytes, or the time is over.
///
/// # Errors
///
/// When the system call fails.
pub fn wait<const N: usize>(interests: [Interest; N], longest: Duration) -> Result<()> {
    let mut polled = interests.map(|interest| interest.0);
    let longest = libc::timespec {
        tv_sec: libc::time_t::try_from(longest.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(longest.subsec_nanos()),
    };
    // SAFETY: both arguments outlive the call, the count is that of the array, and no signal mask is given.
    let ready = unsafe { libc::ppoll(polled.as_mut_ptr(), N as libc::nfds_t, &longest, std::ptr::null()) };
    if ready >= 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        source => Err(Error::System { action: "wait for the broker", source }),
    }
}

fn recv(socket: RawFd, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `room.len()` bytes to `room`, which is borrowed mutably for the call.
    let received = unsafe { libc::recv(socket, room.as_mut_ptr().cast(), room.len(), 0) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// `None` where a blocking call would have blocked or was interrupted.
fn would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
