//! What shards need of the machine: CPUs, limits, io_uring.

use std::io;
use std::mem::MaybeUninit;

use io_uring::{IoUring, Probe, opcode};

use super::{CpuId, RuntimeError};
use crate::runtime::memory;

/// Locked memory that glommio insists on, in bytes.
pub(super) const MEMLOCK: u64 = 512 << 10;

/// Whether this machine can run shards on `cpus`. Raises the limits of locked memory and of open files (one per segment
/// and connection) as far as that is allowed, and has the allocator give back what is large.
pub fn check(cpus: &[CpuId]) -> Result<(), RuntimeError> {
    if cpus.is_empty() {
        return Err(RuntimeError::NoCpus);
    }
    let allowed =
        allowed_cpus().map_err(|source| RuntimeError::System { doing: "sched_getaffinity", source })?;
    if let Some(&cpu) = cpus.iter().find(|cpu| !allowed.contains(cpu)) {
        let allowed = allowed.iter().map(CpuId::to_string).collect::<Vec<_>>().join(", ");
        return Err(RuntimeError::NoSuchCpu { cpu, allowed });
    }
    check_locked_memory()?;
    memory::settle();
    raise_limit(libc::RLIMIT_NOFILE, u64::MAX)
        .map_err(|source| RuntimeError::System { doing: "raising the limit of open files", source })?;
    check_io_uring()
}

/// The CPUs that this process may use, in order.
pub fn allowed_cpus() -> io::Result<Vec<CpuId>> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the size is that of the set; all zeros is a valid set.
    let set = unsafe {
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        set.assume_init()
    };
    let all = 0..8 * size_of::<libc::cpu_set_t>();
    // SAFETY: the numbers are within the set.
    Ok(all.filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).map(CpuId).collect())
}

fn check_locked_memory() -> Result<(), RuntimeError> {
    let limit = raise_limit(libc::RLIMIT_MEMLOCK, MEMLOCK)
        .map_err(|source| RuntimeError::System { doing: "raising the limit of locked memory", source })?;
    if limit >= MEMLOCK { Ok(()) } else { Err(RuntimeError::LockedMemory { limit }) }
}

/// Raises a soft limit to `wanted`, or to the hard limit if that is lower. Gives the limit that then holds.
fn raise_limit(resource: libc::__rlimit_resource_t, wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a limit.
    if unsafe { libc::getrlimit(resource, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let raised = wanted.min(limit.rlim_max);
    if limit.rlim_cur >= raised {
        return Ok(limit.rlim_cur);
    }
    limit.rlim_cur = raised;
    // SAFETY: the pointer is to a limit.
    if unsafe { libc::setrlimit(resource, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(raised)
}

/// Looks before glommio does, which ends the process if it finds something missing.
fn check_io_uring() -> Result<(), RuntimeError> {
    let ring = IoUring::new(2).map_err(|source| match source.raw_os_error() {
        Some(libc::ENOSYS) => RuntimeError::Missing,
        Some(libc::EPERM | libc::EACCES) => RuntimeError::Disabled,
        _ => RuntimeError::System { doing: "io_uring_setup", source },
    })?;
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(|_| RuntimeError::Incomplete("the probe of operations"))?;
    for (name, code) in OPERATIONS {
        if !probe.is_supported(code) {
            return Err(RuntimeError::Incomplete(name));
        }
    }
    if !ring.params().is_feature_skip_cqe_on_success() {
        return Err(RuntimeError::Incomplete("completions on failure only"));
    }
    Ok(())
}

/// What glommio and the disk use.
const OPERATIONS: [(&str, u8); 24] = [
    ("NOP", opcode::Nop::CODE),
    ("READV", opcode::Readv::CODE),
    ("WRITEV", opcode::Writev::CODE),
    ("FSYNC", opcode::Fsync::CODE),
    ("READ_FIXED", opcode::ReadFixed::CODE),
    ("WRITE_FIXED", opcode::WriteFixed::CODE),
    ("POLL_ADD", opcode::PollAdd::CODE),
    ("POLL_REMOVE", opcode::PollRemove::CODE),
    ("SENDMSG", opcode::SendMsg::CODE),
    ("RECVMSG", opcode::RecvMsg::CODE),
    ("TIMEOUT", opcode::Timeout::CODE),
    ("TIMEOUT_REMOVE", opcode::TimeoutRemove::CODE),
    ("ACCEPT", opcode::Accept::CODE),
    ("LINK_TIMEOUT", opcode::LinkTimeout::CODE),
    ("CONNECT", opcode::Connect::CODE),
    ("FALLOCATE", opcode::Fallocate::CODE),
    ("OPENAT", opcode::OpenAt::CODE),
    ("CLOSE", opcode::Close::CODE),
    ("STATX", opcode::Statx::CODE),
    ("READ", opcode::Read::CODE),
    ("WRITE", opcode::Write::CODE),
    ("SEND", opcode::Send::CODE),
    ("RECV", opcode::Recv::CODE),
    ("UNLINKAT", opcode::UnlinkAt::CODE),
];
