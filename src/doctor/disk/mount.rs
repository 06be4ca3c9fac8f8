//! The file system that holds the data directory.

use std::path::{Path, PathBuf};

use super::super::{Check, source};
use super::device;

const NAME: &str = "file system";
const BARRIERS: &str = "write barriers";

pub(super) fn checks(directory: &Path) -> Vec<Check> {
    let table = source::text("/proc/self/mountinfo").unwrap_or_default();
    match Mount::holding(directory, &table) {
        Some(mount) => vec![judge(&mount), judge_barriers(&mount), device::check(&mount.device)],
        None => {
            vec![Check::not_exposed(NAME), Check::not_exposed(BARRIERS), Check::not_exposed(device::NAME)]
        }
    }
}

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    file_system: String,
    /// `major:minor`.
    device: String,
    /// Options of the file system itself.
    options: String,
}

impl Mount {
    /// The mount in `table` that `directory`, an absolute path without links, is on.
    fn holding(directory: &Path, table: &str) -> Option<Self> {
        let mounts = table.lines().filter_map(Self::parse);
        let above = mounts.filter(|mount| directory.starts_with(&mount.point));
        // Of mounts on the same point, the last covers the others; max_by_key yields the last of equals.
        above.max_by_key(|mount| mount.point.components().count())
    }

    fn parse(line: &str) -> Option<Self> {
        let (here, below) = line.split_once(" - ")?;
        let mut here = here.split(' ').skip(2);
        let device = here.next()?.to_owned();
        let point = unescape(here.nth(1)?).into();
        let mut below = below.split(' ');
        let file_system = below.next()?.to_owned();
        let options = below.nth(1)?.to_owned();
        Some(Self { point, file_system, device, options })
    }

    fn has_option(&self, wanted: &[&str]) -> bool {
        self.options.split(',').any(|option| wanted.contains(&option))
    }
}

/// Spaces and the like in paths stand in the table as `\040`.
fn unescape(path: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(path.to_owned(), |path, (escape, plain)| path.replace(escape, plain))
}

fn judge(mount: &Mount) -> Check {
    let finding = format!("{} on {:?}", mount.file_system, mount.point);
    match mount.file_system.as_str() {
        "ext4" if mount.has_option(&["data=journal"]) => Check::warn(
            NAME,
            format!("{finding}, with data=journal"),
            "all data is written twice, through the page cache: mount it with data=ordered",
        ),
        "ext4" | "xfs" => Check::good(NAME, finding),
        "tmpfs" | "ramfs" => Check::bad(
            NAME,
            finding,
            "its files are in memory and gone after a restart: put the data directory on ext4 or XFS",
        ),
        "overlay" => Check::warn(
            NAME,
            finding,
            "a container's own layer is slow and goes with the container: mount a volume for the data directory",
        ),
        _ => Check::warn(
            NAME,
            finding,
            "Ringmail is tested on ext4 and XFS: put the data directory on one of these",
        ),
    }
}

fn judge_barriers(mount: &Mount) -> Check {
    if mount.has_option(&["nobarrier", "barrier=0"]) {
        return Check::bad(
            BARRIERS,
            "switched off by a mount option",
            "acknowledged messages may be lost when the power fails: mount without nobarrier and barrier=0",
        );
    }
    Check::good(BARRIERS, "on")
}

#[cfg(test)]
mod tests {
    use super::super::super::Verdict;
    use super::*;

    const TABLE: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 259:1 / /var/lib/ring\\040mail rw - xfs /dev/nvme0n1p1 rw,nobarrier
31 27 0:50 / /var rw - tmpfs tmpfs rw
32 27 254:16 / /var rw - ext4 /dev/vdb rw,data=journal";

    fn holding(directory: &str) -> Mount {
        Mount::holding(Path::new(directory), TABLE).unwrap()
    }

    #[test]
    fn the_deepest_and_last_mount_holds_a_directory() {
        assert_eq!(holding("/home/data").device, "254:0");
        assert_eq!(holding("/variable").device, "254:0");
        assert_eq!(holding("/var/data").device, "254:16");
        assert_eq!(holding("/var/lib/ring mail/data").device, "259:1");
        assert_eq!(Mount::holding(Path::new("/home"), ""), None);
    }

    #[test]
    fn file_systems_and_their_options_are_judged() {
        assert_eq!(judge(&holding("/")).verdict, Verdict::Good);
        assert_eq!(judge(&holding("/var")).verdict, Verdict::Warn);
        assert_eq!(judge(&holding("/proc")).verdict, Verdict::Warn);
        assert_eq!(judge_barriers(&holding("/")).verdict, Verdict::Good);
        assert_eq!(judge_barriers(&holding("/var/lib/ring mail")).verdict, Verdict::Bad);
    }
}
