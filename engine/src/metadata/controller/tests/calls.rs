//! Topics, partitions, producer ids, registrations, features and elections.

use super::*;
use crate::metadata::controller::call::{FeatureUpdate, MorePartitions, ProducerIdBlock};
use crate::metadata::controller::internal::{self, InternalTopic};
use crate::metadata::loader::Loaded;
use crate::metadata::record::{self, MetadataRecord};
use crate::types::TopicPartition;

/// Each topic is refused with its error, and nothing is written.
fn refuse_all(host: &mut Host, cases: &[(NewTopic, &str)]) {
    for (topic, error) in cases {
        let count = host.values.len();
        assert_eq!(host.create(topic.clone()), Err((*error).to_owned()), "{topic:?}");
        assert_eq!(host.values.len(), count);
    }
}

#[test]
fn topics_that_cannot_be_are_refused_in_kafkas_words() {
    let mut host = Host::new();
    host.create(topic("there", 1, 1)).unwrap();
    host.create(topic("a.b", 1, 1)).unwrap();
    let cases = [
        (topic("there", 1, 1), "TopicExists: Topic 'there' already exists."),
        (topic("a_b", 1, 1), "InvalidTopic: Topic 'a_b' collides with existing topic: a.b"),
        (topic("a.b", 1, 1), "TopicExists: Topic 'a.b' already exists."),
        (topic("", 1, 1), "InvalidTopic: Topic name is invalid: the empty string is not allowed"),
        (
            topic("a/b", 1, 1),
            "InvalidTopic: Topic name is invalid: 'a/b' contains one or more characters other \
            than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (topic("..", 1, 1), "InvalidTopic: Topic name is invalid: '..' is not allowed"),
        (
            topic("__cluster_metadata", 1, 1),
            "InvalidRequest: Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (
            topic("new", 0, 1),
            "InvalidPartitions: Number of partitions was set to an invalid non-positive value.",
        ),
        (
            topic("new", -2, 1),
            "InvalidPartitions: Number of partitions was set to an invalid non-positive value.",
        ),
        (
            topic("new", 1_000_000_000, 1),
            "PolicyViolation: Excessively large number of partitions per request.",
        ),
        (
            topic("new", i32::MAX, 1),
            "PolicyViolation: Excessively large number of partitions per request.",
        ),
        (
            topic("new", 1, 0),
            "InvalidReplicationFactor: Replication factor must be larger than 0, or -1 to use \
            the default value.",
        ),
        (
            topic("new", 1, -2),
            "InvalidReplicationFactor: Replication factor must be larger than 0, or -1 to use \
            the default value.",
        ),
        (
            topic("new", 1, 3),
            "InvalidReplicationFactor: Unable to replicate the partition 3 time(s): The target \
            replication factor of 3 cannot be reached because only 1 broker(s) are registered.",
        ),
    ];
    refuse_all(&mut host, &cases);
}

#[test]
fn assignments_and_configurations_that_cannot_be_are_refused() {
    let mut host = Host::new();
    let manual = |assignments: &[(i32, &[i32])]| NewTopic {
        assignments: assignments.iter().map(|(i, replicas)| (*i, replicas.to_vec())).collect(),
        ..topic("new", -1, -1)
    };
    let cases = [
        (
            NewTopic { partitions: 1, ..manual(&[(0, &[1])]) },
            "InvalidRequest: A manual partition assignment was specified, but numPartitions was \
            not set to -1.",
        ),
        (
            NewTopic { replication_factor: 1, ..manual(&[(0, &[1])]) },
            "InvalidRequest: A manual partition assignment was specified, but replication factor \
            was not set to -1.",
        ),
        (
            manual(&[(0, &[])]),
            "InvalidReplicaAssignment: The manual partition assignment includes an empty replica \
            list.",
        ),
        (
            manual(&[(0, &[2])]),
            "InvalidReplicaAssignment: The manual partition assignment includes broker 2, but no \
            such broker is registered.",
        ),
        (
            manual(&[(0, &[1, 1])]),
            "InvalidReplicaAssignment: The manual partition assignment includes the broker 1 \
            more than once.",
        ),
        (
            manual(&[(1, &[1])]),
            "InvalidReplicaAssignment: partitions should be a consecutive 0-based integer sequence",
        ),
        (
            manual(&[(0, &[1]), (0, &[1])]),
            "InvalidReplicaAssignment: Found multiple manual partition assignments for partition 0",
        ),
        (
            with_configs(topic("new", 1, 1), &[("nonsense", Some("1"))]),
            "InvalidConfig: Unknown topic config name: nonsense",
        ),
        (
            with_configs(topic("new", 1, 1), &[("retention.ms", None), ("segment.ms", None)]),
            "InvalidConfig: Null value not supported for topic configs: retention.ms,segment.ms",
        ),
    ];
    refuse_all(&mut host, &cases);
    assert!(host.create(with_configs(topic("n", 1, 1), &[("retention.ms", Some("x"))])).is_err());
}

#[test]
fn defaults_and_assignments_give_partitions() {
    let mut host = Host::new();
    let created = host.create(topic("defaults", -1, -1)).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (3, 1));
    assert_eq!(host.image.topics.id_of("defaults"), Some(created.topic_id));
    let manual =
        NewTopic { assignments: vec![(1, vec![1]), (0, vec![1])], ..topic("manual", -1, -1) };
    let created = host.create(manual).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (2, 1));
    let partition = host.image.topics.by_name("manual").unwrap().partition(1).unwrap();
    assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (1, 0, 0));
    assert_eq!((&*partition.replicas, &*partition.isr), (&[1][..], &[1][..]));
    assert_eq!(partition.directories, [Uuid(500)]);
    let configs = with_configs(topic("set", 1, 1), &[("cleanup.policy", Some("compact"))]);
    let created = host.create(configs).unwrap();
    assert_eq!(created.configs, config_map(&[("cleanup.policy", "compact")]));
    assert_eq!(**host.image.configs.of_topic("set").unwrap(), created.configs);
}

