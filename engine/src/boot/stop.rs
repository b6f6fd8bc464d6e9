//! What a clean stop leaves: checkpoints, and the marker that recovery need not look further.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::EngineSettings;
use super::inherit::{CLEAN_SHUTDOWN, RECOVERY_POINTS};
use crate::job::checkpoints::{RECOVERY_POINTS_BY_ID, format_recovery_points};
use crate::log::checkpoint::{
    LOG_START_OFFSETS, PartitionOffset, format_clean_shutdown, format_offsets,
};
use crate::shard::housekeeping::NamedOffset;
use crate::types::ShardId;

/// How one shard ended.
#[derive(Debug, Default)]
pub struct Stopped {
    /// Which shard.
    pub shard: ShardId,
    /// Whether every partition's content is in its segments.
    pub is_clean: bool,
    /// End offsets.
    pub ends: Vec<NamedOffset>,
    /// Log start offsets, where no segment's name tells them.
    pub starts: Vec<NamedOffset>,
}

/// Writes the checkpoints of each log directory, and its marker if all its shards ended clean. The shards
/// have ended, so this is ordinary blocking I/O.
pub(super) fn complete(settings: &EngineSettings, stopped: &[Stopped]) {
    let count = settings.log_dirs.len();
    for (index, log_dir) in settings.log_dirs.iter().enumerate() {
        let is_of = |shard: ShardId| usize::from(shard) % count == index;
        let shards: Vec<&Stopped> = stopped.iter().filter(|ended| is_of(ended.shard)).collect();
        let expected = (0..settings.shards).filter(|shard| is_of(*shard)).count();
        let log_dir_shown = log_dir.display();
        if shards.len() != expected || shards.iter().any(|shard| !shard.is_clean) {
            tracing::warn!(log_dir = %log_dir_shown,
                "the stop was not clean: the next start recovers from the journal");
            continue;
        }
        let written =
            files(&shards).into_iter().try_for_each(|(name, text)| replace(log_dir, name, &text));
        match written {
            Ok(()) => {
                tracing::info!(log_dir = %log_dir_shown, "stopped: every partition is complete on disk");
            }
            Err(error) => tracing::warn!(log_dir = %log_dir_shown, %error,
                "the marker of a clean stop could not be written"),
        }
    }
}

/// The files that complete a log directory after a clean stop of its shards, in the order in which they are
/// to be written: names and texts. The marker is the last one.
#[must_use]
pub fn files(shards: &[&Stopped]) -> Vec<(&'static str, String)> {
    let text = |offsets: fn(&Stopped) -> &Vec<NamedOffset>| {
        let all = shards.iter().flat_map(|shard| offsets(shard));
        let entries = all.map(|(topic, id, offset)| PartitionOffset {
            topic: topic.to_string(),
            partition: id.partition,
            offset: *offset,
        });
        format_offsets(&entries.collect::<Vec<_>>())
    };
    let ends = text(|shard| &shard.ends);
    let ends_by_id = shards.iter().flat_map(|shard| &shard.ends).map(|(_, id, end)| (*id, *end));
    vec![
        (RECOVERY_POINTS, ends.clone()),
        (RECOVERY_POINTS_BY_ID, format_recovery_points(ends_by_id)),
        ("replication-offset-checkpoint", ends),
        (LOG_START_OFFSETS, text(|shard| &shard.starts)),
        (CLEAN_SHUTDOWN, format_clean_shutdown(-1)),
    ]
}

/// Replaces a file atomically and durably.
fn replace(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}
