//! The file `quorum-state`: who led the metadata log last, and in which epoch.
//!
//! One line of JSON as Kafka writes it (`FileQuorumStateStore`): version 0 where the voters are
//! fixed (KIP-595), version 1 where they stand in the log, that is at `kraft.version` 1 (KIP-853).
//! A node that we format has version 0.

use crate::record::control::VoterKey;
use crate::types::{LeaderEpoch, NodeId};

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumState {
    /// Who leads; -1 is nobody.
    pub leader_id: NodeId,
    /// The epoch.
    pub leader_epoch: LeaderEpoch,
    /// Whom this node voted for in the epoch; -1 is nobody.
    pub voted_id: NodeId,
}

/// The file is not what Kafka writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("quorum-state has no readable {0}")]
pub struct QuorumStateError(pub &'static str);

impl QuorumState {
    /// The state of a node that is its own only voter, elected in `leader_epoch`.
    #[must_use]
    pub const fn solo(node_id: NodeId, leader_epoch: LeaderEpoch) -> Self {
        Self { leader_id: node_id, leader_epoch, voted_id: node_id }
    }

    /// The text of the file, where `voter` is the only voter.
    #[must_use]
    pub fn to_text(&self, voter: VoterKey, kraft_version: i16) -> String {
        let Self { leader_id, leader_epoch, voted_id } = self;
        let VoterKey { id, directory_id } = voter;
        if kraft_version > 0 {
            return format!(
                "{{\"leaderId\":{leader_id},\"leaderEpoch\":{leader_epoch},\"votedId\":{voted_id},\
                 \"votedDirectoryId\":\"{directory_id}\",\"data_version\":1}}"
            );
        }
        format!(
            "{{\"clusterId\":\"\",\"leaderId\":{leader_id},\"leaderEpoch\":{leader_epoch},\
             \"votedId\":{voted_id},\"appliedOffset\":0,\
             \"currentVoters\":[{{\"voterId\":{id}}}],\"data_version\":0}}"
        )
    }

    /// What the text of a file says.
    ///
    /// # Errors
    /// [`QuorumStateError`] if a number is missing or the version is not known.
    pub fn parse(text: &str) -> Result<Self, QuorumStateError> {
        let number = |name| integer(text, name).ok_or(QuorumStateError(name));
        if !(0..=1).contains(&number("data_version")?) {
            return Err(QuorumStateError("data_version"));
        }
        Ok(Self {
            leader_id: number("leaderId")?,
            leader_epoch: number("leaderEpoch")?,
            voted_id: number("votedId")?,
        })
    }
}

/// The integer behind a name. Names that we look for stand once and never in a string: the only
/// string is a base64 id.
fn integer(text: &str, name: &str) -> Option<i32> {
    let quoted = format!("\"{name}\"");
    let (_, after) = text.split_once(&quoted)?;
    let after = after.trim_start().strip_prefix(':')?.trim_start();
    let end = after.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(after.len());
    after.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Uuid;

    #[test]
    fn text_round_trips() {
        let state = QuorumState::solo(7, 12);
        let voter = VoterKey { id: 7, directory_id: Uuid::METADATA_TOPIC };
        let text = state.to_text(voter, 0);
        assert_eq!(
            text,
            concat!(
                r#"{"clusterId":"","leaderId":7,"leaderEpoch":12,"votedId":7,"appliedOffset":0,"#,
                r#""currentVoters":[{"voterId":7}],"data_version":0}"#
            )
        );
        assert_eq!(QuorumState::parse(&text), Ok(state));
        let text = state.to_text(voter, 1);
        assert_eq!(
            text,
            concat!(
                r#"{"leaderId":7,"leaderEpoch":12,"votedId":7,"#,
                r#""votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAQ","data_version":1}"#
            )
        );
        assert_eq!(QuorumState::parse(&text), Ok(state));
    }

    #[test]
    fn version_1_is_read_and_rubbish_is_not() {
        let text = concat!(
            r#"{"leaderId":1,"leaderEpoch":3,"votedId":-1,"#,
            r#""votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#
        );
        let state = QuorumState { leader_id: 1, leader_epoch: 3, voted_id: -1 };
        assert_eq!(QuorumState::parse(text), Ok(state));
        for bad in ["", "{}", "{\"leaderId\":1}", "{\"data_version\":2,\"leaderId\":1}"] {
            assert!(QuorumState::parse(bad).is_err(), "{bad}");
        }
        let huge = text.replace(":3", ":99999999999");
        assert_eq!(QuorumState::parse(&huge), Err(QuorumStateError("leaderEpoch")));
    }
}
