//! Handshake and ping.

use super::codec::{DecodeError, Message, Reader, Writer};

/// Feature bits of a handshake: what one side offers and both have is in use.
pub mod features {
    /// Batches compressed with LZ4.
    pub const LZ4: u64 = 1;
    /// Batches compressed with Zstandard.
    pub const ZSTD: u64 = 1 << 1;
    /// Subscriptions with credits.
    pub const SUBSCRIBE: u64 = 1 << 2;
    /// All that this crate knows.
    pub const ALL: u64 = LZ4 | ZSTD | SUBSCRIBE;
}

/// `min_version: u8, max_version: u8, features: u64, client: string`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeRequest<'a> {
    /// The lowest protocol version that the client speaks.
    pub min_version: u8,
    /// The highest.
    pub max_version: u8,
    /// What the client can do.
    pub features: u64,
    /// Its name and version, for the broker's log.
    pub client: &'a str,
}

impl<'a> Message<'a> for HandshakeRequest<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u8(self.min_version);
        w.u8(self.max_version);
        w.u64(self.features);
        w.string(self.client);
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            min_version: r.u8("min_version")?,
            max_version: r.u8("max_version")?,
            features: r.u64("features")?,
            client: r.string("client")?,
        })
    }
}

/// `version: u8, features: u64, shard: u16, max_frame: u32, max_in_flight: u32, idle_timeout_ms: u32,
/// server: string`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeResponse<'a> {
    /// The version that both will speak.
    pub version: u8,
    /// The features that both have.
    pub features: u64,
    /// The shard that this connection is on.
    pub shard: u16,
    /// The largest frame that the broker takes, in bytes.
    pub max_frame: u32,
    /// Bytes of requests without an answer past which the broker stops reading from the connection.
    pub max_in_flight: u32,
    /// Silence after which the broker closes the connection, in milliseconds; 0 for never.
    pub idle_timeout_ms: u32,
    /// The broker's name and version.
    pub server: &'a str,
}

impl<'a> Message<'a> for HandshakeResponse<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u8(self.version);
        w.u64(self.features);
        w.u16(self.shard);
        w.u32(self.max_frame);
        w.u32(self.max_in_flight);
        w.u32(self.idle_timeout_ms);
        w.string(self.server);
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: r.u8("version")?,
            features: r.u64("features")?,
            shard: r.u16("shard")?,
            max_frame: r.u32("max_frame")?,
            max_in_flight: r.u32("max_in_flight")?,
            idle_timeout_ms: r.u32("idle_timeout_ms")?,
            server: r.string("server")?,
        })
    }
}

/// The body of ping, of its answer, and of every answer that says no more than that it worked: nothing.
impl Message<'_> for () {
    fn encode(&self, _: &mut Writer<'_>) {}

    fn decode(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
}
