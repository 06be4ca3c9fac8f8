//! The request to stop, from a signal or from any thread to all shards.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;

use super::bell::{Bell, Ringer};
use super::request::{Request, Wake};

/// Asks all shards to stop. Clones ask for the same.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    request: Arc<Request<Ringer>>,
}

impl Wake for Ringer {
    fn wake(&self) {
        self.ring();
    }
}

impl Shutdown {
    /// Not requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests that everything stops. May be called on any thread, and again.
    pub fn request(&self) {
        self.request.make();
    }

    /// Whether it was requested.
    pub fn is_requested(&self) -> bool {
        self.request.is_made()
    }

    /// A listener for one executor. Must be called there, once at its start.
    pub fn listen(&self) -> io::Result<ShutdownListener> {
        let bell = Bell::new()?;
        self.request.listen(bell.ringer().clone());
        Ok(ShutdownListener { shutdown: self.clone(), bell })
    }

    /// Requests the shutdown at the first SIGTERM or SIGINT; the second one ends the process at once.
    ///
    /// Must be called before other threads are started: they inherit that these signals are left to one thread.
    pub fn on_signals(&self) -> io::Result<()> {
        let signals = termination_signals();
        mask(libc::SIG_BLOCK, &signals)?;
        let shutdown = self.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            match wait_for(&signals) {
                Ok(signal) => tracing::info!(signal, "stopping"),
                Err(error) => tracing::error!(%error, "waiting for signals failed; stopping"),
            }
            shutdown.request();
            // From here on the default action: the end of the process. This thread stays to receive the signals.
            if let Err(error) = mask(libc::SIG_UNBLOCK, &signals) {
                tracing::error!(%error, "further signals are ignored");
            }
            loop {
                std::thread::park();
            }
        })?;
        Ok(())
    }
}

/// Waits for the request on one executor.
#[derive(Debug)]
pub struct ShutdownListener {
    shutdown: Shutdown,
    bell: Bell,
}

impl ShutdownListener {
    /// Ends when the shutdown is requested. For one task; it may tell others by a [`Notify`](super::task::Notify).
    pub async fn requested(&self) {
        while !self.shutdown.is_requested() {
            self.bell.wait().await;
        }
    }
}

fn termination_signals() -> libc::sigset_t {
    let mut signals = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set before it is used; the signal numbers are valid.
    unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGINT);
        signals.assume_init()
    }
}

fn mask(how: libc::c_int, signals: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised, and the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, signals, std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn wait_for(signals: &libc::sigset_t) -> io::Result<libc::c_int> {
    let mut signal = 0;
    // SAFETY: both pointers are to initialised memory.
    match unsafe { libc::sigwait(signals, &mut signal) } {
        0 => Ok(signal),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use glommio::LocalExecutorBuilder;

    use super::*;

    #[test]
    fn a_request_from_another_thread_reaches_every_executor() {
        let shutdown = Shutdown::new();
        let executors: Vec<_> = (0..3)
            .map(|_| {
                let shutdown = shutdown.clone();
                LocalExecutorBuilder::default()
                    .spawn(move || async move { shutdown.listen().unwrap().requested().await })
                    .unwrap()
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        shutdown.request();
        for executor in executors {
            executor.join().unwrap();
        }
    }

    #[test]
    fn a_listener_that_comes_late_is_not_kept_waiting() {
        let shutdown = Shutdown::new();
        shutdown.request();
        let listener = shutdown.clone();
        LocalExecutorBuilder::default()
            .spawn(move || async move { listener.listen().unwrap().requested().await })
            .unwrap()
            .join()
            .unwrap();
    }
}
