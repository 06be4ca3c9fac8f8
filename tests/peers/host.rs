//! What the system says of this process and of the broker's.

use std::fs;

/// Descriptors that this process needs: ten thousand connections, and some.
const DESCRIPTORS: u64 = 12_000;

/// Lets this process have as many descriptors as it needs.
pub fn raise_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a limit.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    let hard = limit.rlim_max;
    assert!(
        hard >= DESCRIPTORS,
        "the hard limit of open files is {hard}: raise it to {DESCRIPTORS} (ulimit -Hn)"
    );
    limit.rlim_cur = limit.rlim_cur.max(DESCRIPTORS);
    // SAFETY: the pointer is to a limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

/// Resident memory of a process, in KiB.
pub fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the broker runs");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a running process has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

/// Open descriptors of a process, apart from files: the broker keeps more segments the more it stores.
pub fn descriptors(process: u32) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).expect("the broker runs");
    // One that is closed in this moment does not count.
    let links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| !link.is_absolute()).count()
}
