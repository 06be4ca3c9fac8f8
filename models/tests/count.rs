//! The number of connections, taken and given back by several shards at once.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ringmail_models::count::ConnectionCount;

#[test]
fn there_are_never_more_than_the_limit_and_all_places_come_back() {
    loom::model(|| {
        let count = ConnectionCount::new(1);
        let open = Arc::new(AtomicUsize::new(0));
        let shards: Vec<_> = (0..2)
            .map(|_| {
                let (count, open) = (count.clone(), Arc::clone(&open));
                thread::spawn(move || {
                    if let Some(place) = count.take() {
                        assert_eq!(
                            open.fetch_add(1, Ordering::SeqCst),
                            0,
                            "two connections at a limit of one"
                        );
                        open.fetch_sub(1, Ordering::SeqCst);
                        drop(place);
                    }
                })
            })
            .collect();
        for shard in shards {
            shard.join().expect("a shard does not panic");
        }
        assert!(count.take().is_some(), "all places are free again");
    });
}

#[test]
fn nobody_is_refused_while_there_is_a_place() {
    loom::model(|| {
        // One of three contenders for two places is refused; the other two never are.
        let count = ConnectionCount::new(2);
        let held = count.take().expect("the first place");
        let other = count.clone();
        let contender = thread::spawn(move || other.take());
        let place = count.take();
        let contended = contender.join().expect("a shard does not panic");
        assert_eq!(usize::from(place.is_some()) + usize::from(contended.is_some()), 1);
        drop((held, place, contended));
        assert!(count.take().is_some());
    });
}
