//! Clients that read, and the reading of whole partitions.

use std::rc::Rc;

use bytes::Bytes;
use millrace_engine::io::Env;
use millrace_engine::shard::call::{
    Answer, Call, Isolation, OffsetQuery, OffsetWish, Read, ReadError, ReadItem, ReadPart, Watch,
};
use millrace_engine::types::{LeaderEpoch, Nanos, Offset, TopicPartition};

use super::batch::{Found, take_apart};
use super::ledger::Place;
use super::world::{SimClient, World, ask, pause};

/// Reads of all kinds, at the end, at the start, in the middle.
pub async fn wander(world: Rc<World>, client: SimClient) {
    while !client.is_stopping() {
        if let Some(place) = world.any_place()
            && let Some(partition) = world.partition(place)
        {
            let end = world.ledger.borrow().end(place);
            let offset = match world.dice.below(4) {
                0 => end,
                1 => world.ledger.borrow().start_asked(place),
                _ => i64::try_from(world.dice.below(end.unsigned_abs() + 1)).unwrap_or(end),
            };
            if offset == end {
                watch(&world, &client, partition, end).await;
            }
            let bytes_max = usize::try_from(world.dice.magnitude(500_000)).unwrap_or(1);
            follow(&world, &client, place, offset, bytes_max).await;
            if world.dice.percent(20) {
                ends(&world, &client, place).await;
            }
            if world.dice.percent(20) {
                of_another_epoch(&world, &client, place, offset).await;
            }
        }
        pause(&client, world.dice.magnitude(10_000_000)).await;
    }
}

/// Waits for more.
async fn watch(world: &Rc<World>, client: &SimClient, partition: TopicPartition, seen: Offset) {
    let deadline = Nanos(client.env().now().0 + world.dice.magnitude(20_000_000));
    let items = vec![(partition, seen)];
    let watch = Watch { items, isolation: Isolation::Uncommitted, deadline };
    match ask(world, client, partition, Call::Watch(watch)).await {
        Answer::Watched => {}
        other => world.wrong(format!("a watch was answered with {other:?}")),
    }
}

/// Reads a few times from an offset on.
async fn follow(
    world: &Rc<World>,
    client: &SimClient,
    place: Place,
    mut offset: Offset,
    bytes_max: usize,
) {
    for _ in 0..world.dice.magnitude(4) {
        if client.is_stopping() {
            return;
        }
        match once(world, client, place, offset, bytes_max).await {
            Some(next) if next > offset => offset = next,
            _ => return,
        }
    }
}

/// Reads what was just acknowledged.
pub async fn own(world: &Rc<World>, client: &SimClient, place: Place, offset: Offset) {
    if let Some(next) = once(world, client, place, offset, 1).await
        && next <= offset
        && world.is_live(place)
    {
        world.wrong(format!("{place:?}: nothing stands at {offset}, which was acknowledged"));
    }
}

/// One read; gives the offset behind what was found. None if there is no telling.
async fn once(
    world: &Rc<World>,
    client: &SimClient,
    place: Place,
    offset: Offset,
    bytes_max: usize,
) -> Option<Offset> {
    let end = world.ledger.borrow().end(place);
    match read(world, client, place, offset, bytes_max).await? {
        Ok(part) => {
            if part.high_watermark < end {
                let high_watermark = part.high_watermark;
                world.wrong(format!("{place:?}: high watermark {high_watermark}, acked to {end}"));
            }
            take_up(world, place, offset, &part)
        }
        Err(ReadError::OutOfRange { log_start_offset, log_end_offset }) => {
            let asked = world.ledger.borrow().start_asked(place);
            if offset >= asked && offset <= end {
                world.wrong(format!(
                    "{place:?}: {offset} is not in {log_start_offset} to {log_end_offset}"
                ));
            }
            None
        }
        Err(ReadError::NotLeader) if !world.is_live(place) || client.is_stopping() => None,
        Err(error) => {
            world.wrong_unless_in_trouble(client, place, || {
                format!("{place:?}: a read at {offset} failed: {error}")
            });
            None
        }
    }
}