#[test]
fn each_topic_of_a_call_has_its_own_result() {
    let mut host = Host::new();
    let topics = vec![
        topic("good", 1, 1),
        topic("twice", 1, 1),
        topic("bad", 0, 1),
        topic("twice", 1, 1),
        topic("x.y", 1, 1),
        topic("x_y", 1, 1),
    ];
    let results = host.create_all(topics.clone(), true);
    assert_eq!(host.values.len(), 1, "only the registration is written");
    let again = host.create_all(topics, false);
    let describe_all = |results: &[CreateTopicResult]| -> Vec<String> {
        let one = |r: &CreateTopicResult| match &r.result {
            Ok(_) => format!("{} ok", r.name),
            Err(error) => format!("{} {error}", r.name),
        };
        results.iter().map(one).collect()
    };
    let expected = [
        "good ok",
        "bad Number of partitions was set to an invalid non-positive value.",
        "x.y ok",
        "x_y Topic 'x_y' collides with existing topic: x.y",
        "twice Duplicate topic name.",
    ];
    assert_eq!(describe_all(&results), expected);
    assert_eq!(describe_all(&again), expected);
    assert_eq!(host.values.len(), 2, "one batch for the whole call");
    // A freed name no longer collides.
    host.delete(vec![named("x.y")]);
    host.create(topic("x_y", 1, 1)).unwrap();
}

#[test]
fn too_much_at_once_is_refused_whole() {
    let mut host = Host::new();
    let results = host.create_all(vec![topic("a", 6_000, 1), topic("b", 6_000, 1)], false);
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(|one| matches!(
        &one.result,
        Err(crate::metadata::controller::ControllerError::PolicyViolation(_))
    )));
    host.create(topic("most", 9_999, 1)).unwrap();
    assert_eq!(host.image.topics.partition_count(), 9_999);
}

