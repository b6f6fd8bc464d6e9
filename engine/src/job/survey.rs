//! What is damaged in a partition's segments, found as recovery finds it, for whoever looks while no broker
//! runs. Nothing is changed.

use std::path::PathBuf;

use super::bounds::REBUILT_INDEX_BYTES_MAX;
use super::damage;
use super::log_state::LogState;
use super::segment_scan::FoundSegment;
use crate::io::File;
use crate::limits::INDEX_INTERVAL_BYTES_MIN;
use crate::log::damage::DamagedRange;
use crate::log::index::IndexRules;
use crate::shard::event::DiskFailure;
use crate::types::Offset;

/// A segment to be looked at.
#[derive(Debug)]
pub struct SegmentFile<F> {
    /// Its base offset.
    pub base_offset: Offset,
    /// Where its `.log` file is.
    pub path: PathBuf,
    /// The same, open.
    pub file: F,
}

/// What was found of one.
#[derive(Debug)]
pub struct SurveyedSegment {
    /// Its base offset.
    pub base_offset: Offset,
    /// Where its content ends.
    pub end: u64,
    /// What cannot be read, in order.
    pub damage: Vec<DamagedRange>,
}

/// Looks at all segments of a partition, oldest first. `gaps` says whether offsets may be missing, and
/// everything before `recovery_point` had been flushed.
///
/// # Errors
/// If a file cannot be read, or segments overlap.
pub async fn survey<F: File>(
    segments: Vec<SegmentFile<F>>,
    gaps: bool,
    recovery_point: Option<Offset>,
) -> Result<Vec<SurveyedSegment>, DiskFailure> {
    let rules = IndexRules {
        interval_bytes: INDEX_INTERVAL_BYTES_MIN,
        file_bytes_max: REBUILT_INDEX_BYTES_MAX,
    };
    let bases: Vec<Offset> = segments.iter().map(|segment| segment.base_offset).collect();
    let mut looked: Vec<FoundSegment<F>> = Vec::new();
    for (i, SegmentFile { base_offset, path, file }) in segments.into_iter().enumerate() {
        if let Some(before) = looked.last_mut().filter(|before| before.next_offset != base_offset) {
            if before.next_offset > base_offset {
                let reason = format!("the segment before it ends at {}", before.next_offset);
                return Err(damage("look at", &path, reason));
            }
            if !gaps || before.end < before.file_bytes {
                before.lose_rest(base_offset);
            }
        }
        let mut found = FoundSegment::new(base_offset, rules, gaps, path, Some(file)).await?;
        let mut state = LogState::offsets_only(base_offset);
        let next = bases.get(i + 1).copied();
        found.complete_over_damage(&[], next, &mut state).await?;
        if next.is_none() {
            found.judge_end(&[], recovery_point, &mut state).await?;
        }
        looked.push(found);
    }
    let surveyed = looked.into_iter().map(|found| SurveyedSegment {
        base_offset: found.base_offset,
        end: found.end,
        damage: found.damage,
    });
    Ok(surveyed.collect())
}
