//! `fieldsync-object-storage`: an object storage for tests, until it is told to stop.
//!
//! It prints `storing URL/BUCKET`. Its keys are those of the environment, so that whoever signs has them, too.

use fieldsync_object_storage::{BUCKET, Keys, ObjectStorage};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), String> {
    let named = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set: choose any, for this run"));
    let keys = Keys { access: named("AWS_ACCESS_KEY_ID")?, secret: named("AWS_SECRET_ACCESS_KEY")? };
    let storage = ObjectStorage::start(&keys).await.map_err(|error| error.to_string())?;
    println!("storing {}/{BUCKET}", storage.endpoint());
    told_to_stop().await.map_err(|error| error.to_string())
}

/// Returns at Ctrl-C, or when the system asks the process to end: its folder goes with it.
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
