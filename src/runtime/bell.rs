//! A wake-up call that something outside the executor can give to a task: an eventfd that glommio waits on.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use glommio::io::BufferedFile;

/// How long a waiter sleeps when the wait itself fails, so that a broken eventfd costs latency and not a core.
const FAILED_WAIT_PAUSE: Duration = Duration::from_millis(1);

/// The end that rings. May be given to any thread, and to the kernel.
#[derive(Clone, Debug)]
pub struct Ringer(Arc<File>);

impl Ringer {
    /// Makes an eventfd.
    ///
    /// It must be a blocking one: a non-blocking descriptor makes `io_uring` fail the read instead of waiting.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is valid, and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self(Arc::new(File::from(fd))))
    }

    /// Wakes the waiter, now or as soon as it waits. Calls before that add up to one.
    pub fn ring(&self) {
        // A write of 1 blocks only when the counter is about to overflow 64 bits; other errors cannot happen to an
        // open eventfd.
        let written = (&*self.0).write(&1u64.to_ne_bytes());
        debug_assert!(matches!(written, Ok(8)));
    }
}

impl AsRawFd for Ringer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The end that waits: one task of one executor.
#[derive(Clone, Debug)]
pub struct Bell {
    file: Rc<BufferedFile>,
    ringer: Ringer,
}

impl Bell {
    /// A bell with a ringer of its own. Must be called on an executor.
    pub fn new() -> io::Result<Self> {
        Self::listen(Ringer::new()?)
    }

    /// Waits for what `ringer` rings. Must be called on an executor.
    pub fn listen(ringer: Ringer) -> io::Result<Self> {
        let fd = ringer.0.try_clone()?.into_raw_fd();
        // SAFETY: the descriptor was just duplicated; the file takes it over and closes it.
        let file = unsafe { BufferedFile::from_raw_fd(fd) };
        Ok(Self { file: Rc::new(file), ringer })
    }

    /// The end to ring.
    pub fn ringer(&self) -> &Ringer {
        &self.ringer
    }

    /// Ends at once if the bell was rung since the last wait, else as soon as it is. May end without a ring.
    ///
    /// The kernel polls the eventfd for glommio's ring; no kernel thread waits.
    pub async fn wait(&self) {
        if let Err(error) = self.file.read_at(0, size_of::<u64>()).await {
            tracing::error!(%error, "waiting on an eventfd failed");
            glommio::timer::sleep(FAILED_WAIT_PAUSE).await;
        }
    }
}
