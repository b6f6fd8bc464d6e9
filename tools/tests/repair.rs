//! `repair` on a log directory that is made here and damaged: what it says, what it changes, what it keeps.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod made;

use std::collections::BTreeMap;
use std::fs;

use made::{Made, SEGMENT_BATCHES, SEGMENT_RECORDS, name_of};
use millrace_engine::boot::lock::DirLock;
use millrace_engine::job::checkpoints::{RECOVERY_POINTS_BY_ID, format_recovery_points};
use millrace_engine::log::files::FileKind;
use millrace_engine::types::TopicPartition;
use millrace_tools::repair::{Summary, repair};
use millrace_tools::verify::verify;

fn repaired(made: &Made, is_accepted: bool) -> (Summary, String) {
    let mut out = Vec::new();
    let summary = repair(&made.path, is_accepted, &mut out).unwrap();
    (summary, String::from_utf8(out).unwrap())
}

/// Every file of the partition.
fn files(made: &Made) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(made.partition()).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn flush_up_to(made: &Made, offset: i64) {
    let id = TopicPartition { topic_id: made::TOPIC_ID, partition: 0 };
    made.write(RECOVERY_POINTS_BY_ID, format_recovery_points([(id, offset)]).as_bytes());
}

fn is_good(made: &Made) -> bool {
    verify(&made.path, true, &mut Vec::new()).unwrap().is_good()
}

#[test]
fn a_whole_directory_is_left_alone() {
    let made = Made::new();
    let before = files(&made);
    let (summary, text) = repaired(&made, true);
    assert_eq!(summary, Summary::default());
    assert!(text.contains("nothing is damaged"), "{text}");
    assert_eq!(files(&made), before);
}

#[test]
fn damage_in_a_closed_segment_is_given_up_only_when_that_is_said() {
    let made = Made::new();
    made.write("millrace-waypoints-0", b"of before");
    let has_waypoints = || made.path.join("millrace-waypoints-0").exists();
    let mut log = made.read_log(0);
    let size = log.len() / SEGMENT_BATCHES as usize;
    // The second and the fourth batch.
    log[size + 70] ^= 1;
    log[3 * size + 70] ^= 1;
    made.write_log(0, &log);
    let before = files(&made);
    let (summary, text) = repaired(&made, false);
    assert_eq!(summary, Summary { damaged: 2, repaired: 0 });
    let range = format!("offsets 4 to 7 at positions {size} to {} are damaged", 2 * size);
    assert!(text.contains(&range), "{text}");
    assert!(text.contains("nothing was changed") && text.contains("--accept-loss"), "{text}");
    assert_eq!(files(&made), before);
    assert!(has_waypoints());
    let (summary, text) = repaired(&made, true);
    assert_eq!(summary, Summary { damaged: 2, repaired: 2 }, "{text}");
    assert!(!has_waypoints(), "they are of the log that was");
    let after = files(&made);
    for (kind, name) in [(FileKind::Log, "log"), (FileKind::OffsetIndex, "index")] {
        let (kept, was) = (format!("{}.damaged", name_of(0, kind)), &before[&name_of(0, kind)]);
        assert_eq!(&after[&kept], was, "{name}");
        assert!(text.contains(&kept), "{text}");
    }
    assert_eq!(after[&name_of(0, FileKind::Log)].len(), 3 * size + 2 * 61);
    assert!(is_good(&made), "offsets follow each other again");
    assert_eq!(repaired(&made, true).0, Summary::default());
}

/// Its offsets are not given away a second time.
#[test]
fn a_lost_end_is_given_up() {
    let made = Made::new();
    let log = made.read_log(SEGMENT_RECORDS);
    let size = log.len() / SEGMENT_BATCHES as usize;
    flush_up_to(&made, 2 * SEGMENT_RECORDS);
    made.write_log(SEGMENT_RECORDS, &log[..4 * size - 10]);
    made.unclean();
    let (summary, text) = repaired(&made, false);
    assert_eq!(summary, Summary { damaged: 1, repaired: 0 }, "{text}");
    assert!(text.contains("offsets 32 to 39"), "{text}");
    assert_eq!(repaired(&made, true).0, Summary { damaged: 1, repaired: 1 });
    assert!(is_good(&made));
    // Without a word of its having been flushed it is a write that was cut short.
    let torn = Made::new();
    torn.write_log(SEGMENT_RECORDS, &log[..4 * size - 10]);
    torn.unclean();
    assert_eq!(repaired(&torn, true).0, Summary::default());
}

#[test]
fn what_the_journals_may_still_bring_back_is_left_alone() {
    let made = Made::new();
    let mut log = made.read_log(SEGMENT_RECORDS);
    let size = log.len() / SEGMENT_BATCHES as usize;
    made.write_journal(size as u64, &log[size..2 * size]);
    log[size + 70] ^= 1;
    made.write_log(SEGMENT_RECORDS, &log);
    flush_up_to(&made, 2 * SEGMENT_RECORDS);
    made.unclean();
    let before = files(&made);
    let (summary, text) = repaired(&made, true);
    assert_eq!(summary, Summary { damaged: 1, repaired: 0 }, "{text}");
    assert!(text.contains("Start the broker and stop it once"), "{text}");
    assert_eq!(files(&made), before);
}

/// The lock belongs to the process: another one is needed to find it taken.
#[test]
fn a_directory_in_use_is_refused() {
    let made = Made::new();
    let _lock = DirLock::take(&made.path).unwrap();
    let program = env!("CARGO_BIN_EXE_millrace-tools");
    let run = std::process::Command::new(program).arg("repair").arg(&made.path).output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(told.contains("in use by another broker"), "{told}");
}
