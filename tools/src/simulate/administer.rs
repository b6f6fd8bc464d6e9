//! Clients that create, grow, alter, truncate and delete topics, and fetch producer ids.

use std::rc::Rc;

use millrace_engine::limits::JOURNAL_FILE_BYTES;
use millrace_engine::metadata::Image;
use millrace_engine::metadata::controller::call::{
    ConfigChange, CreatedTopic, MorePartitions, NewTopic, ResourceChanges, TopicName,
};
use millrace_engine::metadata::controller::internal::{InternalTopic, consumer_offsets};
use millrace_engine::metadata::controller::name::CONSUMER_OFFSETS;
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};
use millrace_engine::shard::call::{Answer, Call, DeleteRecords, ReadError};
use millrace_engine::types::{NodeId, ProducerId};

use super::ledger::{Existence, TopicIndex};
use super::shrink::Part;
use super::world::{SimClient, Trouble, World, ask, pause};

/// The one broker.
pub const NODE: NodeId = 1;
/// Topics of the workload at a time, at most.
const TOPICS_MAX: u64 = 5;
/// Largest segment of those that are not as large as can be. Bytes.
const SEGMENT_BYTES_MAX: u64 = JOURNAL_FILE_BYTES / 8;
/// What is altered of topics: the engine does not act on it.
const SETTING: &str = "flush.ms";
const TOPIC_KIND: i8 = 2;
const OP_SET: i8 = 0;

/// Asks the controller. None if the disk's trouble explains that there is no answer.
async fn control(
    world: &Rc<World>,
    client: &SimClient,
    call: ControllerCall,
) -> Option<ControllerAnswer> {
    let _asked = world.asking("a question to the controller");
    match client.call(0, Call::Controller(call)).await {
        Answer::Controller(Ok(answer)) => Some(answer),
        Answer::Controller(Err(_)) if client.is_stopping() => None,
        // The metadata log is in the first log directory.
        Answer::Controller(Err(error)) if world.trouble.get() == Trouble::Directory => {
            world.wrong(format!("the controller failed with the second directory: {error}"));
            None
        }
        Answer::Controller(Err(error)) => {
            world.wrong_unless_trouble(|| format!("the controller failed: {error}"));
            None
        }
        other => {
            world.wrong(format!("a controller's call was answered with {other:?}"));
            None
        }
    }
}

/// Changes topics from time to time.
pub async fn administer(world: Rc<World>, client: SimClient) {
    while !client.is_stopping() {
        let live = world.ledger.borrow().places().len() as u64;
        match world.dice.below(10) {
            _ if live == 0 => create(&world, &client).await,
            0..3 => create(&world, &client).await,
            3 => delete(&world, &client).await,
            4 => grow(&world, &client).await,
            5..7 => alter(&world, &client).await,
            7 => truncate(&world, &client).await,
            _ => pause(&client, world.dice.magnitude(5_000_000)).await,
        }
        pause(&client, world.dice.magnitude(30_000_000)).await;
    }
}

