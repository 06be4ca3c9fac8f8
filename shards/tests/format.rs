//! `FORMAT.md` is held against the code: its example bytes in both directions, and its tables.

use std::collections::HashMap;

use ringmail_kafka::batch as kafka;
use ringmail_shards::format::entry::{
    EntryHeader, EntryKind, EntryProducer, FLAG_COMMIT, FLAG_CONTROL, FLAG_RELOCATED, FLAG_TRANSACTIONAL,
    PayloadCodec, chain_crc,
};
use ringmail_shards::format::footer::{
    self, FooterExtent, LogSnapshot, RUN_BYTES, Row, Run, Trailer, parse_section,
};
use ringmail_shards::format::frame::{self, FrameHeader};
use ringmail_shards::format::segment::{FirstBlock, SegmentHeader, parse_first_block, spare_block};
use ringmail_shards::format::states::{
    AbortedState, LogStates, ProducerState, SentBatch, parse_states, put_states,
};
use ringmail_shards::format::{FORMAT_VERSION, MAX_NUMBER};
use ringmail_shards::io::{BLOCK_BYTES, FileId};
use ringmail_wire::batch::{BatchBuilder, Compression, set_base_offset};

const PAGE: &str = include_str!("../FORMAT.md");
const FENCE: &str = "```";
const TIMESTAMP: i64 = 1_700_000_000_000;
const INCARNATION: u64 = 0x0123_4567_89ab_cdef;