async fn read(
    world: &Rc<World>,
    client: &SimClient,
    place: Place,
    offset: Offset,
    bytes_max: usize,
) -> Option<Result<ReadPart, ReadError>> {
    let partition = world.partition(place)?;
    let leader_epoch = match world.dice.percent(50) {
        true => known_epoch(client, partition).unwrap_or(-1),
        false => -1,
    };
    let item = ReadItem { partition, offset, bytes_max, leader_epoch, last_fetched_epoch: -1 };
    read_item(world, client, item).await
}

/// The leader epoch that a client learns.
fn known_epoch(client: &SimClient, partition: TopicPartition) -> Option<LeaderEpoch> {
    client.image().topics.partition(partition).map(|partition| partition.leader_epoch)
}

/// A reader that knows another leader epoch than the partition's, or comes with records of one, gets
/// nothing.
async fn of_another_epoch(world: &Rc<World>, client: &SimClient, place: Place, offset: Offset) {
    let Some(partition) = world.partition(place) else { return };
    let Some(epoch) = known_epoch(client, partition) else { return };
    let other = if world.dice.percent(50) { epoch + 1 } else { epoch - 1 };
    let (leader_epoch, last_fetched_epoch) = match world.dice.percent(50) {
        true if other >= 0 => (other, -1),
        _ => (epoch, epoch + 1),
    };
    let item = ReadItem { partition, offset, bytes_max: 1, leader_epoch, last_fetched_epoch };
    match read_item(world, client, item.clone()).await {
        Some(Ok(part)) if leader_epoch != epoch || part.diverging.is_none() => {
            world.wrong(format!("{place:?} in epoch {epoch}: {item:?} was answered with {part:?}"));
        }
        Some(Ok(part)) if part.bytes > 0 => {
            world.wrong(format!("{place:?}: records came with {:?}", part.diverging));
        }
        Some(Err(ReadError::FencedEpoch)) if leader_epoch >= epoch || leader_epoch < 0 => {
            world.wrong(format!("{place:?} in epoch {epoch}: {item:?} was fenced"));
        }
        _ => {}
    }
}

async fn read_item(
    world: &Rc<World>,
    client: &SimClient,
    item: ReadItem,
) -> Option<Result<ReadPart, ReadError>> {
    let (partition, bytes_max) = (item.partition, item.bytes_max);
    let isolation =
        if world.dice.percent(50) { Isolation::Committed } else { Isolation::Uncommitted };
    let call = Call::Read(Read { items: vec![item], bytes_max, isolation });
    match ask(world, client, partition, call).await {
        Answer::Read(mut parts) if parts.len() == 1 => parts.pop(),
        other => {
            world.wrong(format!("a read was answered with {other:?}"));
            None
        }
    }
}

/// Compares what was read with what is known. Gives the offset behind it.
fn take_up(world: &Rc<World>, place: Place, offset: Offset, part: &ReadPart) -> Option<Offset> {
    let bytes = joined(&part.records);
    let (found, rest) = match take_apart(&bytes) {
        Ok(taken) => taken,
        Err(error) => {
            world.wrong(format!("{place:?} at {offset}: {error}"));
            return None;
        }
    };
    if found.is_empty() && (!rest.is_empty() || offset < part.high_watermark) {
        world.wrong(format!("{place:?}: no whole batch at {offset}, below the high watermark"));
    }
    let mut at = offset;
    for (index, one) in found.iter().enumerate() {
        let follows = one.base_offset == at || (index == 0 && one.base_offset < at);
        if !follows || one.next_offset <= at || one.next_offset > part.high_watermark {
            world.wrong(format!(
                "{place:?}: read at {offset}, batch {} to {} where {at} follows (high watermark {})",
                one.base_offset, one.next_offset, part.high_watermark
            ));
        }
        at = one.next_offset;
        if world.is_live(place) {
            see(world, place, one);
        }
    }
    Some(at)
}