#[test]
fn topics_are_deleted_by_name_or_id() {
    let mut host = Host::new();
    let ids: Vec<Uuid> =
        ["a", "b", "c"].map(|name| host.create(topic(name, 2, 1)).unwrap().topic_id).to_vec();
    let unknown = "This server does not host this topic";
    let results = host.delete(vec![
        named("a"),
        by_id(ids[0]),
        by_id(ids[1]),
        named("c"),
        named("c"),
        named("nope"),
        by_id(Uuid(77)),
        TopicName::default(),
        TopicName { topic_id: ids[2], ..named("c") },
    ]);
    assert_eq!(
        results,
        [
            "a: ok",
            "-: InvalidRequest: The provided topic id was already supplied by name.",
            "b: ok",
            "c: InvalidRequest: Duplicate topic name.",
            &format!("nope: UnknownTopicOrPartition: {unknown}-partition."),
            &format!("-: UnknownTopicId: {unknown} ID."),
            "-: InvalidRequest: Neither topic name nor id were specified.",
            "c: InvalidRequest: You may not specify both topic name and topic id.",
        ]
    );
    assert_eq!(host.image.topics.len(), 1);

    let mut host =
        Host::unregistered(ControllerSettings { delete_topic_enable: false, ..settings() });
    let results = host.delete(vec![named("a")]);
    assert_eq!(results, ["a: TopicDeletionDisabled: Topic deletion is disabled."]);
}

#[test]
fn partitions_are_added_never_taken() {
    let mut host = Host::new();
    host.create(topic("a", 2, 1)).unwrap();
    let mut more = |count, assignments: Option<Vec<Vec<i32>>>, validate_only| {
        let topics = vec![MorePartitions { name: "a".into(), count, assignments }];
        match host.call(ControllerCall::CreatePartitions { topics, validate_only }) {
            ControllerAnswer::CreatePartitions(mut results) => {
                let result = results.remove(0).1.map_err(|error| describe(&error));
                (result, host.image.topics.partition_count())
            }
            answer => panic!("{answer:?}"),
        }
    };
    let refused = |text: &str| (Err(text.to_owned()), 2);
    assert_eq!(
        more(2, None, false),
        refused("InvalidPartitions: Topic already has 2 partition(s).")
    );
    let smaller =
        "InvalidPartitions: The topic a currently has 2 partition(s); 1 would not be an increase.";
    assert_eq!(more(1, None, false), refused(smaller));
    let smaller = smaller.replace("; 1 ", "; -5 ");
    assert_eq!(more(-5, None, false), refused(&smaller));
    let huge = "PolicyViolation: Excessively large number of partitions per request.";
    assert_eq!(more(1_000_000_000, None, false), refused(huge));
    let few = "InvalidReplicaAssignment: Attempted to add 2 additional partition(s), but only 1 \
    assignment(s) were specified.";
    assert_eq!(more(4, Some(vec![vec![1]]), false), refused(few));
    let other = "InvalidReplicaAssignment: The manual partition assignment includes broker 9, \
    but no such broker is registered.";
    assert_eq!(more(3, Some(vec![vec![9]]), false), refused(other));
    assert_eq!(more(4, None, true), (Ok(()), 2));
    assert_eq!(more(3, Some(vec![vec![1]]), false), (Ok(()), 3));
    assert_eq!(more(5, None, false), (Ok(()), 5));

    let topics = ["a", "a", "b"].map(|name| MorePartitions {
        name: name.into(),
        count: 9,
        assignments: None,
    });
    let call = ControllerCall::CreatePartitions { topics: topics.to_vec(), validate_only: false };
    let ControllerAnswer::CreatePartitions(results) = host.call(call) else { panic!() };
    let results: Vec<_> =
        results.iter().map(|(name, result)| format!("{name}: {result:?}")).collect();
    assert_eq!(results.len(), 2);
    assert!(results[0].contains("Duplicate topic name."), "{results:?}");
    assert!(results[1].contains("UnknownTopicOrPartition"), "{results:?}");
}

