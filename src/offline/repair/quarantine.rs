//! Where damaged files go.

use std::path::{Path, PathBuf};

use super::RepairError;
use super::files::Files;

/// The directory below a shard's where damaged files are kept. No broker looks into it.
pub const QUARANTINE: &str = "quarantine";

/// Where `file` would be moved to: under its name, or that with a number if another of the name was moved before.
pub(super) fn place(shard: &Path, file: &Path) -> PathBuf {
    let directory = shard.join(QUARANTINE);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let names = (1..).map(|number| format!("{name}.{number}"));
    let mut places = std::iter::once(name.to_string()).chain(names).map(|name| directory.join(name));
    places.find(|place| !place.exists()).expect("there are more numbers than files")
}

/// Moves `file` there; it stays as it is.
pub(super) fn take(shard: &Path, file: &Path, files: &mut impl Files) -> Result<PathBuf, RepairError> {
    let directory = shard.join(QUARANTINE);
    if !directory.is_dir() {
        files.create_directory(&directory).map_err(RepairError::on(&directory))?;
    }
    let to = place(shard, file);
    files.rename(file, &to).map_err(RepairError::on(file))?;
    Ok(to)
}
