//! Reads a ledger's partitions, from where they begin.

use std::collections::BTreeMap;

use millrace::protocol::messages::fetch::{FetchRequest, FetchRequestPartition, FetchRequestTopic};

use super::VerifyError;
use super::cluster::Cluster;
use super::ledger::Ledger;
use super::tally::Tally;
use crate::error;
use crate::wire::ask::AskError;
use crate::wire::cold::End;

/// The last version before flexible encoding.
const FETCH: i16 = 11;
const PARTITION_BYTES: i32 = 1 << 20;
const ANSWER_BYTES: i32 = 16 << 20;
/// An answer may be empty this often in a row although there is more to read.
const EMPTY_MAX: u32 = 100;

/// Where reading stands.
pub struct Reader {
    offsets: BTreeMap<i32, i64>,
}

impl Reader {
    /// One at the begin of every partition.
    pub fn new(ledger: &Ledger) -> Self {
        let starts = ledger.partitions.iter().map(|(id, account)| (*id, account.start_offset));
        Self { offsets: starts.collect() }
    }

    /// Reads a little of what is new; a broker that does not answer is left for the next time.
    pub fn follow(&mut self, cluster: &mut Cluster, ledger: &Ledger, tally: &mut Tally) {
        for (address, partitions) in cluster.led().clone() {
            // The producer notices a broken connection and has it made again.
            self.fetch(cluster, &address, &partitions, 0, (ledger, tally)).ok();
        }
    }

    /// Reads everything up to the ends of the partitions as they are now.
    pub fn read_all(
        &mut self,
        cluster: &mut Cluster,
        ledger: &Ledger,
        tally: &mut Tally,
    ) -> Result<(), VerifyError> {
        let partitions: Vec<i32> = self.offsets.keys().copied().collect();
        for partition in partitions {
            let end = self.ends(cluster, partition, tally)?;
            let mut empty = 0;
            while self.offsets.get(&partition).is_some_and(|offset| *offset < end) {
                let before = self.offsets.get(&partition).copied();
                cluster.insist(|cluster| {
                    let address = leader(cluster, partition)?;
                    self.fetch(cluster, &address, &[partition], 500, (ledger, tally))
                })?;
                empty = if self.offsets.get(&partition).copied() == before { empty + 1 } else { 0 };
                if empty > EMPTY_MAX {
                    return Err(VerifyError::Misfit(format!(
                        "partition {partition} ends at {end}, but nothing can be read at {}",
                        before.unwrap_or(-1)
                    )));
                }
            }
        }
        Ok(())
    }

    /// The end of `partition`; notes how much its start has moved.
    fn ends(
        &self,
        cluster: &mut Cluster,
        partition: i32,
        tally: &mut Tally,
    ) -> Result<i64, AskError> {
        let topic = cluster.topic().to_owned();
        let (start, end) = cluster.insist(|cluster| {
            let address = leader(cluster, partition)?;
            let asker = cluster.asker(&address)?;
            let start = asker.list_offsets(&topic, &[partition], End::Earliest)?;
            let end = asker.list_offsets(&topic, &[partition], End::Latest)?;
            Ok((start.get(&partition).copied(), end.get(&partition).copied()))
        })?;
        let begin = self.offsets.get(&partition).copied().unwrap_or(0);
        tally.deleted += start.unwrap_or(0).saturating_sub(begin).max(0) as u64;
        Ok(end.unwrap_or(0))
    }

    fn fetch(
        &mut self,
        cluster: &mut Cluster,
        address: &str,
        partitions: &[i32],
        wait_ms: i32,
        (ledger, tally): (&Ledger, &mut Tally),
    ) -> Result<(), AskError> {
        let topic = cluster.topic().to_owned();
        let wishes = partitions
            .iter()
            .filter_map(|partition| {
                Some(FetchRequestPartition {
                    partition: *partition,
                    fetch_offset: *self.offsets.get(partition)?,
                    partition_max_bytes: PARTITION_BYTES,
                    ..Default::default()
                })
            })
            .collect();
        let request = FetchRequest {
            max_wait_ms: wait_ms,
            min_bytes: 1,
            max_bytes: ANSWER_BYTES,
            topics: vec![FetchRequestTopic {
                topic: topic.as_str().into(),
                partitions: wishes,
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = cluster.asker(address)?.ask(FETCH, &request)?;
        let refused = |code, partition| AskError::Refused {
            what: format!("fetching partition {partition} of `{topic}`"),
            code,
            detail: String::new(),
        };
        if answer.error_code != 0 {
            return Err(refused(answer.error_code, -1));
        }
        for fetched in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            let Some(offset) = self.offsets.get_mut(&fetched.partition_index) else { continue };
            if fetched.error_code == error::OFFSET_OUT_OF_RANGE
                && fetched.log_start_offset > *offset
            {
                *offset = fetched.log_start_offset; // retention has been there
                continue;
            }
            if fetched.error_code != 0 {
                return Err(refused(fetched.error_code, fetched.partition_index));
            }
            let Some(records) = &fetched.records else { continue };
            let bytes = records.clone().into_bytes();
            tally.read(ledger, fetched.partition_index, &bytes, offset);
        }
        Ok(())
    }
}

fn leader(cluster: &Cluster, partition: i32) -> Result<String, AskError> {
    cluster.leader(partition).ok_or_else(|| AskError::Refused {
        what: format!("partition {partition} of `{}`", cluster.topic()),
        code: error::LEADER_NOT_AVAILABLE,
        detail: String::new(),
    })
}
