//! The suite under `cargo test`: a server or a client in Rust is judged in its own process, one named test a scenario.
//!
//! ```no_run
//! // tests/conformance.rs, with `harness = false` in Cargo.toml
//! use fieldsync_conformance::harness;
//! use fieldsync_conformance::subject::server::ServerAddress;
//!
//! fn main() -> std::process::ExitCode {
//!     harness::judge_server(async {
//!         // Start your server here, and keep it for as long as the tests run.
//!         let base = "http://127.0.0.1:8080/visits".parse()?;
//!         let control = "http://127.0.0.1:8080/control".parse()?;
//!         Ok::<_, Box<dyn std::error::Error>>(ServerAddress {
//!             bases: vec![base],
//!             control: Some(control),
//!             ..ServerAddress::named("my server")
//!         })
//!     })
//! }
//! ```
//!
//! Names are those of the fixtures, so `cargo test --test conformance push/` runs a chapter, and `-- --list` lists all. What
//! cannot be run against the subject is ignored, with the reason in its name. With `FIELDSYNC_SHARD=1/4` in the environment
//! only the first of four parts is there, which are those of `fieldsync check --shard`.

use crate::report::{Background, case_notes, of_scenario};
use crate::run::{Options, Prepared, selection};
use crate::scenario::{self, Case, Loaded, id_of};
use crate::spec::Spec;
use crate::subject::client::Client;
use crate::subject::reference::{EmbeddedServer, ReferenceDevices};
use crate::subject::server::{HttpServer, Server, ServerAddress};
use fieldsync_schemas::event::{Actor, Event, Shard, Verdict};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::env::VarError;
use std::fmt::Display;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock};

/// The name of the variable that says which part is run.
const SHARD: &str = "FIELDSYNC_SHARD";
/// The width of what a failed test says, in columns.
const WIDTH: usize = 100;

/// Judges a server by every scenario of its side. `start` is awaited once, in the runtime in which the tests run.
pub fn judge_server<E: Display>(start: impl Future<Output = Result<ServerAddress, E>>) -> ExitCode {
    judge(async {
        let address = start.await.map_err(|error| error.to_string())?;
        let server = HttpServer::connect(address)
            .await
            .map_err(|blocked| format!("cannot {}: {}", blocked.doing, blocked.reason))?;
        let options = Options { judged: vec![Actor::Server], again: again(), filtered: true, ..Options::default() };
        Ok(Subject { server: Arc::new(server), client: Arc::new(ReferenceDevices::default()), options })
    })
}

/// Judges a client by every scenario that speaks of devices, in each role alone and then in all, against the reference
/// server. `start` is awaited once, in the runtime in which the tests run.
pub fn judge_client<E: Display>(start: impl Future<Output = Result<Arc<dyn Client>, E>>) -> ExitCode {
    judge(async {
        let client = start.await.map_err(|error| error.to_string())?;
        let embedded = EmbeddedServer::start().await.map_err(|error| error.to_string())?;
        let server = embedded.connect().await.map_err(|blocked| blocked.reason)?;
        let options = Options {
            judged: vec![Actor::Device],
            each_role: true,
            again: again(),
            filtered: true,
            ..Options::default()
        };
        Ok(Subject { server: Arc::new(server), client, options })
    })
}

/// What is judged.
struct Subject {
    server: Arc<dyn Server>,
    client: Arc<dyn Client>,
    options: Options,
}

fn judge(start: impl Future<Output = Result<Subject, String>>) -> ExitCode {
    let arguments = Arguments::from_args();
    match prepare(start) {
        Ok(tests) => libtest_mimic::run(&arguments, tests).exit_code(),
        Err(reason) => {
            eprintln!("nothing could be judged: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn prepare(start: impl Future<Output = Result<Subject, String>>) -> Result<Vec<Trial>, String> {
    let runtime = Arc::new(tokio::runtime::Runtime::new().map_err(|error| error.to_string())?);
    let Loaded { mut cases, broken } = scenario::embedded();
    if let Some(shard) = shard()? {
        let part = selection::part(cases.iter().map(Case::file_id), shard);
        let part: BTreeSet<String> = part.into_iter().map(str::to_owned).collect();
        cases.retain(|case| part.contains(case.file_id()));
    }
    let spec = Arc::new(Spec::embedded().map_err(|error| error.to_string())?);
    let prepared = runtime.block_on(async {
        let Subject { server, client, options } = start.await?;
        let cases: Vec<&Case> = cases.iter().collect();
        Prepared::new(&cases, &spec, server, client, &options)
    })?;
    let scenarios = prepared.scenarios();
    let shared = Arc::new(Shared { runtime, prepared, cases, spec, alone: RwLock::new(()) });
    let tests = scenarios.into_iter().enumerate().map(|(place, scenario)| {
        let shared = shared.clone();
        let (name, ignored) = match &scenario.skipped {
            Some(reason) => (format!("{} ({reason})", scenario.name), true),
            None => (scenario.name, false),
        };
        Trial::test(name, move || shared.test(place, scenario.alone)).with_ignored_flag(ignored)
    });
    // The suite's own fault is red, too.
    let broken = broken.into_iter().map(|error| Trial::test(id_of(&error.file), move || Err(error.into())));
    Ok(tests.chain(broken).collect())
}

/// The part of the suite that is to be run, where one is named.
fn shard() -> Result<Option<Shard>, String> {
    match std::env::var(SHARD) {
        Ok(text) => selection::shard(&text).map(Some).map_err(|error| format!("{SHARD} is {text:?}: {error}")),
        Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{SHARD}: {error}")),
    }
}

struct Shared {
    runtime: Arc<tokio::runtime::Runtime>,
    prepared: Prepared,
    cases: Vec<Case>,
    spec: Arc<Spec>,
    /// Held by every test; alone by one that reaches the whole server.
    alone: RwLock<()>,
}

impl Shared {
    fn test(&self, place: usize, alone: bool) -> Result<(), Failed> {
        let run = || self.runtime.block_on(self.prepared.run(place));
        let events = match alone {
            true => {
                let _alone = self.alone.write().unwrap_or_else(PoisonError::into_inner);
                run()
            }
            false => {
                let _beside = self.alone.read().unwrap_or_else(PoisonError::into_inner);
                run()
            }
        };
        let ended = events.iter().find_map(|event| match event {
            Event::Scenario(ended) => Some(ended),
            _ => None,
        });
        let ended = ended.ok_or("the scenario did not end")?;
        match ended.verdict {
            Verdict::Pass | Verdict::UnexpectedPass | Verdict::Warn => Ok(()),
            Verdict::Fail | Verdict::KnownFailure => Err(self.told(&events).into()),
            Verdict::Error | Verdict::Unsupported | Verdict::NotTested => {
                Err(ended.reason.clone().unwrap_or_default().into())
            }
        }
    }

    fn told(&self, events: &[Event]) -> String {
        let background = Background { spec: &self.spec, cases: case_notes(&self.cases) };
        of_scenario(events, &background, WIDTH).unwrap_or_else(|error| error.to_string())
    }
}

/// The command that runs a test of this program again, up to its name: Cargo tells its package to what it runs, and puts
/// a hash behind its name.
fn again() -> String {
    let package = std::env::var("CARGO_PKG_NAME").map(|name| format!(" -p {name}"));
    let program = std::env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    let test = program.as_deref().and_then(|name| name.rsplit_once('-')).map(|(name, _)| format!(" --test {name}"));
    format!("cargo test{}{}", package.unwrap_or_default(), test.unwrap_or_default())
}
