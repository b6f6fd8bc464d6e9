//! What stands beside segments, the journal and the metadata log, with some of their bits another one (one of
//! every byte of headers, of companions and of the superblock at least), and cut at every few bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::job::{JobSettings, Jobs};
use millrace_engine::journal::replay::{self, Redo};
use millrace_engine::limits::BLOCK_BYTES;
use millrace_engine::shard::event::{Job, Open};
use millrace_engine::types::{Offset, TopicId, TopicPartition};

use crate::damage::{
    LEADER_EPOCH, Outcome, SEGMENT_BYTES, Written, batch_headers, bits, flipped, image, log_name,
    step, turns,
};
use crate::mini::{ID, LOG_DIR, config, file_bytes, names, open, partition_dir, settings};

/// What a file may be instead: cut at some bytes, or with one of some bits another one.
fn spoiled(
    bytes: &[u8],
    cuts: impl Iterator<Item = usize>,
    bits: Vec<usize>,
) -> impl Iterator<Item = (String, Vec<u8>)> {
    let cuts = cuts.map(|at| (format!("cut at {at}"), bytes[..at].to_vec()));
    let flips = bits.into_iter().map(|bit| (format!("bit {bit}"), flipped(bytes, bit)));
    cuts.chain(flips)
}

/// Indexes, snapshots and checkpoints hold nothing that the log does not: they are made anew.
#[test]
fn companions_at_every_few_positions() {
    let sim = Sim::new(70);
    let env = sim.env(0);
    let test = async move {
        let written = Written::new(&env, 130).await;
        assert!(written.bases.len() > 2, "{:?}", written.bases);
        let is_companion = |name: &str| !name.ends_with(".log") && name != "partition.metadata";
        let names: Vec<String> =
            written.image.keys().filter(|name| is_companion(name)).cloned().collect();
        for kind in [".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint"] {
            assert!(names.iter().any(|name| name.ends_with(kind)), "{kind}");
        }
        let mut is_clean = false;
        for name in &names {
            let bytes = &written.image[name];
            let cuts = (0..bytes.len()).step_by(step(3));
            let all = 0..bytes.len();
            let bits = bits(&env, all.clone(), iter::once(all), (0, step(11)));
            for (how, content) in spoiled(bytes, cuts, bits) {
                is_clean = !is_clean;
                let what = format!("{name} {how}, clean {is_clean}");
                written.lay(name, Some(&content)).await;
                let settings = written.settings(is_clean, written.end);
                let outcome = written.outcome(settings, Vec::new()).await;
                written.check(&outcome, &BTreeSet::new(), &what);
                let Outcome { end, damaged_ranges, lost_end, .. } = outcome;
                assert_eq!((end, damaged_ranges, lost_end), (written.end, 0, None), "{what}");
            }
        }
    };
    sim.run(test).expect("ends");
}

/// An entry of a journal: where its header, its payload and what follows begin, and what it holds.
struct Entry {
    at: usize,
    payload: usize,
    payload_end: usize,
    offsets: BTreeSet<Offset>,
}

/// The journal's file, and redo as it would be read from `bytes`.
fn read_journal(bytes: &[u8]) -> (Vec<Redo>, Vec<u64>) {
    match replay::read_file(&Bytes::copy_from_slice(bytes)) {
        Ok(content) => {
            let damaged = content.damaged.clone();
            (replay::merge(vec![content]).0.remove(&ID).unwrap_or_default(), damaged)
        }
        Err(_) => (Vec::new(), Vec::new()),
    }
}

