//! `fieldsync telemetry`: what the devices of a data set tell of their syncs, for those who look after the users.

use crate::command_error::CommandError;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::subject::server::below;
use fieldsync_schemas::id::{Cursor, FeedName, Principal, ReplicaId};
use fieldsync_schemas::login::{LoginRequest, TokenAnswer};
use fieldsync_schemas::pull::{PullAnswer, PullRequest};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::telemetry::{SyncEndWord, SyncTelemetry, TELEMETRY_FEED};
use fieldsync_schemas::time::Timestamp;
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use url::Url;

/// The arguments of `telemetry`. A password is never an argument, because everybody on the machine can read those.
#[derive(Debug, Args)]
pub struct TelemetryArgs {
    /// The base URL of the data set.
    #[arg(long, value_name = "URL")]
    pub url: Url,
    /// The account that asks; one with the role admin sees all users.
    #[arg(long, value_name = "NAME", requires = "password_env")]
    pub user: Option<String>,
    /// The environment variable that holds its password.
    #[arg(long, value_name = "VARIABLE", requires = "user")]
    pub password_env: Option<String>,
    /// The environment variable that holds a bearer token.
    #[arg(long, value_name = "VARIABLE", conflicts_with = "user", required_unless_present = "user")]
    pub token_env: Option<String>,
    /// Also list every sync, oldest first.
    #[arg(long)]
    pub all: bool,
}

/// Pulls the feed and lists it by user, those who are worst off first.
pub fn run(args: TelemetryArgs) -> Result<ExitStatus, CommandError> {
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let told = runtime.block_on(pulled(&args)).map_err(CommandError::usage)?;
    print!("{}", listed(told, args.all));
    Ok(ExitStatus::Conformant)
}

async fn pulled(args: &TelemetryArgs) -> Result<Vec<SyncTelemetry>, String> {
    let variable = |name: &String| std::env::var(name).map_err(|_| format!("the environment has no variable {name}"));
    let http = reqwest::Client::new();
    let token = match (&args.user, &args.password_env, &args.token_env) {
        (Some(user), Some(password), _) => {
            let login = LoginRequest { user: user.clone(), password: variable(password)? };
            post::<TokenAnswer>(&http, below(&args.url, "login"), None, &login).await?.access_token
        }
        (_, _, Some(name)) => variable(name)?,
        _ => return Err("name a user with --user and --password-env, or a token with --token-env".to_owned()),
    };
    let feed: FeedName = TELEMETRY_FEED.parse().map_err(|error| format!("{error}"))?;
    let replica: ReplicaId = "telemetry".parse().map_err(|error| format!("{error}"))?;
    let mut from: Option<Cursor> = None;
    let mut told = Vec::new();
    loop {
        let feeds = BTreeMap::from([(feed.clone(), from.clone())]);
        let request = PullRequest { replica: replica.clone(), epoch: None, limit: None, feeds };
        let answer: PullAnswer = post(&http, below(&args.url, "pull"), Some(&token), &request).await?;
        let Some(page) = answer.feeds.into_iter().find(|page| page.feed == feed) else { return Ok(told) };
        for record in page.changes.iter().filter_map(|change| change.record.as_ref()) {
            let record: Record = serde_json::from_str(record.get()).map_err(|error| error.to_string())?;
            // A device may tell what this program does not know.
            told.extend(record.data.and_then(|data| serde_json::from_str(data.get()).ok()));
        }
        if !page.more {
            return Ok(told);
        }
        from = Some(page.cursor);
    }
}

async fn post<T: DeserializeOwned>(
    http: &reqwest::Client,
    url: Url,
    token: Option<&str>,
    body: &impl Serialize,
) -> Result<T, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{url}: {error}");
    let mut request = http.post(url.clone()).header(VERSION_HEADER, PROTOCOL_VERSION);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let body = serde_json::to_vec(body).map_err(|error| failed(&error))?;
    let answer = request.header("content-type", "application/json").body(body).send().await;
    let answer = answer.map_err(|error| failed(&error))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| failed(&error))?;
    if !status.is_success() {
        let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        return Err(failed(&format!("{status}: {}", said.escape_debug())));
    }
    serde_json::from_slice(&body).map_err(|error| failed(&error))
}

