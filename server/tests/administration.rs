//! Every version of the administration APIs against a real broker. What is expected was compared with
//! Apache Kafka 4.3.1's answers, but for what `docs/COMPATIBILITY.md` names.

#![expect(clippy::unwrap_used, reason = "a test fails where its answer is not as expected")]

#[expect(dead_code, reason = "some of it is for the tests of sessions")]
#[path = "session/broker.rs"]
mod broker;

use broker::{Broker, Client};
use millrace::protocol::messages::alter_configs::{
    AlterConfigsRequestConfig, AlterConfigsRequestResource,
};
use millrace::protocol::messages::create_partitions::CreatePartitionsRequestTopic;
use millrace::protocol::messages::create_topics::{
    CreateTopicsRequestConfig, CreateTopicsRequestTopic,
};
use millrace::protocol::messages::delete_records::{
    DeleteRecordsRequestPartition, DeleteRecordsRequestTopic,
};
use millrace::protocol::messages::delete_topics::DeleteTopicsRequestTopic;
use millrace::protocol::messages::describe_configs::DescribeConfigsRequestResource;
use millrace::protocol::messages::describe_log_dirs::DescribeLogDirsRequestTopic;
use millrace::protocol::messages::describe_producers::DescribeProducersRequestTopic;
use millrace::protocol::messages::describe_quorum::{
    DescribeQuorumRequestPartition, DescribeQuorumRequestTopic,
};
use millrace::protocol::messages::elect_leaders::ElectLeadersRequestTopic;
use millrace::protocol::messages::incremental_alter_configs::{
    IncrementalAlterConfigsRequestConfig, IncrementalAlterConfigsRequestResource,
};
use millrace::protocol::messages::update_features::UpdateFeaturesRequestFeatureUpdate;
use millrace::protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeConfigsRequest, DescribeLogDirsRequest, DescribeProducersRequest,
    DescribeQuorumRequest, ElectLeadersRequest, FindCoordinatorRequest,
    IncrementalAlterConfigsRequest, ListConfigResourcesRequest, ListPartitionReassignmentsRequest,
    UpdateFeaturesRequest,
};
use millrace_engine::types::TopicId;

fn start(name: &str) -> (Broker, Client) {
    let broker = Broker::start(name, &["millrace.shards=2"]);
    let client = broker.connect();
    (broker, client)
}

fn new_topic(name: &str, partitions: i32, replicas: i16) -> CreateTopicsRequestTopic {
    let config =
        CreateTopicsRequestConfig { name: "retention.ms".into(), value: Some("12345".into()) };
    CreateTopicsRequestTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: replicas,
        configs: vec![config],
        ..CreateTopicsRequestTopic::default()
    }
}

fn create(client: &mut Client, name: &str, partitions: i32) -> TopicId {
    let topics = vec![new_topic(name, partitions, 1)];
    let created = client.ask(&CreateTopicsRequest { topics, ..Default::default() }, 7);
    assert_eq!(created.topics[0].error_code, 0);
    created.topics[0].topic_id
}

