//! Directories of partitions that do not exist any more: their topic was deleted, and the last run ended
//! before their names had gone.

use super::{BootError, EngineSettings};
use crate::io::Env;
use crate::log::files::{DirectoryUse, PartitionDirectory, renamed_directory};
use crate::metadata::Image;
use crate::types::Uuid;

/// Puts such directories aside under a name that no partition has, as Kafka does (`-stray`), so that
/// a new topic may have theirs. Nothing is removed: what is not in the metadata may still be wanted.
///
/// # Errors
/// If the log directory cannot be read or changed.
pub(super) async fn put_aside<E: Env>(
    env: &E,
    settings: &EngineSettings,
    image: &Image,
) -> Result<(), BootError> {
    let dir = &settings.log_dir;
    let failed = |source| BootError::Io { path: dir.clone(), source };
    let mut is_changed = false;
    for entry in env.list_dir(dir).await.map_err(failed)?.into_iter().filter(|entry| entry.is_dir) {
        let Some(found) = PartitionDirectory::parse(&entry.name) else { continue };
        let is_log = found.usage == DirectoryUse::Current && entry.path != settings.metadata_dir();
        // That a topic of the same name was made since is seen when its partition is opened.
        let topic = image.topics.by_name(&found.topic);
        if !is_log || topic.is_some_and(|topic| topic.partition(found.partition).is_some()) {
            continue;
        }
        let unique = Uuid(u128::from(env.random()) << 64 | u128::from(env.random()));
        let (topic, partition) = (&found.topic, found.partition);
        let target = dir.join(renamed_directory(topic, partition, DirectoryUse::Stray, unique));
        tracing::warn!(directory = %entry.path.display(), renamed = %target.display(),
            "a directory belongs to no partition in the metadata: it is put aside and may be removed");
        env.rename(&entry.path, &target).await.map_err(failed)?;
        is_changed = true;
    }
    if is_changed {
        env.sync_dir(dir).await.map_err(failed)?;
    }
    Ok(())
}
