//! Native sessions: several clients of a broker of two shards, which send requests, almost requests and anything else, take
//! their answers or do not, and come and go, while time, disks and messages between the shards go on as the input says.
//!
//! The shards, their sessions, the catalog and the engine are those that ship; what is around them is in memory. Whatever
//! happens, nothing panics, every request that was taken is answered once, no request takes much more memory than the limit
//! of frames, nobody is left waiting for a wake-up, and without clients nothing is held for any.

mod cluster;
mod peer;

use arbitrary::Unstructured;
use ringmail_shards::io::IoError;

use self::cluster::{Cluster, SHARDS};
use self::peer::Peer;
use crate::frames;

/// Steps of one input.
const MAX_STEPS: usize = 300;

/// Clients of one input, one after another.
const MAX_PEERS: usize = 8;

/// How long time may jump, in milliseconds: from one tick to past every timeout.
const JUMPS_MS: &[u64] = &[1, 10, 100, 600, 3_000, 40_000, 700_000];

/// Rounds of settling: each lets peers take one more piece of what they are owed.
const ROUNDS: usize = 2_000;

/// Rounds in which nothing happens before all is taken for settled, and how long each is, in milliseconds. What finds a full
/// disk tries again within a second.
const QUIET_ROUNDS: usize = 4;
const QUIET_MS: u64 = 300;

/// A broker and its clients.
struct Session {
    cluster: Cluster,
    peers: Vec<Peer>,
    /// Milliseconds that have passed.
    now_ms: u64,
    /// Whether a disk has failed or was full.
    hurt: bool,
}

/// All of it.
pub fn session(input: &[u8]) {
    let mut session = Session { cluster: Cluster::start(), peers: Vec::new(), now_ms: 0, hurt: false };
    session.begin();
    // Running out of input ends the session; it is not an error.
    let _ = session.steps(&mut Unstructured::new(input));
    session.finish();
    session.end();
}

impl Session {
    /// A first client, and a topic with partitions on both shards.
    fn begin(&mut self) {
        self.connect(0);
        self.send(0, &frames::handshake());
        self.send(0, &frames::create_topic("topic", 4));
        self.settle();
    }

    fn connect(&mut self, shard: usize) {
        self.peers.push(Peer::connect(shard, &mut self.cluster.shards[shard]));
    }

    fn send(&mut self, peer: usize, bytes: &[u8]) {
        let peer = &mut self.peers[peer];
        peer.send(bytes, &mut self.cluster.shards[peer.shard]);
    }

    fn steps(&mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        for _ in 0..MAX_STEPS {
            if u.is_empty() {
                return Ok(());
            }
            self.step(u)?;
            self.go_on(false);
        }
        Ok(())
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let at = u.choose_index(self.peers.len())?;
        let shard = self.peers[at].shard;
        match u.int_in_range(0..=15)? {
            0..=4 => self.send(at, &frames::request(u)?),
            5 => {
                let request = frames::request(u)?;
                let (start, rest) = request.split_at(u.choose_index(request.len())?);
                self.send(at, start);
                self.send(at, rest);
            }
            6 => self.send(at, &frames::long_request(u)?),
            7 => self.send(at, u.arbitrary()?),
            8 => drop(self.peers[at].take(&mut self.cluster.shards[shard])),
            9 => self.advance(*u.choose(JUMPS_MS)?),
            10 => {
                let error = u.choose(&[None, None, None, Some(IoError::Full), Some(failed())])?.clone();
                self.hurt |= error.is_some();
                let (shard, which) = (u.int_in_range(0..=SHARDS - 1)?, u.arbitrary::<u8>()?);
                self.cluster.complete(shard, which.into(), error);
            }
            11 => {
                let from = u.int_in_range(0..=SHARDS - 1)?;
                self.cluster.deliver(from, 1 - from);
            }
            12 if self.peers.len() < MAX_PEERS => {
                self.connect(u.int_in_range(0..=SHARDS - 1)?);
                if u.ratio(7, 8)? {
                    self.send(self.peers.len() - 1, &frames::handshake());
                }
            }
            13 => self.peers[at].end(&mut self.cluster.shards[shard]),
            14 => self.peers[at].reset(&mut self.cluster.shards[shard]),
            _ => self.settle(),
        }
        Ok(())
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        if ms >= 1_000 {
            // Past the time that a connection that ends is given.
            self.peers.iter_mut().for_each(Peer::give_up);
        }
        self.cluster.advance(ms);
    }

