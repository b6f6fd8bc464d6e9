//! What the controller asks about a broker's own settings: none of them can be changed while it runs.

use millrace_engine::metadata::configs::ConfigMap;
use millrace_engine::metadata::controller::BrokerRules;
use millrace_engine::topic_config::value::ConfigType;

use crate::config::definitions;

/// The rules of this release.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingDynamic;

impl BrokerRules for NothingDynamic {
    fn check(&self, values: &ConfigMap, _is_default: bool) -> Result<(), String> {
        if values.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = values.keys().map(String::as_str).collect();
        Err(format!(
            "Cannot update these configs dynamically: [{}]. Set them in server.properties or by \
             --override and start the broker again.",
            names.join(", ")
        ))
    }

    fn list_default(&self, name: &str) -> Option<String> {
        let definition = definitions::find(name)?;
        let is_list = definition.config_type == ConfigType::List;
        is_list.then(|| definition.default.unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_refused_by_name_and_none_are_fine() {
        assert_eq!(NothingDynamic.check(&ConfigMap::new(), true), Ok(()));
        let values = ConfigMap::from([("num.io.threads".to_owned(), "9".to_owned())]);
        let refused = NothingDynamic.check(&values, false).expect_err("refused");
        assert!(refused.contains("[num.io.threads]"), "{refused}");
        assert_eq!(NothingDynamic.list_default("num.io.threads"), None);
        assert!(NothingDynamic.list_default("cordoned.log.dirs").is_some());
        assert_eq!(NothingDynamic.list_default("no.such.thing"), None);
    }
}
