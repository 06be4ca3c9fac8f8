//! Runs the tasks of connections: each is polled when its waker was called, and never otherwise, so that a waker that is
//! forgotten is a task that hangs.

use crate::rng::Rng;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Polls in one run, past which tasks wake each other for ever.
const MOST_POLLS: usize = 1_000_000;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Tasks to be polled. Locked by one thread only, as a waker must be fit for any.
#[derive(Debug, Default)]
struct Ready(Mutex<Vec<usize>>);

struct TaskWaker {
    task: usize,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.push(self.task);
    }
}

impl Ready {
    fn push(&self, task: usize) {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ready.contains(&task) {
            ready.push(task);
        }
    }

    /// Any of the tasks: executors promise no order.
    fn take(&self, rng: &mut Rng) -> Option<usize> {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() < 2 {
            return ready.pop();
        }
        let at = rng.index(ready.len());
        Some(ready.swap_remove(at))
    }
}

/// The tasks.
#[derive(Default)]
pub(super) struct Executor {
    /// Places are not used again: a waker of a task that has ended wakes nobody else.
    tasks: Vec<Option<(Task, Waker)>>,
    ready: Arc<Ready>,
    running: usize,
}

impl Executor {
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        let number = self.tasks.len();
        let waker = Waker::from(Arc::new(TaskWaker { task: number, ready: Arc::clone(&self.ready) }));
        self.tasks.push(Some((Box::pin(task), waker)));
        self.ready.push(number);
        self.running += 1;
    }

    /// Polls tasks until all wait.
    pub fn run(&mut self, rng: &mut Rng) {
        for _ in 0..MOST_POLLS {
            let Some(number) = self.ready.take(rng) else { return };
            let Some((task, waker)) = &mut self.tasks[number] else { continue };
            if let Poll::Ready(()) = task.as_mut().poll(&mut Context::from_waker(waker)) {
                self.tasks[number] = None;
                self.running -= 1;
            }
        }
        panic!("the tasks of connections wake each other for ever");
    }

    /// Tasks that have not ended.
    pub fn running(&self) -> usize {
        self.running
    }
}