/// Creates a topic under a name that none has now, perhaps one that was used before.
pub async fn create(world: &Rc<World>, client: &SimClient) {
    let name = {
        let ledger = world.ledger.borrow();
        let is_free = |name: &String| {
            let gone = Existence::Gone;
            ledger.topics.iter().all(|topic| topic.existence == gone || topic.name != *name)
        };
        let names: Vec<_> = (0..TOPICS_MAX).map(|i| format!("t{i}")).filter(is_free).collect();
        world.dice.pick(&names).cloned()
    };
    let Some(name) = name else { return };
    // A topic that takes all there is would have nothing but segments of a block.
    let is_only = !world.limits.has(Part::Administration);
    let segment = match world.dice.below(5) {
        0 => None,
        _ if is_only => Some(8 * SEGMENT_BYTES_MAX),
        1 => Some(4_096 + world.dice.below(SEGMENT_BYTES_MAX / 50)),
        2 => Some(4_096 + world.dice.below(SEGMENT_BYTES_MAX / 10)),
        _ => Some(world.dice.between(SEGMENT_BYTES_MAX / 8, SEGMENT_BYTES_MAX)),
    };
    let most = segment.unwrap_or(SEGMENT_BYTES_MAX).min(SEGMENT_BYTES_MAX);
    let partitions = i32::try_from(world.dice.between(1, 5)).unwrap_or(1);
    let mut configs = Vec::new();
    if let Some(bytes) = segment {
        configs.push(("internal.segment.bytes".to_owned(), Some(bytes.to_string())));
    }
    if world.dice.percent(50) {
        let delay = world.dice.magnitude(100).to_string();
        configs.push(("file.delete.delay.ms".to_owned(), Some(delay)));
    }
    let new = NewTopic {
        name: name.clone(),
        partitions,
        replication_factor: 1,
        assignments: Vec::new(),
        configs,
    };
    ask_for(world, client, new, partitions, usize::try_from(most).unwrap_or(4096)).await;
}

/// Makes sure that there is a topic for groups.
pub async fn create_offsets(world: &Rc<World>, client: &SimClient) {
    if offsets_topic(world).is_some() {
        return;
    }
    let partitions = 3;
    let topic = InternalTopic {
        partitions,
        replication_factor: 1,
        segment_bytes: 1_048_576,
        min_insync_replicas: 1,
    };
    ask_for(world, client, consumer_offsets(&topic), partitions, 0).await;
}

/// The ledger's place of the topic for groups, once there is one.
pub fn offsets_topic(world: &Rc<World>) -> Option<TopicIndex> {
    let ledger = world.ledger.borrow();
    let is_it = |index: &usize| {
        let topic = ledger.topic(*index);
        topic.name == CONSUMER_OFFSETS && topic.existence == Existence::Live
    };
    (0..ledger.topics.len()).find(is_it)
}

async fn ask_for(
    world: &Rc<World>,
    client: &SimClient,
    new: NewTopic,
    partitions: i32,
    batch_bytes_max: usize,
) {
    let name = new.name.clone();
    let index = world.ledger.borrow_mut().creating(name.clone(), partitions, batch_bytes_max);
    world.tell(|| format!("  creating {name} ({index}) with {partitions} partitions"));
    let call = ControllerCall::CreateTopics { topics: vec![new], validate_only: false };
    let result = match control(world, client, call).await {
        Some(ControllerAnswer::CreateTopics(mut results)) if results.len() == 1 => {
            results.pop().map(|result| result.result)
        }
        Some(other) => return world.wrong(format!("a creation was answered with {other:?}")),
        None => return,
    };
    match result {
        Some(Ok(CreatedTopic { topic_id, partitions: made, .. })) if made == partitions => {
            world.tell(|| format!("  created {name} ({index}): {topic_id}"));
            let mut ledger = world.ledger.borrow_mut();
            let topic = ledger.topic_mut(index);
            topic.id = Some(topic_id);
            topic.existence = Existence::Live;
        }
        other => world.wrong(format!("the creation of {name} was answered with {other:?}")),
    }
    if client.image().topics.by_name(&name).is_none() && world.failure().is_none() {
        world.wrong(format!("{name} was acknowledged, but is not in the image"));
    }
}

/// A topic of the workload that certainly exists.
fn any_topic(world: &Rc<World>) -> Option<TopicIndex> {
    world.any_place().map(|place| place.topic)
}

