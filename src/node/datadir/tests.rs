//! Data directories that are new, old, taken, damaged, and not ours.

use tempfile::TempDir;

use super::*;

fn directory() -> TempDir {
    TempDir::new().unwrap()
}

#[test]
fn a_directory_keeps_its_identity_and_its_shards() {
    let root = directory();
    let path = root.path().join("a/b");
    let data = DataDir::open(&path, 2).unwrap();
    let node = data.node().to_owned();
    assert!(data.is_fresh() && data.shards() == 2 && data.shard_path(1).is_dir());
    assert_eq!((node.len(), &node[14..15]), (36, "4"));
    drop(data);

    // Fewer cores: the shards stay. More: there are new ones.
    for (cores, shards) in [(1, 2), (5, 5), (3, 5)] {
        let data = DataDir::open(&path, cores).unwrap();
        assert_eq!((data.is_fresh(), data.shards(), data.node()), (false, shards, node.as_str()));
        assert!((0..shards).all(|shard| data.shard_path(shard).is_dir()));
    }
}

#[test]
fn an_older_directory_gets_a_cluster_id_once() {
    let root = directory();
    let cluster = DataDir::open(root.path(), 1).unwrap().cluster().unwrap();
    assert_eq!(DataDir::existing(root.path()).unwrap().cluster(), Some(cluster));

    let mut older = Superblock::load(root.path()).unwrap();
    older.cluster = None;
    older.store(root.path()).unwrap();
    assert!(!fs::read_to_string(root.path().join(SUPERBLOCK)).unwrap().contains("cluster"));
    assert_eq!(DataDir::existing(root.path()).unwrap().cluster(), None, "reading changes nothing");
    let named = DataDir::open(root.path(), 1).unwrap().cluster().unwrap();
    assert_ne!(named, cluster);
    assert_eq!(DataDir::open(root.path(), 2).unwrap().cluster(), Some(named));
}

#[test]
fn one_broker_at_a_time() {
    let root = directory();
    let first = DataDir::open(root.path(), 1).unwrap();
    let error = DataDir::open(root.path(), 1).unwrap_err().to_string();
    assert!(error.contains(&format!("process id {}", std::process::id())), "{error}");
    drop(first);
    DataDir::open(root.path(), 1).unwrap();
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let root = directory();
    let file = root.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = DataDir::open(&file, 1).unwrap_err();
    assert!(matches!(error, DataDirError::NotADirectory(_)), "{error}");
    let error = DataDir::open(root.path(), 1).unwrap_err();
    assert!(matches!(error, DataDirError::Foreign { .. }), "{error}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn setting_up_that_was_cut_short_is_done_again() {
    let root = directory();
    fs::create_dir(root.path().join(LOST_AND_FOUND)).unwrap();
    fs::create_dir(root.path().join("shard-000")).unwrap();
    fs::write(root.path().join(LOCK), "").unwrap();
    fs::write(root.path().join(SUPERBLOCK_DRAFT), "{").unwrap();
    assert!(DataDir::open(root.path(), 2).unwrap().is_fresh());
}

#[test]
fn missing_parts_are_never_made_anew() {
    let root = directory();
    drop(DataDir::open(root.path(), 2).unwrap());
    fs::remove_dir(root.path().join("shard-001")).unwrap();
    let error = DataDir::open(root.path(), 2).unwrap_err();
    assert!(matches!(error, DataDirError::ShardMissing(_)), "{error}");

    fs::write(root.path().join("shard-000/0000000000000000.seg"), "x").unwrap();
    fs::remove_file(root.path().join(SUPERBLOCK)).unwrap();
    let error = DataDir::open(root.path(), 2).unwrap_err();
    assert!(matches!(error, DataDirError::SuperblockMissing(_)), "{error}");
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let root = directory();
    drop(DataDir::open(root.path(), 1).unwrap());
    let path = root.path().join(SUPERBLOCK);
    let text = fs::read_to_string(&path).unwrap();

    fs::write(&path, text.replace("\"format\":1", "\"format\":2,\"more\":{}")).unwrap();
    let error = DataDir::open(root.path(), 1).unwrap_err();
    assert!(matches!(error, DataDirError::NewerFormat { found: 2, .. }), "{error}");

    for damaged in [text.replace("\"shards\":1", "\"shards\":3"), text[..20].to_owned(), String::new()] {
        fs::write(&path, damaged).unwrap();
        let error = DataDir::open(root.path(), 1).unwrap_err();
        assert!(matches!(error, DataDirError::SuperblockDamaged { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_one_line() {
    let error = DataDir::open(Path::new("/proc/ringmail"), 1).unwrap_err().to_string();
    assert!(error.starts_with("cannot create /proc/ringmail: ") && !error.contains('\n'), "{error}");
}
