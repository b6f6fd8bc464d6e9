//! What records do to an image.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::metadata::apply::{ApplyError, Delta};
use crate::metadata::changes::Changes;
use crate::metadata::configs::{ConfigResource, ResourceKind};
use crate::metadata::image::{Image, Provenance};
use crate::metadata::record::{self, MetadataRecord};
use crate::metadata::topics::{DIRECTORY_MIGRATING, NO_LEADER};
use crate::types::{TopicPartition, Uuid};

const ID: Uuid = Uuid(1000);

fn fold(base: &Image, records: Vec<MetadataRecord>) -> (Image, Changes) {
    let mut delta = Delta::new(base);
    for record in records {
        delta.apply(record).unwrap();
    }
    let offset = base.provenance.offset + 1;
    delta.finish(Provenance { offset, epoch: 1, timestamp_ms: 5 })
}

fn fails(base: &Image, record: impl Into<MetadataRecord>) -> ApplyError {
    Delta::new(base).apply(record.into()).unwrap_err()
}

fn topic(name: &str, topic_id: Uuid) -> MetadataRecord {
    record::Topic { name: name.into(), topic_id }.into()
}

fn partition(topic_id: Uuid, partition_id: i32) -> record::Partition {
    record::Partition {
        partition_id,
        topic_id,
        replicas: vec![1, 2],
        isr: vec![1, 2],
        leader: 1,
        leader_epoch: 4,
        partition_epoch: 9,
        directories: vec![Uuid(500), Uuid(501)],
        ..record::Partition::default()
    }
}

fn change() -> record::PartitionChange {
    record::PartitionChange { partition_id: 0, topic_id: ID, ..record::PartitionChange::default() }
}

fn config(kind: ResourceKind, resource: &str, name: &str, value: Option<&str>) -> MetadataRecord {
    record::Config {
        resource_type: kind.0,
        resource_name: resource.into(),
        name: name.into(),
        value: value.map(Into::into),
    }
    .into()
}

fn one_topic() -> Image {
    fold(&Image::default(), vec![topic("a", ID), partition(ID, 0).into()]).0
}

#[test]
fn a_partition_change_bumps_epochs_as_kafka_does() {
    let base = one_topic();
    let at = TopicPartition { topic_id: ID, partition: 0 };
    // change, leader after, leader epoch after, isr after, recovering after
    let cases = [
        (change(), 1, 4, vec![1, 2], false),
        (record::PartitionChange { leader: 1, ..change() }, 1, 5, vec![1, 2], false),
        (record::PartitionChange { leader: 2, ..change() }, 2, 5, vec![1, 2], false),
        (record::PartitionChange { leader: -1, ..change() }, NO_LEADER, 5, vec![1, 2], false),
        (record::PartitionChange { isr: Some(vec![1]), ..change() }, 1, 4, vec![1], false),
        (
            record::PartitionChange { leader: 2, leader_recovery_state: 1, ..change() },
            2,
            5,
            vec![1, 2],
            true,
        ),
    ];
    for (change, leader, leader_epoch, isr, recovering) in cases {
        let (image, changes) = fold(&base, vec![change.clone().into()]);
        let partition = image.topics.partition(at).unwrap();
        assert_eq!(partition.leader, leader, "{change:?}");
        assert_eq!(partition.leader_epoch, leader_epoch, "{change:?}");
        assert_eq!(partition.partition_epoch, 10, "{change:?}");
        assert_eq!(partition.isr, isr, "{change:?}");
        assert_eq!(partition.leader_recovering, recovering, "{change:?}");
        assert_eq!(changes.partitions_changed.len(), 1);
        assert_eq!(changes.partitions_changed[0].at(), at);
    }
    let moved = record::PartitionChange {
        replicas: Some(vec![3]),
        directories: Some(vec![Uuid(700)]),
        adding_replicas: Some(vec![3]),
        ..change()
    };
    let (image, _) = fold(&base, vec![moved.into()]);
    let partition = image.topics.partition(at).unwrap();
    assert_eq!(partition.directory_on(3), Some(Uuid(700)));
    assert_eq!(partition.directory_on(1), None);
    assert_eq!(partition.adding_replicas, [3]);
}

#[test]
fn a_removed_topic_takes_its_configuration_along_and_frees_its_name() {
    let base =
        fold(&one_topic(), vec![config(ResourceKind::TOPIC, "a", "retention.ms", Some("1"))]).0;
    let (gone, changes) = fold(&base, vec![record::RemoveTopic { topic_id: ID }.into()]);
    assert!(gone.topics.is_empty());
    assert_eq!(gone.topics.partition_count(), 0);
    assert!(gone.configs.of_topic("a").is_none());
    assert_eq!(changes.topics_removed.len(), 1);
    assert_eq!(changes.partitions_removed.len(), 1);
    assert_eq!(changes.configs, BTreeSet::from([ConfigResource::topic("a")]));

    let again = Uuid(2000);
    let records = vec![
        record::RemoveTopic { topic_id: ID }.into(),
        topic("a", again),
        partition(again, 0).into(),
    ];
    let (again_image, changes) = fold(&base, records);
    assert_eq!(again_image.topics.id_of("a"), Some(again));
    assert_eq!(changes.topics_removed[0].id, ID);
    assert_eq!(changes.topics_created[0].id, again);
    assert_eq!(base.topics.id_of("a"), Some(ID), "the base image does not change");
}

