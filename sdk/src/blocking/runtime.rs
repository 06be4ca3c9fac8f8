//! A runtime on a thread of its own.

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::Error;

/// A handle of the runtime; its thread ends with the last one.
#[derive(Debug, Clone)]
pub(super) struct Runtime {
    thread: Arc<Thread>,
}

#[derive(Debug)]
struct Thread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    join: Option<JoinHandle<()>>,
}

impl Runtime {
    pub fn start() -> Result<Self, Error> {
        let failed = |cause| Error::Config(format!("cannot start the client's thread: {cause}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            // Either way it is the end: a stop, or the last handle gone.
            let _ = runtime.block_on(stopped);
        };
        let join = std::thread::Builder::new().name("ringmail-client".to_owned()).spawn(run);
        let join = Some(join.map_err(failed)?);
        Ok(Self { thread: Arc::new(Thread { handle, stop: Some(stop), join }) })
    }

    /// Waits for `future`, on the calling thread.
    pub fn block_on<V>(&self, future: impl Future<Output = V>) -> V {
        self.thread.handle.block_on(future)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic of the thread was reported there, and there is nothing left to be done about it.
        let _ = self.join.take().map(JoinHandle::join);
    }
}