/// Entries whose bytes no segment has: found by cutting the file after each.
fn entries(whole: &[u8], written: &Written) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen = 0;
    for end in (BLOCK_BYTES..=whole.len()).step_by(BLOCK_BYTES) {
        let (redo, _) = read_journal(&whole[..end]);
        if redo.len() == seen {
            continue;
        }
        let item = &redo[seen];
        let (from, to) = (item.position as usize, item.position as usize + item.bytes.len());
        let mut position = 0;
        let model = written.model.borrow();
        let inside = model.batches.iter().filter(|(_, _, bytes)| {
            position += bytes.len();
            position > from && position <= to
        });
        let offsets = inside.flat_map(|(base, next, _)| *base..*next).collect();
        let at = entries
            .last()
            .map_or(BLOCK_BYTES, |last| last.payload_end.next_multiple_of(BLOCK_BYTES));
        // Records may end with zeros, as what follows a payload does.
        let payload = whole[at..end].windows(item.bytes.len()).position(|part| part == item.bytes);
        let payload = at + payload.unwrap();
        let payload_end = payload + item.bytes.len();
        entries.push(Entry { at, payload, payload_end, offsets });
        seen = redo.len();
    }
    entries
}

/// Bits of a journal that holds what no segment has. Damage to an entry that others follow, and so had been
/// acknowledged, is told; the last one may be a write that was cut short.
#[test]
fn a_journal_at_every_few_positions() {
    let sim = Sim::new(71);
    let env = sim.env(0);
    let test = async move {
        let mut mini = Written::begin(&env, 29).await;
        mini.commit();
        mini.quiet().await;
        let written = Written::of(&mini).await;
        assert_eq!(mini.model.borrow().acked, written.end);
        let log = written.image.get(&log_name(0)).map_or(0, Vec::len);
        assert_eq!((log, written.bases.len()), (0, 1), "only the journal has it");
        let path = {
            let files = names(&env, Path::new(LOG_DIR)).await;
            let mut journals =
                files.into_iter().filter(|name| name.starts_with("millrace-journal"));
            Path::new(LOG_DIR).join(journals.next().unwrap())
        };
        let whole = file_bytes(&env, &path).await;
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let whole = &whole[..used.next_multiple_of(BLOCK_BYTES)];
        let entries = entries(whole, &written);
        assert!(entries.len() >= 4, "{}", entries.len());
        let everything: BTreeSet<Offset> = (0..written.end).collect();
        let headers = entries.iter().map(|entry| entry.at..entry.payload);
        for bit in bits(&env, BLOCK_BYTES..used, headers, (0, step(401))) {
            let what = format!("bit {bit}");
            let (redo, damaged) = read_journal(&flipped(whole, bit));
            written.lay("", None).await;
            let outcome = written.outcome(written.settings(false, 0), redo).await;
            let hit = entries.iter().rposition(|entry| entry.at <= bit / 8).unwrap();
            let (entry, is_last) = (&entries[hit], hit + 1 == entries.len());
            let served: BTreeSet<Offset> = served_offsets(&outcome, &written);
            if served == everything {
                assert!(outcome.refused.is_empty() && damaged.is_empty(), "{what}: padding");
                continue;
            }
            assert!(bit / 8 < entry.payload_end, "{what}: behind the entry nothing counts");
            assert_eq!(damaged.is_empty(), is_last, "{what}: it is told unless it may be torn");
            let first = *entry.offsets.first().unwrap();
            assert!((0..first).all(|offset| served.contains(&offset)), "{what}: what is before it");
            if is_last {
                assert_eq!((outcome.end, outcome.lost_end), (first, None), "{what}");
            } else if outcome.end == written.end {
                // Its header was whole: those behind it are served.
                assert_eq!(outcome.refused, entry.offsets, "{what}");
                assert_eq!(outcome.damaged_ranges, 1, "{what}");
            } else {
                assert_eq!(outcome.end, first, "{what}: entries behind it are not believed");
            }
        }
        // A superblock does not matter to entries that know the life of their file.
        for bit in (0..40 * 8).step_by(step(7)) {
            let (redo, _) = read_journal(&flipped(whole, bit));
            written.lay("", None).await;
            let outcome = written.outcome(written.settings(false, 0), redo).await;
            assert_eq!(
                served_offsets(&outcome, &written),
                everything,
                "bit {bit} of the superblock"
            );
        }
        // A file that ends early: what is whole counts.
        for at in (BLOCK_BYTES..used).step_by(step(397)) {
            let (redo, _) = read_journal(&whole[..at]);
            written.lay("", None).await;
            let outcome = written.outcome(written.settings(false, 0), redo).await;
            let whole = entries.iter().filter(|entry| entry.payload_end <= at);
            let end =
                whole.filter_map(|entry| entry.offsets.last()).max().map_or(0, |last| last + 1);
            assert!(outcome.end >= end && outcome.refused.is_empty(), "cut at {at}: {outcome:?}");
        }
    };
    sim.run(test).expect("ends");
}

