//! A server that the suite starts itself: owning the process gives kill and restart.

use crate::replay::Restart;
use crate::subject::command::{Group, shell};
use crate::subject::reach::why;
use crate::tap::redact::cut;
use async_trait::async_trait;
use fieldsync_schemas::discovery::WellKnown;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Child;
use tokio::sync::Mutex;
use url::Url;

/// How long a server may take to answer after it was started.
pub const START_BUDGET: Duration = Duration::from_secs(20);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The command lacks its port.
    #[error(
        "the command {0:?} has no {{port}}; put it where the server takes its port, such as `--listen 127.0.0.1:{{port}}`"
    )]
    NoPort(String),
    /// There is no free port or folder.
    #[error("failed to prepare for the server: {0}")]
    Prepare(#[source] std::io::Error),
    /// It did not start.
    #[error("failed to start `{command}`: {source}")]
    Start {
        /// The command.
        command: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ended before it answered.
    #[error("`{command}` ended with {status} before it answered{said}")]
    Ended {
        /// The command.
        command: String,
        /// How.
        status: std::process::ExitStatus,
        /// The last that it said.
        said: String,
    },
    /// It did not answer in time.
    #[error("`{command}` did not answer {url} within {} s{said}", START_BUDGET.as_secs())]
    Silent {
        /// The command.
        command: String,
        /// What was asked.
        url: Url,
        /// The last that it said.
        said: String,
    },
}

/// A server in a process of its own. It ends, with its whole process group, when this is dropped.
pub struct Spawned {
    command: String,
    root: Url,
    http: reqwest::Client,
    child: Mutex<Option<(Child, Group)>>,
    folder: tempfile::TempDir,
}

impl Spawned {
    /// Starts a server and waits until it answers `/.well-known/fieldsync`.
    pub async fn start(template: &str) -> Result<Arc<Self>, SpawnError> {
        if !template.contains("{port}") {
            return Err(SpawnError::NoPort(template.to_owned()));
        }
        let folder = tempfile::tempdir().map_err(SpawnError::Prepare)?;
        let port = free_port().map_err(SpawnError::Prepare)?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data).map_err(SpawnError::Prepare)?;
        let command = filled(template, port, &data);
        let root = Url::parse(&format!("http://127.0.0.1:{port}/")).expect("a port makes a URL");
        let spawned = Self { command, root, http: reqwest::Client::new(), child: Mutex::new(None), folder };
        spawned.launch().await?;
        Ok(Arc::new(spawned))
    }

    /// Where it listens.
    pub fn root(&self) -> &Url {
        &self.root
    }

    /// The folder that `{dir}` stands for.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it writes to its outputs.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Its process, for a debugger.
    pub async fn pid(&self) -> Option<u32> {
        self.child.lock().await.as_ref().and_then(|(child, _)| child.id())
    }

    /// The last lines that the server wrote to its outputs, for an error.
    fn said(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.iter().rev().map(|line| format!("\n  {}", line.escape_debug())).collect()
    }

    /// The base URL of its default data set.
    pub async fn default_base(&self) -> Result<Url, String> {
        let url = self.root.join(".well-known/fieldsync").expect("a constant path");
        let answer = self.http.get(url.clone()).send().await.map_err(|error| format!("{url}: {}", why(&error)))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| format!("{url}: {}", why(&error)))?;
        let known =
            if status == reqwest::StatusCode::OK { serde_json::from_slice::<WellKnown>(&body).ok() } else { None };
        let Some(known) = known else {
            let said = cut(&String::from_utf8_lossy(&body), 200);
            return Err(format!(
                "GET {url} was answered with {status}, {said:?}. There a server that is started by --serve has to name its \
                 data set, with 200 and {{\"base\": \"/visits\"}}, for example (chapter Discovery). If yours does not, start \
                 it yourself, and name its data set with --url"
            ));
        };
        url.join(&known.base).map_err(|error| format!("{url} names the base {:?}: {error}", known.base))
    }

    async fn launch(&self) -> Result<(), SpawnError> {
        let failed = |source| SpawnError::Start { command: self.command.clone(), source };
        let log = std::fs::File::options().create(true).append(true).open(self.log()).map_err(SpawnError::Prepare)?;
        let out = log.try_clone().map_err(SpawnError::Prepare)?;
        let mut child = shell(&self.command).stdout(out).stderr(log).spawn().map_err(failed)?;
        let group = Group::of(&child);
        let url = self.root.join(".well-known/fieldsync").expect("a constant path");
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Err(SpawnError::Ended { command: self.command.clone(), status, said: self.said() });
            }
            // Anything that answers HTTP is up; whether it answers well is for the scenarios.
            if self.http.get(url.clone()).timeout(Duration::from_secs(1)).send().await.is_ok() {
                *self.child.lock().await = Some((child, group));
                return Ok(());
            }
            if started.elapsed() > START_BUDGET {
                return Err(SpawnError::Silent { command: self.command.clone(), url, said: self.said() });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[async_trait]
impl Restart for Spawned {
    async fn restart(&self) -> Result<(), String> {
        if let Some((mut child, group)) = self.child.lock().await.take() {
            group.end();
            child.wait().await.map_err(|error| format!("the server did not end: {error}"))?;
        }
        self.launch().await.map_err(|error| error.to_string())
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if let Some((_, group)) = self.child.get_mut() {
            group.end();
        }
    }
}

fn filled(template: &str, port: u16, folder: &Path) -> String {
    template.replace("{port}", &port.to_string()).replace("{dir}", &folder.display().to_string())
}

fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_ends_is_said_to_have_ended() {
        let error = Spawned::start("sh -c 'echo no {port} >&2; exit 3'").await.err().unwrap();
        assert!(matches!(error, SpawnError::Ended { .. }), "{error}");
        assert!(error.to_string().contains("\n  no "), "{error}");
        assert!(matches!(Spawned::start("true").await.err().unwrap(), SpawnError::NoPort(_)));
    }

    #[tokio::test]
    async fn a_server_without_a_default_base_is_told_what_was_asked_what_came_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let known = folder.path().join(".well-known");
        std::fs::create_dir(&known).unwrap();
        let command =
            format!("python3 -m http.server --bind 127.0.0.1 --directory {} {{port}}", folder.path().display());
        let server = Spawned::start(&command).await.unwrap();
        let error = server.default_base().await.unwrap_err();
        assert!(error.contains("/.well-known/fieldsync was answered with 404 Not Found, \"<!DOCTYPE"), "{error}");
        assert!(error.contains("{\"base\": \"/visits\"}") && error.contains("--url"), "{error}");
        std::fs::write(known.join("fieldsync"), "{}").unwrap();
        let error = server.default_base().await.unwrap_err();
        assert!(error.contains("was answered with 200 OK, \"{}\""), "{error}");
        std::fs::write(known.join("fieldsync"), r#"{"base": "/visits"}"#).unwrap();
        assert_eq!(server.default_base().await.unwrap().path(), "/visits");
    }
}
