//! The superblock: a line of JSON for programs and people, and a line with its checksum.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use ringmail_wire::crc::crc32c;
use serde::{Deserialize, Serialize};

use super::{ClusterId, DataDirError, SUPERBLOCK, SUPERBLOCK_DRAFT, failed, sync_directory};

/// The version of the data format that this build writes; it reads all up to it.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: &str = "ringmail";

/// What holds for the whole data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Superblock {
    magic: String,
    /// The version of the data format.
    pub format: u32,
    /// How many shards have data.
    pub shards: u16,
    /// The identity of the node, a random UUID.
    pub node: String,
    /// The identity of the cluster; what was written before there was one gets it with the next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
}

/// The fields that all versions have.
#[derive(Deserialize)]
struct Preamble {
    magic: String,
    format: u32,
}

impl Superblock {
    pub(super) fn new(shards: u16) -> io::Result<Self> {
        Ok(Self {
            magic: MAGIC.to_owned(),
            format: FORMAT_VERSION,
            shards,
            node: random_uuid()?,
            cluster: Some(random_cluster()?),
        })
    }

    /// Reads the superblock of the data directory `data`.
    pub(super) fn load(data: &Path) -> Result<Self, DataDirError> {
        let path = data.join(SUPERBLOCK);
        let text = fs::read(&path).map_err(failed("read", &path))?;
        Self::parse(&text, data)
    }

    /// Reads `text`, which is the superblock of the data directory `data`.
    ///
    /// # Errors
    /// If it is damaged or of a newer version.
    pub fn parse(text: &[u8], data: &Path) -> Result<Self, DataDirError> {
        let path = data.join(SUPERBLOCK);
        let damaged =
            |reason: &str| DataDirError::SuperblockDamaged { path: path.clone(), reason: reason.to_owned() };
        let mut lines = text.split(|byte| *byte == b'\n');
        let json = lines.next().unwrap_or_default();
        let preamble: Preamble = serde_json::from_slice(json).map_err(|_| damaged("it is no superblock"))?;
        if preamble.magic != MAGIC {
            return Err(damaged("it is no superblock of Ringmail"));
        }
        if preamble.format > FORMAT_VERSION {
            return Err(DataDirError::NewerFormat { path: data.to_owned(), found: preamble.format });
        }
        if lines.next() != Some(checksum(json).as_bytes()) {
            return Err(damaged("its checksum is wrong"));
        }
        // What the parser quotes may be of several lines.
        serde_json::from_slice(json)
            .map_err(|error| damaged(&error.to_string().replace(char::is_control, " ")))
    }

    /// Writes the superblock of the data directory `data`: whole and durable, or not at all.
    pub(super) fn store(&self, data: &Path) -> Result<(), DataDirError> {
        let (path, draft) = (data.join(SUPERBLOCK), data.join(SUPERBLOCK_DRAFT));
        let json = serde_json::to_string(self).expect("a superblock has strings and numbers only");
        let text = format!("{json}\n{}\n", checksum(json.as_bytes()));
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(failed("write", &draft))?;
        fs::rename(&draft, &path).map_err(failed("write", &path))?;
        sync_directory(data)
    }
}

fn checksum(json: &[u8]) -> String {
    format!("crc32c {:08x}", crc32c(json))
}

/// The identity of a new cluster.
pub(super) fn random_cluster() -> io::Result<ClusterId> {
    loop {
        if let Some(cluster) = ClusterId::new(random_bytes()?) {
            return Ok(cluster);
        }
    }
}

fn random_bytes() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A random (version 4) UUID, RFC 9562.
fn random_uuid() -> io::Result<String> {
    let mut bytes = random_bytes()?;
    bytes[6] = 0x40 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}