async fn delete(world: &Rc<World>, client: &SimClient) {
    let Some(index) = any_topic(world) else { return };
    let (name, id) = {
        let mut ledger = world.ledger.borrow_mut();
        let topic = ledger.topic_mut(index);
        topic.existence = Existence::Deleting;
        (topic.name.clone(), topic.id)
    };
    world.tell(|| format!("  deleting {name} ({index})"));
    let topic = match id {
        Some(topic_id) if world.dice.percent(50) => TopicName { name: None, topic_id },
        _ => TopicName { name: Some(name.clone()), ..TopicName::default() },
    };
    let call = ControllerCall::DeleteTopics { topics: vec![topic] };
    match control(world, client, call).await {
        Some(ControllerAnswer::DeleteTopics(results))
            if results.first().is_some_and(|result| result.result.is_ok()) =>
        {
            world.tell(|| format!("  deleted {name} ({index})"));
            world.ledger.borrow_mut().gone(index);
        }
        Some(other) => world.wrong(format!("the deletion of {name} was answered with {other:?}")),
        None => {}
    }
}

async fn grow(world: &Rc<World>, client: &SimClient) {
    let Some(index) = any_topic(world) else { return };
    let (name, count) = {
        let mut ledger = world.ledger.borrow_mut();
        let topic = ledger.topic_mut(index);
        if topic.partitions_asked >= 8 || topic.partitions_asked != topic.partitions {
            return;
        }
        topic.partitions_asked += 1;
        (topic.name.clone(), topic.partitions_asked)
    };
    let more = MorePartitions { name: name.clone(), count, assignments: None };
    let call = ControllerCall::CreatePartitions { topics: vec![more], validate_only: false };
    match control(world, client, call).await {
        Some(ControllerAnswer::CreatePartitions(results))
            if results.first().is_some_and(|(_, result)| result.is_ok()) =>
        {
            let mut ledger = world.ledger.borrow_mut();
            ledger.topic_mut(index).partitions = count;
        }
        Some(other) if is_going(world, index) => {
            world.tell(|| format!("  {name} is going: {other:?}"));
        }
        Some(other) => world.wrong(format!("{name} to {count} partitions: {other:?}")),
        None => {}
    }
}

fn is_going(world: &Rc<World>, index: TopicIndex) -> bool {
    world.ledger.borrow().topic(index).existence != Existence::Live
}

async fn alter(world: &Rc<World>, client: &SimClient) {
    let Some(index) = any_topic(world) else { return };
    let value = i64::try_from(world.dice.below(1 << 40)).unwrap_or_default();
    let name = {
        let mut ledger = world.ledger.borrow_mut();
        let topic = ledger.topic_mut(index);
        topic.settings_asked.push(value);
        topic.name.clone()
    };
    let value_text = Some(value.to_string());
    let change = ConfigChange { name: SETTING.to_owned(), op: OP_SET, value: value_text };
    let changes = ResourceChanges { kind: TOPIC_KIND, name: name.clone(), changes: vec![change] };
    let call =
        ControllerCall::IncrementalAlterConfigs { resources: vec![changes], validate_only: false };
    match control(world, client, call).await {
        Some(ControllerAnswer::AlterConfigs(results))
            if results.first().is_some_and(|result| result.result.is_ok()) =>
        {
            let mut ledger = world.ledger.borrow_mut();
            let topic = ledger.topic_mut(index);
            topic.setting = Some(value);
            topic.settings_asked.clear();
        }
        Some(ControllerAnswer::AlterConfigs(_)) if is_going(world, index) => {}
        Some(other) => world.wrong(format!("{SETTING} of {name}: {other:?}")),
        None => {}
    }
}

/// Deletes records before an offset.
async fn truncate(world: &Rc<World>, client: &SimClient) {
    let Some(place) = world.any_place() else { return };
    let Some(partition) = world.partition(place) else { return };
    let end = world.ledger.borrow().end(place);
    let before = match world.dice.percent(30) {
        // Only the active segment is left.
        true => end,
        false => i64::try_from(world.dice.below(end.unsigned_abs() + 1)).unwrap_or_default(),
    };
    world.ledger.borrow_mut().starting(place, before);
    world.tell(|| format!("  records before {before} of {place:?} go"));
    let wish = DeleteRecords { partition, before };
    match ask(world, client, partition, Call::DeleteRecords(vec![wish])).await {
        Answer::LogStarts(results) => match results.as_slice() {
            [Ok(start)] if *start >= before && *start <= end.max(before) => {}
            [Err(ReadError::NotLeader)] if !world.is_live(place) || client.is_stopping() => {}
            [Ok(start)] if *start <= world.ledger.borrow().start_asked(place) => {}
            other => world.wrong_unless_in_trouble(client, place, || {
                format!("{place:?} before {before}: {other:?}")
            }),
        },
        other => world.wrong(format!("a deletion of records was answered with {other:?}")),
    }
}

