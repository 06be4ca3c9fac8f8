//! Frames that are almost right: what a client might send, with fields that are changed here and there.

use arbitrary::Unstructured;
use ringmail_wire::batch::{BatchBuilder, CRC_START, Compression};
use ringmail_wire::crc::crc32c;
use ringmail_wire::protocol::{
    Acks, AlterTopicRequest, Api, ConfigEntry, CreateTopicRequest, CreditRequest, DeleteRecordsRequest,
    DeleteTopicRequest, DescribeTopicRequest, FRAME_HEADER_BYTES, FetchPartition, FetchRequest, FrameHeader,
    HandshakeRequest, ListOffsetsQuery, ListOffsetsRequest, ListTopicsRequest, Message, MetadataRequest,
    OffsetQuery, PROTOCOL_VERSION, ProduceRequest, SubscribeRequest, UnsubscribeRequest, Writer, features,
};

/// Numbers at which code that counts tends to break.
const EDGES: &[u64] =
    &[0x7f, 0xff, 0xffff, 1 << 20, 0x7fff_ffff, 0xffff_ffff, 1 << 62, i64::MAX as u64, u64::MAX];

/// A number that is mostly small, and else at an edge.
pub fn number(u: &mut Unstructured<'_>) -> arbitrary::Result<u64> {
    if u.ratio(7, 8)? { Ok(u64::from(u.int_in_range(0..=9_u8)?)) } else { Ok(*u.choose(EDGES)?) }
}

/// Now and then writes a number of 1, 2 or 4 bytes over some place: a length or count there is a lie then.
pub fn blow_up(u: &mut Unstructured<'_>, bytes: &mut [u8]) -> arbitrary::Result<()> {
    if bytes.is_empty() || !u.ratio(1, 8)? {
        return Ok(());
    }
    let at = u.choose_index(bytes.len())?;
    let width = *u.choose(&[1, 2, 4])?;
    let number = number(u)?.to_le_bytes();
    let width = (bytes.len() - at).min(width);
    bytes[at..at + width].copy_from_slice(&number[..width]);
    Ok(())
}

/// A batch of a few records, and now and then one with a wrong field under a right checksum.
pub fn batch(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let compression = *u.choose(&[Compression::None, Compression::Lz4, Compression::Zstd])?;
    let value = [*b"value of a record "; 8].concat();
    let mut builder = BatchBuilder::new(1 << 16, compression);
    for k in 0..u.int_in_range(1..=4_i64)? {
        let length = u.int_in_range(0..=value.len())?;
        builder.push(1000 + k, None, Some(&value[..length]), &[]).expect("there is room for a few");
    }
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    // Not the checksum: that one is put right again.
    let (_, summed) = batch.split_at_mut(CRC_START);
    blow_up(u, summed)?;
    let crc = crc32c(&batch[CRC_START..]);
    batch[CRC_START - 4..CRC_START].copy_from_slice(&crc.to_le_bytes());
    Ok(batch)
}

/// A request with an id of few values, so that ids meet again.
pub fn request(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let mut api = *u.choose(Api::ALL)? as u8;
    let mut body = Vec::new();
    put_body(u, api, &mut Writer::new(&mut body))?;
    blow_up(u, &mut body)?;
    if u.ratio(1, 32)? {
        body.extend_from_slice(u.arbitrary()?);
    }
    if u.ratio(1, 32)? {
        api = u.arbitrary()?;
    }
    let version = if u.ratio(1, 32)? { u.arbitrary()? } else { PROTOCOL_VERSION };
    let correlation = u.int_in_range(0..=15)?;
    let header = FrameHeader { body: body.len(), correlation, api, version, code: 0 };
    let mut frame = [&header.to_bytes()[..], &body].concat();
    if u.ratio(1, 64)? {
        let length = number(u)? as u32;
        frame[..4].copy_from_slice(&length.to_le_bytes());
    }
    Ok(frame)
}

/// A request with a list that is as long as a frame allows, or nearly so, of items that are as short as they can be.
pub fn long_request(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let log = u64::from(u.int_in_range(0..=6_u8)?);
    let many = usize::from(u.int_in_range(0..=4_000_u16)?);
    Ok(match u.int_in_range(0..=4)? {
        0 => {
            let partitions = vec![FetchPartition { log, offset: 0, max_bytes: 100 }; many.min(800)];
            let max_wait_ms = number(u)? as u32;
            whole(Api::Fetch, &FetchRequest { max_wait_ms, min_bytes: 1, max_bytes: 1000, partitions })
        }
        1 => {
            let queries = vec![ListOffsetsQuery { log, query: OffsetQuery::Last }; many.min(900)];
            whole(Api::ListOffsets, &ListOffsetsRequest { queries })
        }
        2 => whole(Api::Metadata, &MetadataRequest { topics: vec![u.choose(&["", "topic"])?; many] }),
        3 => {
            let config = vec![ConfigEntry { key: "", value: "" }; many];
            whole(Api::CreateTopic, &CreateTopicRequest { partitions: 1, name: "long", config })
        }
        _ => whole(Api::DeleteTopic, &DeleteTopicRequest { name: &"\u{1}".repeat(many) }),
    })
}

