//! Records of who may do what, and how they prove who they are.

use bytes::Bytes;

use crate::codec::Str;
use crate::message;
use crate::types::{TimestampMs, Uuid};

message! {
    /// An access control entry exists.
    pub struct AccessControlEntry(0..=0, flexible 0..) {
        /// The entry.
        id: Uuid,
        /// Kafka's `ResourceType`.
        resource_type: i8,
        /// The resource's name or prefix.
        resource_name: Str,
        /// Kafka's `PatternType`.
        pattern_type: i8,
        /// Who.
        principal: Str,
        /// From where.
        host: Str,
        /// Kafka's `AclOperation`.
        operation: i8,
        /// Kafka's `AclPermissionType`.
        permission_type: i8,
    }

    /// An access control entry is gone.
    pub struct RemoveAccessControlEntry(0..=0, flexible 0..) {
        /// The entry.
        id: Uuid,
    }

    /// A user's SCRAM credential is set.
    pub struct UserScramCredential(0..=0, flexible 0..) {
        /// The user.
        name: Str,
        /// 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
        /// The salt.
        salt: Bytes,
        /// What authenticates the client.
        stored_key: Bytes,
        /// What authenticates the server.
        server_key: Bytes,
        /// How often the password is hashed.
        iterations: i32,
    }

    /// A user's SCRAM credential is gone.
    pub struct RemoveUserScramCredential(0..=0, flexible 0..) {
        /// The user.
        name: Str,
        /// 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
    }

    /// A delegation token exists or is renewed.
    pub struct DelegationToken(0..=0, flexible 0..) {
        /// Whose token it is.
        owner: Str,
        /// Who asked for it.
        requester: Str,
        /// Who may renew it.
        renewers: Vec<Str>,
        /// When it was made.
        issue_timestamp: TimestampMs,
        /// When it can be renewed no more.
        max_timestamp: TimestampMs,
        /// When it must be renewed next.
        expiration_timestamp: TimestampMs,
        /// The token's id.
        token_id: Str,
    }

    /// A delegation token is gone.
    pub struct RemoveDelegationToken(0..=0, flexible 0..) {
        /// The token's id.
        token_id: Str,
    }
}
