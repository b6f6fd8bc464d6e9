//! In which log directory each partition is. What is on the disks counts: a directory may have been moved
//! while the broker was stopped, and old metadata say nothing. Directories of partitions that do not exist
//! any more (their topic was deleted, and the last run ended before their names had gone) are put aside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{BootError, EngineSettings};
use crate::io::Env;
use crate::log::checkpoint::{PARTITION_METADATA, parse_partition_metadata};
use crate::log::files::{DirectoryUse, PartitionDirectory, renamed_directory};
use crate::metadata::Image;
use crate::metadata::placement::Directories;
use crate::types::{TopicId, TopicPartition, Uuid};

/// `partition.metadata` has one line.
const PARTITION_METADATA_BYTES_MAX: usize = 64 * 1024;

/// A directory of a partition.
struct Place {
    index: usize,
    path: PathBuf,
    name: PartitionDirectory,
}

/// Finds partitions that are in another directory than the metadata say, with the ids of those, and puts
/// aside what belongs to no partition.
///
/// # Errors
/// If a log directory cannot be read or changed, or a partition is in two of them.
pub(super) async fn locate<E: Env>(
    env: &E,
    settings: &EngineSettings,
    directories: &Directories,
    image: &Image,
) -> Result<BTreeMap<TopicPartition, Uuid>, BootError> {
    let (found, mut strays) = list(env, settings, directories, image).await?;
    let mut moved = BTreeMap::new();
    for (at, places) in found {
        let Some(partition) = image.topics.partition(at) else { continue };
        let recorded = partition.directory_on(settings.node_id);
        let is_recorded = |place: &Place| match recorded {
            // With one directory it does not matter what old metadata say.
            Some(id) if directories.count() == 1 => directories.of_id(id).is_some(),
            Some(id) => directories.id(place.index) == Some(id),
            None => true,
        };
        if let [only] = places.as_slice()
            && is_recorded(only)
        {
            continue;
        }
        let (mut named, mut nameless) = (Vec::new(), Vec::new());
        for place in places {
            match topic_id_of(env, &place.path).await? {
                Some(id) if id == at.topic_id => named.push(place),
                // A topic of the same name was there before.
                Some(_) => strays.push(place),
                None => nameless.push(place),
            }
        }
        // What does not say of which topic it is was being made when its disk failed or the last run
        // ended. It counts only if nothing else can be the partition, or stands where that must be.
        if let Some(index) = nameless.iter().position(is_recorded)
            && named.is_empty()
        {
            named.push(nameless.remove(index));
        }
        let is_elsewhere = recorded.is_some_and(|id| directories.of_id(id).is_none());
        let rest = if named.is_empty() && !is_elsewhere { &mut named } else { &mut strays };
        rest.append(&mut nameless);
        let mut found = named.into_iter();
        let here = found.next();
        if let (Some(first), Some(second)) = (&here, found.next()) {
            let (topic, partition) = (first.name.topic.clone(), at.partition);
            let (first, second) = (first.path.clone(), second.path);
            return Err(BootError::FoundTwice { topic, partition, first, second });
        }
        if let Some(place) = here.filter(|place| !is_recorded(place))
            && let Some(id) = directories.id(place.index)
        {
            tracing::warn!(directory = %place.path.display(),
                "a partition is in another log directory than the metadata say, which are corrected");
            moved.insert(at, id);
        }
    }
    put_aside(env, settings, strays).await?;
    Ok(moved)
}

/// The directories of partitions that are in the metadata, and of others.
async fn list<E: Env>(
    env: &E,
    settings: &EngineSettings,
    directories: &Directories,
    image: &Image,
) -> Result<(BTreeMap<TopicPartition, Vec<Place>>, Vec<Place>), BootError> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut strays = Vec::new();
    for index in (0..settings.log_dirs.len()).filter(|index| directories.id(*index).is_some()) {
        let dir = settings.log_dir(index);
        let failed = |source| BootError::Io { path: dir.to_owned(), source };
        let entries = env.list_dir(dir).await.map_err(failed)?;
        for entry in entries.into_iter().filter(|entry| entry.is_dir) {
            let Some(name) = PartitionDirectory::parse(&entry.name) else { continue };
            if name.usage != DirectoryUse::Current || entry.path == settings.metadata_dir() {
                continue;
            }
            // With one directory it is seen when the partition is opened that a topic of the same name
            // was made since.
            let topic = image.topics.by_name(&name.topic);
            let at = topic.filter(|topic| topic.partition(name.partition).is_some());
            let at =
                at.map(|topic| TopicPartition { topic_id: topic.id, partition: name.partition });
            let place = Place { index, path: entry.path, name };
            match at {
                Some(at) => found.entry(at).or_default().push(place),
                None => strays.push(place),
            }
        }
    }
    Ok((found, strays))
}

/// The topic that a partition's directory says it is of; none if it does not.
async fn topic_id_of<E: Env>(env: &E, dir: &Path) -> Result<Option<TopicId>, BootError> {
    let path = dir.join(PARTITION_METADATA);
    match env.read_small(&path, PARTITION_METADATA_BYTES_MAX).await {
        // What cannot be understood is told when the partition is opened.
        Ok(text) => Ok(parse_partition_metadata(&String::from_utf8_lossy(&text)).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(BootError::Io { path, source }),
    }
}

/// Puts directories aside under a name that no partition has, as Kafka does (`-stray`), so that a new
/// topic may have theirs. Nothing is removed: what is not in the metadata may still be wanted.
async fn put_aside<E: Env>(
    env: &E,
    settings: &EngineSettings,
    strays: Vec<Place>,
) -> Result<(), BootError> {
    let mut changed = std::collections::BTreeSet::new();
    for Place { index, path, name } in strays {
        let unique = Uuid(u128::from(env.random()) << 64 | u128::from(env.random()));
        let dir = settings.log_dir(index);
        let renamed = renamed_directory(&name.topic, name.partition, DirectoryUse::Stray, unique);
        let target = dir.join(renamed);
        tracing::warn!(directory = %path.display(), renamed = %target.display(),
            "a directory belongs to no partition in the metadata: it is put aside and may be removed");
        let failed = |source| BootError::Io { path: path.clone(), source };
        env.rename(&path, &target).await.map_err(failed)?;
        changed.insert(index);
    }
    for index in changed {
        let path = settings.log_dir(index);
        let failed = |source| BootError::Io { path: path.to_owned(), source };
        env.sync_dir(path).await.map_err(failed)?;
    }
    Ok(())
}
