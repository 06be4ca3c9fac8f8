//! Whether io_uring can be used, and whether it has the operations that the runtime is built on.

use std::io;

use io_uring::{IoUring, Probe, opcode};

use super::{Check, source};

const RING: &str = "io_uring";
const OPERATIONS: &str = "io_uring operations";

/// What the runtime issues; it does not start if one is missing.
const NEEDED: [(&str, u8); 25] = [
    ("nop", opcode::Nop::CODE),
    ("readv", opcode::Readv::CODE),
    ("writev", opcode::Writev::CODE),
    ("fsync", opcode::Fsync::CODE),
    ("read_fixed", opcode::ReadFixed::CODE),
    ("write_fixed", opcode::WriteFixed::CODE),
    ("poll_add", opcode::PollAdd::CODE),
    ("poll_remove", opcode::PollRemove::CODE),
    ("sendmsg", opcode::SendMsg::CODE),
    ("recvmsg", opcode::RecvMsg::CODE),
    ("timeout", opcode::Timeout::CODE),
    ("timeout_remove", opcode::TimeoutRemove::CODE),
    ("accept", opcode::Accept::CODE),
    ("link_timeout", opcode::LinkTimeout::CODE),
    ("connect", opcode::Connect::CODE),
    ("fallocate", opcode::Fallocate::CODE),
    ("openat", opcode::OpenAt::CODE),
    ("close", opcode::Close::CODE),
    ("statx", opcode::Statx::CODE),
    ("renameat", opcode::RenameAt::CODE),
    ("unlinkat", opcode::UnlinkAt::CODE),
    ("read", opcode::Read::CODE),
    ("write", opcode::Write::CODE),
    ("send", opcode::Send::CODE),
    ("recv", opcode::Recv::CODE),
];

pub(super) fn checks() -> Vec<Check> {
    match IoUring::new(8) {
        Ok(ring) => vec![Check::good(RING, "available"), operations(&ring)],
        Err(error) => vec![refused(&error, &Restrictions::read())],
    }
}

fn operations(ring: &IoUring) -> Check {
    let mut probe = Probe::new();
    if let Err(error) = ring.submitter().register_probe(&mut probe) {
        let finding = format!("the kernel does not list them: {error}");
        return Check::bad(OPERATIONS, finding, "install Linux 5.15 or newer");
    }
    judge_operations(|code| probe.is_supported(code))
}

fn judge_operations(supported: impl Fn(u8) -> bool) -> Check {
    let missing = NEEDED.iter().filter(|(_, code)| !supported(*code));
    let missing: Vec<_> = missing.map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Check::good(OPERATIONS, format!("all {} that are needed", NEEDED.len()));
    }
    Check::bad(OPERATIONS, format!("missing: {}", missing.join(", ")), "install Linux 5.15 or newer")
}

/// What may forbid this process to use io_uring.
struct Restrictions {
    /// `kernel.io_uring_disabled`: 0 for nobody, 1 for the unprivileged, 2 for all.
    disabled: Option<u64>,
    /// Whether system calls are filtered.
    seccomp: bool,
}

impl Restrictions {
    fn read() -> Self {
        let status = source::text("/proc/self/status").unwrap_or_default();
        Self {
            disabled: source::number("/proc/sys/kernel/io_uring_disabled"),
            seccomp: source::field(&status, "Seccomp").is_some_and(|mode| mode != "0"),
        }
    }
}

fn refused(error: &io::Error, restrictions: &Restrictions) -> Check {
    let advice = match (restrictions.disabled, error.raw_os_error()) {
        (Some(2), _) => "it is switched off for all: sysctl -w kernel.io_uring_disabled=0",
        (Some(1), Some(libc::EPERM)) => {
            "it is switched off for unprivileged processes: sysctl -w kernel.io_uring_disabled=0, or put the user's group \
             into kernel.io_uring_group"
        }
        (_, Some(libc::EPERM | libc::ENOSYS)) if restrictions.seccomp => {
            "a seccomp filter forbids it, as Docker's default does: allow io_uring_setup, io_uring_enter and \
             io_uring_register in the container's profile"
        }
        (_, Some(libc::ENOSYS)) => {
            "the kernel has none: install Linux 5.15 or newer, built with CONFIG_IO_URING"
        }
        (_, Some(libc::ENOMEM)) => "too little memory may be locked: raise the memlock limit (ulimit -l)",
        _ => "find out what forbids io_uring_setup to this process",
    };
    Check::bad(RING, format!("refused: {error}"), advice)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn advice(errno: i32, disabled: Option<u64>, seccomp: bool) -> String {
        let check = refused(&io::Error::from_raw_os_error(errno), &Restrictions { disabled, seccomp });
        assert_eq!(check.verdict, Verdict::Bad);
        check.advice.unwrap()
    }

    #[test]
    fn the_cause_of_a_refusal_is_told() {
        assert!(advice(libc::EPERM, Some(2), false).contains("io_uring_disabled=0"));
        assert!(advice(libc::EPERM, Some(1), false).contains("io_uring_group"));
        assert!(advice(libc::EPERM, Some(0), true).contains("seccomp"));
        assert!(advice(libc::ENOSYS, None, true).contains("seccomp"));
        assert!(advice(libc::ENOSYS, None, false).contains("CONFIG_IO_URING"));
        assert!(advice(libc::ENOMEM, None, false).contains("ulimit -l"));
    }

    #[test]
    fn missing_operations_are_named() {
        assert_eq!(judge_operations(|_| true).verdict, Verdict::Good);
        let check = judge_operations(|code| code != opcode::Fallocate::CODE);
        assert_eq!((check.verdict, check.finding.as_str()), (Verdict::Bad, "missing: fallocate"));
    }
}
