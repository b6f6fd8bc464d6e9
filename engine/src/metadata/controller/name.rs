//! Which names topics may have.

use super::error::ControllerError;
use crate::limits::TOPIC_NAME_CHARS_MAX;

/// The topic that keeps groups and their offsets.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// The topic that keeps transactions.
pub const TRANSACTION_STATE: &str = "__transaction_state";
/// The topic that keeps share groups' progress (KIP-932).
pub const SHARE_GROUP_STATE: &str = "__share_group_state";
/// The metadata log; nobody may create a topic of this name.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Whether clients are told that the topic is internal.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    matches!(name, CONSUMER_OFFSETS | TRANSACTION_STATE | SHARE_GROUP_STATE)
}

/// Refuses what cannot be a topic's name: it stands in file names and metric names.
///
/// # Errors
/// [`ControllerError::InvalidTopic`] with the reason.
pub fn check(name: &str) -> Result<(), ControllerError> {
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        // UTF-16 units, as Kafka counts; only ASCII passes the next check anyway.
        _ if name.encode_utf16().count() > TOPIC_NAME_CHARS_MAX => {
            format!(
                "the length of '{name}' is longer than the max allowed length \
                {TOPIC_NAME_CHARS_MAX}"
            )
        }
        _ if !name.bytes().all(is_legal) => {
            format!(
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', \
                '_' and '-'"
            )
        }
        _ => return Ok(()),
    };
    Err(ControllerError::InvalidTopic(format!("Topic name is invalid: {reason}")))
}

const fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// What a name is in names of metrics, where a period becomes an underscore: two topics must not be
/// the same there. None if the name has neither, and so cannot collide.
#[must_use]
pub fn collision_key(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_checks_them() {
        let longest = "x".repeat(249);
        for good in ["a", "A.b_c-9", "...", "__x", &longest] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let too_long = "x".repeat(250);
        for (bad, reason) in [
            ("", "the empty string is not allowed"),
            (".", "'.' is not allowed"),
            ("..", "'..' is not allowed"),
            ("a/b", "characters other than"),
            ("a b", "characters other than"),
            ("ä", "characters other than"),
            ("a\0", "characters other than"),
            (&too_long, "longer than the max allowed length 249"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(matches!(error, ControllerError::InvalidTopic(_)), "{bad}");
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.to_string().starts_with("Topic name is invalid: "), "{error}");
        }
    }

    #[test]
    fn period_and_underscore_collide() {
        assert_eq!(collision_key("a.b_c"), collision_key("a_b.c"));
        assert_ne!(collision_key("a.b"), collision_key("a-b"));
        assert_eq!(collision_key("ab"), None);
    }
}
