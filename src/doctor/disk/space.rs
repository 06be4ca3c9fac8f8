//! Free space for segments.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::super::{Check, limits};
use crate::config::{ByteSize, Config};

const NAME: &str = "free space";

/// Checks that every shard has room for its segments: the one in use, the next, and those zero-filled ahead.
pub(super) fn check(directory: &Path, config: &Config) -> Check {
    let shards = limits::shards(config);
    let segments = 2 + u64::from(config.log.prefill_segments).max(1);
    match available(directory) {
        Ok(available) => judge(available, shards, segments * config.log.segment.bytes()),
        Err(_) => Check::not_exposed(NAME),
    }
}

fn judge(available: u64, shards: u64, wanted_per_shard: u64) -> Check {
    const GIB: f64 = (1u64 << 30) as f64;
    let wanted = shards.saturating_mul(wanted_per_shard);
    let finding = format!("{:.1} GiB", available as f64 / GIB);
    let advice = format!(
        "the first segments of all shards take {}: free some, or lower log.segment or log.prefill_segments",
        ByteSize::new(wanted)
    );
    match available {
        0 => Check::bad(NAME, finding, advice),
        short if short < wanted => Check::warn(NAME, finding, advice),
        _ => Check::good(NAME, finding),
    }
}

/// Bytes that an unprivileged process can still write to the file system of `directory`.
fn available(directory: &Path) -> io::Result<u64> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let mut answer = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a NUL-terminated string and `answer` has room for the structure; both outlive the
    // call.
    if unsafe { libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled in the structure.
    let answer = unsafe { answer.assume_init() };
    Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::super::super::Verdict;
    use super::*;

    #[test]
    fn space_is_judged_by_the_first_segments() {
        assert_eq!(judge(8 << 30, 2, 1 << 30), Check::good(NAME, "8.0 GiB"));
        assert_eq!(judge(1 << 30, 2, 1 << 30).verdict, Verdict::Warn);
        assert_eq!(judge(0, 1, 1 << 30).verdict, Verdict::Bad);
    }

    #[test]
    fn this_file_system_has_its_space_told() {
        assert!(available(Path::new("/")).is_ok());
        assert!(available(Path::new("/no/such/directory")).is_err());
    }
}
