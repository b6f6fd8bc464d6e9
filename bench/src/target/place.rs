//! What kind of file system a directory is on.

use std::fs;
use std::path::Path;

/// The type of the file system that `directory` (or the nearest part of it that exists) is on.
pub fn file_system(directory: &Path) -> Option<String> {
    let absolute = std::path::absolute(directory).ok()?;
    let whole = absolute.ancestors().find_map(|path| fs::canonicalize(path).ok())?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(place, _)| whole.starts_with(place))
        .max_by_key(|(place, _)| place.len())
        .map(|(_, kind)| kind.to_owned())
}

/// Whether what is written there is only in memory.
pub fn is_memory(directory: &Path) -> bool {
    file_system(directory).is_some_and(|kind| kind == "tmpfs" || kind == "ramfs")
}
