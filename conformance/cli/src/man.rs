//! `fieldsync man`: a manual page for each command.

use crate::command_error::CommandError;
use crate::output::print;
use clap::builder::Resettable;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use fieldsync_conformance::report::verdict::ExitStatus;
use std::path::PathBuf;

/// The arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "To read one: fieldsync man --out man && man man/fieldsync-check.1")]
pub struct ManArgs {
    /// The folder that the pages are written to.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Writes the pages.
pub fn run(args: ManArgs) -> Result<ExitStatus, CommandError> {
    let wrong = |error: std::io::Error| CommandError::usage(format!("{}: {error}", args.out.display()));
    std::fs::create_dir_all(&args.out).map_err(wrong)?;
    let pages = pages().map_err(CommandError::suite)?;
    for page in &pages {
        std::fs::write(args.out.join(&page.file), &page.text).map_err(wrong)?;
    }
    print(&format!("{} pages in {}\n", pages.len(), args.out.display()))?;
    Ok(ExitStatus::Conformant)
}

/// One page.
struct Page {
    file: String,
    text: Vec<u8>,
}

/// The pages of all commands: of a command before those of its own commands.
fn pages() -> std::io::Result<Vec<Page>> {
    let mut program = crate::Program::command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    add(program, &mut pages)?;
    Ok(pages)
}

fn add(command: Command, pages: &mut Vec<Page>) -> std::io::Result<()> {
    let commands: Vec<Command> = command.get_subcommands().filter(|one| !one.is_hide_set()).cloned().collect();
    let notes = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    let command = command.after_help(Resettable::Reset).after_long_help(Resettable::Reset);
    let page = Man::new(command).source(concat!("fieldsync ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    if let Some(notes) = notes {
        noted(&notes).to_writer(&mut text)?;
    }
    pages.push(Page { file: page.get_filename(), text });
    commands.into_iter().try_for_each(|one| add(one, pages))
}

/// What stands below the options in the help. Its examples keep their lines and columns, its sentences are filled.
fn noted(notes: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["NOTES"]);
    for line in notes.lines() {
        match (line.is_empty(), line.contains("  ")) {
            (true, _) => roff.control("PP", []),
            (_, true) => roff.control("nf", []).text([roman(line)]).control("fi", []),
            (_, false) => roff.text([roman(line)]).control("br", []),
        };
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The pages with the words as a reader sees them: without the escapes of signs, and without the marks of fonts.
    fn read() -> BTreeMap<String, String> {
        let plain = |text: Vec<u8>| {
            let text = String::from_utf8(text).unwrap().replace("\\-", "-").replace("\\*(Aq", "'");
            ["\\fB", "\\fI", "\\fR"].iter().fold(text, |text, font| text.replace(font, ""))
        };
        pages().unwrap().into_iter().map(|page| (page.file, plain(page.text))).collect()
    }

    #[test]
    fn every_command_has_a_page_with_its_options_and_its_own_commands() {
        let pages = read();
        let commands = crate::command_lines::all();
        for (line, command) in &commands {
            let file = format!("{}.1", line.join("-"));
            let Some(page) = pages.get(&file) else { panic!("{file} is missing of {:?}", pages.keys()) };
            let about = command.get_about().expect("a command says what it does");
            assert!(page.contains(&format!(".SH NAME\n{} - {about}\n", line.join("-"))), "{page}");
            // An option stands at the head of its paragraph.
            let heads: Vec<&str> = page.split("\n.TP\n").skip(1).filter_map(|text| text.lines().next()).collect();
            for long in command.get_arguments().filter_map(|one| one.get_long()) {
                let is_head = |head: &&str| head.split([' ', ',']).any(|word| word == format!("--{long}"));
                assert_eq!(heads.iter().filter(|head| is_head(head)).count(), 1, "{file}: --{long}\n{heads:?}");
            }
            for one in command.get_subcommands().filter(|one| one.get_name() != "help") {
                let listed = format!("\n.TP\n{}-{}(1)\n", line.join("-"), one.get_name());
                assert!(page.contains(&listed), "{file}: {listed}");
            }
        }
        assert_eq!(pages.len(), commands.len(), "a page a command: {:?}", pages.keys());
    }

    #[test]
    fn every_line_is_text_or_a_request_that_man_knows() {
        let known = ["TH", "SH", "TP", "PP", "RS", "RE", "IP", "br", "nf", "fi", "ie", "el"];
        for (file, page) in read() {
            for line in page.lines() {
                let request = line.strip_prefix('.').or(line.strip_prefix('\'')).map(|rest| rest.split(' ').next());
                assert!(request.is_none_or(|name| known.contains(&name.unwrap())), "{file}: {line}");
            }
            assert!(page.contains(&format!("\n.TH {} 1 ", file.trim_end_matches(".1"))), "{file}: {page}");
        }
    }

    #[test]
    fn an_example_keeps_its_columns_and_a_sentence_is_filled() {
        let pages = read();
        let matrix = &pages["fieldsync-matrix.1"];
        let notes = matrix.split("\n.SH ").find(|section| section.starts_with("NOTES\n")).unwrap();
        assert!(notes.contains("\n.nf\n  name = \"kotlin\"                        name = \"go\"\n.fi\n"), "{notes}");
        assert!(notes.contains("\n.PP\nExit status: 0 every pair conforms"), "{notes}");
    }
}
