//! Snapshots, the loader and the beginnings of epochs.

use proptest::prelude::*;

use crate::codec::Sampler;
use crate::metadata::apply::Delta;
use crate::metadata::bootstrap::{self, BeginError};
use crate::metadata::changes::Changes;
use crate::metadata::features::METADATA_VERSION;
use crate::metadata::image::{Image, Provenance};
use crate::metadata::loader::{LoadError, Loader};
use crate::metadata::quorum_state::QuorumState;
use crate::metadata::record::{self, MetadataRecord};
use crate::metadata::snapshot::{self, SnapshotError, SnapshotId};
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::record::control::{self, ControlRecord, Voter, VoterKey};
use crate::types::Uuid;

/// Some image: made-up records, as far as they fit.
fn image_of(seed: u64, rounds: usize) -> Image {
    let mut sampler = Sampler::new(seed);
    let mut image = Image::default();
    let level = record::FeatureLevel { name: METADATA_VERSION.into(), feature_level: 30 };
    let mut records = vec![level.into()];
    for _ in 0..rounds {
        for mut record in MetadataRecord::samples(&mut sampler) {
            let ids = [Uuid(200), Uuid(201), Uuid(202)];
            let id = ids[(sampler.next() % 3) as usize];
            match &mut record {
                MetadataRecord::Topic(topic) => topic.topic_id = id,
                MetadataRecord::RemoveTopic(topic) => topic.topic_id = id,
                MetadataRecord::Partition(partition) => {
                    partition.topic_id = id;
                    partition.partition_id = (sampler.next() % 20) as i32;
                    partition.directories = vec![Uuid(300); partition.replicas.len()];
                    partition.leader_recovery_state &= 1;
                    // No list is the same as an empty one.
                    partition.eligible_leader_replicas.take_if(|list| list.is_empty());
                    partition.last_known_elr.take_if(|list| list.is_empty());
                }
                MetadataRecord::PartitionChange(change) => {
                    change.topic_id = id;
                    change.partition_id = (sampler.next() % 20) as i32;
                    change.replicas = None;
                    change.directories = None;
                }
                MetadataRecord::ProducerIds(ids) => ids.next_producer_id &= i64::MAX,
                MetadataRecord::FeatureLevel(level) => level.feature_level |= 1,
                MetadataRecord::BeginTransaction(_)
                | MetadataRecord::EndTransaction(_)
                | MetadataRecord::AbortTransaction(_) => continue,
                _ => {}
            }
            records.push(record);
        }
    }
    for record in records {
        let mut delta = Delta::new(&image);
        if delta.apply(record).is_ok() {
            let offset = image.provenance.offset + 1;
            image = delta.finish(Provenance { offset, epoch: 3, timestamp_ms: 1_000 }).0;
        }
    }
    image
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_fold_of_a_snapshot_is_the_image(seed: u64, before: u64, rounds in 0..12_usize) {
        let image = image_of(seed, rounds);
        let before = image_of(before, 2);
        let bytes = snapshot::write(&image, 5_000).unwrap();
        let id = SnapshotId::of(&image);
        let read = snapshot::read(id, &bytes, &before).unwrap();
        prop_assert_eq!(&read.image, &image);
        let mut changes = read.changes;
        let configs = std::mem::take(&mut changes.configs);
        let mut between = Changes::between(&before, &image);
        let touched = std::mem::take(&mut between.configs);
        prop_assert_eq!(changes, between);
        prop_assert!(touched.is_subset(&configs));
    }

    #[test]
    fn a_damaged_snapshot_is_refused(seed: u64, at: prop::sample::Index, flip in 1..=255_u8) {
        let image = image_of(seed, 3);
        let bytes = snapshot::write(&image, 5_000).unwrap();
        let id = SnapshotId::of(&image);
        let cut = at.index(bytes.len());
        prop_assert!(snapshot::read(id, &bytes[..cut], &Image::default()).is_err());
        let mut damaged = bytes.to_vec();
        damaged[cut] ^= flip;
        let read = snapshot::read(id, &damaged, &Image::default());
        // The leader epoch stands outside the checksum, and a snapshot has its epoch by name.
        prop_assert!(read.is_err() || read.unwrap().image == image);
    }
}

