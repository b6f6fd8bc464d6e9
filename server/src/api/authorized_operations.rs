//! Which operations a client may do, as bits by the number of Kafka's `AclOperation`: without access
//! control, everything that there is for a kind of resource.

/// On a topic: read, write, create, delete, alter, describe, describe and alter configuration.
pub const TOPIC: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);
/// On the cluster: create, alter, describe, cluster action, describe and alter configuration,
/// idempotent write.
pub const CLUSTER: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);
/// On a group: read, delete, describe, describe and alter configuration.
pub const GROUP: i32 = bits(&[3, 6, 8, 10, 11]);

const fn bits(operations: &[i32]) -> i32 {
    let mut bits = 0;
    let mut i = 0;
    while i < operations.len() {
        bits |= 1 << operations[i];
        i += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_kafka_answers_without_an_authorizer() {
        assert_eq!([TOPIC, CLUSTER, GROUP], [3576, 8096, 3400]);
    }
}
