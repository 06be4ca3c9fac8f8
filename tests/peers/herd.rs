//! Many connections at once, and how they are ended.

use std::io::Write;

use ringmail_wire::protocol::*;
use socket2::SockRef;

use crate::client::Client;

/// Handshakes under way at once.
const GREETED_TOGETHER: usize = 250;

/// A request of so many bytes in all, of which the body is all zeros.
pub fn frame(api: Api, bytes: usize) -> Vec<u8> {
    let header =
        FrameHeader { body: bytes - FRAME_HEADER_BYTES, correlation: 7, api: api as u8, version: 1, code: 0 };
    let mut frame = header.to_bytes().to_vec();
    frame.resize(bytes, 0);
    frame
}

/// The request that begins a connection.
pub fn hello() -> Vec<u8> {
    let hello = HandshakeRequest { min_version: 1, max_version: 1, features: features::ALL, client: "herd" };
    let mut bytes = Vec::new();
    put_frame(&mut bytes, Api::Handshake, 1, 0, &hello);
    bytes
}

/// Connects so many times in turn to the addresses, and sends the same on each connection.
pub fn open(addresses: &[String], count: usize, bytes: &[u8]) -> Vec<Client> {
    let connect = |number: usize| {
        let mut client = Client::connect_silently(&addresses[number % addresses.len()]);
        client.send_bytes(bytes);
        client
    };
    (0..count).map(connect).collect()
}

/// The same, with handshakes done.
pub fn open_greeted(addresses: &[String], count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    while clients.len() < count {
        let mut group = open(addresses, GREETED_TOGETHER.min(count - clients.len()), &hello());
        for client in &mut group {
            client.receive().ok::<HandshakeResponse<'_>>();
        }
        clients.append(&mut group);
    }
    clients
}

/// The broker says why it ends each connection, then ends it.
#[track_caller]
pub fn all_told(clients: &mut [Client], code: ErrorCode, words: &str) {
    for client in clients {
        let frame = client.receive();
        assert_eq!(frame.error(), code, "{}", frame.words());
        assert!(frame.words().contains(words), "{}", frame.words());
        assert_eq!(client.try_receive(), None);
    }
}

/// Sends as much as the broker's end takes now.
pub fn send_what_fits(client: &mut Client, bytes: &[u8]) {
    client.stream.set_nonblocking(true).expect("a socket option");
    // It may be full, or closed by the broker.
    let _ = client.stream.write(bytes);
    client.stream.set_nonblocking(false).expect("a socket option");
}

/// Whether something has come from the broker, or the end.
pub fn has_heard(client: &Client) -> bool {
    client.stream.set_nonblocking(true).expect("a socket option");
    let heard = client.stream.peek(&mut [0]).is_ok();
    client.stream.set_nonblocking(false).expect("a socket option");
    heard
}

/// Breaks the connections off by RST, as a crash of the client's host would be told.
pub fn reset(clients: Vec<Client>) {
    for client in &clients {
        let now = Some(std::time::Duration::ZERO);
        SockRef::from(&client.stream).set_linger(now).expect("a socket option");
    }
}
