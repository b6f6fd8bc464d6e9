//! What a clean stop leaves on disk: segments that end with their last batch, and nothing that nobody
//! needs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::io::{DirEntry, Env};
use millrace_engine::log::checkpoint::PartitionOffset;

use super::ledger::Existence;
use super::machine::LOG_DIRS;
use super::world::World;

const FILE_BYTES_MAX: usize = 1 << 30;
const METADATA_DIR: &str = "__cluster_metadata-0";
const JOURNAL_PREFIX: &str = "millrace-journal-";

/// Files and directories by path, with the contents of segments.
type Tree = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

async fn walk(env: &SimEnv, log_dirs: usize) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let mut dirs = Vec::new();
    for log_dir in LOG_DIRS.into_iter().take(log_dirs) {
        dirs.extend(env.list_dir(Path::new(log_dir)).await?);
    }
    // What is to be removed may go at any time.
    let is_kept = |entry: &DirEntry| entry.is_dir && !entry.name.ends_with("-delete");
    for dir in dirs.into_iter().filter(is_kept) {
        let mut files = BTreeMap::new();
        for file in env.list_dir(&dir.path).await? {
            if file.name.ends_with(".log") {
                files.insert(file.name, env.read_small(&file.path, FILE_BYTES_MAX).await?);
            } else {
                files.insert(file.name, Vec::new());
            }
        }
        // What was put aside may have the same name in each.
        if tree.insert(dir.name.clone(), files).is_some() && !dir.name.ends_with("-stray") {
            return Err(io::Error::other(format!("{} is in both directories", dir.name)));
        }
    }
    Ok(tree)
}

/// Looks at everything after a clean stop; `ends` is what the broker said.
pub fn check(sim: &Sim, world: &World, ends: &[PartitionOffset]) {
    let (env, log_dirs) = (sim.env(0), world.log_dirs);
    let tree = match sim.run(async move { walk(&env, log_dirs).await }) {
        Ok(Ok(tree)) => tree,
        Ok(Err(error)) => return world.wrong(format!("the log directory cannot be read: {error}")),
        Err(stalled) => return world.wrong(stalled.to_string()),
    };
    let ends: BTreeMap<String, i64> =
        ends.iter().map(|end| (format!("{}-{}", end.topic, end.partition), end.offset)).collect();
    for (name, files) in &tree {
        if name.ends_with("-stray") {
            continue;
        }
        match ends.get(name) {
            Some(end) => world.check(check_partition(name, files, *end)),
            None => world.check(check_stray(world, name)),
        }
    }
    for name in ends.keys() {
        if !tree.contains_key(name) {
            world.wrong(format!("there is no directory of {name}"));
        }
    }
    if !ends.contains_key(METADATA_DIR) {
        world.wrong("the metadata log did not end");
    }
}

fn check_partition(name: &str, files: &BTreeMap<String, Vec<u8>>, end: i64) -> Result<(), String> {
    let mut next: Option<i64> = None;
    for (file, content) in files.iter().filter(|(file, _)| file.ends_with(".log")) {
        let base: i64 =
            file.trim_end_matches(".log").parse().map_err(|_| format!("{name}/{file}?"))?;
        if next.is_some_and(|next| next != base) {
            return Err(format!("{name}/{file} follows on {next:?}"));
        }
        next = Some(walk_segment(name, file, content, base)?);
    }
    match next {
        Some(next) if next == end => Ok(()),
        // Files of a segment come with its first batch.
        None if end == 0 => Ok(()),
        other => Err(format!("{name} ends at {other:?} on disk, at {end} for the broker")),
    }
}

/// The offset behind a segment's last batch; the file must end there.
fn walk_segment(name: &str, file: &str, mut content: &[u8], base: i64) -> Result<i64, String> {
    let mut next = base;
    let whole = content.len();
    while !content.is_empty() {
        let at = whole - content.len();
        let odd = |what: &str| format!("{name}/{file}: {what} at {at} of {whole}");
        let head: &[u8; 61] = content.first_chunk().ok_or_else(|| odd("less than a batch"))?;
        let number =
            |at: usize| i32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let offset = i64::from_be_bytes(*content.first_chunk().ok_or_else(|| odd("no offset"))?);
        if offset != next || head[16] != 2 {
            return Err(odd(&format!("offset {offset} where {next} follows")));
        }
        let length = usize::try_from(number(8)).map_err(|_| odd("a negative length"))?;
        let batch = content.get(..12 + length).ok_or_else(|| odd("a cut batch"))?;
        let crc = crc32c::crc32c(batch.get(21..).unwrap_or_default());
        if crc != number(17).cast_unsigned() {
            return Err(odd("a wrong checksum"));
        }
        next = offset + i64::from(number(23)) + 1;
        content = content.get(12 + length..).unwrap_or_default();
    }
    Ok(next)
}

/// A directory that is not a live partition's must be one that is about to go.
fn check_stray(world: &World, name: &str) -> Result<(), String> {
    let ledger = world.ledger.borrow();
    let is_open = ledger.topics.iter().any(|topic| {
        matches!(topic.existence, Existence::Creating | Existence::Deleting)
            && name.starts_with(&format!("{}-", topic.name))
    });
    let is_growing = ledger.topics.iter().any(|topic| {
        topic.partitions_asked > topic.partitions && name.starts_with(&format!("{}-", topic.name))
    });
    if is_open || is_growing {
        return Ok(());
    }
    Err(format!("the directory {name} belongs to no partition"))
}

/// After a clean stop nobody needs the journals: takes them away.
pub fn remove_journals(sim: &Sim, world: &World) {
    let (env, log_dirs) = (sim.env(0), world.log_dirs);
    let removed = sim.run(async move {
        for dir in LOG_DIRS.into_iter().take(log_dirs).map(Path::new) {
            for entry in env.list_dir(dir).await? {
                if entry.name.starts_with(JOURNAL_PREFIX) {
                    env.remove_file(&entry.path).await?;
                }
            }
            env.sync_dir(dir).await?;
        }
        Ok::<_, io::Error>(())
    });
    match removed {
        Ok(Ok(())) => {}
        Ok(Err(error)) => world.wrong(format!("journals cannot be removed: {error}")),
        Err(stalled) => world.wrong(stalled.to_string()),
    }
}

/// Bytes of all files, for the size of a disk that will be full soon.
pub fn used_bytes(sim: &Sim) -> u64 {
    let env = sim.env(0);
    let used = sim.run(async move {
        let mut used = 0;
        let mut dirs: Vec<_> = LOG_DIRS.into_iter().map(PathBuf::from).collect();
        while let Some(dir) = dirs.pop() {
            let Ok(entries) = env.list_dir(&dir).await else { continue };
            for entry in entries {
                if entry.is_dir {
                    dirs.push(entry.path);
                } else if let Ok(bytes) = env.read_small(&entry.path, FILE_BYTES_MAX).await {
                    used += bytes.len() as u64;
                }
            }
        }
        used
    });
    used.unwrap_or_default()
}
