//! A deterministic world: several shards, one disk and one clock in one thread, all from one seed.
//!
//! * [`executor`]: tasks in an order chosen by the seed; time passes only when nothing can run.
//! * [`disk`]: files and directories with what a power cut would leave of them; [`image`]: the bytes
//!   of one file; [`names`]: the directories.
//! * [`fault`]: operations that fail, stall or lie.
//!
//! The same seed gives the same run: [`Sim::trace_hash`] covers every task poll, every disk operation
//! and every result.
//!
//! ```
//! # use millrace_engine::io::{Env, File, OpenMode, sim::Sim};
//! # use std::path::Path;
//! let sim = Sim::new(7);
//! let env = sim.env(0);
//! sim.run(async move {
//!     let file = env.open(Path::new("/a"), OpenMode::CreateNew).await?;
//!     file.allocate(4096).await?;
//!     env.sync_dir(Path::new("/")).await?;
//!     file.sync_data().await
//! })
//! .expect("ends")?;
//! sim.power_cut();
//! let env = sim.env(0);
//! let size = sim.run(async move { env.open(Path::new("/a"), OpenMode::ReadOnly).await?.size().await });
//! assert_eq!(size.expect("ends")?, 4096);
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod disk;
pub mod env;
pub mod executor;
pub mod fault;
mod hash;
pub mod image;
mod names;
pub mod prng;

pub use self::env::{SimEnv, SimFile};
pub use self::executor::{Sim, Stalled};
pub use self::fault::{Fault, OpKind, Rule};

#[cfg(test)]
mod tests;