fn served_offsets(outcome: &Outcome, written: &Written) -> BTreeSet<Offset> {
    let model = written.model.borrow();
    let served = model.batches.iter().filter(|batch| outcome.served.contains(&batch.0));
    served.flat_map(|batch| batch.0..batch.1).collect()
}

/// A log that is of no use if any of it is missing is opened whole or not at all, and not changed.
#[test]
fn a_metadata_log_at_every_few_positions() {
    turns(3_001).into_iter().for_each(metadata_log);
}

fn metadata_log((begin, step): (usize, usize)) {
    const METADATA: TopicPartition =
        TopicPartition { topic_id: TopicId::METADATA_TOPIC, partition: 0 };
    async fn reopen(env: &SimEnv, was_clean: bool, point: Offset) -> Result<Offset, String> {
        let recovery_points = Arc::new(BTreeMap::from([(METADATA, point)]));
        let settings = JobSettings { recovery_points, ..settings(was_clean) };
        let job = Job::Open(Box::new(Open {
            partition: METADATA,
            topic: Arc::from("__cluster_metadata"),
            dir: partition_dir(),
            config: config(SEGMENT_BYTES),
            leader_epoch: LEADER_EPOCH,
            redo: Vec::new(),
            log_start_offset: None,
            waypoint: None,
        }));
        let opened = open(&Jobs::new(env.clone(), settings), job).await;
        opened.map(|recovered| recovered.active.next_offset).map_err(|failure| {
            assert!(failure.is_damage, "{failure}");
            failure.to_string()
        })
    }
    let sim = Sim::new(72);
    let env = sim.env(0);
    let test = async move {
        let mut written = Written::new(&env, 75).await;
        let metadata = format!("version: 0\ntopic_id: {}", METADATA.topic_id);
        written.image.insert("partition.metadata".to_owned(), metadata.into_bytes());
        let last = *written.bases.last().unwrap();
        for base in written.bases.clone() {
            let (name, whole) = (log_name(base), written.image[&log_name(base)].clone());
            let mut refused = 0;
            let cuts = (begin..whole.len()).step_by(step.min(1_999));
            let headers = batch_headers(&whole).into_iter();
            let bits = bits(&env, 0..whole.len(), headers, (begin, step));
            for (how, content) in spoiled(&whole, cuts, bits) {
                let what = format!("{name} {how}");
                written.lay(&name, Some(&content)).await;
                let before = image(&env).await;
                match reopen(&env, false, written.end).await {
                    // Bits that no checksum covers, or of what a trusted index says is whole: reading
                    // the log checks them.
                    Ok(end) => assert_eq!(end, written.end, "{what}"),
                    Err(reason) => {
                        assert!(reason.contains("Nothing was changed"), "{what}: {reason}");
                        assert!(image(&env).await == before, "{what}: nothing is changed");
                        refused += 1;
                    }
                }
                // A write that was cut short is none of that.
                if base == last && how.starts_with("cut") {
                    let first = *written.hit(base, content.len(), true).first().unwrap();
                    written.lay(&name, Some(&content)).await;
                    assert_eq!(reopen(&env, false, first).await, Ok(first), "{what}");
                }
            }
            assert!(refused > 5 || base != last, "{name}: {refused}");
        }
    };
    sim.run(test).expect("ends");
}
