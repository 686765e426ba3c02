//! Which server is judged, and where it is.

use crate::command_error::CommandError;
use crate::headers::{header, header_map};
use clap::Args;
use fieldsync_conformance::subject::reference::{self};
use fieldsync_conformance::subject::server::{AccountSource, ServerAddress};
use fieldsync_conformance::subject::spawned::{SpawnError, Spawned};
use fieldsync_conformance::tap::StorageTap;
use fieldsync_schemas::event::Blocked;
use fieldsync_server::Bucket;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// A server to judge.
#[derive(Debug, Default, Args)]
pub struct ServerArgs {
    /// The base URL of a data set; once for each profile that the server hosts.
    #[arg(long, value_name = "URL", conflicts_with = "serve")]
    pub url: Vec<String>,
    /// A command that starts the server; `{port}` and `{dir}` stand for a free port and an empty folder.
    #[arg(long, value_name = "COMMAND", value_parser = one_line)]
    pub serve: Option<String>,
    /// The URL of the control verbs, where the server offers them; a path is below the server that is named.
    #[arg(long, value_name = "URL")]
    pub control: Option<String>,
    /// What the data set hosts; once for each profile. The suite's own domains where absent.
    #[arg(long, value_name = "FILE")]
    pub domain: Vec<PathBuf>,
    /// For each account, its user and the environment variable of its password, a bearer token, or a command that
    /// prints one.
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
    /// A header of every request, such as `X-Tenant: test`.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// Trust the certificates that this PEM file signs.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// Send at most this many requests a second, over all devices, for a server that refuses more. Fewer scenarios run
    /// at once; waiting for a turn takes nothing from a scenario's time. Control verbs are not counted.
    #[arg(long, value_name = "NUMBER")]
    pub rate: Option<NonZeroU32>,
    /// Delete the records that the run made, through the protocol, by an account that may. What cannot be deleted is told
    /// in a warning.
    #[arg(long, conflicts_with_all = ["serve", "control"])]
    pub cleanup: bool,
}

/// A command in one line, also where it was written in several with a backslash at their ends: so it is told again.
pub(crate) fn one_line(command: &str) -> Result<String, Infallible> {
    Ok(command.split("\\\n").map(str::trim).collect::<Vec<_>>().join(" "))
}

/// What the server is called in reports.
pub(crate) fn subject_name(server: &ServerArgs) -> String {
    server.serve.clone().unwrap_or_else(|| server.url.join(" "))
}

/// The URL of a server. Its user and password would stand in every report.
fn url(text: &str) -> Result<Url, CommandError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| {
        CommandError::usage(format!("{text:?} is no URL of a server: it begins with http:// or https://"))
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(CommandError::usage(format!(
            "the URL of {} has a user or a password in it, which every report would show: name them with --accounts",
            url.host_str().unwrap_or_default()
        )));
    }
    Ok(url)
}

/// A server's address, and its process where it was started.
pub(crate) type Found = (ServerAddress, Option<Arc<Spawned>>);

/// Where the server is; one that is to be started is started, or it is told why nothing can run.
pub(crate) async fn address(
    args: &ServerArgs,
    bucket: Option<&Bucket>,
) -> Result<Result<Found, Blocked>, CommandError> {
    let headers = header_map(&args.header)?;
    let ca_cert = match &args.ca_cert {
        None => None,
        Some(path) => {
            Some(std::fs::read(path).map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))?)
        }
    };
    let accounts = match &args.accounts {
        None => BTreeMap::new(),
        Some(path) => read_accounts(path)?,
    };
    let mut address = ServerAddress {
        bases: args.url.iter().map(|text| url(text)).collect::<Result<Vec<Url>, _>>()?,
        accounts,
        domains: match args.domain.as_slice() {
            [] => reference::domains(),
            files => files.iter().map(|path| crate::serve::read_domain(path)).collect::<Result<_, _>>()?,
        },
        headers,
        ca_cert,
        ..ServerAddress::named(subject_name(args))
    };
    let Some(command) = &args.serve else {
        if bucket.is_some() {
            return Err(CommandError::usage("--object-storage is for a server that is started by --serve"));
        }
        let root = address.bases.first().cloned();
        address.control = args.control.as_deref().map(|path| control(path, root.as_ref())).transpose()?;
        return Ok(Ok((address, None)));
    };
    let dead = |reason: String| Blocked { doing: "start the server".to_owned(), reason, unreachable: true };
    let mut command = command.clone();
    if let Some(bucket) = bucket {
        let tap = StorageTap::start(&url(&bucket.endpoint)?).map_err(CommandError::suite)?;
        command = command.replace("{storage}", &tap.address());
        address.storage = Some(tap);
    }
    let process = match Spawned::start(&command).await {
        Ok(process) => process,
        Err(error @ SpawnError::NoPort(_)) => return Err(CommandError::usage(error)),
        Err(error @ SpawnError::Prepare(_)) => return Err(CommandError::suite(error)),
        Err(error) => return Ok(Err(dead(error.to_string()))),
    };
    match process.default_base().await {
        Ok(base) => address.bases.push(base),
        Err(reason) => {
            let doing = "find the default data set".to_owned();
            return Ok(Err(Blocked { doing, reason, unreachable: false }));
        }
    }
    address.restart = Some(process.clone());
    address.control = args.control.as_deref().map(|path| control(path, Some(process.root()))).transpose()?;
    Ok(Ok((address, Some(process))))
}

/// Where the control verbs are: a URL, or a path of the server.
fn control(text: &str, root: Option<&Url>) -> Result<Url, CommandError> {
    match root.filter(|_| text.starts_with('/')).and_then(|root| root.join(text).ok()) {
        Some(joined) => Ok(joined),
        None => url(text),
    }
}

fn read_accounts(path: &std::path::Path) -> Result<BTreeMap<String, AccountSource>, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::usage(format!("cannot read the accounts {}: {error}", path.display())))?;
    serde_saphyr::from_str(&text).map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))
}
