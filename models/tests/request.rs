//! A request to stop, made while others begin to listen for it.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use ringmail_models::request::{Request, Wake};

/// A bell as an eventfd is one: a ring before the wait is kept.
#[derive(Clone)]
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    fn wait(&self) {
        let (rung, changed) = &*self.0;
        let mut rung = rung.lock().unwrap();
        while !*rung {
            rung = changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(&self) {
        let (rung, changed) = &*self.0;
        *rung.lock().unwrap() = true;
        changed.notify_one();
    }
}

/// Times that a thread is interrupted where it could have gone on. Without a bound this takes minutes.
const PREEMPTIONS: usize = 3;

#[test]
fn whenever_somebody_begins_to_listen_the_request_reaches_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(|| {
        let request = Arc::new(Request::new());
        let listeners: Vec<_> = (0..2)
            .map(|_| {
                let request = Arc::clone(&request);
                thread::spawn(move || {
                    let bell = Bell::new();
                    request.listen(bell.clone());
                    // A request that is missed here is waited for in vain, which the model reports as a deadlock.
                    while !request.is_made() {
                        bell.wait();
                    }
                })
            })
            .collect();
        request.make();
        for listener in listeners {
            listener.join().expect("a listener does not panic");
        }
    });
}
