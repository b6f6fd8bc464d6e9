//! The classic group protocol: members join, vote for a protocol, elect a leader whose client assigns
//! the work, and keep their sessions alive with heartbeats.

mod group;
mod heartbeat;
mod join;
mod leave;
mod member;
mod rebalance;
mod sync;

pub(super) use group::ClassicGroup;
