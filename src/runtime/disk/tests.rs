use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use glommio::LocalExecutor;

use super::*;

const MIB: usize = 1 << 20;

fn on_disk<F: Future>(test: impl FnOnce(Disk, std::path::PathBuf) -> F) -> F::Output {
    // Beside the build, and not in a tmpfs, where direct I/O is not certain to work.
    let build = std::env::current_exe().unwrap();
    let directory = tempfile::tempdir_in(build.parent().unwrap()).unwrap();
    let path = directory.path().to_owned();
    LocalExecutor::default().run(async move { test(Disk::open(&path).unwrap().0, path).await })
}

/// `length` bytes in aligned memory, each of value `fill`.
fn block_of(fill: u8, length: usize) -> Bytes {
    let mut memory = BytesMut::zeroed(length + BLOCK_BYTES);
    let start = memory.as_ptr().align_offset(BLOCK_BYTES);
    memory[start..start + length].fill(fill);
    memory.freeze().slice(start..start + length)
}

async fn finish(disk: &mut Disk, mut count: usize) -> HashMap<IoId, IoResult> {
    let mut results = HashMap::new();
    disk.flush().unwrap();
    while count > 0 {
        match disk.poll() {
            Some((id, result)) => {
                assert!(results.insert(id, result).is_none(), "{id:?} completed twice");
                count -= 1;
            }
            None => disk.ready().await,
        }
    }
    results
}

async fn run(disk: &mut Disk, op: IoOp) -> IoResult {
    disk.submit(IoId(77), op);
    finish(disk, 1).await.remove(&IoId(77)).unwrap()
}

async fn read(disk: &mut Disk, file: FileId, position: u64, length: usize) -> Bytes {
    match run(disk, IoOp::Read { file, position, length }).await.unwrap() {
        IoDone::Data(data) => data,
        IoDone::Ok => panic!("a read without data"),
    }
}

fn failure(result: &IoResult) -> &str {
    match result {
        Err(IoError::Failed(words)) => words,
        other => panic!("expected a failure, not {other:?}"),
    }
}

fn files(directory: &Path) -> Vec<(FileId, u64)> {
    Disk::open(directory).unwrap().1.into_iter().map(|existing| (existing.file, existing.bytes)).collect()
}

fn write(file: FileId, position: u64, data: Bytes, dsync: bool) -> IoOp {
    IoOp::Write { file, position, data, dsync }
}

const A: FileId = FileId(1);

#[test]
fn a_created_file_has_its_length_and_reads_as_zeros() {
    on_disk(|mut disk, path| async move {
        assert_eq!(
            run(&mut disk, IoOp::Create { file: A, bytes: 4 * MIB as u64 }).await.unwrap(),
            IoDone::Ok
        );
        assert_eq!(files(&path), [(A, 4 * MIB as u64)]);
        assert!(path.join("0000000000000001.seg").exists());
        let data = read(&mut disk, A, MIB as u64, MIB).await;
        assert_eq!(data.len(), MIB);
        assert!(data.iter().all(|byte| *byte == 0));
    });
}

#[test]
fn what_was_written_is_read_back_after_reopening() {
    on_disk(|mut disk, path| async move {
        run(&mut disk, IoOp::Create { file: A, bytes: MIB as u64 }).await.unwrap();
        run(&mut disk, write(A, 0, block_of(1, BLOCK_BYTES), false)).await.unwrap();
        run(&mut disk, write(A, BLOCK_BYTES as u64, block_of(2, 2 * BLOCK_BYTES), true)).await.unwrap();
        run(&mut disk, IoOp::Sync { file: A }).await.unwrap();
        drop(disk);

        let (mut disk, existing) = Disk::open(&path).unwrap();
        assert_eq!(existing, [ExistingFile { file: A, bytes: MIB as u64 }]);
        let data = read(&mut disk, A, 0, 4 * BLOCK_BYTES).await;
        let expected = [vec![1; BLOCK_BYTES], vec![2; 2 * BLOCK_BYTES], vec![0; BLOCK_BYTES]].concat();
        assert!(data == expected);
        assert!(data.as_ptr().addr().is_multiple_of(BLOCK_BYTES));
    });
}

