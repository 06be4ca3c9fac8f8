//! Handshake and ping.

use ringmail_wire::protocol::{
    ErrorCode, HandshakeRequest, HandshakeResponse, Message, PROTOCOL_VERSION, features,
};

use super::error::Fault;
use super::requests::Request;
use super::sessions::Sessions;
use crate::gateway::Phase;

/// What this broker calls itself.
const SERVER: &str = concat!("ringmail ", env!("CARGO_PKG_VERSION"));

impl Sessions<'_> {
    pub(super) fn handshake(&mut self, request: &Request<'_>) -> Result<(), Fault> {
        let hello = HandshakeRequest::from_body(request.body)?;
        if !(hello.min_version..=hello.max_version).contains(&PROTOCOL_VERSION) {
            let words = format!(
                "the client speaks versions {} to {} of the protocol, this broker {PROTOCOL_VERSION}: use a client of the same \
                 generation",
                hello.min_version, hello.max_version
            );
            return Err(Fault::new(ErrorCode::UnsupportedVersion, words));
        }
        if let Some(connection) = self.connections.get_mut(request.connection) {
            connection.phase = Phase::Open;
            tracing::debug!(peer = connection.peer, client = hello.client, "handshake");
        }
        let in_u32 = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let response = HandshakeResponse {
            version: PROTOCOL_VERSION,
            features: hello.features & features::ALL,
            shard: self.own.settings.shard,
            max_frame: in_u32(self.own.settings.max_frame as u64),
            max_in_flight: in_u32(self.own.settings.in_flight as u64),
            idle_timeout_ms: in_u32(self.own.settings.idle_timeout_ms),
            server: SERVER,
        };
        self.answer(&request.reply(), &response);
        Ok(())
    }

    pub(super) fn ping(&mut self, request: &Request<'_>) -> Result<(), Fault> {
        <()>::from_body(request.body)?;
        self.answer(&request.reply(), &());
        Ok(())
    }
}
