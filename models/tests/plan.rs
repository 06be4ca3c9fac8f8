//! Memory that several shards let go, given back by a thread that is planned once.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ringmail_models::plan::Plan;

#[test]
fn what_was_let_go_before_it_was_asked_for_is_found_by_one_that_begins_later() {
    loom::model(|| {
        let plan = Arc::new(Plan::new());
        // What each shard has let go, and whether that was found. Relaxed: the plan alone orders it.
        let let_go = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let found = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let shards: Vec<_> = (0..2)
            .map(|shard: usize| {
                let (plan, let_go, found) = (Arc::clone(&plan), Arc::clone(&let_go), Arc::clone(&found));
                thread::spawn(move || {
                    let_go[shard].store(1, Ordering::Relaxed);
                    if plan.make() {
                        plan.end();
                        for (let_go, found) in let_go.iter().zip(&*found) {
                            found.fetch_max(let_go.load(Ordering::Relaxed), Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for shard in shards {
            shard.join().expect("a shard does not panic");
        }
        let found: Vec<_> = found.iter().map(|found| found.load(Ordering::Relaxed)).collect();
        assert_eq!(found, [1, 1]);
        assert!(plan.make(), "it can be planned again");
    });
}
