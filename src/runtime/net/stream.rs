//! A TCP connection whose two directions may belong to two tasks.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_lite::future::poll_fn;
use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use socket2::SockRef;

use crate::runtime::task::yield_now;

/// Reads in a row that found data waiting, before other connections have a turn.
const READS_PER_TURN: u32 = 8;

/// Pieces handed to the kernel in one call; it takes at most 1024.
const PIECES_PER_CALL: usize = 64;

/// Room for a read into a buffer that has none, in bytes.
const SMALLEST_READ: usize = 4096;

/// A connection.
pub struct Stream {
    reader: StreamReader,
    writer: StreamWriter,
}

/// The receiving direction of a [`Stream`].
#[derive(Debug)]
pub struct StreamReader {
    socket: Rc<Socket>,
    /// The last read left nothing behind, so that trying again at once is in vain.
    drained: bool,
    /// Reads since the last wait.
    reads: u32,
}

/// The sending direction of a [`Stream`].
pub struct StreamWriter {
    socket: Rc<Socket>,
    progressed: Option<Rc<dyn Fn()>>,
}

#[derive(Debug)]
struct Socket {
    /// Borrowed within a poll, never across a wait.
    stream: RefCell<TcpStream>,
    fd: RawFd,
    peer: SocketAddr,
}

impl Stream {
    pub(super) fn accepted(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (fd, peer) = (stream.as_raw_fd(), stream.peer_addr()?);
        let socket = Rc::new(Socket { stream: RefCell::new(stream), fd, peer });
        let reader = StreamReader { socket: socket.clone(), drained: false, reads: 0 };
        Ok(Self { reader, writer: StreamWriter { socket, progressed: None } })
    }

    /// The other side's address.
    pub fn peer(&self) -> SocketAddr {
        self.reader.peer()
    }

    /// The address of this side: the one that the other side has connected to.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn local(&self) -> io::Result<SocketAddr> {
        Ok(self.reader.socket.stream.borrow().local_addr()?)
    }

    /// See [`StreamReader::set_timeout`].
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.reader.set_timeout(limit)
    }

    /// See [`StreamReader::recv`].
    pub async fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.recv(buffer).await
    }

    /// See [`StreamReader::recv_into`].
    pub async fn recv_into(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.reader.recv_into(buffer).await
    }

    /// See [`StreamWriter::send_all`].
    pub async fn send_all(&mut self, data: &[u8]) -> io::Result<()> {
        self.writer.send_all(data).await
    }

    /// See [`StreamWriter::send_pieces`].
    pub async fn send_pieces(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        self.writer.send_pieces(pieces).await
    }

    /// The two directions. The connection is closed when both are dropped.
    pub fn split(self) -> (StreamReader, StreamWriter) {
        (self.reader, self.writer)
    }
}

impl StreamReader {
    /// The other side's address.
    pub fn peer(&self) -> SocketAddr {
        self.socket.peer
    }

    /// Lets a read fail with `TimedOut` if nothing arrives for `limit`, which is not zero.
    pub fn set_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        Ok(self.socket.stream.borrow().set_read_timeout(limit)?)
    }

    /// Waits until a read is worth while. Nothing has to be set aside for what may come: a connection that waits here
    /// needs no buffer.
    pub async fn ready(&mut self) -> io::Result<()> {
        self.take_turns().await;
        if self.drained { self.readable().await } else { Ok(()) }
    }

    /// Like [`recv_into`](Self::recv_into), but gives `None` instead of waiting if nothing has arrived; then it is time to
    /// wait until the reader is [`ready`](Self::ready), with the buffer given to somebody else.
    pub fn recv_at_once(&mut self, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
        if buffer.capacity() == buffer.len() {
            buffer.reserve(SMALLEST_READ);
        }
        if self.drained {
            return Ok(None);
        }
        let spare = buffer.spare_capacity_mut();
        let room = spare.len();
        let Some(count) = self.socket.try_recv(spare.as_mut_ptr().cast(), room)? else {
            self.drained = true;
            return Ok(None);
        };
        // SAFETY: the kernel has written `count` bytes, of at most `room`, to the spare capacity.
        unsafe { buffer.advance_mut(count) };
        Ok(Some(self.received(count, room)))
    }

    /// Reads what has arrived, at least one byte; 0 means that the other side sends no more.
    pub async fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.take_turns().await;
            if !self.drained
                && let Some(count) = self.socket.try_recv(buffer.as_mut_ptr(), buffer.len())?
            {
                return Ok(self.received(count, buffer.len()));
            }
            self.readable().await?;
        }
    }

    /// Appends what has arrived to `buffer`, as much as its spare capacity takes, without copying it once more;
    /// 0 means that the other side sends no more. A buffer without spare capacity gets some.
    pub async fn recv_into(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        loop {
            self.ready().await?;
            if let Some(count) = self.recv_at_once(buffer)? {
                return Ok(count);
            }
        }
    }

    /// Whether the connection was broken off; what has arrived before may still be read.
    pub fn is_broken(&self) -> bool {
        let mut polled = libc::pollfd { fd: self.socket.fd, events: 0, revents: 0 };
        // SAFETY: the pointer is to one pollfd, and the call does not wait.
        let found = unsafe { libc::poll(&mut polled, 1, 0) };
        found > 0 && polled.revents & (libc::POLLERR | libc::POLLHUP) != 0
    }

    /// A connection that always has data must not keep the executor to itself.
    async fn take_turns(&mut self) {
        if self.reads >= READS_PER_TURN {
            self.reads = 0;
            yield_now().await;
        }
    }

    fn received(&mut self, count: usize, room: usize) -> usize {
        // The end of the stream is found again and again.
        self.drained = count > 0 && count < room;
        self.reads += 1;
        count
    }

    /// Waits until there is something to read, or the end.
    async fn readable(&mut self) -> io::Result<()> {
        // A read of no bytes, which Linux answers as it would answer one of a byte: glommio polls for us.
        poll_fn(|context| Pin::new(&mut *self.socket.stream.borrow_mut()).poll_read(context, &mut []))
            .await?;
        self.drained = false;
        self.reads = 0;
        Ok(())
    }
}

