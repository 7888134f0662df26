//! `tidegate completion`.

use clap::CommandFactory as _;

use crate::{
    args::{CompletionArgs, Root},
    output,
};

/// Prints the completion script of a shell.
pub(crate) fn run(args: &CompletionArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Root::command(), "tidegate", &mut script);
    output::print(&String::from_utf8(script)?)
}
