//! A client of raw frames.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use ringmail_kafka::api::Api;
use ringmail_kafka::frame::{RequestHeader, put_request};
use ringmail_kafka::messages::Body;

use crate::broker::{Broker, PATIENCE};

/// A connection.
pub struct Kafka {
    pub stream: TcpStream,
    next: i32,
}

/// An answer, its length taken off.
pub struct Answer {
    pub correlation: i32,
    /// The rest of the header, and the body.
    bytes: Vec<u8>,
}

impl Answer {
    /// The body of the answer to a request of this version.
    #[track_caller]
    pub fn body<'a, B: Body<'a>>(&'a self, version: i16) -> B {
        let header = usize::from(B::API.response_header_has_tags(version));
        B::decode(version, &self.bytes[header..]).expect("the broker's answers have the form of their API")
    }
}

impl Kafka {
    /// Connects to the shared port.
    pub fn connect(broker: &Broker) -> Self {
        Self::connect_to(&broker.kafka)
    }

    pub fn connect_to(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self { stream, next: 1 }
    }

    /// A request as it is sent.
    pub fn frame<'a>(&mut self, version: i16, body: &impl Body<'a>) -> (i32, Vec<u8>) {
        let correlation = self.next;
        self.next += 1;
        let header = RequestHeader { api: body.api(), version, correlation, client_id: Some("test") };
        let mut frame = Vec::new();
        put_request(&mut frame, &header, body);
        (correlation, frame)
    }

    /// Sends a request; gives its correlation id.
    pub fn send<'a>(&mut self, version: i16, body: &impl Body<'a>) -> i32 {
        let (correlation, frame) = self.frame(version, body);
        self.send_bytes(&frame);
        correlation
    }

    /// Sends bytes.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    /// Sends a request whose body is given as bytes.
    pub fn send_raw(&mut self, api: Api, version: i16, body: &[u8]) {
        let header = RequestHeader { api, version, correlation: self.next, client_id: None };
        self.next += 1;
        let mut frame = vec![0; 4];
        header.encode(&mut frame);
        frame.extend_from_slice(body);
        let length = frame.len() as u32 - 4;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.send_bytes(&frame);
    }

    /// The next answer.
    #[track_caller]
    pub fn receive(&mut self) -> Answer {
        self.receive_or_end().expect("the broker answers")
    }

    /// The next answer; `None` if the broker has ended the connection.
    #[track_caller]
    pub fn receive_or_end(&mut self) -> Option<Answer> {
        let mut length = [0; 4];
        match self.stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return None;
            }
            Err(error) => panic!("no answer: {error}"),
        }
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut bytes).expect("the whole answer comes");
        let correlation = i32::from_be_bytes(bytes[..4].try_into().expect("4 bytes"));
        Some(Answer { correlation, bytes: bytes.split_off(4) })
    }

    /// Sends a request and gives its answer.
    #[track_caller]
    pub fn ask<'a>(&mut self, version: i16, body: &impl Body<'a>) -> Answer {
        let correlation = self.send(version, body);
        let answer = self.receive();
        assert_eq!(answer.correlation, correlation);
        answer
    }

    /// Whether the broker ends the connection without a further word.
    #[track_caller]
    pub fn ends(mut self) -> bool {
        self.receive_or_end().is_none()
    }
}