#[test]
fn snapshots_have_the_names_that_kafka_gives_them() {
    let id = SnapshotId { end_offset: 12_345, epoch: 7 };
    assert_eq!(id.file_name(), "00000000000000012345-0000000007.checkpoint");
    assert_eq!(SnapshotId::from_file_name(&id.file_name()), Some(id));
    let bootstrap = "00000000000000000000-0000000000.checkpoint";
    assert_eq!(SnapshotId::from_file_name(bootstrap), Some(SnapshotId::BOOTSTRAP));
    for other in [
        "00000000000000012345-0000000007.checkpoint.part",
        "00000000000000012345-0000000007.checkpoint.deleted",
        "0000000000000001234-0000000007.checkpoint",
        "+0000000000000012345-0000000007.checkpoint",
        "00000000000000012345.log",
        "leader-epoch-checkpoint",
    ] {
        assert_eq!(SnapshotId::from_file_name(other), None, "{other}");
    }
}

fn batch(base_offset: i64, epoch: i32, records: &[MetadataRecord]) -> Vec<u8> {
    let options =
        BatchOptions { base_offset, partition_leader_epoch: epoch, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let value = record.encode(record.version_at(30)).unwrap();
        builder.push(77, None, Some(&value), &[]).unwrap();
    }
    builder.finish().to_vec()
}

fn topic(name: &str, id: u128) -> MetadataRecord {
    record::Topic { name: name.into(), topic_id: Uuid(id) }.into()
}

#[test]
fn a_new_node_formats_begins_and_begins_again() {
    let bytes = bootstrap::snapshot(1).unwrap();
    let read = snapshot::read(SnapshotId::BOOTSTRAP, &bytes, &Image::default()).unwrap();
    assert_eq!(read.image.features.metadata_version(), 30);
    let loaded = Loader::after(SnapshotId::BOOTSTRAP, read.clone()).finish();
    assert_eq!((loaded.next_offset, loaded.epoch, loaded.has_records), (0, 0, false));

    let first = bootstrap::begin_epoch(&loaded, None, 4, 10).unwrap();
    assert_eq!((first.epoch, first.next_offset), (1, 2));
    assert_eq!(first.batches.len(), 2, "the log, too, begins with the features");
    let mut log = first.batches.concat();

    let mut loader = Loader::after(SnapshotId::BOOTSTRAP, read);
    assert_eq!(loader.feed(&log), Ok(log.len()));
    let loaded = loader.finish();
    assert_eq!(loaded.image, first.image);
    assert_eq!((loaded.next_offset, loaded.epoch, loaded.has_records), (2, 1, true));

    let state = Some(QuorumState::parse(&first.quorum_state).unwrap());
    let second = bootstrap::begin_epoch(&loaded, state, 4, 20).unwrap();
    assert_eq!((second.epoch, second.next_offset, second.batches.len()), (2, 3, 1));
    log.extend(second.batches.concat());
    // From the log alone, and as bytes dribble in.
    let mut loader = Loader::new();
    let mut pending = Vec::new();
    for piece in log.chunks(7) {
        pending.extend_from_slice(piece);
        let fed = loader.feed(&pending).unwrap();
        pending.drain(..fed);
    }
    assert!(pending.is_empty());
    assert_eq!(loader.finish().image, second.image);
    // `quorum-state` may be ahead of the log.
    let ahead = Some(QuorumState::solo(4, 41));
    assert_eq!(bootstrap::begin_epoch(&loaded, ahead, 4, 20).unwrap().epoch, 42);
    let last = Some(QuorumState::solo(4, i32::MAX));
    let refused = bootstrap::begin_epoch(&loaded, last, 4, 20);
    assert_eq!(refused, Err(BeginError::Epoch(i32::MAX)));
}

#[test]
fn the_log_of_another_quorum_is_refused_and_our_own_goes_on_as_it_was() {
    let voter = |id| Voter {
        key: VoterKey { id, directory_id: Uuid(500) },
        endpoints: Vec::new(),
        kraft_version_min: 0,
        kraft_version_max: 1,
    };
    let load = |voters| {
        let options = BatchOptions { partition_leader_epoch: 1, ..BatchOptions::default() };
        let records = [ControlRecord::KraftVersion(1), ControlRecord::KraftVoters(voters)];
        let batch = control::control_batch(options, 7, &records).unwrap();
        let mut loader = Loader::new();
        loader.feed(&batch).unwrap();
        loader.finish()
    };
    let begin = |voters| bootstrap::begin_epoch(&load(voters), None, 1, 9);
    assert_eq!(begin(vec![voter(1), voter(2)]), Err(BeginError::Voters(vec![1, 2])));
    assert_eq!(begin(vec![voter(2)]), Err(BeginError::Voters(vec![2])));
    let own = begin(vec![voter(1)]).unwrap();
    assert!(own.quorum_state.contains("\"data_version\":1"), "{}", own.quorum_state);
    assert_eq!((own.epoch, own.next_offset), (2, 4));
}

