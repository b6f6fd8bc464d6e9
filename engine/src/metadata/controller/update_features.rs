//! Finalizing features at other levels.

use super::Controller;
use super::call::FeatureUpdate;
use super::error::ControllerError;
use super::plan::Plan;
use crate::metadata::features::METADATA_VERSION;
use crate::metadata::record;

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

impl Controller {
    pub(super) fn update_features(
        &self,
        plan: &mut Plan,
        updates: &[FeatureUpdate],
    ) -> Result<(), ControllerError> {
        let mut records = Vec::with_capacity(updates.len());
        for update in updates {
            self.check_update(plan, update).map_err(|reason| {
                ControllerError::InvalidUpdateVersion(format!(
                    "Invalid update version {} for feature {}. {reason}",
                    update.level, update.name
                ))
            })?;
            let name = update.name.as_str().into();
            records.push(record::FeatureLevel { name, feature_level: update.level }.into());
        }
        plan.push(records)
    }

    fn check_update(&self, plan: &Plan, update: &FeatureUpdate) -> Result<(), String> {
        let level = update.level;
        if ![UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE].contains(&update.upgrade_type) {
            return Err("The controller does not support the given upgrade type.".to_owned());
        }
        if level < 0 {
            return Err("A feature version cannot be less than 0.".to_owned());
        }
        let node_id = self.settings.node_id;
        let supported = self.settings.features_supported.iter();
        match supported.copied().find(|(name, _, _)| *name == update.name) {
            Some((_, min, max)) if level != 0 && !(min..=max).contains(&level) => {
                return Err(format!(
                    "Local controller {node_id} only supports versions {min}-{max}"
                ));
            }
            Some((_, min, _)) if level == 0 && min > 0 => {
                return Err("This feature cannot be disabled.".to_owned());
            }
            None if level != 0 => {
                return Err(format!("Local controller {node_id} does not support this feature."));
            }
            _ => {}
        }
        let current = plan.image().features.level(&update.name);
        if level < current && update.upgrade_type == UPGRADE {
            return Err("Can't downgrade the version of this feature without setting the upgrade \
            type to either safe or unsafe downgrade."
                .to_owned());
        }
        if level > current && update.upgrade_type != UPGRADE {
            return Err("Can't downgrade to a newer version.".to_owned());
        }
        if level < current && update.name == METADATA_VERSION {
            return Err("Refusing to perform the requested downgrade because it might delete \
            metadata information."
                .to_owned());
        }
        Ok(())
    }
}
