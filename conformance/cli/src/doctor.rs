//! `fieldsync doctor`: what is in the way between here and a server, in plain words.

use crate::command_error::CommandError;
use crate::headers::{header, header_map};
use crate::report_files::TextOptions;
use clap::Args;
use fieldsync_conformance::doctor::{Credentials, Finding, Part, State, Visit, examine};
use fieldsync_conformance::report::text::{Text, Tone};
use fieldsync_conformance::report::verdict::ExitStatus;
use std::path::PathBuf;
use url::Url;

/// The arguments of `doctor`. A password is never an argument, because everybody on the machine can read those.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The base URL of a data set.
    #[arg(value_name = "URL")]
    pub url: Url,
    /// The account that logs in.
    #[arg(long, value_name = "NAME", requires = "password_env")]
    pub user: Option<String>,
    /// The environment variable that holds its password.
    #[arg(long, value_name = "VARIABLE", requires = "user")]
    pub password_env: Option<String>,
    /// The environment variable that holds a bearer token.
    #[arg(long, value_name = "VARIABLE", conflicts_with = "user")]
    pub token_env: Option<String>,
    /// The URL of the control verbs.
    #[arg(long, value_name = "URL")]
    pub control: Option<Url>,
    /// A header of every request, such as `X-Tenant: test`.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// Trust the certificates that this PEM file signs.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// The text.
    #[command(flatten)]
    pub text: TextOptions,
}

/// Looks, and tells.
pub fn run(args: DoctorArgs) -> Result<ExitStatus, CommandError> {
    let variable =
        |name: &String| std::env::var(name).map_err(|_| CommandError::usage(format!("there is no variable {name}")));
    let credentials = match (&args.user, &args.password_env, &args.token_env) {
        (Some(user), Some(password), _) => {
            Some(Credentials::Password { user: user.clone(), password: variable(password)? })
        }
        (_, _, Some(token)) => Some(Credentials::Token(variable(token)?)),
        _ => None,
    };
    let ca_cert = args
        .ca_cert
        .as_ref()
        .map(|path| std::fs::read(path).map_err(|error| CommandError::usage(format!("{}: {error}", path.display()))));
    let visit = Visit {
        url: args.url,
        credentials,
        control: args.control,
        headers: header_map(&args.header)?,
        ca_cert: ca_cert.transpose()?,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let found = runtime.block_on(examine(&visit));
    runtime.shutdown_background();
    args.text.print(&told(&visit.url, &found, args.text.width()))?;
    Ok(status(&found))
}

/// A server that could not be reached is told apart from one that could, and is not as it should be.
fn status(found: &[Finding]) -> ExitStatus {
    let problem = found.iter().find(|one| one.state == State::Problem);
    match problem.map(|one| one.part) {
        None => ExitStatus::Conformant,
        Some(Part::Name | Part::Network | Part::Tls) => ExitStatus::NothingRan,
        Some(_) => ExitStatus::NotConformant,
    }
}

fn told(url: &Url, found: &[Finding], width: usize) -> Text {
    let mut text = Text::default();
    text.line(Tone::Strong, url.as_str());
    for one in found {
        let (tone, word) = match one.state {
            State::Good => (Tone::Good, "ok"),
            State::Careful => (Tone::Careful, "CAREFUL"),
            State::Problem => (Tone::Bad, "PROBLEM"),
            State::NotLooked => (Tone::Faint, "-"),
        };
        let label = format!("{word:<8}{:<13}", one.part.as_str());
        text.wrapped(tone, &label, &one.words, width);
        if let Some(advice) = &one.advice {
            text.wrapped(Tone::Plain, &format!("{:<21}", "        what to do"), advice, width);
        }
    }
    text
}