/// What is known of one user's syncs.
#[derive(Default)]
struct OfUser {
    syncs: Vec<SyncTelemetry>,
}

impl OfUser {
    /// The last sync that went well.
    fn last_good(&self) -> Option<Timestamp> {
        self.syncs.iter().filter(|one| one.outcome == SyncEndWord::Ok).map(|one| one.started_at).max()
    }

    /// The syncs that did not since, the last one at the end.
    fn bad_since(&self) -> Vec<&SyncTelemetry> {
        let good = self.last_good();
        let is_since = |one: &&SyncTelemetry| one.outcome != SyncEndWord::Ok && Some(one.started_at) > good;
        self.syncs.iter().filter(is_since).collect()
    }
}

/// One line a user, who has failed most since the last good sync first.
fn listed(told: Vec<SyncTelemetry>, all: bool) -> String {
    let mut users: BTreeMap<Principal, OfUser> = BTreeMap::new();
    for one in told {
        users.entry(one.user.clone()).or_default().syncs.push(one);
    }
    let mut users: Vec<(Principal, OfUser)> = users.into_iter().collect();
    users.iter_mut().for_each(|(_, of_user)| of_user.syncs.sort_by_key(|one| one.started_at));
    users.sort_by_key(|(user, of_user)| (std::cmp::Reverse(of_user.bad_since().len()), user.clone()));
    let mut text = format!("{:<24} {:>6} {:<24} {:>7}  last trouble\n", "user", "syncs", "last good sync", "failed");
    for (user, of_user) in &users {
        let bad = of_user.bad_since();
        let good = of_user.last_good().map_or_else(|| "never".to_owned(), |at| at.to_string());
        let trouble = bad.last().map(|one| word(one)).unwrap_or_default();
        let line = format!("{user:<24} {:>6} {good:<24} {:>7}  {trouble}", of_user.syncs.len(), bad.len());
        text.push_str(line.trim_end());
        text.push('\n');
        for one in of_user.syncs.iter().filter(|_| all) {
            let (pushed, pulled): (u64, u64) = (one.pushed.values().sum(), one.pulled.values().sum());
            let line =
                format!("  {} {:<8} {pushed:>6} pushed {pulled:>6} pulled  {}", one.started_at, one.outcome, word(one));
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

/// Why a sync did not go well.
fn word(one: &SyncTelemetry) -> String {
    let cause = one.cause.map(|cause| serde_json::to_value(cause).unwrap_or_default());
    let cause = cause.as_ref().and_then(|cause| cause.as_str()).unwrap_or_default();
    match (&one.outcome, &one.detail) {
        (SyncEndWord::Ok, _) => String::new(),
        (SyncEndWord::Failed, Some(detail)) => format!("{cause}: {detail}"),
        (SyncEndWord::Failed, None) => cause.to_owned(),
        (other, _) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sync(user: &str, minute: u32, outcome: &str) -> SyncTelemetry {
        let mut sync =
            json!({"user": user, "outcome": outcome, "started_at": format!("2026-12-01T08:{minute:02}:00Z")});
        if outcome == "failed" {
            sync["cause"] = json!("network");
        }
        serde_json::from_value(sync).unwrap()
    }

    #[test]
    fn who_fails_stands_first() {
        let told = vec![
            sync("amina", 1, "failed"),
            sync("amina", 5, "ok"),
            sync("juma", 2, "ok"),
            sync("juma", 3, "failed"),
            sync("juma", 4, "killed"),
        ];
        let text = listed(told, false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("juma") && lines[1].ends_with("2  killed"), "{text}");
        assert!(lines[2].starts_with("amina") && lines[2].trim_end().ends_with('0'), "{text}");
    }
}
