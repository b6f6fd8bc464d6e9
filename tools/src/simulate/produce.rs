//! Clients that append: plainly and idempotently.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use millrace_engine::io::Env;
use millrace_engine::limits::JOURNAL_FILE_BYTES;
use millrace_engine::partition::AppendError;
use millrace_engine::partition::producers::ProducerError;
use millrace_engine::shard::call::{Acks, Answer, Append, AppendItem, Appended, Call};
use millrace_engine::types::TopicPartition;

use super::batch::{self, BatchId};
use super::ledger::Place;
use super::read;
use super::streams::{IN_FLIGHT_MAX, ProducerIndex};
use super::world::{SimClient, Trouble, World, pause};

type Results = Vec<Result<Appended, AppendError>>;

/// A batch that is on its way.
#[derive(Debug, Clone)]
struct Sent {
    id: BatchId,
    place: Place,
    /// Why it may not be acknowledged: before it was sent, a write or a flush of a file had failed that
    /// it might go to.
    failure_before: Option<String>,
}

fn append(items: Vec<AppendItem>, acks: Acks) -> Call {
    Call::Append(Append { items, acks, zstd_allowed: true })
}

/// Sizes as clients have them: mostly small, some large.
fn size(world: &Rc<World>, place: Place) -> (i32, usize) {
    let most = world.ledger.borrow().topic(place.topic).batch_bytes_max;
    let records = if world.dice.percent(70) { 1 } else { world.dice.magnitude(30) };
    let bytes = match world.dice.below(100) {
        0..80 => world.dice.magnitude(1_000),
        80..97 => world.dice.magnitude(JOURNAL_FILE_BYTES / 280),
        _ => world.dice.magnitude(JOURNAL_FILE_BYTES / 20),
    };
    let records = i32::try_from(records).unwrap_or(1);
    let overhead = 80 + 16 * records.unsigned_abs() as usize;
    (records, usize::try_from(bytes).unwrap_or(1).min(most.saturating_sub(overhead)))
}

/// Why what is sent to a partition now may not be acknowledged any more, if so.
fn failure_before(world: &World, client: &SimClient, place: Place) -> Option<String> {
    let shard = client.owner(world.partition(place)?);
    let ledger = world.ledger.borrow();
    let dir = format!("{}-{}", ledger.topic(place.topic).name, place.partition);
    let journal = format!("millrace-journal-{shard}-");
    let is_its_own = |path: &PathBuf| {
        let parent = path.parent().and_then(Path::file_name).is_some_and(|parent| *parent == *dir);
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        parent && file.ends_with(".log") && ledger.is_first_of_name(place.topic)
            || file.starts_with(&journal) && !file.ends_with(".tmp")
    };
    let failed = client.env().failed_files().into_iter().find(is_its_own)?;
    Some(format!("a write or flush of {} had failed", failed.display()))
}

/// Plain appends, some of them to several partitions at once, several under way.
pub async fn plainly(world: Rc<World>, client: SimClient) {
    while !client.is_stopping() {
        let Some(first) =
            world.any_place().and_then(|place| Some((place, world.partition(place)?)))
        else {
            pause(&client, 300_000).await;
            continue;
        };
        let shard = client.owner(first.1);
        let mut places = vec![first];
        while world.dice.percent(20)
            && let Some(place) = world.any_place()
            && let Some(partition) = world.partition(place)
        {
            if client.owner(partition) == shard {
                places.push((place, partition));
            }
        }
        for _ in 0..world.dice.magnitude(8) {
            send_plainly(&world, &client, &places);
        }
        pause(&client, world.dice.magnitude(3_000_000)).await;
    }
}

fn send_plainly(world: &Rc<World>, client: &SimClient, places: &[(Place, TopicPartition)]) {
    let acks = if world.dice.percent(10) { Acks::None } else { Acks::All };
    let Some((_, partition)) = places.first() else { return };
    let shard = client.owner(*partition);
    let mut items = Vec::new();
    let mut sent = Vec::new();
    for &(place, partition) in places.iter().filter(|(place, _)| world.is_live(*place)) {
        let (records, bytes) = size(world, place);
        let failure_before = failure_before(world, client, place);
        let mut ledger = world.ledger.borrow_mut();
        let id = ledger.next_batch();
        let records_of = batch::build(id, records, bytes, client.env().wall_ms(), None);
        ledger.sending(id, place, records, records_of.clone(), false);
        sent.push(Sent { id, place, failure_before });
        items.push(AppendItem { partition, records: records_of });
    }
    if items.is_empty() {
        return;
    }
    let pending = client.call(shard, append(items, acks));
    let (world, client) = (Rc::clone(world), client.clone());
    client.env().clone().spawn(async move {
        let asked = world.asking("an append");
        let results = results(&world, pending.await);
        drop(asked);
        if acks == Acks::None {
            // Nothing is promised; only a refusal says something.
            return;
        }
        world.check(match sent.len() == results.len() {
            true => Ok(()),
            false => Err(format!("{} items were answered with {results:?}", sent.len())),
        });
        for (sent, result) in sent.into_iter().zip(results) {
            take_plain_result(&world, &client, sent, result).await;
        }
    });
}

