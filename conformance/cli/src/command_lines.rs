//! Every command that can be typed, for tests of what is made from them.

use clap::{Command, CommandFactory};

/// The commands with the words that name them, such as `fieldsync check server`; a command before its own commands.
pub fn all() -> Vec<(Vec<String>, Command)> {
    let mut program = crate::Program::command();
    program.build();
    let mut all = Vec::new();
    add(Vec::new(), program, &mut all);
    all
}

fn add(before: Vec<String>, command: Command, all: &mut Vec<(Vec<String>, Command)>) {
    let line = [before, vec![command.get_name().to_owned()]].concat();
    let own: Vec<Command> = command.get_subcommands().filter(|one| one.get_name() != "help").cloned().collect();
    all.push((line.clone(), command));
    own.into_iter().for_each(|one| add(line.clone(), one, all));
}
