//! To which node and cluster the log directories belong, and which is which.

use bytes::Bytes;

use super::inherit::{META_PROPERTIES, Seen};
use super::{BootError, EngineSettings, METADATA_DIR};
use crate::io::Env;
use crate::log::checkpoint::MetaProperties;
use crate::metadata::bootstrap;
use crate::types::Uuid;

/// The cluster of the directories, a new one if they are all new. Nothing is changed.
///
/// # Errors
/// If they do not belong together, or to this node.
pub(super) fn cluster_id<E: Env>(
    env: &E,
    settings: &EngineSettings,
    seen: &[Seen],
) -> Result<String, BootError> {
    let used = || seen.iter().filter_map(|directory| Some((directory, directory.meta.as_ref()?)));
    let path = |directory: &Seen| settings.log_dir(directory.index).to_owned();
    let first = settings.log_dir(0).to_owned();
    for (directory, meta) in used() {
        if let Some(found) = meta.node_id.filter(|id| *id != settings.node_id) {
            let (path, configured) = (path(directory), settings.node_id);
            return Err(BootError::OtherNode { path, found, configured });
        }
    }
    if let Some(found) = seen.iter().find(|d| d.index > 0 && d.has(METADATA_DIR)) {
        return Err(BootError::MetadataElsewhere { found: path(found), first });
    }
    let of_first = seen.first().filter(|directory| directory.index == 0);
    let expected = of_first.and_then(|directory| directory.meta.as_ref()?.cluster_id.clone());
    for (directory, meta) in used() {
        let Some(found) = meta.cluster_id.clone() else { continue };
        match &expected {
            None => {
                let used = path(directory);
                return Err(BootError::MetadataMissing { first, used, cluster_id: found });
            }
            Some(expected) if *expected != found => {
                let (path, expected) = (path(directory), expected.clone());
                return Err(BootError::OtherCluster { path, found, first, expected });
            }
            Some(_) => {}
        }
        let is_same = |other: &&(&Seen, &MetaProperties)| {
            other.0.index < directory.index
                && meta.directory_id.is_some()
                && other.1.directory_id == meta.directory_id
        };
        if let Some((other, _)) = used().find(|other| is_same(&other)) {
            let (first, second) = (path(other), path(directory));
            return Err(BootError::SameDirectory { first, second });
        }
    }
    Ok(expected.unwrap_or_else(|| new_id(env).to_string()))
}

fn new_id<E: Env>(env: &E) -> Uuid {
    bootstrap::new_id(&mut || u128::from(env.random()) << 64 | u128::from(env.random()))
}

/// Completes `meta.properties` of a directory, and returns its id.
///
/// # Errors
/// If it cannot be written.
pub(super) async fn complete<E: Env>(
    env: &E,
    settings: &EngineSettings,
    directory: &Seen,
    cluster_id: &str,
) -> Result<Uuid, BootError> {
    let known = directory.meta.as_ref().and_then(|meta| meta.directory_id);
    let directory_id = known.unwrap_or_else(|| new_id(env));
    let complete = MetaProperties {
        version: 1,
        cluster_id: Some(cluster_id.to_owned()),
        node_id: Some(settings.node_id),
        directory_id: Some(directory_id),
    };
    if directory.meta.as_ref() != Some(&complete) {
        let path = settings.log_dir(directory.index).join(META_PROPERTIES);
        let text = Bytes::from(complete.to_text());
        env.write_small(&path, text).await.map_err(|source| BootError::Io { path, source })?;
    }
    Ok(directory_id)
}
