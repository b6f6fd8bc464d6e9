//! The millrace broker.

use std::process::ExitCode;

use clap::Parser;
use millrace::cli::Cli;
use millrace::launch;
use millrace_engine::memory;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Has the allocator return to the system what the calling thread has freed.
#[expect(unsafe_code, reason = "the allocator is written in C")]
fn collect() {
    // SAFETY: it may be called at any time, from any thread.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

fn main() -> ExitCode {
    memory::collect_with(collect);
    launch::run(&Cli::parse())
}
