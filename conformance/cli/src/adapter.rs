//! `fieldsync adapter`: what the author of a client needs to plug it in.

use crate::command_error::CommandError;
use crate::output::print;
use clap::{Args, Subcommand, ValueEnum};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::subject::adapter;
use fieldsync_conformance::subject::adapter::trial::{Outcome, Tried, walk};
use fieldsync_conformance::subject::reference::{DeviceFault, EmbeddedServer, ReferenceDevices, description};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The arguments of `adapter`.
#[derive(Debug, Args)]
pub struct AdapterArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: AdapterAction,
}

/// What to do with adapters.
#[derive(Debug, Subcommand)]
pub enum AdapterAction {
    /// Walk through every verb of an adapter, and say what is missing.
    Try(TryArgs),
    /// Write the skeleton of an adapter, which runs.
    New(NewArgs),
    /// Be the adapter of the reference device: lines come on the standard input.
    Serve,
}

/// The arguments of `adapter try`.
#[derive(Debug, Args)]
pub struct TryArgs {
    /// The command that starts the adapter, such as `python3 adapter.py`.
    #[arg(long, value_name = "COMMAND")]
    pub command: String,
    /// How long one verb may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
}

/// The arguments of `adapter new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// The folder to write it to; the current one where absent. No file is overwritten.
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// The language of the client.
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Language,
}

/// A language that there is a skeleton for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Python 3, without packages.
    Python,
    /// TypeScript, for Node.js.
    Typescript,
}

/// Does it.
pub fn run(args: AdapterArgs) -> Result<ExitStatus, CommandError> {
    match args.action {
        AdapterAction::Try(args) => try_out(&args),
        AdapterAction::New(args) => write_skeleton(&args),
        AdapterAction::Serve => serve(Arc::new(|parts| parts)),
    }
}

/// Answers lines with a reference device whose parts are changed, as a mutant's are.
pub fn serve(fault: DeviceFault) -> Result<ExitStatus, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::suite)?;
    let devices = Arc::new(ReferenceDevices::with(fault));
    let served = runtime.block_on(async {
        #[cfg(unix)]
        if let Ok((input, output)) = pipes() {
            return adapter::serve(description(), devices, input, output).await;
        }
        // Somebody types, or the lines are in a file.
        adapter::serve(description(), devices, tokio::io::stdin(), tokio::io::stdout()).await
    });
    served.map_err(CommandError::usage)?;
    // A read of the standard input that is under way must not keep the process.
    runtime.shutdown_background();
    Ok(ExitStatus::Conformant)
}

/// The standard input and output, where both are pipes: then no thread has to wait for them.
#[cfg(unix)]
fn pipes() -> std::io::Result<(tokio::net::unix::pipe::Receiver, tokio::net::unix::pipe::Sender)> {
    use std::os::fd::AsFd;
    use tokio::net::unix::pipe;
    let input = pipe::Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = pipe::Sender::from_owned_fd(std::io::stdout().as_fd().try_clone_to_owned()?)?;
    Ok((input, output))
}

fn try_out(args: &TryArgs) -> Result<ExitStatus, CommandError> {
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let tried = runtime.block_on(async {
        let embedded = EmbeddedServer::start().await.map_err(CommandError::suite)?;
        let server = embedded.connect().await.map_err(|blocked| CommandError::suite(blocked.reason))?;
        Ok(walk(&args.command, &server, Duration::from_secs(args.timeout)).await)
    })?;
    runtime.shutdown_background();
    print(&told(&tried, &args.command))?;
    let is_whole = tried.iter().all(|one| one.missing().is_none());
    Ok(if is_whole { ExitStatus::Conformant } else { ExitStatus::NotConformant })
}

/// The walk as text, and what to do next.
fn told(tried: &[Tried], command: &str) -> String {
    let mut out = String::new();
    let width = textwrap::Options::new(70)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    for one in tried {
        let word = match one.outcome {
            Outcome::Works => "ok",
            Outcome::Missing(_) => "MISSING",
            Outcome::NotClaimed(_) => "-",
        };
        out += &format!("{word:7} {:8} {}\n", one.verb, one.expected);
        if let Outcome::NotClaimed(capability) = &one.outcome {
            out += &format!("          not asked: the client does not claim {capability}\n");
        }
        for line in one.missing().iter().flat_map(|missing| textwrap::wrap(missing, &width)) {
            out += &format!("          {line}\n");
        }
    }
    out += &match tried.last().and_then(|last| last.missing().map(|_| last.verb)) {
        Some(verb) => {
            format!("\nNext: mend `{verb}`; the chapter Adapter of the specification says what it has to do.\n")
        }
        None => format!(
            "\nEvery verb that the client claims works. Next:\n  fieldsync check client --command '{command}'\n"
        ),
    };
    out
}

fn write_skeleton(args: &NewArgs) -> Result<ExitStatus, CommandError> {
    let (files, setup, command): (&[(&str, &str)], &str, &str) = match args.language {
        Language::Python => {
            (&[("adapter.py", include_str!("../skeletons/python/adapter.py"))], "", "python3 adapter.py")
        }
        Language::Typescript => (
            &[
                ("adapter.ts", include_str!("../skeletons/typescript/adapter.ts")),
                ("package.json", include_str!("../skeletons/typescript/package.json")),
                ("tsconfig.json", include_str!("../skeletons/typescript/tsconfig.json")),
            ],
            "  npm install && npm run build\n",
            "node dist/adapter.js",
        ),
    };
    let failed = |path: &Path, error: std::io::Error| CommandError::usage(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(&args.folder).map_err(|error| failed(&args.folder, error))?;
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| args.folder.join(name)).collect();
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Err(CommandError::usage(format!("{} is there already; name another folder", path.display())));
    }
    let mut out = String::new();
    for (path, (_, text)) in paths.iter().zip(files) {
        std::fs::write(path, text).map_err(|error| failed(path, error))?;
        out += &format!("wrote {}\n", path.display());
    }
    let place = match args.folder.as_os_str() == "." {
        true => String::new(),
        false => format!("  cd {}\n", args.folder.display()),
    };
    print(&format!("{out}\nNext:\n{place}{setup}  fieldsync adapter try --command '{command}'\n"))?;
    Ok(ExitStatus::Conformant)
}
