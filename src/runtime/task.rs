//! Tasks of one executor, and how they wake each other.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::timer::sleep;

/// Long enough not to be over before the task waits for it.
const SHORTEST_SLEEP: Duration = Duration::from_nanos(500);

/// Starts a task that runs beside the others of this executor, until its first wait at once.
///
/// It runs to its end whether or not the handle is kept: glommio leaks the memory of a task that is cancelled. To end
/// one early, tell it to. Starting a task takes a process-wide lock for a moment: start one per connection, not per
/// request.
pub fn spawn<T: 'static>(work: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    let ending = Rc::new(RefCell::new(Ending { result: None, waiter: None }));
    let handle = JoinHandle { ending: ending.clone() };
    let task = async move {
        let result = work.await;
        let mut ending = ending.borrow_mut();
        ending.result = Some(result);
        if let Some(waiter) = ending.waiter.take() {
            waiter.wake();
        }
    };
    drop(glommio::spawn_local(task).detach());
    handle
}

/// Lets the other tasks of this executor, and its I/O, have a turn.
///
/// A task that merely queued itself again would keep the executor from looking at its I/O for milliseconds; waiting
/// for a moment in time, however short, leads past the I/O.
pub async fn yield_now() {
    sleep(SHORTEST_SLEEP).await;
}

/// The end of a task. Awaiting it gives the task's result; dropping it changes nothing.
pub struct JoinHandle<T> {
    ending: Rc<RefCell<Ending<T>>>,
}

struct Ending<T> {
    result: Option<T>,
    waiter: Option<Waker>,
}

impl<T> JoinHandle<T> {
    /// Whether the task has ended, and its result has not been taken.
    pub fn is_finished(&self) -> bool {
        self.ending.borrow().result.is_some()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut ending = self.ending.borrow_mut();
        if let Some(result) = ending.result.take() {
            return Poll::Ready(result);
        }
        ending.waiter = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Wakes tasks of the same executor. Says that something happened, not what: who is woken looks for itself.
#[derive(Debug, Default)]
pub struct Notify {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A call to `notify_one` that found nobody waiting.
    pending: bool,
    next_ticket: u64,
    /// Who waits, in the order of tickets. One waker per waiter: glommio gives up at 32,767 wakers of one task.
    waiting: VecDeque<(u64, Waker)>,
}

impl Notify {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the task that has waited longest, or else the next one to wait.
    pub fn notify_one(&self) {
        let mut state = self.state.borrow_mut();
        match state.waiting.pop_front() {
            Some((_, waker)) => {
                drop(state);
                waker.wake();
            }
            None => state.pending = true,
        }
    }

    /// Wakes all tasks that wait now.
    pub fn notify_all(&self) {
        let waiting = std::mem::take(&mut self.state.borrow_mut().waiting);
        for (_, waker) in waiting {
            waker.wake();
        }
    }

    /// Waits for a notification.
    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, ticket: None }
    }
}

/// The future of [`Notify::notified`].
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    /// The place in the line, once there is one.
    ticket: Option<u64>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let notify = self.notify;
        let mut state = notify.state.borrow_mut();
        let Some(ticket) = self.ticket else {
            if std::mem::take(&mut state.pending) {
                return Poll::Ready(());
            }
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.push_back((ticket, context.waker().clone()));
            self.ticket = Some(ticket);
            return Poll::Pending;
        };
        match state.position(ticket) {
            Some(place) => {
                let waker = &mut state.waiting[place].1;
                waker.clone_from(context.waker());
                Poll::Pending
            }
            None => {
                self.ticket = None;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let place = self.notify.state.borrow().position(ticket);
        match place {
            Some(place) => drop(self.notify.state.borrow_mut().waiting.remove(place)),
            // It was notified, and will not look any more: somebody else should.
            None => self.notify.notify_one(),
        }
    }
}

impl State {
    fn position(&self, ticket: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use glommio::LocalExecutor;

    use super::*;
    use crate::runtime::timer::timeout;

    #[test]
    fn a_task_gives_its_result_and_outlives_its_handle() {
        LocalExecutor::default().run(async {
            assert_eq!(spawn(async { 7 }).await, 7);
            let ran = Rc::new(Cell::new(false));
            drop(spawn({
                let ran = ran.clone();
                async move {
                    sleep(Duration::from_millis(1)).await;
                    ran.set(true);
                }
            }));
            sleep(Duration::from_millis(20)).await;
            assert!(ran.get());
        });
    }

    #[test]
    fn one_notification_wakes_one_task_in_order_and_is_kept_for_the_next() {
        LocalExecutor::default().run(async {
            let notify = Rc::new(Notify::new());
            let woken = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = (0..3)
                .map(|number| {
                    let (notify, woken) = (notify.clone(), woken.clone());
                    spawn(async move {
                        notify.notified().await;
                        woken.borrow_mut().push(number);
                    })
                })
                .collect();
            notify.notify_one();
            sleep(Duration::from_millis(1)).await;
            assert_eq!(*woken.borrow(), [0]);
            notify.notify_all();
            for task in tasks {
                task.await;
            }
            assert_eq!(*woken.borrow(), [0, 1, 2]);
            notify.notify_one();
            notify.notify_one();
            notify.notified().await;
            assert_eq!(timeout(Duration::from_millis(1), notify.notified()).await, None);
        });
    }

    #[test]
    fn a_notification_of_a_waiter_that_gave_up_goes_to_the_next() {
        LocalExecutor::default().run(async {
            let notify = Notify::new();
            let (mut first, mut second) = (Box::pin(notify.notified()), Box::pin(notify.notified()));
            assert!(futures_lite::future::poll_once(&mut first).await.is_none());
            assert!(futures_lite::future::poll_once(&mut second).await.is_none());
            notify.notify_one();
            drop(first);
            second.await;
            assert!(notify.state.borrow().waiting.is_empty());
        });
    }

    #[test]
    fn polling_often_keeps_one_waker() {
        LocalExecutor::default().run(async {
            let notify = Notify::new();
            let mut waiting = Box::pin(notify.notified());
            for _ in 0..100_000 {
                assert!(futures_lite::future::poll_once(&mut waiting).await.is_none());
            }
            assert_eq!(notify.state.borrow().waiting.len(), 1);
        });
    }
}
