//! Deleting topics, by name or by id.

use std::collections::BTreeSet;

use super::Controller;
use super::call::{DeleteTopicResult, TopicName};
use super::error::ControllerError;
use super::plan::Plan;
use crate::metadata::record;
use crate::types::TopicId;

impl Controller {
    pub(super) fn delete_topics(
        &self,
        plan: &mut Plan,
        topics: Vec<TopicName>,
    ) -> Vec<DeleteTopicResult> {
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<TopicName> =
            topics.iter().filter(|topic| !seen.insert(*topic)).cloned().collect();
        let mut answered = BTreeSet::new();
        let mut deleted = BTreeSet::new();
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            if !answered.insert(topic.clone()) {
                continue;
            }
            let result = if !self.settings.delete_topic_enable {
                let message = "Topic deletion is disabled.";
                Err(ControllerError::TopicDeletionDisabled(message.to_owned()))
            } else if twice.contains(&topic) {
                let what = if topic.name.is_some() { "name" } else { "id" };
                Err(ControllerError::InvalidRequest(format!("Duplicate topic {what}.")))
            } else {
                delete_topic(plan, &topic, &mut deleted)
            };
            results.push(match result {
                Ok(topic) => DeleteTopicResult { topic, result: Ok(()) },
                Err(error) => DeleteTopicResult { topic, result: Err(error) },
            });
        }
        results
    }
}

/// Deletes one topic and returns both its name and id.
fn delete_topic(
    plan: &mut Plan,
    given: &TopicName,
    deleted: &mut BTreeSet<TopicId>,
) -> Result<TopicName, ControllerError> {
    let invalid = |message: &str| Err(ControllerError::InvalidRequest(message.to_owned()));
    let topics = &plan.image().topics;
    let topic = match (&given.name, given.topic_id.is_zero()) {
        (Some(_), false) => return invalid("You may not specify both topic name and topic id."),
        (None, true) => return invalid("Neither topic name nor id were specified."),
        (Some(name), true) => topics.by_name(name).ok_or_else(ControllerError::unknown_topic),
        (None, false) if deleted.contains(&given.topic_id) => {
            return invalid("The provided topic id was already supplied by name.");
        }
        (None, false) => topics.by_id(given.topic_id).ok_or_else(ControllerError::unknown_topic_id),
    };
    let topic = topic?;
    let whole = TopicName { name: Some(topic.name.to_string()), topic_id: topic.id };
    plan.push(vec![record::RemoveTopic { topic_id: whole.topic_id }.into()])?;
    deleted.insert(whole.topic_id);
    Ok(whole)
}
