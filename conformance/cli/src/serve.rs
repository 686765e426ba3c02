//! `fieldsync serve`: the reference server.

use crate::command_error::CommandError;
use crate::object_storage::ObjectStorageOptions;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_schemas::domain::Domain;
use fieldsync_server::{Claim, Parts, Restored, Server, Settings, SqliteStore, domain_from_yaml};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The folder of the data; made where it is missing.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// A data set to host, as YAML; once for each.
    #[arg(long, value_name = "FILE", required = true)]
    pub domain: Vec<PathBuf>,
    /// Put this backup, made by `fieldsync backup`, in the place of what is in the folder, in a new epoch, before
    /// serving. One that was restored there before is left alone.
    #[arg(long, value_name = "FILE")]
    pub restore: Option<PathBuf>,
    /// Where files are.
    #[command(flatten)]
    pub files: ObjectStorageOptions,
    /// Where devices reach the object storage, where that is not where the server does: URLs are signed for it.
    #[arg(long, value_name = "URL", requires = "object_storage")]
    pub storage_address: Option<String>,
    /// Offer the control verbs, for tests; refused on any address but loopback.
    #[arg(long)]
    pub control: bool,
}

/// Serves until it is told to stop.
pub fn run(args: ServeArgs) -> Result<ExitStatus, CommandError> {
    serve(args, |parts| parts)
}

/// Serves with the server's parts changed, as a mutant does.
pub fn serve(args: ServeArgs, fault: impl FnOnce(Parts) -> Parts) -> Result<ExitStatus, CommandError> {
    let filter = EnvFilter::try_from_env("FIELDSYNC_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    let domains = args.domain.iter().map(|path| read_domain(path)).collect::<Result<Vec<_>, _>>()?;
    let on_kill: Arc<dyn Fn() + Send + Sync> = Arc::new(|| std::process::abort());
    let settings = Settings { control: args.control, on_kill: Some(on_kill), ..Settings::new(domains) };
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    runtime.block_on(async {
        // Two servers on one folder would each go on in an epoch and a row of batches of its own.
        let _claim = Claim::take(&args.data).map_err(CommandError::usage)?;
        if let Some(backup) = &args.restore
            && fieldsync_server::restore(&args.data, backup).map_err(CommandError::usage)? == Restored::Before
        {
            tracing::warn!(backup = %backup.display(), "this backup was restored here before, and is left alone");
        }
        let store = SqliteStore::open(&args.data).map_err(CommandError::usage)?;
        let listener = tokio::net::TcpListener::bind(args.listen)
            .await
            .map_err(|error| CommandError::usage(format!("cannot listen on {}: {error}", args.listen)))?;
        let mut bucket = args.files.bucket()?;
        if let (Some(bucket), Some(address)) = (&mut bucket, &args.storage_address) {
            bucket.address = address.trim_end_matches('/').to_owned();
        }
        let parts = fault(Parts::with_files(Arc::new(store), bucket.as_ref()).map_err(CommandError::usage)?);
        let running = Server::start(settings, parts, listener).await.map_err(CommandError::usage)?;
        println!("serving {}", running.base_url());
        told_to_stop().await.map_err(CommandError::suite)?;
        running.stop().await;
        Ok(ExitStatus::Conformant)
    })
}

/// Reads a domain file.
pub fn read_domain(path: &Path) -> Result<Domain, CommandError> {
    let wrong = |error: &dyn std::fmt::Display| CommandError::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    domain_from_yaml(&text).map_err(|error| wrong(&error))
}

/// Returns at Ctrl-C, or when the system asks the process to end.
async fn told_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped,
            _ = end.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
