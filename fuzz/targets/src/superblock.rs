//! The superblock of a data directory: any bytes, as they are and with the checksum put right.

use std::path::Path;

use ringmail::node::datadir::Superblock;
use ringmail_wire::crc::crc32c;

/// Reads a superblock. What is refused is refused in one line.
pub fn superblock(input: &[u8]) {
    read(input);
    let json = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let signed = format!("\ncrc32c {:08x}\n", crc32c(json));
    read(&[json, signed.as_bytes()].concat());
}

fn read(text: &[u8]) {
    if let Err(error) = Superblock::parse(text, Path::new("data")) {
        let words = error.to_string();
        assert!(!words.is_empty() && !words.contains('\n'), "{words:?} is one line");
    }
}