fn see(world: &Rc<World>, place: Place, found: &Found<'_>) {
    let result = world.ledger.borrow_mut().seen(place, found);
    world.check(result);
}

fn joined(records: &[Bytes]) -> Vec<u8> {
    records.concat()
}

/// Asks for both ends of a partition.
async fn ends(world: &Rc<World>, client: &SimClient, place: Place) {
    let Some(partition) = world.partition(place) else { return };
    let before = world.ledger.borrow().end(place);
    let isolation = Isolation::Uncommitted;
    let query = |wish| OffsetQuery { partition, wish, leader_epoch: -1, isolation };
    let queries = vec![query(OffsetWish::Earliest), query(OffsetWish::Latest)];
    match ask(world, client, partition, Call::Offsets(queries)).await {
        Answer::Offsets(found) => match found.as_slice() {
            [Ok(first), Ok(last)] => {
                let asked = world.ledger.borrow().start_asked(place);
                if first.offset > asked || last.offset < before {
                    let (first, last) = (first.offset, last.offset);
                    world.wrong(format!(
                        "{place:?}: from {first} to {last}, where {asked} and {before} are known"
                    ));
                }
            }
            other => {
                if world.is_live(place) && !client.is_stopping() {
                    world.wrong_unless_in_trouble(client, place, || {
                        format!("{place:?}: offsets: {other:?}")
                    });
                }
            }
        },
        other => world.wrong(format!("offset queries were answered with {other:?}")),
    }
}

/// Reads a whole partition, after a start, before anything is appended, and compares it with the
/// ledger.
pub async fn scan(world: &Rc<World>, client: &SimClient, place: Place) {
    let mut offset = 0;
    let mut start = None;
    let mut bases = Vec::new();
    let end = loop {
        let bytes_max = usize::try_from(world.dice.magnitude(2_000_000)).unwrap_or(1);
        let part = match read(world, client, place, offset, bytes_max).await {
            Some(Ok(part)) => part,
            Some(Err(ReadError::OutOfRange { log_start_offset, .. }))
                if offset < log_start_offset =>
            {
                offset = log_start_offset;
                continue;
            }
            Some(Err(error)) => {
                world.wrong_unless_in_trouble(client, place, || {
                    format!("{place:?} at {offset}: {error}")
                });
                return;
            }
            None => return,
        };
        let first = *start.get_or_insert(part.log_start_offset);
        let bytes = joined(&part.records);
        if let Ok((found, _)) = take_apart(&bytes) {
            let follows = |found: &Found<'_>| {
                found.base_offset == offset || (offset == first && found.base_offset < offset)
            };
            if let Some(found) = found.first().filter(|found| !follows(found)) {
                world.wrong(format!("{place:?}: {} stands at {offset}", found.base_offset));
                return;
            }
            bases.extend(found.iter().map(|found| found.base_offset));
        }
        let next = take_up(world, place, offset, &part);
        match next {
            Some(next) if next > offset => offset = next,
            Some(_) => break part.high_watermark,
            None => return,
        }
    };
    let start = start.unwrap_or_default();
    world.tell(|| format!("  scanned {place:?}: {start} to {end}, {} batches", bases.len()));
    let result = world.ledger.borrow_mut().scanned(place, start, end, &bases);
    world.check(result);
    size(world, client, place, end).await;
}

/// After a start the log ends where readers see its end.
async fn size(world: &Rc<World>, client: &SimClient, place: Place, end: Offset) {
    let Some(partition) = world.partition(place) else { return };
    match ask(world, client, partition, Call::Sizes(vec![partition])).await {
        Answer::Sizes(sizes) => {
            let log_end = sizes.first().copied().flatten().map(|size| size.log_end_offset);
            if log_end != Some(end) {
                world.wrong(format!("{place:?}: log end {log_end:?}, high watermark {end}"));
            }
        }
        other => world.wrong(format!("sizes were answered with {other:?}")),
    }
}
