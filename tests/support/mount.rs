//! ext4 file systems of a test's own, in files on loop devices: they can be cut off, filled, and made read-only.
//!
//! Each has a folder in the system's temporary one that is locked as long as its process lives; what an earlier process that was
//! killed has left behind is found by that, unmounted and removed.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PREFIX: &str = "ringmail-mount-";
const LOCK: &str = "lock";
/// How long unmounting may take: the kernel closes files of a process that was killed some time after it is gone.
const UNMOUNT_TIME: Duration = Duration::from_secs(10);

/// `_IOR('X', 125, __u32)` of the kernel's `fs.h`.
const FS_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d_u32 as libc::Ioctl;
/// Nothing more is written, the journal's pending transactions included.
const GOING_NO_LOG_FLUSH: u32 = 2;

/// A mounted file system; unmounted and removed when it is dropped.
#[derive(Debug)]
pub struct Mount {
    folder: PathBuf,
    image: PathBuf,
    at: PathBuf,
    /// Whether what is written to the device goes past the page cache of the file system that the image is on.
    direct: bool,
    _lock: File,
}

impl Mount {
    /// A new file system of so many bytes.
    ///
    /// # Errors
    /// Why this machine does not let the test have it.
    pub fn new(bytes: u64) -> Result<Self, String> {
        Self::make(None, bytes, true)
    }

    /// A new file system in a file of another. What it does not flush stays in the memory of that one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn inside(outer: &Self, bytes: u64) -> Result<Self, String> {
        Self::make(Some(outer.at.join("image")), bytes, false)
    }

    fn make(image: Option<PathBuf>, bytes: u64, direct: bool) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static LEFTOVERS: Once = Once::new();
        LEFTOVERS.call_once(remove_leftovers);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}-{number}", std::process::id()));
        let words = |error: io::Error| format!("{}: {error}", folder.display());
        let at = folder.join("at");
        fs::create_dir_all(&at).map_err(words)?;
        let lock = File::create(folder.join(LOCK)).map_err(words)?;
        lock.lock().map_err(words)?;
        let image = image.unwrap_or_else(|| folder.join("image"));
        File::create(&image).and_then(|file| file.set_len(bytes)).map_err(words)?;
        let mount = Self { folder: folder.clone(), image, at, direct, _lock: lock };
        run("mkfs.ext4", &["-q", "-F", "-m", "0", path(&mount.image)])?;
        mount.mount()?;
        Ok(mount)
    }

    /// Where it is mounted.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// The file that it is in.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Mounts it, again.
    ///
    /// # Errors
    /// What the system says.
    pub fn mount(&self) -> Result<(), String> {
        let direct = format!("--direct-io={}", if self.direct { "on" } else { "off" });
        let device = run("losetup", &["--find", "--show", &direct, path(&self.image)])?;
        let mounted = run("mount", &["-t", "ext4", "-o", "errors=remount-ro", &device, path(&self.at)]);
        // From here on the device goes with its last user, which is the mount.
        run("losetup", &["--detach", &device])?;
        mounted.map(drop)
    }

    /// Has the kernel find an error, after which it takes no more writes, as is the rule for the file systems of servers.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_read_only(&self) -> io::Result<()> {
        let number = fs::metadata(&self.at)?.dev();
        let device =
            fs::canonicalize(format!("/sys/dev/block/{}:{}", libc::major(number), libc::minor(number)))?;
        let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "an error that a test has asked for")
    }

    /// Unmounts it; nobody may use it any more.
    ///
    /// # Errors
    /// What the system says.
    pub fn unmount(&self) -> Result<(), String> {
        let deadline = Instant::now() + UNMOUNT_TIME;
        while let Err(words) = run("umount", &[path(&self.at)]) {
            if Instant::now() >= deadline {
                return Err(words);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.wait_for_the_device(deadline)
    }

    /// The device closes the image some time after it is unmounted.
    fn wait_for_the_device(&self, deadline: Instant) -> Result<(), String> {
        while !run("losetup", &["--associated", path(&self.image)])?.is_empty() {
            if Instant::now() >= deadline {
                return Err(format!("the loop device of {} is still there", self.image.display()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Cuts the file system off from its device: nothing more is written, not even the journal, and everything fails.
    ///
    /// # Errors
    /// What the system says.
    pub fn cut_off(&self) -> io::Result<()> {
        let root = File::open(&self.at)?;
        let how = GOING_NO_LOG_FLUSH;
        // SAFETY: the descriptor is open, and the request reads one u32, which outlives the call.
        match unsafe { libc::ioctl(root.as_raw_fd(), FS_IOC_SHUTDOWN, &raw const how) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if is_mounted(&self.at)
            && let Err(words) = self.unmount()
        {
            eprintln!("{words}: unmounting {} when it is idle", self.at.display());
            let _ = run("umount", &["--lazy", path(&self.at)]);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are of plain characters")
}

/// Runs a program of the system; gives its output.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
    Err(format!("{program} {}: {words}", arguments.join(" ")))
}

fn mount_points() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/mounts").unwrap_or_default();
    table.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from).collect()
}

fn is_mounted(at: &Path) -> bool {
    mount_points().iter().any(|point| point == at)
}

/// Removes what processes have left behind that were killed.
fn remove_leftovers() {
    let folders = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let ours = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(PREFIX));
    // An open lock tells that the process is gone; it is held until all is removed.
    let stale: Vec<(PathBuf, File)> = ours
        .filter_map(|folder| {
            let lock = File::open(folder.path().join(LOCK)).ok()?;
            lock.try_lock().ok()?;
            Some((folder.path(), lock))
        })
        .collect();
    // The newest first: one may be in a file of another.
    for point in mount_points().iter().rev() {
        if stale.iter().any(|(folder, _)| point.starts_with(folder)) {
            let _ = run("umount", &[path(point)]).or_else(|_| run("umount", &["--lazy", path(point)]));
        }
    }
    for (folder, _) in &stale {
        let devices = run(
            "losetup",
            &["--associated", path(&folder.join("image")), "--noheadings", "--output", "NAME"],
        );
        for device in devices.unwrap_or_default().lines() {
            let _ = run("losetup", &["--detach", device]);
        }
        let _ = fs::remove_dir_all(folder);
    }
}
