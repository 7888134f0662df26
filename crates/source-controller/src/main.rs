//! Runs source-controller.

use std::process::ExitCode;

use clap::Parser as _;
use source_controller::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let common = args.common.clone();
    common::process::main("source-controller", &common, |runtime| {
        source_controller::run(args, runtime)
    })
}