#[test]
fn topics_are_created_extended_and_deleted_in_every_version() {
    let (_broker, mut client) = start("administration-topics");
    for version in 2..=7 {
        let name = format!("topic{version}");
        let mut request = CreateTopicsRequest {
            topics: vec![
                new_topic(&name, 2, 1),
                new_topic("a/b", 1, 1),
                new_topic("more", 1, 3),
                new_topic("none", 0, 1),
                new_topic("__cluster_metadata", 1, 1),
            ],
            validate_only: true,
            ..CreateTopicsRequest::default()
        };
        for (validate_only, expected) in [(true, 0), (false, 0), (false, 36)] {
            request.validate_only = validate_only;
            let answer = client.ask(&request, version);
            let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
            assert_eq!(codes, [expected, 17, 38, 37, 42]);
            let created = &answer.topics[0];
            assert_eq!(created.error_message.is_none(), expected == 0);
            if expected == 0 && version >= 5 {
                assert_eq!((created.num_partitions, created.replication_factor), (2, 1));
                let configs = created.configs.as_ref().unwrap();
                let own = configs.iter().find(|config| &*config.name == "retention.ms").unwrap();
                assert_eq!((own.value.as_deref(), own.config_source), (Some("12345"), 1));
            }
            assert_eq!(created.topic_id.is_zero(), version < 7 || expected != 0);
        }
        let topics = vec![new_topic("twice", 1, 1), new_topic("twice", 1, 1)];
        let twice = client.ask(&CreateTopicsRequest { topics, ..Default::default() }, version);
        assert_eq!((twice.topics.len(), twice.topics[0].error_code), (1, 42));
    }
    let more = |name: &str, count| CreatePartitionsRequestTopic {
        name: name.into(),
        count,
        ..CreatePartitionsRequestTopic::default()
    };
    for version in 0..=3 {
        let count = 3 + i32::from(version);
        let topics = vec![more("topic7", count), more("absent", 3)];
        let request = CreatePartitionsRequest { topics, ..CreatePartitionsRequest::default() };
        for expected in [[0, 3], [37, 3]] {
            let results = client.ask(&request, version).results;
            assert_eq!(results.iter().map(|one| one.error_code).collect::<Vec<_>>(), expected);
        }
    }
    let name = |version: i16| format!("topic{}", version + 1).into();
    for version in 1..=5 {
        let topic_names = vec![name(version), "absent".into()];
        let answer =
            client.ask(&DeleteTopicsRequest { topic_names, ..Default::default() }, version);
        let codes: Vec<i16> = answer.responses.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, 3], "version {version}");
    }
}

#[test]
fn topics_are_deleted_by_id() {
    let (_broker, mut client) = start("administration-ids");
    let id = create(&mut client, "orders", 1);
    let other = TopicId::from_bytes([3; 16]);
    let topics = [(None, id), (Some("absent"), TopicId::ZERO), (None, other), (Some("a"), other)];
    let topics = topics
        .map(|(name, topic_id)| DeleteTopicsRequestTopic { name: name.map(Into::into), topic_id });
    let answer =
        client.ask(&DeleteTopicsRequest { topics: topics.to_vec(), ..Default::default() }, 6);
    let codes: Vec<i16> = answer.responses.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [0, 3, 100, 42]);
    assert_eq!(answer.responses[0].name.as_deref(), Some("orders"));
}

#[test]
fn settings_are_described_in_every_version() {
    let (_broker, mut client) = start("administration-settings");
    create(&mut client, "orders", 1);
    let resource = |(kind, name, keys): (i8, &str, Option<&str>)| DescribeConfigsRequestResource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: keys.map(|key| vec![key.into()]),
    };
    let asked = [
        (2, "orders", None),
        (4, "1", Some("num.partitions")),
        (4, "", None),
        (4, "7", None),
        (4, "x", None),
        (2, "absent", None),
        (2, "a/b", None),
        (8, "1", None),
        (8, "", None),
        (16, "m", None),
        (32, "g", None),
    ];
    for version in 1..=4 {
        let request = DescribeConfigsRequest {
            resources: asked.into_iter().map(resource).collect(),
            include_synonyms: true,
            include_documentation: true,
        };
        let results = client.ask(&request, version).results;
        let codes: Vec<i16> = results.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [0, 0, 0, 42, 42, 3, 17, 0, 42, 0, 0]);
        let topic = &results[0].configs;
        let own = topic.iter().find(|config| &*config.name == "retention.ms").unwrap();
        assert_eq!((own.value.as_deref(), own.config_source), (Some("12345"), 1));
        assert!(topic.len() > 30 && !own.synonyms.is_empty());
        let [partitions] = &results[1].configs[..] else { panic!("only one was asked for") };
        assert_eq!((partitions.value.as_deref(), partitions.read_only), (Some("1"), true));
        assert_eq!(partitions.config_type, if version < 3 { 0 } else { 3 });
        assert_eq!(partitions.documentation.is_some(), version >= 3);
        let resources = vec![resource((3, "orders", None)), resource((2, "orders", None))];
        let refused = client.ask(&DescribeConfigsRequest { resources, ..request }, version).results;
        assert!(refused.iter().all(|result| result.error_code == 42), "{refused:?}");
    }
    let resources = vec![resource((2, "orders", None))];
    let plain = DescribeConfigsRequest { resources, ..DescribeConfigsRequest::default() };
    let plain = client.ask(&plain, 4).results;
    assert!(plain[0].configs.iter().all(|config| config.synonyms.is_empty()));
    assert!(plain[0].configs.iter().all(|config| config.documentation.is_none()));
}

