//! Random calls, against a model that keeps names, counts and values in plain maps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::metadata::changes::Changes;
use crate::metadata::controller::call::{ConfigChange, MorePartitions, ResourceChanges};
use crate::metadata::snapshot::{self, SnapshotId};

#[derive(Debug, Clone)]
enum Step {
    Create(Vec<(u8, i32, bool)>, bool),
    Delete(Vec<u8>),
    Grow(u8, i32, bool),
    Set(u8, Option<i64>),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let create = prop::collection::vec((0..12_u8, -2..6_i32, any::<bool>()), 1..4);
    let step = prop_oneof![
        4 => (create, any::<bool>()).prop_map(|(topics, only)| Step::Create(topics, only)),
        2 => prop::collection::vec(0..12_u8, 1..3).prop_map(Step::Delete),
        2 => (0..12_u8, 0..10_i32, any::<bool>()).prop_map(|(t, n, only)| Step::Grow(t, n, only)),
        3 => (0..12_u8, prop::option::of(-3..100_i64)).prop_map(|(t, v)| Step::Set(t, v)),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..60)
}

/// Some names collide: `t.0` and `t_0`.
fn name(index: u8) -> String {
    let separator = ["-", ".", "_"][usize::from(index % 3)];
    format!("t{separator}{}", index / 3)
}

/// Partitions and `retention.ms` by name.
type Model = BTreeMap<String, (i32, Option<i64>)>;

fn collides(model: &Model, name: &str) -> bool {
    let key = |name: &str| name.replace('.', "_");
    name.contains(['.', '_'])
        && model.keys().any(|other| other.contains(['.', '_']) && key(other) == key(name))
}

fn create(host: &mut Host, model: &mut Model, topics: &[(u8, i32, bool)], validate_only: bool) {
    let new = |(index, partitions, set): &(u8, i32, bool)| {
        let configs: &[_] = if *set { &[("retention.ms", Some("50"))] } else { &[] };
        with_configs(topic(&name(*index), *partitions, 1), configs)
    };
    let results = host.create_all(topics.iter().map(new).collect(), validate_only);
    let mut after = model.clone();
    for (index, partitions, set) in topics {
        let name = name(*index);
        let twice = topics.iter().filter(|(other, _, _)| other == index).count() > 1;
        let fits = !twice
            && (*partitions == -1 || *partitions > 0)
            && !after.contains_key(&name)
            && !collides(&after, &name);
        let result = results.iter().find(|one| one.name == name).unwrap();
        assert_eq!(result.result.is_ok(), fits, "{result:?}");
        if fits {
            let count = if *partitions == -1 { 3 } else { *partitions };
            assert_eq!(result.result.as_ref().unwrap().partitions, count);
            after.insert(name, (count, set.then_some(50)));
        }
    }
    if !validate_only {
        *model = after;
    }
}

fn step(host: &mut Host, model: &mut Model, step: Step) {
    match step {
        Step::Create(topics, validate_only) => create(host, model, &topics, validate_only),
        Step::Delete(indexes) => {
            let results = host.delete(indexes.iter().map(|i| named(&name(*i))).collect());
            let twice = indexes.len() == 2 && indexes[0] == indexes[1];
            assert_eq!(results.len(), if twice { 1 } else { indexes.len() });
            for (index, result) in indexes.iter().zip(results) {
                let deleted = !twice && model.remove(&name(*index)).is_some();
                assert_eq!(result.ends_with(": ok"), deleted, "{result}");
            }
        }
        Step::Grow(index, count, validate_only) => {
            let topics = vec![MorePartitions { name: name(index), count, assignments: None }];
            let call = ControllerCall::CreatePartitions { topics, validate_only };
            let ControllerAnswer::CreatePartitions(results) = host.call(call) else { panic!() };
            let grows = model.get_mut(&name(index)).filter(|(current, _)| *current < count);
            assert_eq!(results[0].1.is_ok(), grows.is_some());
            if let Some((current, _)) = grows.filter(|_| !validate_only) {
                *current = count;
            }
        }
        Step::Set(index, value) => {
            let op = i8::from(value.is_none());
            let text = value.map(|value| value.to_string());
            let change = ConfigChange { name: "retention.ms".into(), op, value: text };
            let resources =
                vec![ResourceChanges { kind: 2, name: name(index), changes: vec![change] }];
            let call = ControllerCall::IncrementalAlterConfigs { resources, validate_only: false };
            let ControllerAnswer::AlterConfigs(results) = host.call(call) else { panic!() };
            let valid = value.is_none_or(|value| value >= -1);
            let known = model.get_mut(&name(index)).filter(|_| valid);
            assert_eq!(results[0].result.is_ok(), known.is_some());
            if let Some((_, current)) = known {
                *current = value;
            }
        }
        Step::Restart => {
            // Through a snapshot and back: the controller goes on as if nothing had been.
            let id = SnapshotId::of(&host.image);
            let bytes = snapshot::write(&host.image, 9).unwrap();
            let read = snapshot::read(id, &bytes, &Image::default()).unwrap();
            assert_eq!(read.image, host.image);
            let next = host.controller.next_offset();
            host.controller = Controller::new(settings(), Box::new(Rules), &read.image, next, 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn random_calls_do_what_a_naive_model_does(steps in steps()) {
        let mut host = Host::new();
        let mut model = Model::new();
        for one in steps {
            let before = host.image.clone();
            step(&mut host, &mut model, one);
            let seen: Model = host.image.topics.iter().map(|topic| {
                let configs = host.image.configs.of_topic(&topic.name);
                let retention = configs.and_then(|map| map.get("retention.ms"));
                let retention = retention.map(|text| text.parse().unwrap());
                (topic.name.to_string(), (topic.partitions.len() as i32, retention))
            }).collect();
            prop_assert_eq!(&seen, &model);
            let count: i32 = model.values().map(|(partitions, _)| partitions).sum();
            prop_assert_eq!(host.image.topics.partition_count(), count as usize);
            // Sanity of the full comparison on what the controller really makes.
            prop_assert!(Changes::between(&before, &before).is_empty());
        }
    }
}