#[test]
fn what_comes_and_goes_within_one_delta_is_no_change() {
    let records =
        vec![topic("a", ID), partition(ID, 0).into(), record::RemoveTopic { topic_id: ID }.into()];
    let (image, changes) = fold(&Image::default(), records);
    assert!(changes.is_empty());
    assert!(image.is_empty());
}

#[test]
fn partitions_may_come_in_any_order() {
    let mut records = vec![topic("a", ID)];
    records.extend([3, 1, 0, 2].map(|index| partition(ID, index).into()));
    let (image, _) = fold(&Image::default(), records);
    let topic = image.topics.by_name("a").unwrap();
    let indexes: Vec<_> = topic.partitions.iter().map(|p| p.index).collect();
    assert_eq!(indexes, [0, 1, 2, 3]);
    assert_eq!(topic.partition(2).unwrap().index, 2);
    assert!(topic.partition(4).is_none());
    assert!(topic.partition(-1).is_none());
    assert_eq!(image.topics.partition_count(), 4);
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let base = one_topic();
    let broker = record::RegisterBroker { broker_id: 1, broker_epoch: 7, ..Default::default() };
    let base = fold(&base, vec![broker.into()]).0;
    let nowhere = Uuid(9);
    let cases: Vec<(MetadataRecord, ApplyError)> = vec![
        (topic("a", nowhere), ApplyError::TopicExists { name: "a".into(), id: nowhere }),
        (topic("b", ID), ApplyError::TopicExists { name: "b".into(), id: ID }),
        (partition(nowhere, 0).into(), ApplyError::NoTopic(nowhere)),
        (partition(ID, -1).into(), ApplyError::Partition { topic_id: ID, partition: -1 }),
        (record::RemoveTopic { topic_id: nowhere }.into(), ApplyError::NoTopic(nowhere)),
        (
            record::PartitionChange { topic_id: nowhere, ..change() }.into(),
            ApplyError::NoTopic(nowhere),
        ),
        (
            record::PartitionChange { partition_id: 5, ..change() }.into(),
            ApplyError::NoPartition { topic_id: ID, partition: 5 },
        ),
        (
            record::PartitionChange { replicas: Some(vec![1]), ..change() }.into(),
            ApplyError::Partition { topic_id: ID, partition: 0 },
        ),
        (record::FenceBroker { id: 1, epoch: 6 }.into(), ApplyError::NoBroker { id: 1, epoch: 6 }),
        (
            record::UnfenceBroker { id: 2, epoch: 7 }.into(),
            ApplyError::NoBroker { id: 2, epoch: 7 },
        ),
        (record::RemoveAccessControlEntry { id: ID }.into(), ApplyError::NoEntry(ID)),
        (
            record::FeatureLevel { name: "metadata.version".into(), feature_level: 31 }.into(),
            ApplyError::MetadataVersion(31),
        ),
        (record::EndTransaction {}.into(), ApplyError::Transaction),
        (record::AbortTransaction::default().into(), ApplyError::Transaction),
    ];
    for (record, error) in cases {
        assert_eq!(fails(&base, record), error);
    }
    let odd = record::Partition { directories: vec![ID], ..partition(ID, 1) };
    assert_eq!(fails(&base, odd), ApplyError::Partition { topic_id: ID, partition: 1 });
}

#[test]
fn old_partitions_have_unknown_directories() {
    let record = record::Partition { directories: vec![], ..partition(ID, 0) };
    let (image, _) = fold(&Image::default(), vec![topic("a", ID), record.into()]);
    let partition = image.topics.by_name("a").unwrap().partition(0).unwrap();
    assert_eq!(partition.directories, [DIRECTORY_MIGRATING; 2]);
}

#[test]
fn metadata_transactions_count_when_they_end() {
    let mut delta = Delta::new(&Image::default());
    delta.apply(topic("kept", Uuid(1))).unwrap();
    delta.apply(record::BeginTransaction::default().into()).unwrap();
    delta.apply(topic("dropped", Uuid(2))).unwrap();
    assert!(delta.in_transaction());
    delta.apply(record::AbortTransaction::default().into()).unwrap();
    delta.apply(record::BeginTransaction::default().into()).unwrap();
    delta.apply(topic("taken", Uuid(3))).unwrap();
    assert_eq!(
        delta.clone().apply(record::BeginTransaction::default().into()),
        Err(ApplyError::Transaction)
    );
    delta.apply(record::EndTransaction {}.into()).unwrap();
    assert!(!delta.in_transaction());
    let (image, changes) = delta.finish(Provenance::NONE);
    let names: Vec<_> = image.topics.iter().map(|topic| topic.name.to_string()).collect();
    assert_eq!(names, ["kept", "taken"]);
    assert_eq!(changes.topics_created.len(), 2);
}