fn results(world: &Rc<World>, answer: Answer) -> Results {
    match answer {
        Answer::Appended { results, .. } => results,
        other => {
            world.wrong(format!("an append was answered with {other:?}"));
            Vec::new()
        }
    }
}

async fn take_plain_result(
    world: &Rc<World>,
    client: &SimClient,
    sent: Sent,
    result: Result<Appended, AppendError>,
) {
    match result {
        Ok(appended) => {
            take_ack(world, &sent, appended);
            if world.dice.percent(25) {
                read::own(world, client, sent.place, appended.base_offset).await;
            }
        }
        Err(error) => note_refusal(world, client, &sent, &error),
    }
}

fn take_ack(world: &Rc<World>, sent: &Sent, appended: Appended) {
    let is_failing = matches!(world.trouble.get(), Trouble::Failing | Trouble::Directory);
    if let Some(why) = sent.failure_before.as_ref().filter(|_| is_failing) {
        world
            .wrong(format!("batch {} {:?} was acknowledged, before it {why}", sent.id, sent.place));
    }
    world.tell(|| format!("  acked {} {:?} at {}", sent.id, sent.place, appended.base_offset));
    let result = world.ledger.borrow_mut().acked(sent.id, appended.base_offset);
    world.check(result);
}

/// An append was refused: is that right?
fn note_refusal(world: &Rc<World>, client: &SimClient, sent: &Sent, error: &AppendError) {
    world.tell(|| format!("  refused {} {:?}: {error}", sent.id, sent.place));
    match error {
        AppendError::Storage => {
            world.wrong_unless_in_trouble(client, sent.place, || {
                format!("batch {} {:?}: {error}", sent.id, sent.place)
            });
        }
        AppendError::NotLeader => {
            if world.is_live(sent.place) && !client.is_stopping() {
                world.wrong_unless_in_trouble(client, sent.place, || {
                    format!("batch {} {:?}: {error}", sent.id, sent.place)
                });
            }
            world.ledger.borrow_mut().refused(sent.id);
        }
        other => world.wrong(format!("batch {} was refused: {other}", sent.id)),
    }
}

/// An idempotent producer: up to five batches under way to a partition; what fails is sent again, in
/// order, until it is acknowledged.
pub async fn idempotently(world: Rc<World>, client: SimClient, producer: ProducerIndex) {
    while !client.is_stopping() {
        let broken = world.ledger.borrow().streams.broken(producer);
        for place in broken {
            mend(&world, &client, producer, place).await;
        }
        let Some(place) = world.any_place() else {
            pause(&client, 300_000).await;
            continue;
        };
        for _ in 0..world.dice.magnitude(10) {
            let is_ready = world.is_live(place) && {
                let mut ledger = world.ledger.borrow_mut();
                let stream = ledger.streams.stream(producer, place);
                !stream.is_broken && stream.unacked.len() < IN_FLIGHT_MAX
            };
            if !is_ready || client.is_stopping() {
                break;
            }
            send_next(&world, &client, producer, place);
            if world.dice.percent(50) {
                pause(&client, world.dice.magnitude(1_000_000)).await;
            }
        }
        pause(&client, world.dice.magnitude(3_000_000)).await;
    }
}

fn send_next(world: &Rc<World>, client: &SimClient, producer: ProducerIndex, place: Place) {
    let Some(partition) = world.partition(place) else { return };
    let (records, bytes) = size(world, place);
    let shard = client.owner(partition);
    let (id, built) = {
        let mut ledger = world.ledger.borrow_mut();
        let id = ledger.next_batch();
        let (producer_id, epoch) = {
            let producer = &ledger.streams.producers[producer];
            (producer.id, producer.epoch)
        };
        let stream = ledger.streams.stream(producer, place);
        let sequence = stream.next_sequence;
        stream.next_sequence += records;
        stream.unacked.push_back(id);
        stream.in_flight += 1;
        let now = client.env().wall_ms();
        let built = batch::build(id, records, bytes, now, Some((producer_id, epoch, sequence)));
        ledger.sending(id, place, records, built.clone(), true);
        (id, built)
    };
    let sent = Sent { id, place, failure_before: failure_before(world, client, place) };
    let items = vec![AppendItem { partition, records: built }];
    let pending = client.call(shard, append(items, Acks::All));
    let (world, client) = (Rc::clone(world), client.clone());
    client.env().clone().spawn(async move {
        let asked = world.asking("an idempotent append");
        let mut results = results(&world, pending.await);
        drop(asked);
        let Some(result) = results.pop() else { return };
        if world.partition(place).is_none() {
            return;
        }
        let is_broken = {
            let mut ledger = world.ledger.borrow_mut();
            let stream = ledger.streams.stream(producer, place);
            stream.in_flight -= stream.in_flight.min(1);
            stream.is_broken |= result.is_err();
            stream.is_broken
        };
        match result {
            Ok(appended) => {
                take_ack(&world, &sent, appended);
                world.ledger.borrow_mut().streams.acked(producer, place, id);
            }
            // Behind a batch that failed the sequence has a gap.
            Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. })) if is_broken => {
                let is_first = {
                    let mut ledger = world.ledger.borrow_mut();
                    ledger.streams.stream(producer, place).unacked.front() == Some(&id)
                };
                if is_first && world.is_live(place) {
                    world.wrong(format!("batch {id} {place:?} follows on, and was refused"));
                }
            }
            Err(error) => {
                // It is sent again, so it is not refused for good.
                if error != AppendError::NotLeader || world.is_live(place) {
                    note_failure(&world, &client, &sent, &error);
                }
            }
        }
    });
}