#[test]
fn internal_topics_have_kafkas_configuration() {
    let mut host = Host::new();
    let made = InternalTopic {
        partitions: 50,
        replication_factor: 1,
        segment_bytes: 104_857_600,
        min_insync_replicas: 1,
    };
    let created = host.create(internal::consumer_offsets(&made)).unwrap();
    assert_eq!(created.partitions, 50);
    let expected = [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("segment.bytes", "104857600"),
    ];
    assert_eq!(created.configs, config_map(&expected));
    host.create(internal::transaction_state(&made)).unwrap();
    host.create(internal::share_group_state(&made)).unwrap();
}

#[test]
fn producer_ids_come_in_blocks_for_who_is_registered() {
    let mut host = Host::new();
    let epoch = host.image.cluster.broker(1).unwrap().epoch;
    let mut allocate = |broker_id, broker_epoch| match host
        .call(ControllerCall::AllocateProducerIds { broker_id, broker_epoch })
    {
        ControllerAnswer::AllocateProducerIds(result) => result.map_err(|e| describe(&e)),
        answer => panic!("{answer:?}"),
    };
    assert_eq!(allocate(1, epoch), Ok(ProducerIdBlock { first: 0, len: 1000 }));
    assert_eq!(allocate(1, epoch), Ok(ProducerIdBlock { first: 1000, len: 1000 }));
    assert!(allocate(1, epoch + 1).unwrap_err().starts_with("StaleBrokerEpoch"));
    assert!(allocate(2, epoch).unwrap_err().starts_with("BrokerNotRegistered"));
    assert_eq!(host.image.next_producer_id, 2000);
}

#[test]
fn a_broker_registers_and_leads_what_nobody_leads() {
    let mut host = Host::unregistered(settings());
    let fenced = host.create(topic("early", 1, 1)).unwrap_err();
    assert!(fenced.contains("All brokers are currently fenced."), "{fenced}");
    let register = |registration| ControllerCall::RegisterBroker(Box::new(registration));
    let ControllerAnswer::RegisterBroker(Ok(epoch)) = host.call(register(registration(1))) else {
        panic!()
    };
    assert_eq!(epoch, 2, "the offset of the registration");
    assert!(host.image.cluster.is_active(1));
    host.create(topic("a", 4, 1)).unwrap();

    // The same life keeps its epoch, the next one gets another.
    let again = host.call(register(registration(1)));
    assert_eq!(again, ControllerAnswer::RegisterBroker(Ok(epoch)));
    // A Kafka broker that stops leaves its partitions without a leader.
    let topic_id = host.image.topics.id_of("a").unwrap();
    let leaderless = |partition_id| record::PartitionChange {
        partition_id,
        topic_id,
        leader: -1,
        ..record::PartitionChange::default()
    };
    // With eligible leader replicas, it is no longer in sync either (KIP-966).
    let eligible = record::PartitionChange {
        isr: Some(vec![]),
        eligible_leader_replicas: Some(vec![1]),
        last_known_elr: Some(vec![1]),
        ..leaderless(2)
    };
    let elsewhere = record::PartitionChange {
        replicas: Some(vec![7]),
        directories: Some(vec![Uuid(600)]),
        isr: Some(vec![7]),
        ..leaderless(3)
    };
    let mut delta = crate::metadata::apply::Delta::new(&host.image);
    for change in [leaderless(1), eligible, elsewhere] {
        delta.apply(change.into()).unwrap();
    }
    let image = delta.finish(host.image.provenance).0;
    let next = host.controller.next_offset();
    host.controller = Controller::new(settings(), Box::new(Rules), &image, next, 2);
    host.image = image;
    let next_life = Registration { incarnation_id: Uuid(901), ..registration(1) };
    assert_eq!(host.call(register(next_life)), ControllerAnswer::RegisterBroker(Ok(next)));
    let leader = |partition| {
        let at = TopicPartition { topic_id, partition };
        host.image.topics.partition(at).map(|p| (p.leader, p.leader_epoch))
    };
    assert_eq!((leader(0), leader(1)), (Some((1, 0)), Some((1, 2))));
    assert_eq!((leader(2), leader(3)), (Some((1, 2)), Some((-1, 1))));
    let at = TopicPartition { topic_id, partition: 2 };
    let eligible = host.image.topics.partition(at).unwrap();
    assert_eq!(eligible.isr, [1]);
    assert!(eligible.elr.is_empty() && eligible.last_known_elr.is_empty());

    let bad = [
        (Registration { broker_id: -1, ..registration(1) }, "InvalidRegistration"),
        (Registration { log_dirs: vec![], ..registration(1) }, "InvalidRegistration"),
        (Registration { log_dirs: vec![Uuid(500); 2], ..registration(1) }, "InvalidRegistration"),
        (Registration { log_dirs: vec![Uuid(1)], ..registration(1) }, "InvalidRegistration"),
        (Registration { features: vec![], ..registration(1) }, "UnsupportedVersion"),
    ];
    for (registration, variant) in bad {
        match host.call(register(registration)) {
            ControllerAnswer::RegisterBroker(Err(error)) => {
                assert!(describe(&error).starts_with(variant), "{error:?}");
            }
            answer => panic!("{answer:?}"),
        }
    }
}

