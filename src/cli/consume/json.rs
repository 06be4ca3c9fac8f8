//! Records as JSON, one object a line.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ringmail_sdk::ConsumedRecord;
use ringmail_wire::batch::Record;
use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};

/// Writes a record and a newline.
pub(super) fn write(record: &ConsumedRecord<'_>, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Object(record))?;
    out.write_all(b"\n")
}

struct Object<'a>(&'a ConsumedRecord<'a>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topic", record.topic)?;
        map.serialize_entry("partition", &record.partition)?;
        let (offset, timestamp) = (record.offset, record.timestamp);
        let (key, value, headers) = (record.key, record.value, record.headers);
        put_record(&mut map, &Record { offset, timestamp, key, value, headers })?;
        map.end()
    }
}

/// Adds what every record has: offset, timestamp, key, value and headers.
pub(in crate::cli) fn put_record<M: SerializeMap>(map: &mut M, record: &Record<'_>) -> Result<(), M::Error> {
    map.serialize_entry("offset", &record.offset)?;
    map.serialize_entry("timestamp", &record.timestamp)?;
    put_bytes(map, ["key", "key_base64"], record.key)?;
    put_bytes(map, ["value", "value_base64"], record.value)?;
    let headers: Result<Vec<_>, _> = record.headers.map(|header| header.map(Header)).collect();
    map.serialize_entry("headers", &headers.map_err(M::Error::custom)?)
}

/// A record's header: name and value.
struct Header<'a>(pub (&'a [u8], Option<&'a [u8]>));

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, value) = self.0;
        let mut map = serializer.serialize_map(None)?;
        put_bytes(&mut map, ["name", "name_base64"], Some(name))?;
        put_bytes(&mut map, ["value", "value_base64"], value)?;
        map.end()
    }
}

/// Bytes as text under the first name, or in base64 under the second if they are not UTF-8.
fn put_bytes<M: SerializeMap>(
    map: &mut M,
    [text, base64]: [&'static str; 2],
    bytes: Option<&[u8]>,
) -> Result<(), M::Error> {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => map.serialize_entry(text, &None::<&str>),
        Some((_, Ok(string))) => map.serialize_entry(text, string),
        Some((bytes, Err(_))) => map.serialize_entry(base64, &STANDARD.encode(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use ringmail_sdk::{Headers, HeadersBuf};

    use super::*;

    fn json(key: Option<&[u8]>, value: Option<&[u8]>, headers: &HeadersBuf) -> String {
        let headers = Headers::new(headers.as_bytes());
        let record =
            ConsumedRecord { topic: "t", partition: 1, offset: 2, timestamp: -3, key, value, headers };
        let mut out = Vec::new();
        write(&record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_text_and_other_bytes_are_base64() {
        assert_eq!(
            json(Some(b"k\"\xc3\xbc"), Some(b"\xff\0"), &HeadersBuf::new()),
            "{\"topic\":\"t\",\"partition\":1,\"offset\":2,\"timestamp\":-3,\"key\":\"k\\\"ü\",\
             \"value_base64\":\"/wA=\",\"headers\":[]}\n"
        );
    }

    #[test]
    fn what_is_absent_is_null_and_headers_keep_their_order() {
        let mut headers = HeadersBuf::new();
        headers.push(b"b", Some(b"1")).unwrap();
        headers.push(b"b", None).unwrap();
        headers.push(b"\xff", Some(b"")).unwrap();
        assert_eq!(
            json(None, None, &headers),
            "{\"topic\":\"t\",\"partition\":1,\"offset\":2,\"timestamp\":-3,\"key\":null,\"value\":null,\
             \"headers\":[{\"name\":\"b\",\"value\":\"1\"},{\"name\":\"b\",\"value\":null},\
             {\"name_base64\":\"/w==\",\"value\":\"\"}]}\n"
        );
    }
}
