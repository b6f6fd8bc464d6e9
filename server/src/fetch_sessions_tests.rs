//! Fetch sessions against what KIP-227 says of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use millrace_engine::codec::Records;

use super::*;
use crate::protocol::messages::fetch::{
    FetchRequestForgottenTopic, FetchRequestPartition, FetchRequestTopic,
};

const NOW: Nanos = Nanos(1_000_000_000);
/// Stands for chance.
static NEXT: AtomicU64 = AtomicU64::new(1);

fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest {
    let partitions = partitions
        .iter()
        .map(|&partition| FetchRequestPartition {
            partition,
            partition_max_bytes: 1000,
            ..FetchRequestPartition::default()
        })
        .collect::<Vec<_>>();
    let topic = FetchRequestTopic { topic_id: Uuid(7), partitions, topic: "t".into() };
    let topics = if topic.partitions.is_empty() { vec![] } else { vec![topic] };
    FetchRequest { session_id, session_epoch, topics, ..FetchRequest::default() }
}

fn part(partition: i32, high_watermark: i64, bytes: &'static [u8]) -> Fetched {
    let part = FetchResponsePartition {
        partition_index: partition,
        high_watermark,
        log_start_offset: 0,
        records: Some(Records::from(Bytes::from_static(bytes))),
        ..FetchResponsePartition::default()
    };
    (TopicKey::Id(Uuid(7)), part)
}

fn partitions(context: &FetchContext) -> Vec<i32> {
    context.wanted.iter().map(|wanted| wanted.partition).collect()
}

fn begin(sessions: &mut FetchSessions, now: Nanos, wanted: &[i32]) -> i32 {
    let context = sessions.open(now, 18, &request(0, 0, wanted)).unwrap();
    let mut parts: Vec<_> = wanted.iter().map(|p| part(*p, 5, b"")).collect();
    let id = sessions.finish(now, &context, &mut parts, || NEXT.fetch_add(1, Relaxed) << 33);
    assert_eq!(parts.len(), wanted.len(), "a full answer leaves nothing out");
    id.unwrap()
}

#[test]
fn an_incremental_answer_names_what_changed() {
    let mut sessions = FetchSessions::new(10);
    let id = begin(&mut sessions, NOW, &[0, 1, 2]);
    assert!(id > 0);
    let mut round = |epoch, parts: &[Fetched]| {
        let context = sessions.open(NOW, 18, &request(id, epoch, &[])).unwrap();
        let order = partitions(&context);
        let mut parts = parts.to_vec();
        assert_eq!(sessions.finish(NOW, &context, &mut parts, || 0), Ok(id));
        (order, parts.iter().map(|(_, part)| part.partition_index).collect::<Vec<_>>())
    };
    assert_eq!(
        round(1, &[part(0, 5, b""), part(1, 5, b""), part(2, 5, b"")]),
        (vec![0, 1, 2], vec![])
    );
    assert_eq!(
        round(2, &[part(0, 6, b"x"), part(1, 6, b""), part(2, 5, b"")]),
        (vec![0, 1, 2], vec![0, 1])
    );
    // Partition 0 got records: it is served last now.
    let mut failed = part(1, -1, b"");
    failed.1.error_code = 6;
    assert_eq!(round(3, &[failed.clone()]), (vec![1, 2, 0], vec![1]));
    assert_eq!(round(4, &[failed]), (vec![1, 2, 0], vec![1]));
    // After an error the same watermark as before is news.
    assert_eq!(round(5, &[part(1, 6, b"")]), (vec![1, 2, 0], vec![1]));
}

#[test]
fn requests_change_what_is_fetched() {
    let mut sessions = FetchSessions::new(10);
    let id = begin(&mut sessions, NOW, &[0, 1]);
    let mut add = request(id, 1, &[2]);
    let (topic_id, partitions_) = (Uuid(7), vec![0]);
    let forgotten =
        FetchRequestForgottenTopic { topic_id, partitions: partitions_, topic: "".into() };
    add.forgotten_topics_data = vec![forgotten];
    let context = sessions.open(NOW, 18, &add).unwrap();
    assert_eq!(partitions(&context), [1, 2]);
    assert_eq!(sessions.partition_count, 2);
    // Without partitions the session ends.
    let mut last = request(id, 2, &[]);
    let partitions_ = vec![1, 2];
    last.forgotten_topics_data =
        vec![FetchRequestForgottenTopic { topic_id, partitions: partitions_, topic: "".into() }];
    let context = sessions.open(NOW, 18, &last).unwrap();
    assert_eq!(sessions.finish(NOW, &context, &mut vec![], || 0), Ok(0));
    assert_eq!((sessions.sessions.len(), sessions.partition_count), (0, 0));
}

#[test]
fn errors() {
    let mut sessions = FetchSessions::new(10);
    let id = begin(&mut sessions, NOW, &[0]);
    let mut open = |version, id, epoch| {
        sessions.open(NOW, version, &request(id, epoch, &[])).map(|_| ()).unwrap_err()
    };
    assert_eq!(open(18, id + 1, 1), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(open(18, id, 2), ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(open(12, id, 1), ErrorCode::FetchSessionTopicIdError);
    // A full request ends the session it names.
    sessions.open(NOW, 18, &request(id, -1, &[0])).unwrap();
    let gone = sessions.open(NOW, 18, &request(id, 1, &[])).unwrap_err();
    assert_eq!(gone, ErrorCode::FetchSessionIdNotFound);
    // Of two requests with one epoch the second fails; the first one's answer is still good.
    let id = begin(&mut sessions, NOW, &[0]);
    let first = sessions.open(NOW, 18, &request(id, 1, &[])).unwrap();
    let second = sessions.open(NOW, 18, &request(id, 1, &[])).unwrap_err();
    assert_eq!(second, ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(sessions.finish(NOW, &first, &mut vec![], || 0), Ok(id));
    assert_eq!((next_epoch(i32::MAX), next_epoch(-1), next_epoch(7)), (1, -1, 8));
}

#[test]
fn room_is_made_as_kafka_makes_it() {
    let mut sessions = FetchSessions::new(2);
    let small = begin(&mut sessions, NOW, &[0]);
    let large = begin(&mut sessions, NOW, &[0, 1, 2]);
    assert_eq!(begin(&mut sessions, NOW, &[0, 1]), 0, "both are young and used");
    let later = NOW.plus_ms(EVICTION_MS + 1);
    for id in [small, large] {
        sessions.open(later, 18, &request(id, 1, &[])).unwrap();
    }
    let medium = begin(&mut sessions, later, &[0, 1]);
    assert!(medium > 0);
    assert!(!sessions.sessions.contains_key(&small), "old and smaller");
    let much_later = later.plus_ms(EVICTION_MS + 1);
    sessions.open(much_later, 18, &request(medium, 1, &[])).unwrap();
    assert!(begin(&mut sessions, much_later, &[0]) > 0);
    assert!(!sessions.sessions.contains_key(&large), "long unused");
    assert_eq!(begin(&mut FetchSessions::new(0), NOW, &[0]), 0);
}