/// How many partitions of a topic each directory has.
fn in_directories(host: &Host, topic: &str) -> [usize; 2] {
    let topic = host.image.topics.by_name(topic).unwrap();
    [Uuid(500), Uuid(501)].map(|directory| {
        topic.partitions.iter().filter(|partition| partition.directories == [directory]).count()
    })
}

#[test]
fn new_partitions_go_to_the_directory_with_the_fewest() {
    let mut host = Host::new();
    host.create(topic("old", 3, 1)).unwrap();
    let both = vec![Uuid(500), Uuid(501)];
    let two = |moved| Registration { log_dirs: both.clone(), moved, ..registration(1) };
    host.call(ControllerCall::RegisterBroker(Box::new(two(vec![]))));
    host.create(topic("new", 5, 1)).unwrap();
    assert_eq!(in_directories(&host, "old"), [3, 0]);
    assert_eq!(in_directories(&host, "new"), [1, 4]);

    // What was found elsewhere is recorded there, and counts there.
    let topic_id = host.image.topics.id_of("old").unwrap();
    let moved = vec![(TopicPartition { topic_id, partition: 1 }, Uuid(501))];
    host.call(ControllerCall::RegisterBroker(Box::new(two(moved))));
    assert_eq!(in_directories(&host, "old"), [2, 1]);
    let partition = host.image.topics.by_id(topic_id).unwrap().partition(1).unwrap();
    assert_eq!((partition.leader, partition.leader_epoch), (1, 0));
    host.create(topic("next", 2, 1)).unwrap();
    assert_eq!(in_directories(&host, "next"), [2, 0]);

    // A directory that failed gets nothing any more.
    let failed = |directories| ControllerCall::DirectoriesFailed { broker_id: 1, directories };
    assert_eq!(host.call(failed(vec![Uuid(501)])), ControllerAnswer::DirectoriesFailed);
    host.create(topic("last", 4, 1)).unwrap();
    assert_eq!(in_directories(&host, "last"), [4, 0]);
    let next = host.controller.next_offset();
    host.call(failed(vec![Uuid(501)]));
    host.call(failed(vec![Uuid(500), Uuid(501)]));
    assert_eq!(host.controller.next_offset(), next, "nothing changes");
}

#[test]
fn replicas_are_spread_over_brokers() {
    let mut host = Host::new();
    for id in [2, 3] {
        host.call(ControllerCall::RegisterBroker(Box::new(registration(id))));
    }
    let created = host.create(topic("a", 3, 2)).unwrap();
    assert_eq!(created.replication_factor, 2);
    let replicas: Vec<_> = {
        let topic = host.image.topics.by_name("a").unwrap();
        topic.partitions.iter().map(|partition| partition.replicas.clone()).collect()
    };
    assert_eq!(replicas, [[1, 2], [2, 3], [3, 1]]);
    let uneven =
        NewTopic { assignments: vec![(0, vec![1, 2]), (1, vec![3])], ..topic("b", -1, -1) };
    let error = host.create(uneven).unwrap_err();
    assert!(error.contains("not consistent with previous partitions"), "{error}");
    let elect = |partitions| ControllerCall::ElectLeaders { election_type: 0, partitions };
    let ControllerAnswer::ElectLeaders(Ok(results)) = host.call(elect(None)) else { panic!() };
    assert!(results.is_empty());
}