/// Like [`note_refusal`], of a batch that will be sent again.
fn note_failure(world: &Rc<World>, client: &SimClient, sent: &Sent, error: &AppendError) {
    if *error == AppendError::NotLeader && client.is_stopping() {
        return;
    }
    if *error == AppendError::NotLeader {
        world.wrong_unless_in_trouble(client, sent.place, || {
            format!("batch {} {:?}: {error}", sent.id, sent.place)
        });
        return;
    }
    note_refusal(world, client, sent, error);
}

/// Sends again what is not acknowledged, one after the other.
async fn mend(world: &Rc<World>, client: &SimClient, producer: ProducerIndex, place: Place) {
    loop {
        let (first, in_flight) = {
            let mut ledger = world.ledger.borrow_mut();
            let stream = ledger.streams.stream(producer, place);
            (stream.unacked.front().copied(), stream.in_flight)
        };
        if client.is_stopping() || !world.is_live(place) {
            return;
        }
        if in_flight > 0 {
            pause(client, 500_000).await;
            continue;
        }
        let Some(id) = first else { break };
        let Some(built) = world.ledger.borrow().sent(id) else { return };
        let Some(partition) = world.partition(place) else { return };
        let sent = Sent { id, place, failure_before: failure_before(world, client, place) };
        world.tell(|| format!("  again {id} {place:?}"));
        match send_again(world, client, partition, built).await {
            Some(Ok(appended)) => {
                take_ack(world, &sent, appended);
                world.ledger.borrow_mut().streams.acked(producer, place, id);
            }
            Some(Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. })))
                if is_behind_known(world, producer, place, id) =>
            {
                // A snapshot holds only a producer's last batch (so does Kafka's): that this one is
                // in the log is known by other means.
                world.ledger.borrow_mut().streams.acked(producer, place, id);
            }
            Some(Err(error)) => {
                if !world.is_live(place) || client.is_stopping() {
                    return;
                }
                note_failure(world, client, &sent, &error);
                pause(client, 200_000_000).await;
            }
            None => return,
        }
        if world.failure().is_some() {
            return;
        }
    }
    world.ledger.borrow_mut().streams.stream(producer, place).is_broken = false;
}

async fn send_again(
    world: &Rc<World>,
    client: &SimClient,
    partition: TopicPartition,
    records: Bytes,
) -> Option<Result<Appended, AppendError>> {
    let call = append(vec![AppendItem { partition, records }], Acks::All);
    let _asked = world.asking("an append that is sent again");
    let answer = client.call(client.owner(partition), call).await;
    results(world, answer).pop()
}

/// Whether a batch stands in the log, and a later one of its producer too.
fn is_behind_known(world: &Rc<World>, producer: ProducerIndex, place: Place, id: BatchId) -> bool {
    let mut ledger = world.ledger.borrow_mut();
    let stream = ledger.streams.stream(producer, place);
    let last = stream.last_acked;
    let later: Vec<_> = stream.unacked.iter().copied().collect();
    let is_known = |id: BatchId| ledger.offset_of(id).is_some();
    let is_later = |later: BatchId| later > id && is_known(later);
    is_known(id) && later.into_iter().chain(last).any(is_later)
}

/// Sends the last batch of a partition that is acknowledged already: it must be recognised.
pub async fn double(world: &Rc<World>, client: &SimClient, place: Place, id: BatchId) {
    let (Some(partition), Some(built), Some(offset)) = (
        world.partition(place),
        world.ledger.borrow().sent(id),
        world.ledger.borrow().offset_of(id),
    ) else {
        return;
    };
    if offset < world.ledger.borrow().start_asked(place) {
        return;
    }
    match send_again(world, client, partition, built).await {
        Some(Ok(appended)) if appended.base_offset == offset => {}
        Some(Err(AppendError::Storage | AppendError::NotLeader))
            if world.is_in_trouble(client, partition) => {}
        other => world.wrong(format!(
            "batch {id} {place:?} stands at {offset}; sent again it was answered with {other:?}"
        )),
    }
}
