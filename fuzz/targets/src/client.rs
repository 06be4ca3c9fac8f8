//! The SDK's core against a broker that says anything: requests go out, any bytes come in.

use std::collections::BTreeSet;

use arbitrary::Unstructured;
use bytes::Bytes;
use ringmail_sdk::core::{Connection, Event, MAX_FRAME_BYTES, Ping, ProtocolError};
use ringmail_wire::batch::Batches;
use ringmail_wire::protocol::{
    Acks, Api, FRAME_HEADER_BYTES, FetchPartition, FetchRequest, FrameHeader, MetadataRequest,
    PROTOCOL_VERSION,
};

use crate::frames::{batch, blow_up, number};

/// Steps of one input.
const MAX_STEPS: usize = 200;

/// A client, and what it still waits for.
struct Client {
    connection: Connection<u32>,
    next_token: u32,
    /// Tokens that have not come back.
    out: BTreeSet<u32>,
}

/// A session of a client.
pub fn client(input: &[u8]) {
    let mut client = Client { connection: Connection::new("fuzz"), next_token: 0, out: BTreeSet::new() };
    // Running out of input ends the session; it is not an error.
    let _ = client.session(&mut Unstructured::new(input));
    let left: BTreeSet<u32> = client.connection.into_unanswered().map(|request| request.token).collect();
    assert!(left.is_subset(&client.out), "what was answered is not given back as unanswered");
}

impl Client {
    fn session(&mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        for _ in 0..MAX_STEPS {
            if u.is_empty() {
                return Ok(());
            }
            match u.int_in_range(0..=3)? {
                0 => self.ask(u)?,
                1 => self.send(u)?,
                2 => self.connection.receive(u.arbitrary()?),
                _ => self.connection.receive(&said(u)?),
            }
            if self.listen().is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends a request.
    fn ask(&mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let token = self.next_token;
        self.next_token += 1;
        let connection = &mut self.connection;
        match u.int_in_range(0..=6)? {
            0 => connection.request(&Ping, token),
            1 => connection.request(&MetadataRequest { topics: vec!["topic"] }, token),
            2 => connection.produce(1, Acks::Synced, Bytes::from_static(b"any bytes"), token),
            3 => connection.produce(1, Acks::None, Bytes::from(vec![7; 5_000]), token),
            4 => {
                let partition = FetchPartition { log: 1, offset: 0, max_bytes: 1 << 20 };
                let partitions = vec![partition];
                let fetch = FetchRequest { max_wait_ms: 0, min_bytes: 0, max_bytes: 1 << 20, partitions };
                connection.fetch(&fetch, token);
            }
            5 => drop(connection.subscribe(1, 0, 1 << 20, token)),
            _ => {
                connection.credit(u.arbitrary()?, u.arbitrary()?);
                return Ok(());
            }
        }
        self.out.insert(token);
        Ok(())
    }

    /// The socket takes some of what waits.
    fn send(&mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let waiting = self.connection.output_bytes();
        self.connection.consume(u.int_in_range(0..=waiting)?);
        Ok(())
    }

    /// Takes all events.
    fn listen(&mut self) -> Result<(), ProtocolError> {
        while let Some(event) = self.connection.poll()? {
            let token = match event {
                Event::Produced { token, .. }
                | Event::Sent { token }
                | Event::Subscribed { token, .. }
                | Event::Answered { token, .. } => token,
                Event::Fetched { token, result } => {
                    result.into_iter().flatten().for_each(|fetched| read(&fetched.batches));
                    token
                }
                Event::Push { batches, .. } => {
                    read(&batches);
                    continue;
                }
                Event::Ready(_) | Event::SubscriptionEnded { .. } | Event::Refused(_) => continue,
            };
            assert!(self.out.remove(&token), "token {token} comes back once");
        }
        Ok(())
    }
}

/// What a consumer does with batches.
fn read(batches: &[u8]) {
    let mut scratch = Vec::new();
    for batch in Batches::new(batches).flatten() {
        if batch.check().is_ok()
            && let Ok(open) = batch.open(&mut scratch)
        {
            open.iter().for_each(|record| record.headers.for_each(drop));
        }
    }
}

/// A frame that the broker might send.
fn said(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let api = if u.ratio(1, 8)? { u.arbitrary()? } else { *u.choose(Api::ALL)? as u8 };
    let code = if u.ratio(1, 4)? { u.arbitrary()? } else { 0 };
    let mut body: Vec<u8> = u.arbitrary::<&[u8]>()?.to_vec();
    if u.ratio(1, 4)? {
        body.extend_from_slice(&batch(u)?);
    }
    blow_up(u, &mut body)?;
    let correlation = u.int_in_range(0..=20)?;
    let header = FrameHeader { body: body.len(), correlation, api, version: PROTOCOL_VERSION, code };
    let mut frame = [&header.to_bytes()[..], &body].concat();
    if u.ratio(1, 16)? {
        let length = number(u)?.min(MAX_FRAME_BYTES as u64 + FRAME_HEADER_BYTES as u64) as u32;
        frame[..4].copy_from_slice(&length.to_le_bytes());
    }
    Ok(frame)
}
