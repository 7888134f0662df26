//! Runs kustomize-controller.

use std::process::ExitCode;

use clap::Parser as _;
use kustomize_controller::{Args, CONTROLLER, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let common = args.common.clone();
    common::process::main(CONTROLLER, &common, |runtime| run(args, runtime))
}
