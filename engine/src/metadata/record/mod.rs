//! The records of the metadata log (KIP-631): one enum of them all, and the frame around each.
//!
//! A record's value is a frame version (1), the record's id and its version, each as an unsigned
//! variable-length integer, then the record in Kafka's flexible encoding. The schemas are those of
//! Kafka 4.3, `metadata/src/main/resources/common/metadata`. A record of an unknown id cannot be
//! passed over: who does not know what it changes does not know the state after it.

mod access;
mod broker;
mod partition;
mod settings;
mod transaction;

#[cfg(test)]
mod tests;

pub use access::{
    AccessControlEntry, DelegationToken, RemoveAccessControlEntry, RemoveDelegationToken,
    RemoveUserScramCredential, UserScramCredential,
};
pub use broker::{
    BrokerRegistrationChange, Endpoint, FeatureRange, FenceBroker, RegisterBroker,
    RegisterController, UnfenceBroker, UnregisterBroker, UnregisterController,
};
pub use partition::{ClearElr, Partition, PartitionChange, RemoveTopic, Topic};
pub use settings::{ClientQuota, Config, FeatureLevel, ProducerIds, QuotaEntityPart};
pub use transaction::{AbortTransaction, BeginTransaction, EndTransaction, NoOp, ZkMigrationState};

use bytes::Bytes;

use crate::codec::{DecodeError, EncodeError, Frame, Message, Reader, Writer};

/// The only frame version there is.
const FRAME_VERSION: u32 = 1;

/// Why the value of a metadata record cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The frame around the record is of another version.
    #[error("metadata record frame version {0} is not known")]
    FrameVersion(u32),
    /// No record has this id.
    #[error("metadata record id {0} is not known: the log was written by a newer release")]
    Id(u32),
    /// The record is known, its version is not.
    #[error("version {version} of metadata record id {id} is not known")]
    Version {
        /// The record's id.
        id: u32,
        /// Its version.
        version: u32,
    },
    /// The record's bytes are not what its schema says.
    #[error("metadata record id {id} is malformed: {error}")]
    Malformed {
        /// The record's id.
        id: u32,
        /// What is wrong.
        error: DecodeError,
    },
    /// The frame itself is cut short or malformed.
    #[error("metadata record frame is malformed: {0}")]
    Frame(DecodeError),
}

