//! What a clean stop leaves: checkpoints, and the marker that recovery need not look further.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::EngineSettings;
use super::inherit::{CLEAN_SHUTDOWN, RECOVERY_POINTS};
use crate::log::checkpoint::{PartitionOffset, format_clean_shutdown, format_offsets};
use crate::types::Offset;

/// How one shard ended.
#[derive(Debug, Default)]
pub struct Stopped {
    /// Whether every partition's content is in its segments.
    pub is_clean: bool,
    /// Topic, partition and end offset.
    pub ends: Vec<(Arc<str>, i32, Offset)>,
}

/// Writes the checkpoints, and the marker if every shard ended clean. The shards have ended, so this is
/// ordinary blocking I/O.
pub(super) fn complete(settings: &EngineSettings, shards: Vec<Stopped>) {
    let is_clean =
        shards.len() == usize::from(settings.shards) && shards.iter().all(|shard| shard.is_clean);
    if !is_clean {
        tracing::warn!("the stop was not clean: the next start recovers from the journal");
        return;
    }
    let offsets: Vec<_> = shards
        .into_iter()
        .flat_map(|shard| shard.ends)
        .map(|(topic, partition, offset)| PartitionOffset {
            topic: topic.to_string(),
            partition,
            offset,
        })
        .collect();
    let text = format_offsets(&offsets);
    let marker = format_clean_shutdown(-1);
    let written = [RECOVERY_POINTS, "replication-offset-checkpoint"]
        .into_iter()
        .try_for_each(|name| replace(&settings.log_dir, name, &text))
        .and_then(|()| replace(&settings.log_dir, CLEAN_SHUTDOWN, &marker));
    match written {
        Ok(()) => tracing::info!("stopped: every partition is complete on disk"),
        Err(error) => tracing::warn!(%error, "the marker of a clean stop could not be written"),
    }
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