/// The bytes of every example on the page, by name.
fn examples() -> HashMap<&'static str, Vec<u8>> {
    let mut examples = HashMap::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```hex ") else { continue };
        let block = lines.by_ref().take_while(|line| *line != FENCE);
        let words = block.flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
        let bytes: Vec<u8> = words.map(|word| u8::from_str_radix(word, 16).expect("a byte in hex")).collect();
        assert!(examples.insert(name, bytes).is_none(), "two examples are called `{name}`");
    }
    examples
}

fn example(name: &str) -> Vec<u8> {
    examples().remove(name).unwrap_or_else(|| panic!("FORMAT.md has no example `{name}`"))
}

/// An example, filled up with zeros.
fn padded(name: &str, bytes: usize) -> Vec<u8> {
    let mut example = example(name);
    example.resize(bytes, 0);
    example
}

/// Holds what the code makes against the page.
#[track_caller]
fn holds(name: &str, made: &[u8]) {
    let page = example(name);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    assert!(page == made, "`{name}` is\n{}\non the page, and\n{}\nby the code", hex(&page), hex(made));
}

fn segment_header() -> SegmentHeader {
    SegmentHeader {
        shard: 1,
        segment: 5,
        file_bytes: 256 << 20,
        first_frame: 900,
        incarnation: INCARNATION,
        previous_frame: 898,
    }
}

fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new(1 << 20, Compression::None);
    builder.push(TIMESTAMP, Some(b"k"), Some(b"hello"), &[]).expect("it fits");
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    set_base_offset(&mut batch, 42);
    batch
}

fn records() -> EntryHeader {
    let batch = batch();
    EntryHeader {
        log: 7,
        base_offset: 42,
        record_count: 1,
        kind: EntryKind::Records,
        codec: PayloadCodec::Ringmail,
        flags: 0,
        max_timestamp: TIMESTAMP,
        producer: None,
        payload_bytes: batch.len() as u32,
        payload_crc: u32::from_le_bytes(batch[12..16].try_into().expect("four bytes")),
    }
}

fn kafka_batch() -> Vec<u8> {
    let head = kafka::BatchHead {
        leader_epoch: 0,
        producer_id: 9,
        producer_epoch: 2,
        base_sequence: 5,
        transactional: true,
        ..kafka::BatchHead::default()
    };
    let mut builder = kafka::BatchBuilder::new(head, 1 << 20, kafka::Compression::None);
    let (key, value, headers) = (Some(&b"k"[..]), Some(&b"hello"[..]), kafka::Headers::default());
    let record = kafka::Record { offset: 43, timestamp: TIMESTAMP, key, value, headers };
    builder.push(&record, headers).expect("it fits");
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}

fn kafka_entry() -> EntryHeader {
    let batch = kafka_batch();
    EntryHeader {
        base_offset: 43,
        codec: PayloadCodec::Kafka,
        flags: FLAG_TRANSACTIONAL,
        producer: Some(EntryProducer { id: 9, epoch: 2, sequence: 5 }),
        payload_bytes: batch.len() as u32,
        payload_crc: u32::from_be_bytes(batch[17..21].try_into().expect("four bytes")),
        ..records()
    }
}

fn log_start() -> EntryHeader {
    EntryHeader {
        log: 7,
        base_offset: 40,
        record_count: 0,
        kind: EntryKind::LogStart,
        codec: PayloadCodec::None,
        flags: 0,
        max_timestamp: 0,
        producer: None,
        payload_bytes: 0,
        payload_crc: 0,
    }
}

/// Both entries, as they stand in the frame.
fn body() -> Vec<u8> {
    let (batch, entry) = (batch(), records());
    let mut body = [&entry.to_bytes(&batch)[..], &batch].concat();
    body.resize(entry.entry_bytes(), 0);
    body.extend_from_slice(&log_start().to_bytes(&[]));
    body
}

fn frame_header() -> FrameHeader {
    let body = body();
    let crcs = [0, records().entry_bytes()].map(|at| EntryHeader::stored_crc(&body[at..]));
    FrameHeader {
        shard: 1,
        entries: 2,
        segment: 5,
        number: 900,
        body_bytes: body.len() as u32,
        entries_crc: crcs.into_iter().fold(0, chain_crc),
        durable: 898,
        incarnation: INCARNATION,
        position: BLOCK_BYTES as u64,
    }
}

fn runs() -> [Run; 2] {
    [Run::new(4160, 144, 0, 1, TIMESTAMP), Run::new(12_352, 1000, 1, 3, TIMESTAMP - 5)]
}

fn row() -> Row {
    Row {
        log: 7,
        base: 42,
        end: 46,
        max_timestamp: TIMESTAMP,
        bytes: 1144,
        section_at: 0,
        section_bytes: example("section").len() as u32,
        relocated: false,
        lost: false,
    }
}

fn snapshots() -> [LogSnapshot; 2] {
    [
        LogSnapshot { log: 7, start: 40, end: 46, dropped: false },
        LogSnapshot { log: 8, start: 0, end: 0, dropped: true },
    ]
}

#[test]
fn the_header_block() {
    let block = segment_header().to_block();
    holds("header-block", &block[..64]);
    assert!(block[64..].iter().all(|b| *b == 0));
    let page = padded("header-block", BLOCK_BYTES);
    assert_eq!(parse_first_block(&page), FirstBlock::Segment(segment_header()));
}

#[test]
fn the_spare_block() {
    holds("spare-block", &spare_block(1, FileId(3), 256 << 20, 4)[..64]);
    assert_eq!(
        parse_first_block(&padded("spare-block", BLOCK_BYTES)),
        FirstBlock::Spare { held: 4, file: 3 }
    );
    assert_eq!(parse_first_block(&[0; BLOCK_BYTES]), FirstBlock::Blank);
}

#[test]
fn the_frame() {
    holds("frame-header", &frame_header().to_bytes());
    let page = [example("frame-header"), example("records-entry"), example("log-start-entry")].concat();
    let header = FrameHeader::parse(&page).expect("a header");
    assert_eq!(header, frame_header());
    assert_eq!(header.frame_bytes(), BLOCK_BYTES);
    let at = 64 + records().entry_bytes();
    assert_eq!(frame::walk(&header, &page), (vec![(records(), 64), (log_start(), at)], None));
}

#[test]
fn the_entries() {
    let body = body();
    let (first, second) = body.split_at(records().entry_bytes());
    holds("records-entry", first);
    holds("log-start-entry", second);
    let page = example("records-entry");
    let entry = EntryHeader::parse(&page).expect("an entry");
    assert_eq!(entry, records());
    assert_eq!(entry.payload(&page), Ok(&batch()[..]));
    assert_eq!(EntryHeader::parse(&example("log-start-entry")), Ok(log_start()));
}

#[test]
fn the_entry_of_a_batch_of_kafka() {
    let batch = kafka_batch();
    let mut made = [&kafka_entry().to_bytes(&batch)[..], &batch].concat();
    made.resize(kafka_entry().entry_bytes(), 0);
    holds("kafka-entry", &made);
    let entry = EntryHeader::parse(&made).expect("an entry");
    assert_eq!(entry, kafka_entry());
    assert_eq!(entry.payload(&made), Ok(&batch[..]));
}

fn states() -> Vec<LogStates> {
    let sent = SentBatch { first: 5, last: 6, base_offset: 43, timestamp: TIMESTAMP };
    let open = ProducerState {
        id: 9,
        epoch: 2,
        coordinator_epoch: -1,
        used_ms: TIMESTAMP as u64 + 1,
        transaction: Some(43),
        sent: vec![sent],
    };
    let ended = ProducerState {
        id: 3,
        epoch: 0,
        coordinator_epoch: 1,
        used_ms: TIMESTAMP as u64,
        transaction: None,
        sent: Vec::new(),
    };
    let aborted = vec![AbortedState { producer_id: 3, first: 40, last: 42, stable: 43 }];
    vec![LogStates { log: 7, producers: vec![ended, open], aborted }]
}

#[test]
fn the_footer() {
    let (runs, snapshots) = (runs(), snapshots());
    let mut numbers = Vec::new();
    states().iter().for_each(|states| put_states(&mut numbers, states));
    let extent = FooterExtent { row: row(), runs: &runs };
    let footer = footer::build(1, 5, 901, &[extent], &snapshots, &numbers);
    let section = row().section_bytes as usize;
    holds("section", &footer.sections[..section]);
    let states_at = footer.sections.len() - numbers.len() - 4;
    assert!(footer.sections[section..states_at].iter().all(|byte| *byte == 0));
    holds("states", &footer.sections[states_at..]);
    holds("row", &footer.directory[..56]);
    holds("snapshots", &footer.directory[56..120]);
    holds("trailer", &footer.directory[BLOCK_BYTES - 64..]);
    assert_eq!((footer.sections.len(), footer.directory.len()), (BLOCK_BYTES, BLOCK_BYTES));
    assert_eq!(footer.rows, [row()]);

    assert_eq!(parse_section(&example("section"), 5, 0).as_deref(), Some(&runs[..]));
    let mut page = [example("row"), example("snapshots")].concat();
    page.resize(BLOCK_BYTES - 64, 0);
    page.extend(example("trailer"));
    let trailer = Trailer::parse(&page).expect("a trailer");
    assert_eq!((trailer.shard, trailer.segment, trailer.last_frame), (1, 5, 901));
    assert_eq!((trailer.footer_bytes, trailer.directory_bytes), (8192, 4096));
    assert_eq!(trailer.states_at(), states_at as u64);
    assert_eq!(parse_states(&example("states"), 5, trailer.states_at()), Some(states()));
    assert_eq!(trailer.directory(&page), Some((vec![row()], snapshots.to_vec())));
}

/// The second cell of the row that begins with `name`, in the table under `heading`.
fn cell(heading: &str, name: &str) -> &'static str {
    let section = PAGE.split("\n## ").find(|s| s.starts_with(heading)).expect("the section is there");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    // The tables of values stand behind those of fields.
    let row = rows.rev().find(|cells| cells[0] == name);
    row.unwrap_or_else(|| panic!("no row `{name}` under {heading}"))[1]
}

#[test]
fn the_tables_of_kinds_and_codecs() {
    let number = |value: u8| value.to_string();
    for (kind, name) in [
        (EntryKind::Records, "records"),
        (EntryKind::LogStart, "log start"),
        (EntryKind::Dropped, "dropped"),
        (EntryKind::Lost, "lost"),
    ] {
        assert_eq!(cell("Entry", &number(kind as u8)), name);
    }
    for (codec, name) in [(PayloadCodec::None, 0), (PayloadCodec::Ringmail, 16), (PayloadCodec::Kafka, 21)] {
        assert_eq!(codec.unsummed(), name, "the page names it");
    }
    assert_eq!((FLAG_RELOCATED, RUN_BYTES), (1, 64 << 10));
    assert_eq!((FLAG_TRANSACTIONAL, FLAG_CONTROL, FLAG_COMMIT), (2, 4, 8));
}

#[test]
fn the_limits() {
    assert_eq!(cell("Units and limits", "block"), "4,096 bytes");
    assert_eq!(BLOCK_BYTES, 4096);
    assert_eq!(cell("Units and limits", "numbers and offsets"), "below 2^62");
    assert_eq!(MAX_NUMBER, 1 << 62);
    assert_eq!(cell("Units and limits", "version"), FORMAT_VERSION.to_string());
}
