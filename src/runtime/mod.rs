//! Everything that touches the operating system on a hot path: cores, disk, sockets, messages between shards, time.
//!
//! glommio is used in this module and nowhere else, so that its faults are worked around in one place:
//!
//! * a [`task`] is never dropped before it ends (glommio would leak it), which is why [`task::spawn`] detaches;
//! * the disk is driven by an `io_uring` of our own ([`disk`]), because glommio cannot write a slice of a shared
//!   buffer, has no data-sync writes, and ends the process on some errors;
//! * an executor never spins: the kernel threads that run `fdatasync` inherit its core and would starve ([`cores`]);
//! * it may go to sleep beside a task that could run, which a heartbeat ends ([`cores`]), and it looks at its I/O only
//!   when no task can run: loops without an end pass through [`task::yield_now`].
//!
//! All types here belong to one executor thread, unless they are [`Send`]; nothing blocks that thread.

pub mod bell;
pub mod cores;
pub mod disk;
pub mod memory;
pub mod mesh;
pub mod net;
mod plan;
mod request;
pub mod shutdown;
pub mod task;
pub mod timer;
