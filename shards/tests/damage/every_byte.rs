//! Every bit of a small segment, changed one at a time.

use crate::patched::shared;
use crate::small::*;

#[test]
fn any_bit_of_a_sealed_segment() {
    let mut driver = written();
    driver.close();
    let ends = ends(&driver);
    let file = driver.disk.segments()[0];
    let image = shared(driver.disk.image());
    let bytes = image[&file].len();
    let frames_end = BLOCK * (1 + FRAMES as usize);
    let footer = bytes - 2 * BLOCK;
    every_bit(bytes, frames_end..footer, |at, mask| {
        let what = format!("byte {at} ^ {mask:#04x}");
        let (driver, logs) = reopen_flipped(&image, file, at, mask, &what);
        let lost = lost(&logs, &ends);
        let reported = !driver.damage().is_empty();
        assert!(reported || lost.iter().all(|&n| n == 0), "{what}: {lost:?} lost in silence");
        let total: usize = lost.iter().sum();
        match at {
            0..BLOCK => assert_eq!(total, 0, "{what}: the footer knows it all"),
            at if at < frames_end => assert!(total <= 2, "{what}: more than a batch is lost: {lost:?}"),
            at if at < footer => assert_eq!((total, reported), (0, false), "{what}: nothing is there"),
            _ => assert_eq!(total, 0, "{what}: the footer can be made up for"),
        }
    });
}

#[test]
fn any_bit_of_an_unsealed_segment() {
    let driver = written();
    let ends = ends(&driver);
    let file = driver.disk.segments()[0];
    let image = shared(driver.disk.image());
    let bytes = image[&file].len();
    let frames_end = BLOCK * (1 + FRAMES as usize);
    let last_frame = frames_end - BLOCK;
    every_bit(bytes, frames_end..bytes, |at, mask| {
        let what = format!("byte {at} ^ {mask:#04x}");
        let (driver, logs) = reopen_flipped(&image, file, at, mask, &what);
        let lost = lost(&logs, &ends);
        let total: usize = lost.iter().sum();
        let reported = !driver.damage().is_empty();
        match at {
            0..BLOCK => assert_eq!(total, 0, "{what}: {lost:?}"),
            at if at < last_frame => {
                assert!(reported || total == 0, "{what}: {lost:?} lost in silence");
                let header = at % BLOCK < FRAME_HEADER;
                let most = if header { 2 * LOGS as usize } else { 2 };
                assert!(total <= most, "{what}: more is lost than was changed: {lost:?}");
            }
            // Nothing says of the last frame that it was ever durable: it may be a torn write.
            at if at < frames_end => assert!(total <= 2 * LOGS as usize, "{what}: {lost:?}"),
            _ => assert_eq!((total, reported), (0, false), "{what}: nothing is there"),
        }
    });
}

#[test]
fn damage_stays_reported_after_the_segment_was_sealed_again() {
    let driver = written();
    let ends = ends(&driver);
    let file = driver.disk.segments()[0];
    // In the payload of the second frame's first entry.
    let disk = flip(&driver.disk, file, 2 * BLOCK + FRAME_HEADER + 64 + 30);
    let (mut driver, first) = reopen(&disk, "first start");
    assert!(!driver.damage().is_empty());
    driver.close();
    let (_, second) = reopen(&driver.disk, "second start");
    assert_eq!(first, second);
    assert_eq!(lost(&first, &ends).iter().sum::<usize>(), first[0].damaged.len());
    assert!(!first[0].damaged.is_empty());
}
