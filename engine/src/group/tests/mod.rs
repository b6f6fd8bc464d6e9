//! Tests of the group machine, driven by a host that keeps a log and counts answers.

mod administration;
mod commits;
mod expiring;
mod host;
mod membership;
mod rebalances;
mod records;
mod restarts;
mod simulation;
mod statics;
