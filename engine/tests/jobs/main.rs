//! The engine's jobs over the simulated world, driven by a partition of their own.
#![expect(clippy::await_holding_refcell_ref, reason = "one task at a time uses the model")]

#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod files;
#[cfg(test)]
mod mini;
#[cfg(test)]
mod positions;
#[cfg(test)]
mod reads;