/// A producer id that nobody had before.
pub async fn producer_id(world: &Rc<World>, client: &SimClient) -> Option<ProducerId> {
    let broker_epoch = client.image().cluster.broker(NODE).map(|broker| broker.epoch)?;
    let call = ControllerCall::AllocateProducerIds { broker_id: NODE, broker_epoch };
    match control(world, client, call).await? {
        ControllerAnswer::AllocateProducerIds(Ok(block)) => {
            let mut ledger = world.ledger.borrow_mut();
            if block.first < ledger.producer_ids_end || block.len < 1 {
                let end = ledger.producer_ids_end;
                drop(ledger);
                world.wrong(format!("producer ids {block:?} are given out again ({end})"));
                return None;
            }
            ledger.producer_ids_end = block.first + i64::from(block.len);
            Some(block.first)
        }
        other => {
            world.wrong(format!("producer ids were answered with {other:?}"));
            None
        }
    }
}

/// Compares the image with the ledger, after a start.
pub fn verify(world: &Rc<World>, image: &Image) {
    let count = world.ledger.borrow().topics.len();
    for index in 0..count {
        let result = verify_topic(world, image, index);
        world.check(result);
    }
    let ledger = world.ledger.borrow();
    for topic in image.topics.iter() {
        let is_known = ledger.topics.iter().any(|known| known.id == Some(topic.id));
        if !is_known {
            world.wrong(format!(
                "there is a topic {} ({}) that nobody asked for",
                topic.name, topic.id
            ));
        }
    }
}

fn verify_topic(world: &Rc<World>, image: &Image, index: TopicIndex) -> Result<(), String> {
    let mut ledger = world.ledger.borrow_mut();
    let topic = ledger.topic_mut(index);
    let found = match topic.id {
        Some(id) => image.topics.by_id(id),
        // Its id is not known yet; if it was made, nothing else has its name.
        None if topic.existence == Existence::Creating => image.topics.by_name(&topic.name),
        None => None,
    };
    let name = topic.name.clone();
    let Some(found) = found else {
        return match topic.existence {
            Existence::Live => Err(format!("topic {name} ({index}) is LOST")),
            Existence::Creating | Existence::Deleting | Existence::Gone => {
                ledger.gone(index);
                Ok(())
            }
        };
    };
    if topic.existence == Existence::Gone {
        return Err(format!("topic {name} ({index}) was deleted, and is there"));
    }
    let partitions = i32::try_from(found.partitions.len()).unwrap_or(i32::MAX);
    if partitions != topic.partitions && partitions != topic.partitions_asked {
        return Err(format!(
            "topic {name} has {partitions} partitions, not {} or {}",
            topic.partitions, topic.partitions_asked
        ));
    }
    let setting =
        image.configs.of_topic(&name).and_then(|configs| configs.get(SETTING)?.parse().ok());
    let is_asked = setting.is_some_and(|value| topic.settings_asked.contains(&value));
    if setting != topic.setting && !is_asked {
        return Err(format!("{SETTING} of {name} is {setting:?}, not {:?}", topic.setting));
    }
    topic.id = Some(found.id);
    topic.existence = Existence::Live;
    topic.partitions = partitions;
    topic.partitions_asked = partitions;
    topic.setting = setting;
    topic.settings_asked.clear();
    Ok(())
}