#[test]
fn zeroing_clears_a_range_of_several_steps_and_nothing_else() {
    on_disk(|mut disk, _| async move {
        run(&mut disk, IoOp::Create { file: A, bytes: 4 * MIB as u64 }).await.unwrap();
        run(&mut disk, write(A, 0, block_of(9, 4 * MIB), false)).await.unwrap();
        run(
            &mut disk,
            IoOp::Zero { file: A, position: BLOCK_BYTES as u64, length: (3 * MIB - BLOCK_BYTES) as u64 },
        )
        .await
        .unwrap();
        let data = read(&mut disk, A, 0, 4 * MIB).await;
        let nonzero: Vec<bool> =
            data.chunks(BLOCK_BYTES).map(|block| block.iter().all(|byte| *byte == 9)).collect();
        assert!(nonzero[0] && nonzero[3 * MIB / BLOCK_BYTES..].iter().all(|kept| *kept));
        assert!(data[BLOCK_BYTES..3 * MIB].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn a_read_across_the_end_is_short() {
    on_disk(|_, path| async move {
        std::fs::write(path.join(file_name(A)), vec![7; 2 * BLOCK_BYTES + 100]).unwrap();
        let (mut disk, _) = Disk::open(&path).unwrap();
        assert_eq!(read(&mut disk, A, 0, MIB).await.len(), 2 * BLOCK_BYTES + 100);
        assert_eq!(read(&mut disk, A, BLOCK_BYTES as u64, BLOCK_BYTES).await.len(), BLOCK_BYTES);
        assert_eq!(read(&mut disk, A, MIB as u64, BLOCK_BYTES).await.len(), 0);
        assert_eq!(read(&mut disk, A, 0, 0).await.len(), 0);
    });
}

#[test]
fn a_removal_waits_for_the_operations_on_its_file() {
    on_disk(|mut disk, path| async move {
        run(&mut disk, IoOp::Create { file: A, bytes: 8 * MIB as u64 }).await.unwrap();
        disk.submit(IoId(1), write(A, 0, block_of(5, 8 * MIB), true));
        disk.submit(IoId(2), IoOp::Read { file: A, position: 0, length: 4 * MIB });
        disk.submit(IoId(3), IoOp::Remove { file: A });
        disk.submit(IoId(4), IoOp::Sync { file: A });
        let results = finish(&mut disk, 4).await;
        assert!(results[&IoId(1)].is_ok() && results[&IoId(2)].is_ok() && results[&IoId(3)].is_ok());
        assert!(failure(&results[&IoId(4)]).contains("no segment file 0000000000000001.seg"));
        assert_eq!(files(&path), []);
        assert_eq!(disk.in_flight(), 0);
    });
}

#[test]
fn failures_are_reported_and_leave_nothing_behind() {
    on_disk(|mut disk, path| async move {
        // More than any disk has: the allocation fails after the file was created.
        assert!(run(&mut disk, IoOp::Create { file: A, bytes: 1 << 43 }).await.is_err());
        assert_eq!(files(&path), []);
        // What could not be created is removed by whoever wanted it, and that is no failure.
        assert_eq!(run(&mut disk, IoOp::Remove { file: A }).await, Ok(IoDone::Ok));

        run(&mut disk, IoOp::Create { file: A, bytes: MIB as u64 }).await.unwrap();
        let twice = run(&mut disk, IoOp::Create { file: A, bytes: MIB as u64 }).await;
        assert!(failure(&twice).contains("File exists"));
        assert_eq!(files(&path), [(A, MIB as u64)]);
    });
}

#[test]
fn misaligned_requests_are_refused() {
    on_disk(|mut disk, _| async move {
        run(&mut disk, IoOp::Create { file: A, bytes: MIB as u64 }).await.unwrap();
        let data = block_of(1, 2 * BLOCK_BYTES);
        let wrong = [
            write(A, 512, data.slice(..BLOCK_BYTES), false),
            write(A, 0, data.slice(..100), false),
            write(A, 0, data.slice(512..512 + BLOCK_BYTES), false),
            IoOp::Read { file: A, position: 1, length: BLOCK_BYTES },
            IoOp::Read { file: A, position: 0, length: 1 },
            IoOp::Zero { file: A, position: 0, length: 1 },
        ];
        for op in wrong {
            let refused = run(&mut disk, op).await;
            assert!(failure(&refused).contains("multiples of 4096 bytes"));
        }
        assert_eq!(run(&mut disk, write(A, 0, Bytes::new(), false)).await.unwrap(), IoDone::Ok);
        assert_eq!(run(&mut disk, IoOp::Zero { file: A, position: 0, length: 0 }).await.unwrap(), IoDone::Ok);
    });
}

#[test]
fn more_operations_than_the_ring_holds_all_complete() {
    const COUNT: u64 = 5 * RING_DEPTH as u64;
    on_disk(|mut disk, _| async move {
        run(&mut disk, IoOp::Create { file: A, bytes: COUNT * BLOCK_BYTES as u64 }).await.unwrap();
        for id in 0..COUNT {
            disk.submit(IoId(id), write(A, id * BLOCK_BYTES as u64, block_of(id as u8, BLOCK_BYTES), false));
        }
        assert_eq!(disk.in_flight(), COUNT as usize);
        let results = finish(&mut disk, COUNT as usize).await;
        assert!(results.values().all(Result::is_ok));
        let data = read(&mut disk, A, 0, COUNT as usize * BLOCK_BYTES).await;
        assert!(
            data.chunks(BLOCK_BYTES)
                .enumerate()
                .all(|(id, block)| block.iter().all(|byte| *byte == id as u8))
        );
    });
}

#[test]
fn dropping_the_disk_waits_for_what_is_in_flight() {
    on_disk(|mut disk, path| async move {
        run(&mut disk, IoOp::Create { file: A, bytes: 64 * MIB as u64 }).await.unwrap();
        for id in 0..16 {
            disk.submit(IoId(id), write(A, id * 4 * MIB as u64, block_of(3, 4 * MIB), false));
            disk.submit(IoId(100 + id), IoOp::Read { file: A, position: 0, length: 4 * MIB });
        }
        disk.flush().unwrap();
        drop(disk);
        let written = std::fs::read(path.join(file_name(A))).unwrap();
        assert!(written.iter().all(|byte| *byte == 3));
    });
}

#[test]
fn a_waiting_task_is_woken_by_operations_that_others_submit() {
    use std::cell::RefCell;
    on_disk(|disk, _: std::path::PathBuf| async move {
        let disk = Rc::new(RefCell::new(disk));
        let driver = glommio::spawn_local({
            let disk = disk.clone();
            async move {
                let mut seen = Vec::new();
                while seen.len() < 2 {
                    let ready = disk.borrow().ready();
                    ready.await;
                    while let Some((id, result)) = disk.borrow_mut().poll() {
                        seen.push((id.0, result.is_ok()));
                    }
                }
                seen
            }
        });
        glommio::timer::sleep(std::time::Duration::from_millis(5)).await;
        disk.borrow_mut().submit(IoId(1), IoOp::Create { file: A, bytes: MIB as u64 });
        disk.borrow_mut().flush().unwrap();
        glommio::timer::sleep(std::time::Duration::from_millis(50)).await;
        disk.borrow_mut().submit(IoId(2), IoOp::Create { file: A, bytes: MIB as u64 });
        disk.borrow_mut().flush().unwrap();
        assert_eq!(driver.await, [(1, true), (2, false)]);
    });
}

#[test]
fn segment_names_are_sixteen_lower_case_digits() {
    assert_eq!(file_name(FileId(0xAB)), "00000000000000ab.seg");
    assert_eq!(file_id("00000000000000ab.seg"), Some(FileId(0xAB)));
    for wrong in ["", "ab.seg", "00000000000000AB.seg", "00000000000000ab.tmp", "+0000000000000ab.seg", "x"] {
        assert_eq!(file_id(wrong), None, "{wrong}");
    }
}
