//! Image, snapshot, loader and bootstrap together.

mod apply;
mod log;
