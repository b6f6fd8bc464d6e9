//! A member of a classic group.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::group::call::JoinCall;
use crate::group::{DescribedMember, MemberId};
use crate::machine::Token;

/// What a member can do, best first: protocol name and the member's metadata for it.
pub(in crate::group) type Protocols = Vec<(String, Bytes)>;

/// A member of a classic group.
#[derive(Debug, Clone)]
pub(in crate::group) struct Member {
    /// Its id.
    pub(in crate::group) id: MemberId,
    /// KIP-345: the id of a static member.
    pub(in crate::group) instance_id: Option<Arc<str>>,
    /// The client's id.
    pub(in crate::group) client_id: String,
    /// The client's address.
    pub(in crate::group) client_host: String,
    /// How long it may take to join again; not negative.
    pub(in crate::group) rebalance_timeout_ms: i32,
    /// How long it is kept without a heartbeat; not negative.
    pub(in crate::group) session_timeout_ms: i32,
    /// What it can do; names are distinct.
    pub(in crate::group) protocols: Protocols,
    /// What the leader gave it.
    pub(in crate::group) assignment: Bytes,
    /// Who waits for the end of the join phase.
    pub(super) joining: Option<Token>,
    /// Who waits for the assignment.
    pub(super) syncing: Option<Token>,
    /// It has never completed a join: holding a join does not keep it alive for ever.
    pub(super) is_new: bool,
}

impl Member {
    /// A member that joins for the first time, with its join held under `token`.
    pub(super) fn joining(
        id: MemberId,
        call: &JoinCall,
        protocols: Protocols,
        token: Token,
    ) -> Self {
        Self {
            id,
            instance_id: call.instance_id.as_deref().map(Arc::from),
            client_id: call.client_id.clone(),
            client_host: call.client_host.clone(),
            rebalance_timeout_ms: call.rebalance_timeout_ms.max(0),
            session_timeout_ms: call.session_timeout_ms.max(0),
            protocols,
            assignment: Bytes::new(),
            joining: Some(token),
            syncing: None,
            is_new: true,
        }
    }

    /// Whether its identity survives a restart of the client.
    pub(super) fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    /// Whether a held call shows that the client is there, although it sends no heartbeats.
    pub(super) fn is_held(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    /// Its metadata for `protocol`; empty if it does not support that.
    pub(in crate::group) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// How it is described; metadata only for the protocol of a stable group.
    pub(super) fn describe(&self, protocol: Option<&str>) -> DescribedMember {
        DescribedMember {
            member_id: self.id.to_string(),
            instance_id: self.instance_id.as_deref().map(str::to_owned),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }
}

/// The protocols of a call as they are kept: the first of each name, and copied, for a slice would
/// keep the whole request in memory as long as the member lives.
pub(super) fn kept_protocols(protocols: &[(String, Bytes)]) -> Protocols {
    let mut seen = BTreeSet::new();
    let first = protocols.iter().filter(|(name, _)| seen.insert(name.as_str()));
    first.map(|(name, metadata)| (name.clone(), Bytes::copy_from_slice(metadata))).collect()
}

/// A new member's id: client id (or the instance id of a static member), a dash and a random UUID in
/// its usual text form.
pub(super) fn member_id(call: &JoinCall) -> MemberId {
    let prefix = call.instance_id.as_deref().unwrap_or(&call.client_id);
    let bits = (call.random & !(0xf_u128 << 76) & !(0x3_u128 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let parts =
        [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    format!("{prefix}-{}", parts.join("-")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_ids_are_prefix_and_uuid() {
        let mut call =
            JoinCall { client_id: "app".into(), random: u128::MAX, ..JoinCall::default() };
        assert_eq!(&*member_id(&call), "app-ffffffff-ffff-4fff-bfff-ffffffffffff");
        call.instance_id = Some("i1".into());
        call.random = 0;
        assert_eq!(&*member_id(&call), "i1-00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn protocol_names_are_kept_once() {
        let given =
            [("a", "1"), ("b", "2"), ("a", "3")].map(|(n, m)| (n.to_owned(), Bytes::from(m)));
        let kept = kept_protocols(&given);
        assert_eq!(kept, given[..2]);
    }
}