#[test]
fn a_transaction_left_open_is_aborted() {
    let mut log = batch(0, 1, &[topic("kept", 200), record::BeginTransaction::default().into()]);
    log.extend(batch(2, 1, &[topic("dropped", 201)]));
    let mut loader = Loader::new();
    loader.feed(&log).unwrap();
    let loaded = loader.finish();
    assert!(loaded.in_transaction);
    assert_eq!(loaded.image.topics.len(), 1);
    let beginning = bootstrap::begin_epoch(&loaded, None, 1, 9).unwrap();
    log.extend(beginning.batches.concat());
    let mut loader = Loader::new();
    loader.feed(&log).unwrap();
    let again = loader.finish();
    assert!(!again.in_transaction);
    assert_eq!(again.image, beginning.image);
    assert_eq!(again.image.topics.len(), 1);
}

#[test]
fn the_loader_goes_on_behind_a_snapshot_and_refuses_gaps() {
    let parts = [
        batch(0, 1, &[topic("a", 200), topic("b", 201)]),
        batch(2, 1, &[topic("c", 202)]),
        batch(3, 2, &[topic("d", 203)]),
    ];
    let load = |parts: &[Vec<u8>]| {
        let mut loader = Loader::new();
        parts.iter().try_for_each(|part| loader.feed(part).map(drop)).map(|()| loader.finish())
    };
    let whole = load(&parts).unwrap();
    assert_eq!((whole.next_offset, whole.epoch), (4, 2));
    assert_eq!(whole.image.provenance, Provenance { offset: 3, epoch: 2, timestamp_ms: 77 });

    let half = load(&parts[..2]).unwrap().image;
    let id = SnapshotId::of(&half);
    assert_eq!(id, SnapshotId { end_offset: 3, epoch: 1 });
    let bytes = snapshot::write(&half, 9).unwrap();
    let mut loader = Loader::after(id, snapshot::read(id, &bytes, &Image::default()).unwrap());
    // Batches that the snapshot covers are passed over.
    for part in &parts {
        loader.feed(part).unwrap();
    }
    assert_eq!(loader.finish().image, whole.image);

    let gap = load(&[parts[0].clone(), parts[2].clone()]);
    assert_eq!(gap, Err(LoadError::Gap { expected: 2, found: 3 }));
    let back = load(&[batch(0, 5, &[topic("a", 200)]), batch(1, 4, &[topic("b", 201)])]);
    assert_eq!(back, Err(LoadError::Epoch { offset: 1, epoch: 4, last: 5 }));
    let twice = load(&[batch(0, 1, &[topic("a", 200)]), batch(1, 1, &[topic("a", 201)])]);
    assert!(matches!(twice, Err(LoadError::Apply { offset: 1, .. })));
    let mut damaged = parts[0].clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(load(&[damaged]), Err(LoadError::Batch(_))));
    let mut keyed =
        BatchBuilder::new(BatchOptions { partition_leader_epoch: 1, ..BatchOptions::default() });
    keyed.push(1, Some(b"k"), Some(b"v"), &[]).unwrap();
    assert!(matches!(load(&[keyed.finish().to_vec()]), Err(LoadError::Batch(_))));
}

#[test]
fn a_snapshot_is_framed() {
    let image = image_of(3, 2);
    let id = SnapshotId::of(&image);
    let bytes = snapshot::write(&image, 9).unwrap();
    let headless = batch(0, 1, &[topic("a", 200)]);
    assert_eq!(snapshot::read(id, &headless, &Image::default()), Err(SnapshotError::Shape));
    assert_eq!(snapshot::read(id, &[], &Image::default()), Err(SnapshotError::Short));
    let mut longer = bytes.to_vec();
    longer.extend(&bytes);
    assert_eq!(snapshot::read(id, &longer, &Image::default()), Err(SnapshotError::Shape));
    let mut tail = bytes.to_vec();
    tail.push(0);
    assert_eq!(snapshot::read(id, &tail, &Image::default()), Err(SnapshotError::Short));
}

#[test]
fn what_is_not_built_yet_is_told_by_name_and_level() {
    let mut image = Image::default();
    let mut apply = |name: &str, feature_level| {
        let record = record::FeatureLevel { name: name.into(), feature_level };
        let mut delta = Delta::new(&image);
        delta.apply(record.into()).unwrap();
        image = delta.finish(Provenance { offset: 0, epoch: 0, timestamp_ms: 0 }).0;
        bootstrap::unsupported_features(&image)
    };
    assert!(apply("metadata.version", 27).is_empty());
    assert_eq!(apply("transaction.version", 2), ["transaction.version=2"]);
    assert_eq!(apply("group.version", 1), ["group.version=1", "transaction.version=2"]);
}