macro_rules! records {
    ($($(#[$meta:meta])* $id:literal $name:ident,)+) => {
        /// One record of the metadata log.
        #[derive(Debug, Clone, PartialEq)]
        pub enum MetadataRecord {
            $($(#[$meta])* $name($name),)+
        }

        impl MetadataRecord {
            /// The ids of all records, ascending.
            pub const IDS: &'static [u16] = &[$($id),+];

            /// The record's id.
            #[must_use]
            pub const fn id(&self) -> u16 {
                match self { $(Self::$name(_) => $id,)+ }
            }

            /// The highest version of the record that is known.
            #[must_use]
            pub const fn version_max(&self) -> i16 {
                match self { $(Self::$name(_) => *<$name as Message>::VERSIONS.end(),)+ }
            }

            fn put(&self, version: i16, writer: &mut Writer) {
                match self { $(Self::$name(record) => record.encode(version, writer),)+ }
            }

            fn get(id: u32, version: u32, reader: &mut Reader) -> Result<Self, RecordError> {
                let unknown = RecordError::Version { id, version };
                let malformed = |error| match error {
                    DecodeError::Version(_) => unknown,
                    error => RecordError::Malformed { id, error },
                };
                let version = i16::try_from(version).map_err(|_too_large| unknown)?;
                match id {
                    $($id => $name::decode(version, reader).map(Self::$name).map_err(malformed),)+
                    _ => Err(RecordError::Id(id)),
                }
            }

            /// A made-up record of each id, in its highest version.
            #[cfg(test)]
            pub(crate) fn samples(sampler: &mut crate::codec::Sampler) -> Vec<Self> {
                vec![$(Self::$name($name::sample_of(*$name::VERSIONS.end(), sampler))),+]
            }
        }

        $(impl From<$name> for MetadataRecord {
            fn from(record: $name) -> Self {
                Self::$name(record)
            }
        })+
    };
}

records! {
    /// A broker has (again) registered.
    0 RegisterBroker,
    /// A broker is gone for good.
    1 UnregisterBroker,
    /// A topic exists.
    2 Topic,
    /// A partition exists.
    3 Partition,
    /// A configuration value is set or removed.
    4 Config,
    /// Something about a partition has changed.
    5 PartitionChange,
    /// A broker may lead nothing (legacy).
    7 FenceBroker,
    /// A broker may lead again (legacy).
    8 UnfenceBroker,
    /// A topic is gone, with its partitions and configuration.
    9 RemoveTopic,
    /// A delegation token exists or is renewed.
    10 DelegationToken,
    /// A user's SCRAM credential is set.
    11 UserScramCredential,
    /// A feature is finalized at a level.
    12 FeatureLevel,
    /// A quota is set or removed.
    14 ClientQuota,
    /// Producer ids up to a number are given out.
    15 ProducerIds,
    /// Something about a broker's registration has changed.
    17 BrokerRegistrationChange,
    /// An access control entry exists.
    18 AccessControlEntry,
    /// An access control entry is gone.
    19 RemoveAccessControlEntry,
    /// Nothing; time has passed.
    20 NoOp,
    /// Where a migration from ZooKeeper stands.
    21 ZkMigrationState,
    /// A user's SCRAM credential is gone.
    22 RemoveUserScramCredential,
    /// What follows counts only if the transaction ends.
    23 BeginTransaction,
    /// The open transaction counts.
    24 EndTransaction,
    /// The open transaction does not count.
    25 AbortTransaction,
    /// A delegation token is gone.
    26 RemoveDelegationToken,
    /// A controller has registered.
    27 RegisterController,
    /// Eligible leader replicas are forgotten.
    28 ClearElr,
    /// A controller is gone for good (from Kafka 4.4).
    29 UnregisterController,
}

/// The first `metadata.version` level with several log directories (3.7-IV2, KIP-858).
const LEVEL_DIRECTORIES: i16 = 17;
/// The first `metadata.version` level with eligible leader replicas (4.0-IV1, KIP-966).
const LEVEL_ELR: i16 = 23;
/// The first `metadata.version` level with cordoned log directories (4.3-IV0).
const LEVEL_CORDONED: i16 = 30;
/// The first `metadata.version` level whose registrations tell of a migration (3.4-IV0).
const LEVEL_MIGRATION: i16 = 8;

impl MetadataRecord {
    /// The version to write where `metadata.version` is finalized at `level`.
    #[must_use]
    pub const fn version_at(&self, level: i16) -> i16 {
        match self {
            Self::RegisterBroker(_) if level >= LEVEL_CORDONED => 4,
            Self::RegisterBroker(_) if level >= LEVEL_DIRECTORIES => 3,
            Self::RegisterBroker(_) if level >= LEVEL_MIGRATION => 2,
            Self::RegisterBroker(_) => 1,
            Self::BrokerRegistrationChange(_) if level >= LEVEL_CORDONED => 3,
            Self::BrokerRegistrationChange(_) if level >= LEVEL_DIRECTORIES => 2,
            Self::BrokerRegistrationChange(_) => 1,
            Self::Partition(_) | Self::PartitionChange(_) if level >= LEVEL_ELR => 2,
            Self::Partition(_) | Self::PartitionChange(_) if level >= LEVEL_DIRECTORIES => 1,
            _ => 0,
        }
    }

    /// The record's value in the log.
    ///
    /// # Errors
    /// [`EncodeError`] if the version is not known.
    pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::flat();
        writer.put_uvarint(FRAME_VERSION);
        writer.put_uvarint(u32::from(self.id()));
        let framed = u16::try_from(version).map_err(|_negative| EncodeError::Version(version))?;
        writer.put_uvarint(u32::from(framed));
        self.put(version, &mut writer);
        writer.finish().map(Frame::into_bytes)
    }

    /// The record that a value of the log is.
    ///
    /// # Errors
    /// [`RecordError`]: every kind is fatal for the fold of the log.
    pub fn decode(value: Bytes) -> Result<Self, RecordError> {
        let mut reader = Reader::of_own(value);
        let frame_version = reader.uvarint().map_err(RecordError::Frame)?;
        if frame_version != FRAME_VERSION {
            return Err(RecordError::FrameVersion(frame_version));
        }
        let id = reader.uvarint().map_err(RecordError::Frame)?;
        let version = reader.uvarint().map_err(RecordError::Frame)?;
        let record = Self::get(id, version, &mut reader)?;
        reader.finish().map_err(|error| RecordError::Malformed { id, error })?;
        Ok(record)
    }
}
