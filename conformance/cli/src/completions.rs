//! `fieldsync completions`: what a shell completes.

use crate::command_error::CommandError;
use crate::output::print;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use fieldsync_conformance::report::verdict::ExitStatus;

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "For bash: fieldsync completions bash > ~/.local/share/bash-completion/completions/fieldsync")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the script for the shell.
pub fn run(args: CompletionsArgs) -> Result<ExitStatus, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Program::command(), "fieldsync", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Conformant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use std::collections::{BTreeMap, BTreeSet};
    use std::process::Command;

    fn script(shell: Shell) -> String {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut crate::Program::command(), "fieldsync", &mut script);
        String::from_utf8(script).unwrap()
    }

    /// What bash offers behind each of these lines, for their last word.
    fn offered(lines: &[String]) -> BTreeMap<String, BTreeSet<String>> {
        let mut typed = script(Shell::Bash) + "\nset -eu\n";
        for line in lines {
            let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
            let (last, before) = (&words[words.len() - 1], &words[words.len() - 2]);
            typed += &format!(
                "COMP_WORDS=({}) COMP_CWORD={}\n_fieldsync fieldsync {last} {before}\n\
                 printf '%s\\t%s\\n' '{line}' \"${{COMPREPLY[*]-}}\"\n",
                words.join(" "),
                words.len() - 1,
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("typed.bash");
        std::fs::write(&file, typed).unwrap();
        let output = Command::new("bash").arg("--norc").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let words = |words: &str| words.split_whitespace().map(str::to_owned).collect();
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| line.split_once('\t').unwrap())
            .map(|(line, offered)| (line.to_owned(), words(offered)))
            .collect()
    }

    #[test]
    fn bash_offers_every_command_and_every_option_and_nothing_else() {
        let commands = crate::command_lines::all();
        let lines: Vec<String> =
            commands.iter().flat_map(|(line, _)| ["--", ""].map(|last| format!("{} {last}", line.join(" ")))).collect();
        let offered = offered(&lines);
        for (line, command) in &commands {
            let line = line.join(" ");
            let options: BTreeSet<String> =
                command.get_arguments().filter_map(|one| one.get_long()).map(|long| format!("--{long}")).collect();
            assert_eq!(offered[&format!("{line} --")], options, "{line} --");
            let own: BTreeSet<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
            let found: BTreeSet<String> = offered[&format!("{line} ")]
                .iter()
                .filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase()))
                .cloned()
                .collect();
            assert!(own.is_subset(&found), "{line}: {own:?} of {found:?}");
        }
    }

    #[test]
    fn bash_offers_the_values_of_an_option() {
        let line = "fieldsync adapter new --language ".to_owned();
        assert_eq!(offered(std::slice::from_ref(&line))[&line], ["python", "typescript"].map(str::to_owned).into());
    }

    #[test]
    fn the_script_of_every_shell_names_every_command_and_every_option() {
        let commands = crate::command_lines::all();
        for shell in Shell::value_variants() {
            let script = script(*shell);
            let said: BTreeSet<&str> =
                script.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').collect();
            for (line, command) in &commands {
                assert!(said.contains(&*line[line.len() - 1]), "{shell}: {line:?}");
                for long in command.get_arguments().filter_map(|one| one.get_long()) {
                    // fish names them behind `-l`.
                    let is_named = said.contains(&*format!("--{long}")) || said.contains(long);
                    assert!(is_named, "{shell}: {line:?} --{long}");
                }
            }
        }
    }
}