#[test]
fn settings_of_topics_are_changed_and_others_refused_in_every_version() {
    let (_broker, mut client) = start("administration-changes");
    create(&mut client, "orders", 1);
    let asked = [
        (2, "orders", "segment.ms", 0),
        (4, "1", "log.retention.ms", 42),
        (8, "1", "kafka", 42),
        (16, "m", "interval.ms", 42),
        (32, "g", "consumer.session.timeout.ms", 42),
        (2, "absent", "segment.ms", 3),
        (2, "orders2", "no.such", 40),
    ];
    create(&mut client, "orders2", 1);
    let expected: Vec<i16> = asked.iter().map(|(.., code)| *code).collect();
    for version in 0..=1 {
        let resources = asked.iter().map(|(kind, name, key, _)| {
            let config = IncrementalAlterConfigsRequestConfig {
                name: (*key).into(),
                config_operation: 0,
                value: Some((70_000 + i32::from(version)).to_string().into()),
            };
            IncrementalAlterConfigsRequestResource {
                resource_type: *kind,
                resource_name: (*name).into(),
                configs: vec![config],
            }
        });
        let resources = resources.collect();
        let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
        let answer = client.ask(&request, version).responses;
        assert_eq!(answer.iter().map(|one| one.error_code).collect::<Vec<_>>(), expected);
        assert!(answer.iter().all(|one| one.error_message.is_some() == (one.error_code != 0)));
    }
    for version in 0..=2 {
        let resources = asked.iter().map(|(kind, name, key, _)| AlterConfigsRequestResource {
            resource_type: *kind,
            resource_name: (*name).into(),
            configs: vec![AlterConfigsRequestConfig {
                name: (*key).into(),
                value: Some("80000".into()),
            }],
        });
        let request = AlterConfigsRequest { resources: resources.collect(), validate_only: false };
        let answer = client.ask(&request, version).responses;
        assert_eq!(answer.iter().map(|one| one.error_code).collect::<Vec<_>>(), expected);
    }
    let resource = DescribeConfigsRequestResource {
        resource_type: 2,
        resource_name: "orders".into(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let configs = client.ask(&request, 4).results.remove(0).configs;
    let own: Vec<_> = configs.iter().filter(|config| config.config_source == 1).collect();
    let own: Vec<_> = own.iter().map(|config| (&*config.name, config.value.as_deref())).collect();
    assert_eq!(own, [("segment.ms", Some("80000"))], "the whole was replaced");
}

#[test]
fn partitions_are_measured_and_emptied_in_every_version() {
    let (_broker, mut client) = start("administration-partitions");
    create(&mut client, "orders", 2);
    let find = FindCoordinatorRequest { key: "g".into(), ..FindCoordinatorRequest::default() };
    assert_eq!(client.ask(&find, 0).error_code, 0);
    for version in 1..=5 {
        let all = client.ask(&DescribeLogDirsRequest { topics: None }, version).results;
        let [dir] = &all[..] else { panic!("there is one directory") };
        assert!(dir.topics.iter().any(|topic| &*topic.name == "orders"));
        assert!(dir.log_dir.starts_with('/') && dir.topics.len() == 2);
        assert_eq!(dir.total_bytes > 0 && dir.usable_bytes > 0, version >= 4);
        let topic =
            DescribeLogDirsRequestTopic { topic: "orders".into(), partitions: vec![1, 99, 1] };
        let some = client.ask(&DescribeLogDirsRequest { topics: Some(vec![topic]) }, version);
        let partitions = &some.results[0].topics[0].partitions;
        assert_eq!((partitions.len(), partitions[0].partition_index), (1, 1));
    }
    let wish = |partition_index, offset| DeleteRecordsRequestPartition { partition_index, offset };
    let topic =
        |name: &str, partitions| DeleteRecordsRequestTopic { name: name.into(), partitions };
    for version in 0..=2 {
        let topics = vec![
            topic("orders", vec![wish(0, -1), wish(1, 100), wish(55, 0)]),
            topic("__consumer_offsets", vec![wish(0, 0)]),
            topic("absent", vec![wish(0, 0)]),
        ];
        let request = DeleteRecordsRequest { topics, timeout_ms: 100 };
        let answer = client.ask(&request, version).topics;
        let partitions = answer.iter().flat_map(|topic| &topic.partitions);
        let told: Vec<_> = partitions.map(|one| (one.error_code, one.low_watermark)).collect();
        assert_eq!(told, [(0, 0), (1, -1), (3, -1), (17, -1), (3, -1)]);
    }
    let topics = [("orders", vec![0, 99]), ("a/b", vec![0])];
    let topics = topics.map(|(name, partition_indexes)| DescribeProducersRequestTopic {
        name: name.into(),
        partition_indexes,
    });
    let answer = client.ask(&DescribeProducersRequest { topics: topics.to_vec() }, 0).topics;
    let partitions = answer.iter().flat_map(|topic| &topic.partitions);
    assert_eq!(partitions.map(|one| one.error_code).collect::<Vec<_>>(), [0, 3, 17]);
}

#[test]
fn the_cluster_is_asked_in_every_version() {
    let (_broker, mut client) = start("administration-cluster");
    create(&mut client, "orders", 1);
    let quorum = |name: &str| DescribeQuorumRequest {
        topics: vec![DescribeQuorumRequestTopic {
            topic_name: name.into(),
            partitions: vec![DescribeQuorumRequestPartition { partition_index: 0 }],
        }],
    };
    for version in 0..=2 {
        let answer = client.ask(&quorum("__cluster_metadata"), version);
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id), (0, 1));
        let voter = &partition.current_voters[0];
        assert!(0 < partition.high_watermark && partition.high_watermark <= voter.log_end_offset);
        assert_eq!(answer.nodes.len(), usize::from(version >= 2));
        let unknown = client.ask(&quorum("orders"), version);
        assert_eq!(unknown.topics[0].partitions[0].error_code, 3);
    }
    for version in 0..=2 {
        let topic = ElectLeadersRequestTopic { topic: "orders".into(), partitions: vec![0, 99] };
        let mut request = ElectLeadersRequest { topic_partitions: None, ..Default::default() };
        assert_eq!(client.ask(&request, version).replica_election_results, []);
        request.topic_partitions = Some(vec![topic]);
        let partitions = client.ask(&request, version).replica_election_results.remove(0);
        let codes = partitions.partition_result.iter().map(|one| one.error_code);
        assert_eq!(codes.collect::<Vec<_>>(), [84, 3]);
        if version >= 1 {
            request.election_type = 9;
            assert_eq!(client.ask(&request, version).error_code, 42);
        }
    }
    for version in 0..=2 {
        let update = |level| UpdateFeaturesRequest {
            feature_updates: vec![UpdateFeaturesRequestFeatureUpdate {
                feature: "metadata.version".into(),
                max_version_level: level,
                ..UpdateFeaturesRequestFeatureUpdate::default()
            }],
            ..UpdateFeaturesRequest::default()
        };
        let good = client.ask(&update(30), version);
        assert_eq!((good.error_code, good.results.len()), (0, usize::from(version <= 1)));
        let bad = client.ask(&update(99), version);
        assert_eq!((bad.error_code, bad.error_message.is_some()), (95, true));
    }
    let moving = ListPartitionReassignmentsRequest { topics: None, ..Default::default() };
    assert_eq!(client.ask(&moving, 0).topics, []);
    let resources = |kinds: &[i8]| ListConfigResourcesRequest { resource_types: kinds.to_vec() };
    assert_eq!(client.ask(&resources(&[]), 0).config_resources, []);
    let all = client.ask(&resources(&[]), 1).config_resources;
    let all: Vec<_> = all.iter().map(|one| (one.resource_type, &*one.resource_name)).collect();
    assert_eq!(all, [(8, "1"), (4, "1"), (2, "orders")]);
    assert_eq!(client.ask(&resources(&[2]), 1).config_resources.len(), 1);
    assert_eq!(client.ask(&resources(&[99]), 1).error_code, 35);
}
