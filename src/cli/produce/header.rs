//! Headers on the command line.

use ringmail_sdk::HeadersBuf;

/// Longest name of a header, in bytes.
const MAX_NAME_BYTES: usize = u16::MAX as usize;

/// A header, written `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    name: String,
    value: String,
}

impl Header {
    /// Adds it at the end of `headers`.
    pub fn push_to(&self, headers: &mut HeadersBuf) {
        headers
            .push(self.name.as_bytes(), Some(self.value.as_bytes()))
            .expect("the name's length was checked and arguments are far below 4 GiB");
    }
}

impl std::str::FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, _)) if name.len() > MAX_NAME_BYTES => Err("the name is over 65,535 bytes"),
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("write name=value"),
        }
    }
}
