//! The reference server, in a process of its own, so that its processor time and memory are its own, too.
//!
//! The benchmark starts itself a second time; [`serve_if_asked`] is the first thing that it calls. The child serves
//! until its standard input ends, which it does whichever way the parent goes.

use crate::hosted::{DATA_SET, Hosted, REFERENCE_RECORDS};
use crate::records::{self, Numbers};
use crate::{Outcome, process};
use fieldsync_core::store::DataSetName;
use fieldsync_schemas::login::{LoginRequest, TokenAnswer};
use fieldsync_schemas::push::{OutcomeKind, PushAnswer};
use fieldsync_schemas::session::Role;
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use fieldsync_server::{Parts, PasswordCost, Server, Settings, SqliteStore, add_user};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const DIR: &str = "FIELDSYNC_BENCH_SERVER";
const HOSTED: &str = "FIELDSYNC_BENCH_HOSTED";
/// The mutations of a batch that fills a data set.
const BATCH: usize = 500;
/// The account that may write into the data set.
pub const USER: &str = "amina";
/// Its password.
pub const PASSWORD: &str = "right";

/// In the child: serves, and ends the process. In the benchmark itself: does nothing.
pub fn serve_if_asked() -> Outcome {
    let Some(dir) = std::env::var_os(DIR) else { return Ok(()) };
    let hosted: Hosted = std::env::var(HOSTED)?.parse()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let store = Arc::new(SqliteStore::open(Path::new(&dir))?);
        let grants = [(DataSetName(DATA_SET.to_owned()), Role::ReadWrite)];
        add_user(&*store, USER, PASSWORD, PasswordCost::default(), &grants).await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let running = Server::start(Settings::new(vec![hosted.domain()?]), Parts::standard(store)?, listener).await?;
        println!("{}/{DATA_SET}", running.base_url());
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        ended.await??;
        running.stop().await;
        Outcome::Ok(())
    })?;
    std::process::exit(0)
}

/// A server that runs. It ends, and its data with it, when this is dropped.
pub struct BenchServer {
    process: ServerProcess,
    base_url: String,
    dir: tempfile::TempDir,
    hosted: Hosted,
}

impl BenchServer {
    /// Starts one whose data is below `parent`, which must be on a disk for the numbers to mean anything.
    pub fn start(parent: &str, hosted: Hosted) -> Outcome<Self> {
        Self::over(tempfile::tempdir_in(parent)?, hosted)
    }

    /// Ends it and starts another over the same data.
    pub fn restart(self) -> Outcome<Self> {
        let Self { process, dir, hosted, .. } = self;
        drop(process);
        Self::over(dir, hosted)
    }

    fn over(dir: tempfile::TempDir, hosted: Hosted) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(DIR, dir.path())
            .env(HOSTED, hosted.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let mut base_url = String::new();
        BufReader::new(stdout).read_line(&mut base_url)?;
        if base_url.is_empty() {
            return Err("the server did not start".into());
        }
        Ok(Self { process: ServerProcess(child), base_url: base_url.trim_end().to_owned(), dir, hosted })
    }

    /// The data set's base URL.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Its database.
    pub fn database(&self) -> PathBuf {
        self.dir.path().join("fieldsync.sqlite")
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The processor time that it has taken.
    pub fn cpu_time(&self) -> Duration {
        process::cpu_time(self.pid()).unwrap_or_default()
    }
}

/// The process, which is told to end, and waited for, when this is dropped.
pub(crate) struct ServerProcess(pub(crate) Child);

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Someone who is logged in and sends bodies that are ready.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    base_url: String,
    token: String,
}

impl Caller {
    /// Logs in.
    pub async fn log_in(base_url: &str) -> Outcome<Self> {
        Self::log_in_as(base_url, USER).await
    }

    /// Logs in as this user, who has the same password.
    pub async fn log_in_as(base_url: &str, user: &str) -> Outcome<Self> {
        let http = reqwest::Client::builder().no_gzip().no_zstd().build()?;
        let mut caller = Self { http, base_url: base_url.to_owned(), token: String::new() };
        let login = LoginRequest { user: user.to_owned(), password: PASSWORD.to_owned() };
        let answer = caller.request("/login", serde_json::to_string(&login)?).send().await?.error_for_status()?;
        caller.token = serde_json::from_slice::<TokenAnswer>(&answer.bytes().await?)?.access_token;
        Ok(caller)
    }

    /// The access token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Pushes so many records of the first type, and checks nothing but that they were taken.
    pub async fn fill(&self, records: usize, numbers: &mut Numbers) -> Outcome {
        let mutations = (0..records).map(|_| {
            let record = records::make(numbers);
            records::create(&record, &numbers.id())
        });
        let mutations: Vec<String> = mutations.collect();
        self.push(&mutations, &numbers.id()).await
    }

    /// Pushes so many records, spread over the types that devices write, parents first, each with a parent.
    pub async fn fill_all(&self, hosted: Hosted, records: usize, numbers: &mut Numbers) -> Outcome {
        let types = hosted.written();
        let mut made: HashMap<&str, Vec<String>> = HashMap::new();
        for (index, (name, parent)) in types.iter().enumerate() {
            let share = records / types.len() + usize::from(index < records % types.len());
            let mut mutations = Vec::with_capacity(share);
            for number in 0..share {
                let record = records::make(numbers);
                let reference = || format!("{}-{}", parent.unwrap_or_default(), number % REFERENCE_RECORDS);
                let among = parent.and_then(|parent| made.get(parent));
                let parent = parent.map(|_| among.map_or_else(reference, |ids| ids[number % ids.len()].clone()));
                mutations.push(records::create_of(name, &record, parent.as_deref(), &numbers.id()));
                made.entry(name).or_default().push(record.id);
            }
            self.push(&mutations, &numbers.id()).await?;
        }
        Ok(())
    }

    /// Pushes mutations in batches, as one replica; all of them are to be applied.
    pub async fn push(&self, mutations: &[String], replica: &str) -> Outcome {
        let mut token = "null".to_owned();
        for (index, mutations) in mutations.chunks(BATCH).enumerate() {
            let body = format!(
                r#"{{"replica":"{replica}","seq":{},"previous":{token},"mutations":[{}]}}"#,
                index + 1,
                mutations.join(",")
            );
            let answer = self.request("/push", body).send().await?.error_for_status()?.bytes().await?;
            let answer: PushAnswer = serde_json::from_slice(&answer)?;
            if answer.outcomes.iter().any(|outcome| outcome.outcome != OutcomeKind::Applied) {
                return Err("a record was not applied".into());
            }
            token = format!("\"{}\"", answer.token);
        }
        Ok(())
    }

    /// A request with this body, before it is sent.
    pub fn request(&self, path: &str, body: String) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}{path}", self.base_url))
            .header(VERSION_HEADER, PROTOCOL_VERSION)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(body)
    }
}
