//! Footers of segments: any bytes as a section, and as the end of a file with its checksums put right.

use ringmail_shards::format::footer::{
    self, FooterExtent, ROW_BYTES, Row, Run, SNAPSHOT_BYTES, TRAILER_BYTES, Trailer, parse_section,
    section_crc,
};
use ringmail_shards::format::states::{parse_states, put_states};
use ringmail_wire::crc::crc32c;

/// The segment that the sections are of.
const SEGMENT: u64 = 1;

/// All of it.
pub fn footer(input: &[u8]) {
    let mut section = input.to_vec();
    section.extend_from_slice(&section_crc(input, SEGMENT, 0).to_le_bytes());
    for section in [input, &section] {
        if let Some(runs) = parse_section(section, SEGMENT, 0) {
            assert!(runs.len() * 5 <= section.len(), "a run is at least five bytes");
            round_trip(&runs);
        }
    }
    round_trip_of_states(input);
    let mut end = input.to_vec();
    sign_trailer(&mut end);
    for end in [input, &end] {
        read_end(end);
    }
}

/// What was read is written, and reads again as the same.
fn round_trip(runs: &[Run]) {
    let row = Row {
        log: 1,
        base: 0,
        end: 0,
        max_timestamp: 0,
        bytes: 0,
        section_at: 0,
        section_bytes: 0,
        relocated: false,
        lost: false,
    };
    let written = footer::build(0, SEGMENT, 1, &[FooterExtent { row, runs }], &[], &[]);
    let section = &written.sections[..written.rows[0].section_bytes as usize];
    assert_eq!(parse_section(section, SEGMENT, 0).as_deref(), Some(runs));
}

/// States that can be read are written as what reads again as the same.
fn round_trip_of_states(numbers: &[u8]) {
    let Some(written) = written_again(numbers) else { return };
    let again = written_again(&written).expect("what was written can be read");
    assert_eq!(again, written);
}

/// The states that can be read in these numbers, written.
fn written_again(numbers: &[u8]) -> Option<Vec<u8>> {
    let signed = [numbers, &section_crc(numbers, SEGMENT, 0).to_le_bytes()].concat();
    let mut written = Vec::new();
    parse_states(&signed, SEGMENT, 0)?.iter().for_each(|states| put_states(&mut written, states));
    Some(written)
}

fn read_end(end: &[u8]) {
    let Some(trailer) = Trailer::parse(end) else { return };
    let Some((rows, snapshots)) = trailer.directory(end) else { return };
    assert_eq!((rows.len(), snapshots.len()), (trailer.rows as usize, trailer.snapshots as usize));
    for row in rows {
        assert!(row.base <= row.end);
        let section_end = u64::from(row.section_at) + u64::from(row.section_bytes);
        assert!(section_end <= trailer.footer_bytes - trailer.directory_bytes);
    }
}

/// Puts the checksums of a footer right that ends where `file` does, if there is room for one.
pub(crate) fn sign_trailer(file: &mut [u8]) {
    let Some(at) = file.len().checked_sub(TRAILER_BYTES) else { return };
    file[at..at + 8].copy_from_slice(b"RMFOOTER");
    let number =
        |from: usize| u32::from_le_bytes(file[at + from..at + from + 4].try_into().expect("4 bytes"));
    let start = file.len().checked_sub(number(32) as usize);
    let bytes = (number(40) as usize)
        .saturating_mul(ROW_BYTES)
        .saturating_add((number(44) as usize).saturating_mul(SNAPSHOT_BYTES));
    let directory = start.and_then(|start| file.get(start..start.saturating_add(bytes)));
    let directory_crc = directory.map_or(0, crc32c);
    file[at + 56..at + 60].copy_from_slice(&directory_crc.to_le_bytes());
    let crc = crc32c(&file[at + 12..]);
    file[at + 8..at + 12].copy_from_slice(&crc.to_le_bytes());
}