    /// Lets clients go on where they were woken; whether one has taken something.
    fn go_on(&mut self, take: bool) -> bool {
        let mut any = false;
        for peer in &mut self.peers {
            let shard = &mut self.cluster.shards[peer.shard];
            any |= take && peer.take(shard);
            peer.go_on(shard, self.now_ms);
        }
        any
    }

    /// Brings everything to an end that is under way; clients take what they are sent, and time passes a little.
    fn settle(&mut self) {
        let (quiet_rounds, quiet_ms) = if self.hurt { (QUIET_ROUNDS, QUIET_MS) } else { (1, 1) };
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            let busy = self.cluster.settle() | self.go_on(true);
            quiet = if busy { 0 } else { quiet + 1 };
            if quiet > quiet_rounds {
                return;
            }
            if !busy {
                self.now_ms += quiet_ms;
                self.cluster.advance(quiet_ms);
            }
        }
        panic!("the broker and its clients never rest");
    }

    /// No client asks for more, and each takes what it is owed.
    fn finish(&mut self) {
        self.settle();
        for peer in &mut self.peers {
            peer.end(&mut self.cluster.shards[peer.shard]);
            peer.go_on(&mut self.cluster.shards[peer.shard], self.now_ms);
        }
        self.settle();
        self.peers.iter().for_each(|peer| peer.check_settled(self.now_ms));
    }

    /// All clients go: nothing of them is left.
    fn end(&mut self) {
        for peer in &mut self.peers {
            peer.reset(&mut self.cluster.shards[peer.shard]);
        }
        self.settle();
        self.advance(40_000);
        self.settle();
        assert!(self.peers.iter().all(Peer::is_gone), "a connection is never forgotten");
        for shard in &self.cluster.shards {
            assert_eq!(shard.usage(), Default::default(), "something is held for nobody");
        }
    }
}

fn failed() -> IoError {
    IoError::Failed("an error of the fuzzer's".to_owned())
}

#[cfg(test)]
mod tests {
    use ringmail_wire::batch::{BatchBuilder, Compression};
    use ringmail_wire::protocol::{Acks, Api, ProduceRequest, put_frame};

    use super::*;

    #[test]
    fn a_reader_that_waits_for_room_hears_of_the_end_of_its_connection() {
        let mut session = Session { cluster: Cluster::start(), peers: Vec::new(), now_ms: 0, hurt: false };
        session.begin();
        let mut builder = BatchBuilder::new(4000, Compression::None);
        builder.push(1000, None, Some(&[7; 2000]), &[]).unwrap();
        let mut batch = Vec::new();
        builder.finish_into(&mut batch);
        let mut requests = Vec::new();
        put_frame(&mut requests, Api::Ping, 1, 0, &());
        session.send(0, &requests);
        session.go_on(false);
        requests.clear();
        for correlation in 0..40 {
            let request =
                ProduceRequest { log: 1 + u64::from(correlation) % 4, acks: Acks::Synced, batch: &batch };
            put_frame(&mut requests, Api::Produce, correlation, 0, &request);
        }
        session.send(0, &requests);
        assert!(session.peers[0].is_stalled(), "more is unanswered than may be");
        session.peers[0].reset(&mut session.cluster.shards[0]);
        session.go_on(false);
        assert!(session.peers[0].is_gone());
        session.end();
    }
}
