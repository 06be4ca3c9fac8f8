//! The bare client: writes as many frames at once as its window allows, then reads whatever answers are there.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::{Exchange, LENGTH_FIELD};
use crate::error::{Error, Result};
use crate::load::{Meter, Phase, Window};

/// Bytes that the client reads at most at once.
const READ_BUFFER: usize = 256 << 10;

/// One connection that keeps a fixed number of equal frames in flight.
pub struct Client {
    stream: TcpStream,
    /// A full window of frames, one after the other.
    frames: Vec<u8>,
    exchange: Exchange,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr, exchange: Exchange) -> Result<Self> {
        let stream = TcpStream::connect(address).map_err(Error::system("connect to the echo server"))?;
        stream.set_nodelay(true).map_err(Error::system("set TCP_NODELAY"))?;
        let mut frame = vec![0x5a; exchange.frame];
        let length = u32::try_from(exchange.frame - LENGTH_FIELD).expect("frames are small");
        frame[..LENGTH_FIELD].copy_from_slice(&length.to_le_bytes());
        Ok(Self { stream, frames: frame.repeat(exchange.in_flight), exchange })
    }

    /// Sends until the window has closed, reads the last answers and closes the connection.
    pub fn run(mut self, window: Window) -> Result<Meter> {
        self.exchange(window).map_err(Error::system("talk to the echo server"))
    }

    /// Blocking calls cannot lock each other up here: the answers to a full window fit the socket's buffers.
    fn exchange(&mut self, window: Window) -> io::Result<Meter> {
        let Exchange { frame, answer, in_flight, .. } = self.exchange;
        let mut meter = Meter::new(window);
        let mut buffer = vec![0; READ_BUFFER];
        let mut sent: VecDeque<Instant> = VecDeque::with_capacity(in_flight);
        let mut half_read = 0;
        loop {
            let now = Instant::now();
            if window.phase(now) != Phase::Over {
                let free = in_flight - sent.len();
                self.send(free)?;
                sent.extend(std::iter::repeat_n(now, free));
            } else if sent.is_empty() {
                return Ok(meter);
            }
            let read = self.stream.read(&mut buffer)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let now = Instant::now();
            half_read += read;
            for since in sent.drain(..half_read / answer) {
                meter.count(now, since, 1, frame as u64);
            }
            half_read %= answer;
        }
    }

    fn send(&mut self, frames: usize) -> io::Result<()> {
        let frame = self.exchange.frame;
        let at_once = if self.exchange.gathered { frames.max(1) * frame } else { frame };
        self.frames[..frames * frame].chunks(at_once).try_for_each(|piece| self.stream.write_all(piece))
    }
}