#[test]
fn elections_are_answered() {
    let mut host = Host::new();
    host.create(topic("a", 1, 1)).unwrap();
    let mut elect = |election_type, partitions: Option<Vec<(String, Vec<i32>)>>| match host
        .call(ControllerCall::ElectLeaders { election_type, partitions })
    {
        ControllerAnswer::ElectLeaders(Ok(results)) => results
            .iter()
            .map(|one| one.result.as_ref().map_or_else(describe, |()| "ok".to_owned()))
            .collect(),
        ControllerAnswer::ElectLeaders(Err(error)) => vec![describe(&error)],
        answer => panic!("{answer:?}"),
    };
    let asked = Some(vec![("a".to_owned(), vec![0, 1]), ("b".to_owned(), vec![0])]);
    let expected = [
        "ElectionNotNeeded: Leader election not needed for topic partition.",
        "UnknownTopicOrPartition: No such partition as a-1",
        "UnknownTopicOrPartition: No such topic as b",
    ];
    assert_eq!(elect(0, asked.clone()), expected);
    assert_eq!(elect(1, asked), expected);
    assert_eq!(elect(0, None), Vec::<String>::new());
    assert_eq!(elect(2, None), ["InvalidRequest: Unknown election type 2"]);
}

#[test]
fn features_are_finalized_within_what_is_supported() {
    let mut host = Host::new();
    let mut update = |name: &str, level, upgrade_type| {
        let updates = vec![FeatureUpdate { name: name.into(), level, upgrade_type }];
        match host.call(ControllerCall::UpdateFeatures { updates, validate_only: false }) {
            ControllerAnswer::UpdateFeatures(result) => {
                result.map_err(|error| error.to_string()).err().unwrap_or_default()
            }
            answer => panic!("{answer:?}"),
        }
    };
    let of = |name: &str, level: i16, why: &str| {
        format!("Invalid update version {level} for feature {name}. {why}")
    };
    assert_eq!(update("metadata.version", 30, 1), "");
    let why = "Local controller 1 only supports versions 7-30";
    assert_eq!(update("metadata.version", 31, 1), of("metadata.version", 31, why));
    let why =
        "Refusing to perform the requested downgrade because it might delete metadata information.";
    assert_eq!(update("metadata.version", 29, 2), of("metadata.version", 29, why));
    let why = "Local controller 1 does not support this feature.";
    assert_eq!(update("transaction.version", 2, 1), of("transaction.version", 2, why));
    let why = "The controller does not support the given upgrade type.";
    assert_eq!(update("metadata.version", 30, 0), of("metadata.version", 30, why));
    let why = "A feature version cannot be less than 0.";
    assert_eq!(update("metadata.version", -1, 1), of("metadata.version", -1, why));
    assert_eq!(host.image.features.metadata_version(), 30);
}

#[test]
fn the_log_of_all_calls_folds_into_the_image() {
    let mut host = Host::new();
    host.create(topic("a", 2, 1)).unwrap();
    host.create(with_configs(topic("b", 1, 1), &[("retention.ms", Some("9"))])).unwrap();
    host.delete(vec![named("a")]);
    let Loaded { image, .. } = Loader::new().finish();
    let mut delta = crate::metadata::apply::Delta::new(&image);
    for record in bootstrap::records() {
        delta.apply(record).unwrap();
    }
    for value in host.values.iter().flatten() {
        delta.apply(MetadataRecord::decode(value.clone()).unwrap()).unwrap();
    }
    assert_eq!(delta.finish(host.image.provenance).0, host.image);
}
