//! Quotas, access control entries, credentials and tokens of the image.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record;
use crate::types::Uuid;

/// Whom a quota bounds: entity types with the entity's name, none for the default.
pub type QuotaEntity = BTreeMap<String, Option<String>>;

/// All quotas.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quotas {
    /// Bounds by name, by whom they bound; nobody is listed without a bound.
    pub entities: BTreeMap<QuotaEntity, BTreeMap<String, f64>>,
}

impl Quotas {
    pub(super) fn apply(&mut self, quota: &record::ClientQuota) {
        let part = |part: &record::QuotaEntityPart| {
            (part.entity_type.to_string(), part.entity_name.as_ref().map(ToString::to_string))
        };
        let entity: QuotaEntity = quota.entity.iter().map(part).collect();
        let bounds = self.entities.entry(entity.clone()).or_default();
        if quota.remove {
            bounds.remove(quota.key.as_str());
        } else {
            bounds.insert(quota.key.to_string(), quota.value);
        }
        if bounds.is_empty() {
            self.entities.remove(&entity);
        }
    }

    pub(super) fn records(&self) -> impl Iterator<Item = record::ClientQuota> {
        self.entities.iter().flat_map(|(entity, bounds)| {
            bounds.iter().map(|(key, value)| record::ClientQuota {
                entity: entity
                    .iter()
                    .map(|(kind, name)| record::QuotaEntityPart {
                        entity_type: kind.as_str().into(),
                        entity_name: name.as_deref().map(Into::into),
                    })
                    .collect(),
                key: key.as_str().into(),
                value: *value,
                remove: false,
            })
        })
    }
}

/// A user's name and the number of a SCRAM mechanism.
pub type ScramKey = (i8, String);

/// Who may do what, and how they prove who they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Access {
    /// Access control entries by id.
    pub entries: BTreeMap<Uuid, Arc<record::AccessControlEntry>>,
    /// SCRAM credentials by mechanism and user.
    pub credentials: BTreeMap<ScramKey, Arc<record::UserScramCredential>>,
    /// Delegation tokens by id.
    pub tokens: BTreeMap<String, Arc<record::DelegationToken>>,
}