/// The request that opens a connection.
pub fn handshake() -> Vec<u8> {
    let hello = HandshakeRequest { min_version: 1, max_version: 1, features: features::ALL, client: "fuzz" };
    whole(Api::Handshake, &hello)
}

/// The request that creates a topic.
pub fn create_topic(name: &str, partitions: u32) -> Vec<u8> {
    whole(Api::CreateTopic, &CreateTopicRequest { partitions, name, config: Vec::new() })
}

fn whole<'a>(api: Api, message: &impl Message<'a>) -> Vec<u8> {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    message.encode(&mut Writer::new(&mut frame));
    let body = frame.len() - FRAME_HEADER_BYTES;
    let header = FrameHeader { body, correlation: 0, api: api as u8, version: PROTOCOL_VERSION, code: 0 };
    frame[..FRAME_HEADER_BYTES].copy_from_slice(&header.to_bytes());
    frame
}

fn put_body(u: &mut Unstructured<'_>, api: u8, w: &mut Writer<'_>) -> arbitrary::Result<()> {
    let log = u64::from(u.int_in_range(0..=6_u8)?);
    match Api::from_number(api).expect("it is one of them") {
        Api::Handshake => {
            let (min_version, max_version) = (u.int_in_range(0..=2)?, u.int_in_range(0..=2)?);
            HandshakeRequest { min_version, max_version, features: u.arbitrary()?, client: "fuzz" }.encode(w);
        }
        Api::Ping | Api::Push => {}
        Api::Produce => {
            let acks = *u.choose(&[Acks::None, Acks::Written, Acks::Synced])?;
            ProduceRequest { log, acks, batch: &batch(u)? }.encode(w);
        }
        Api::Fetch => put_fetch(u, w)?,
        Api::Subscribe => {
            let (subscription, offset) = (u.int_in_range(0..=3)?, number(u)?);
            SubscribeRequest { subscription, log, offset, credit: (number(u)? << 5) as u32 }.encode(w);
        }
        Api::Credit => {
            CreditRequest { subscription: u.int_in_range(0..=3)?, bytes: (number(u)? << 5) as u32 }.encode(w);
        }
        Api::Unsubscribe => UnsubscribeRequest { subscription: u.int_in_range(0..=3)? }.encode(w),
        Api::ListOffsets => put_list_offsets(u, w)?,
        Api::DeleteRecords => DeleteRecordsRequest { log, before: number(u)? }.encode(w),
        _ => put_topic_request(u, api, w)?,
    }
    Ok(())
}

fn put_fetch(u: &mut Unstructured<'_>, w: &mut Writer<'_>) -> arbitrary::Result<()> {
    let mut partitions = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let log = u64::from(u.int_in_range(0..=6_u8)?);
        partitions.push(FetchPartition { log, offset: number(u)?, max_bytes: (number(u)? << 6) as u32 });
    }
    let (max_wait_ms, min_bytes) = (number(u)? as u32, (number(u)? << 5) as u32);
    FetchRequest { max_wait_ms, min_bytes, max_bytes: (number(u)? << 8) as u32, partitions }.encode(w);
    Ok(())
}

fn put_list_offsets(u: &mut Unstructured<'_>, w: &mut Writer<'_>) -> arbitrary::Result<()> {
    let mut queries = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let log = u64::from(u.int_in_range(0..=6_u8)?);
        let timestamp = (number(u)? as i64).wrapping_add(998);
        let query = *u.choose(&[OffsetQuery::First, OffsetQuery::Last, OffsetQuery::Timestamp(timestamp)])?;
        queries.push(ListOffsetsQuery { log, query });
    }
    ListOffsetsRequest { queries }.encode(w);
    Ok(())
}

fn put_topic_request(u: &mut Unstructured<'_>, api: u8, w: &mut Writer<'_>) -> arbitrary::Result<()> {
    let name = *u.choose(&["topic", "other", "third", "", "no name!"])?;
    let partitions = number(u)? as u32;
    let mut config = Vec::new();
    for _ in 0..u.int_in_range(0..=2)? {
        let key = *u.choose(&["retention.ms", "retention.bytes", "max.message.bytes", "unknown"])?;
        config.push(ConfigEntry { key, value: u.choose(&["1", "0", "-1", "", "100000", "no number"])? });
    }
    match Api::from_number(api).expect("it is one of them") {
        Api::Metadata => MetadataRequest { topics: vec![name; partitions.min(3) as usize] }.encode(w),
        Api::CreateTopic => CreateTopicRequest { partitions, name, config }.encode(w),
        Api::AlterTopic => AlterTopicRequest { partitions, name, config }.encode(w),
        Api::DeleteTopic => DeleteTopicRequest { name }.encode(w),
        Api::ListTopics => ListTopicsRequest.encode(w),
        _ => DescribeTopicRequest { name }.encode(w),
    }
    Ok(())
}
