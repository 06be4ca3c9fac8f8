//! The bare server: one glommio executor on one core, one connection.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use super::{Exchange, LENGTH_FIELD};
use crate::error::{Error, Result};

/// Bytes that the server reads at most at once.
const READ_BUFFER: usize = 1 << 20;
/// Registered memory of the executor, which the server does not use, in bytes; kept below the usual memlock limit.
const IO_MEMORY: usize = 1 << 20;

/// A server that runs until its one connection is closed.
pub struct Server {
    address: SocketAddr,
    executor: ExecutorJoinHandle<io::Result<()>>,
}

impl Server {
    /// Listens on a free port of the loopback interface, on a thread pinned to `core`.
    pub fn start(core: usize, exchange: Exchange) -> Result<Self> {
        let (tell, told) = mpsc::channel();
        let executor = LocalExecutorBuilder::new(Placement::Fixed(core))
            .name("bare-echo")
            .io_memory(IO_MEMORY)
            .spawn(move || async move {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                tell.send(listener.local_addr()?).map_err(io::Error::other)?;
                let stream = listener.accept().await?;
                stream.set_nodelay(true)?;
                serve(stream, exchange).await
            })
            .map_err(|error| Error::System {
                action: "start the echo server",
                source: io::Error::other(error.to_string()),
            })?;
        let address = told.recv().map_err(|gone| Error::System {
            action: "start the echo server",
            source: io::Error::other(gone),
        })?;
        Ok(Self { address, executor })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the connection has been closed.
    pub fn join(self) -> Result<()> {
        let ended = self.executor.join().map_err(|error| io::Error::other(error.to_string()));
        ended.and_then(|result| result).map_err(Error::system("run the echo server"))
    }
}

async fn serve(mut stream: TcpStream, exchange: Exchange) -> io::Result<()> {
    let mut buffer = vec![0; READ_BUFFER];
    let answers = vec![0; exchange.answer * exchange.in_flight];
    let mut frames = Frames::default();
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let due = &answers[..frames.count(&buffer[..read]) * exchange.answer];
        let at_once = if exchange.gathered { due.len().max(1) } else { exchange.answer };
        for piece in due.chunks(at_once) {
            stream.write_all(piece).await?;
        }
    }
}

/// Finds the ends of frames in a stream of bytes that comes in pieces of any size.
#[derive(Default)]
struct Frames {
    length: [u8; LENGTH_FIELD],
    length_bytes: usize,
    rest: usize,
}

impl Frames {
    /// How many frames end within the next `bytes`.
    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.rest == 0 {
                let taken = bytes.len().min(LENGTH_FIELD - self.length_bytes);
                self.length[self.length_bytes..][..taken].copy_from_slice(&bytes[..taken]);
                self.length_bytes += taken;
                bytes = &bytes[taken..];
                if self.length_bytes == LENGTH_FIELD {
                    self.length_bytes = 0;
                    self.rest = u32::from_le_bytes(self.length) as usize;
                    ended += usize::from(self.rest == 0);
                }
            } else {
                let taken = bytes.len().min(self.rest);
                self.rest -= taken;
                bytes = &bytes[taken..];
                ended += usize::from(self.rest == 0);
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let mut stream = Vec::new();
        for len in [5u32, 0, 300, 1] {
            stream.extend_from_slice(&len.to_le_bytes());
            stream.resize(stream.len() + len as usize, 7);
        }
        for piece in 1..=stream.len() {
            let mut frames = Frames::default();
            let ended: usize = stream.chunks(piece).map(|bytes| frames.count(bytes)).sum();
            assert_eq!(ended, 4, "pieces of {piece}");
        }
    }
}
