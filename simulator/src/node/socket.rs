//! A TCP connection in memory: two streams of bytes with limited room, whose ends may end or break.

use crate::rng::Rng;
use bytes::{Buf, Bytes, BytesMut};
use ringmail::gateway::tasks::{Incoming, Outgoing};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Room for a read into a buffer that has none, in bytes.
const SMALLEST_READ: usize = 4096;

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    bytes: BytesMut,
    /// Bytes that are held until the receiver takes some.
    room: usize,
    /// The sender sends no more.
    ended: bool,
    /// What is under way is lost.
    broken: bool,
    /// The broker's task at either end.
    waiting: Option<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Takes what there is room for; how much that was.
    fn put(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(&bytes[..taken]);
        taken
    }
}

#[derive(Debug)]
struct State {
    number: u32,
    up: Pipe,
    down: Pipe,
    /// Connections of which the broker has sent something.
    touched: Rc<RefCell<Vec<u32>>>,
    rng: Rng,
}

impl State {
    fn touch(&mut self) {
        let mut touched = self.touched.borrow_mut();
        if touched.last() != Some(&self.number) {
            touched.push(self.number);
        }
    }
}

/// The client's end.
#[derive(Debug, Clone)]
pub(super) struct Socket(Rc<RefCell<State>>);

/// The broker's receiving end.
pub(super) struct ServerReader(Rc<RefCell<State>>);

/// The broker's sending end.
pub(super) struct ServerWriter(Rc<RefCell<State>>);

impl Socket {
    /// A connection that holds so many bytes in each direction. Its number is put into `touched` whenever the client may
    /// find something new.
    pub fn new(number: u32, room: usize, touched: Rc<RefCell<Vec<u32>>>, rng: Rng) -> Self {
        let pipe = || Pipe { room, ..Pipe::default() };
        Self(Rc::new(RefCell::new(State { number, up: pipe(), down: pipe(), touched, rng })))
    }

    pub fn server_ends(&self) -> (ServerReader, ServerWriter) {
        (ServerReader(Rc::clone(&self.0)), ServerWriter(Rc::clone(&self.0)))
    }

    /// Sends what there is room for; how much that was.
    pub fn send(&self, bytes: &[u8]) -> usize {
        let up = &mut self.0.borrow_mut().up;
        if up.broken || up.ended {
            return bytes.len();
        }
        let taken = up.put(bytes);
        if taken > 0 {
            up.wake();
        }
        taken
    }

    /// Takes up to `most` of what has come.
    pub fn receive(&self, inbox: &mut Vec<u8>, most: usize) -> usize {
        let down = &mut self.0.borrow_mut().down;
        let taken = down.bytes.len().min(most);
        inbox.extend_from_slice(&down.bytes[..taken]);
        down.bytes.advance(taken);
        if taken > 0 {
            down.wake();
        }
        taken
    }

    /// Bytes that have come and are not taken.
    pub fn waiting(&self) -> usize {
        self.0.borrow().down.bytes.len()
    }

    /// Whether nothing will come any more.
    pub fn has_ended(&self) -> bool {
        let down = &self.0.borrow().down;
        down.broken || (down.ended && down.bytes.is_empty())
    }

    /// Sends no more.
    pub fn finish(&self) {
        let up = &mut self.0.borrow_mut().up;
        up.ended = true;
        up.wake();
    }

    /// Breaks the connection off.
    pub fn reset(&self) {
        let state = &mut *self.0.borrow_mut();
        for pipe in [&mut state.up, &mut state.down] {
            pipe.broken = true;
            pipe.bytes.clear();
            pipe.wake();
        }
    }
}

impl ServerReader {
    fn poll_receive(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let state = &mut *self.0.borrow_mut();
        let up = &mut state.up;
        if up.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if up.bytes.is_empty() {
            if up.ended {
                return Poll::Ready(Ok(0));
            }
            up.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        let taken = up.bytes.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&up.bytes[..taken]);
        up.bytes.advance(taken);
        state.touch();
        Poll::Ready(Ok(taken))
    }

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let up = &mut self.0.borrow_mut().up;
        if up.broken || up.ended || !up.bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        up.waiting = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Incoming for ServerReader {
    async fn ready(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_ready(context)).await
    }

    async fn recv_into(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        poll_fn(|context| self.poll_ready(context)).await?;
        let State { up, .. } = &mut *self.0.borrow_mut();
        if up.broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if buffer.capacity() == buffer.len() {
            buffer.reserve(SMALLEST_READ);
        }
        let taken = up.bytes.len().min(buffer.capacity() - buffer.len());
        buffer.extend_from_slice(&up.bytes[..taken]);
        up.bytes.advance(taken);
        Ok(taken)
    }

    async fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| self.poll_receive(context, buffer)).await
    }
}

impl ServerWriter {
    fn poll_send(&self, context: &mut Context<'_>, bytes: &mut &[u8]) -> Poll<io::Result<()>> {
        let state = &mut *self.0.borrow_mut();
        let down = &mut state.down;
        if down.broken || down.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = down.put(bytes);
        *bytes = &bytes[taken..];
        if !bytes.is_empty() {
            down.waiting = Some(context.waker().clone());
        }
        if taken > 0 {
            state.touch();
        }
        if bytes.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl Outgoing for ServerWriter {
    async fn send_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        poll_fn(|context| self.poll_send(context, &mut bytes)).await
    }

    async fn send_pieces(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.send_all(piece).await?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        state.down.ended = true;
        state.touch();
        Ok(())
    }

    fn abort(&mut self) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        // What was not read makes the kernel reset the connection, which may take the last bytes away from the client.
        if !state.up.bytes.is_empty() && state.rng.one_in(2) {
            state.down.broken = true;
            state.down.bytes.clear();
        }
        state.up.ended = true;
        state.up.bytes.clear();
        state.down.ended = true;
        state.up.wake();
        state.down.wake();
        state.touch();
        Ok(())
    }
}