#[test]
fn brokers_register_change_and_go() {
    let register = record::RegisterBroker {
        broker_id: 1,
        broker_epoch: 7,
        log_dirs: vec![Uuid(500)],
        ..Default::default()
    };
    let (fenced, changes) = fold(&Image::default(), vec![register.into()]);
    assert!(!fenced.cluster.is_active(1));
    assert_eq!(changes.brokers, BTreeSet::from([1]));
    let changes = [
        record::BrokerRegistrationChange { fenced: -1, ..Default::default() },
        record::BrokerRegistrationChange { in_controlled_shutdown: 1, ..Default::default() },
    ];
    let mut image = fenced;
    for (change, active) in changes.into_iter().zip([true, false]) {
        let change = record::BrokerRegistrationChange { broker_id: 1, broker_epoch: 7, ..change };
        image = fold(&image, vec![change.into()]).0;
        assert_eq!(image.cluster.is_active(1), active);
    }
    let gone = record::UnregisterBroker { broker_id: 1, broker_epoch: 7 };
    let (image, changes) = fold(&image, vec![gone.into()]);
    assert!(image.cluster.brokers.is_empty());
    assert_eq!(changes.brokers, BTreeSet::from([1]));
}

#[test]
fn configuration_is_set_and_removed() {
    let set = config(ResourceKind::BROKER, "", "log.retention.ms", Some("5"));
    let (image, changes) = fold(&Image::default(), vec![set.clone()]);
    assert_eq!(image.configs.of(&ConfigResource::broker("")).unwrap()["log.retention.ms"], "5");
    assert!(!changes.is_empty());
    let (same, changes) = fold(&image, vec![set]);
    assert!(same.is_same_state(&image));
    assert_eq!(changes.configs.len(), 1, "set again is to be loaded again");
    let unset = config(ResourceKind::BROKER, "", "log.retention.ms", None);
    let (image, _) = fold(&image, vec![unset.clone(), unset]);
    assert!(image.is_empty());
}

#[test]
fn eligible_leader_replicas_are_cleared_by_topic_or_all() {
    let with_elr = |id, index| record::Partition {
        eligible_leader_replicas: Some(vec![2]),
        ..partition(id, index)
    };
    let other = Uuid(3000);
    let records = vec![
        topic("a", ID),
        topic("b", other),
        with_elr(ID, 0).into(),
        partition(ID, 1).into(),
        with_elr(other, 0).into(),
    ];
    let base = fold(&Image::default(), records).0;
    for (name, cleared) in [("a", vec![ID]), ("", vec![ID, other]), ("c", vec![])] {
        let record = record::ClearElr { topic_name: name.into() };
        let (_, changes) = fold(&base, vec![record.into()]);
        let topics: Vec<_> = changes.partitions_changed.iter().map(|p| p.topic.id).collect();
        assert_eq!(topics, cleared);
        assert!(changes.partitions_changed.iter().all(|p| p.partition.elr.is_empty()));
    }
}

#[test]
fn images_share_what_does_not_change() {
    let mut records = Vec::new();
    for i in 0..1000_u128 {
        records.push(topic(&format!("t{i}"), Uuid(i + 100)));
        records.push(partition(Uuid(i + 100), 0).into());
    }
    let base = fold(&Image::default(), records).0;
    let (next, _) = fold(&base, vec![topic("new", Uuid(5000))]);
    let shared = base
        .topics
        .iter()
        .filter(|topic| next.topics.by_id(topic.id).is_some_and(|other| Arc::ptr_eq(topic, other)));
    assert_eq!(shared.count(), 1000);
    assert!(Arc::ptr_eq(&base.cluster, &next.cluster));
    let names: Vec<_> = next.topics.iter_from("t998").map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["t998", "t999"]);
}

#[test]
fn differences_between_any_images() {
    let old = fold(&one_topic(), vec![topic("gone", Uuid(77)), partition(Uuid(77), 0).into()]).0;
    let records = vec![
        topic("a", ID),
        partition(ID, 0).into(),
        partition(ID, 1).into(),
        topic("b", Uuid(88)),
    ];
    let new = fold(&Image::default(), records).0;
    let changes = Changes::between(&old, &new);
    assert_eq!(changes.topics_created[0].id, Uuid(88));
    assert_eq!(changes.topics_removed[0].id, Uuid(77));
    assert_eq!(changes.partitions_created.len(), 1);
    assert_eq!(changes.partitions_created[0].at(), TopicPartition { topic_id: ID, partition: 1 });
    assert!(changes.partitions_changed.is_empty());
    assert!(Changes::between(&old, &old).is_empty());
}
