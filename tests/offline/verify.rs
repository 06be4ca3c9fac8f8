//! What the operator is told by the tools that look into a directory without a broker.

use crate::kinds::all;
use crate::store::{End, Store};

#[test]
fn a_directory_that_is_whole_is_said_to_be_with_counts() {
    for end in [End::Stopped, End::Killed] {
        let (code, said) = Store::new(end).run(&["verify"]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        for part in [" segments, ", " spare, ", " frames, ", " entries, ", " records, ", "no damage"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.starts_with("0 segments") && !said.contains(" 0 records"), "{said}");
    }
}

#[test]
fn each_kind_of_damage_is_told_with_what_where_and_what_to_do() {
    for damaged in all() {
        let kind = damaged.kind;
        let before = damaged.store.files();
        let (code, said) = damaged.store.run(&["verify"]);
        assert_eq!(code, 1, "{kind}: {said}");
        let told = said.lines().any(|line| {
            line.starts_with("damaged: ") && damaged.says.iter().all(|part| line.contains(part.as_str()))
        });
        assert!(told, "{kind}: no line has all of {:?}: {said}", damaged.says);
        let lost = damaged.lost.iter().all(|e| said.contains(&format!("log {}, offset", e.log)));
        assert!(lost, "{kind}: the logs that lost something are named: {said}");
        assert!(said.contains("what to do: "), "{kind}: {said}");
        assert!(before == damaged.store.files(), "{kind}: nothing is changed");
    }
}

#[test]
fn dump_prints_what_can_be_read_of_each_kind() {
    for damaged in all() {
        for what in [&["dump"][..], &["dump", "--frames"], &["dump", "--entries"], &["dump", "--records"]] {
            let (code, said) = damaged.store.run(what);
            let kind = damaged.kind;
            assert!(code <= 1 && !said.contains("panicked"), "{kind} {what:?}: {code} {said}");
            assert!(said.lines().count() > 2, "{kind} {what:?}: {said}");
        }
    }
}