impl StreamWriter {
    /// The other side's address.
    pub fn peer(&self) -> SocketAddr {
        self.socket.peer
    }

    /// Has `progressed` called whenever the other side has taken some after a wait.
    pub fn on_progress(&mut self, progressed: Rc<dyn Fn()>) {
        self.progressed = Some(progressed);
    }

    fn progressed(&self) {
        if let Some(progressed) = &self.progressed {
            progressed();
        }
    }

    /// Sends `data` if the kernel takes all of it at once; fails with `WouldBlock` if not.
    pub fn send_at_once(&mut self, data: &[u8]) -> io::Result<()> {
        let sent = self.socket.try_send(&[IoSlice::new(data)])?;
        if sent == Some(data.len()) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    /// Sends all of `data`, waiting while the other side does not keep up.
    pub async fn send_all(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let sent = match self.socket.try_send(&[IoSlice::new(data)])? {
                Some(sent) => sent,
                None => {
                    let sent = self.socket.send(data).await?;
                    self.progressed();
                    sent
                }
            };
            data = &data[sent..];
        }
        Ok(())
    }

    /// Sends all pieces in order, without joining them first; otherwise like [`send_all`](Self::send_all).
    pub async fn send_pieces(&mut self, mut pieces: &[Bytes]) -> io::Result<()> {
        // Bytes of the first piece that were sent.
        let mut begun = 0;
        while let Some(first) = pieces.first() {
            if first.len() == begun {
                (pieces, begun) = (&pieces[1..], 0);
                continue;
            }
            let mut slices = [IoSlice::new(&[]); PIECES_PER_CALL];
            let count = pieces.len().min(PIECES_PER_CALL);
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                *slice = IoSlice::new(piece);
            }
            slices[0] = IoSlice::new(&first[begun..]);
            let sent = match self.socket.try_send(&slices[..count])? {
                Some(sent) => sent,
                None => {
                    let sent = self.socket.send(&first[begun..]).await?;
                    self.progressed();
                    sent
                }
            };
            (pieces, begun) = skip(pieces, begun + sent);
        }
        Ok(())
    }

    /// Ends this direction: the other side reads to the end of what was sent.
    pub fn finish(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Ends both directions at once: a task that reads or writes is woken, and finds the end.
    pub fn abort(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Both)
    }
}

/// What is left of `pieces` behind `sent` bytes, and how many bytes of the first were sent.
fn skip(mut pieces: &[Bytes], mut sent: usize) -> (&[Bytes], usize) {
    while let Some(first) = pieces.first()
        && sent >= first.len()
    {
        sent -= first.len();
        pieces = &pieces[1..];
    }
    (pieces, sent)
}

impl Socket {
    /// Receives up to `room` bytes to `memory`, or nothing if there is nothing yet.
    fn try_recv(&self, memory: *mut u8, room: usize) -> io::Result<Option<usize>> {
        // SAFETY: the callers own `room` bytes at `memory`, and the descriptor is open as long as `self.stream` is.
        let count = unsafe { libc::recv(self.fd, memory.cast(), room, libc::MSG_DONTWAIT) };
        attempted(usize::try_from(count).map_err(|_| io::Error::last_os_error()))
    }

    /// Sends what the kernel takes at once of `slices`, or nothing if it takes nothing.
    fn try_send(&self, slices: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        attempted(SockRef::from(self).send_vectored_with_flags(slices, flags))
    }

    /// Sends some of `data`, waiting until the kernel takes it.
    async fn send(&self, data: &[u8]) -> io::Result<usize> {
        poll_fn(|context| Pin::new(&mut *self.stream.borrow_mut()).poll_write(context, data)).await
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match SockRef::from(self).shutdown(how) {
            // The other side was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as `self.stream` is.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

/// The outcome of a call that must not wait.
fn attempted(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}
