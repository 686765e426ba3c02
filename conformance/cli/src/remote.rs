//! A data set on a server, and who asks it: for commands that pull one feed of it.

use clap::Args;
use fieldsync_conformance::subject::server::below;
use fieldsync_schemas::id::{Cursor, FeedName, ReplicaId};
use fieldsync_schemas::login::{LoginRequest, TokenAnswer};
use fieldsync_schemas::pull::{PullAnswer, PullRequest};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use url::Url;

/// Where to ask, and as whom. A password is never an argument, because everybody on the machine can read those.
#[derive(Debug, Args)]
pub struct RemoteArgs {
    /// The base URL of the data set.
    #[arg(long, value_name = "URL")]
    pub url: Url,
    /// The account that asks; one with the role admin sees what is everybody's.
    #[arg(long, value_name = "NAME", requires = "password_env")]
    pub user: Option<String>,
    /// The environment variable that holds its password.
    #[arg(long, value_name = "VARIABLE", requires = "user")]
    pub password_env: Option<String>,
    /// The environment variable that holds a bearer token.
    #[arg(long, value_name = "VARIABLE", conflicts_with = "user", required_unless_present = "user")]
    pub token_env: Option<String>,
}

impl RemoteArgs {
    /// Every record that a feed has for who asks, in the order of the feed.
    pub async fn pulled(&self, feed: &str) -> Result<Vec<Record>, String> {
        let http = reqwest::Client::new();
        let token = self.token(&http).await?;
        let feed: FeedName = feed.parse().map_err(|error| format!("{error}"))?;
        let replica: ReplicaId = "fieldsync-program".parse().map_err(|error| format!("{error}"))?;
        let mut from: Option<Cursor> = None;
        let mut records = Vec::new();
        loop {
            let feeds = BTreeMap::from([(feed.clone(), from.clone())]);
            let request = PullRequest { replica: replica.clone(), epoch: None, limit: None, feeds };
            let answer: PullAnswer = post(&http, below(&self.url, "pull"), Some(&token), &request).await?;
            let Some(page) = answer.feeds.into_iter().find(|page| page.feed == feed) else { return Ok(records) };
            for record in page.changes.iter().filter_map(|change| change.record.as_ref()) {
                records.push(serde_json::from_str(record.get()).map_err(|error| format!("{feed}: {error}"))?);
            }
            if !page.more {
                return Ok(records);
            }
            if from.as_ref() == Some(&page.cursor) {
                return Err(format!("{feed}: the server says that there is more, and gives the same cursor again"));
            }
            from = Some(page.cursor);
        }
    }

    async fn token(&self, http: &reqwest::Client) -> Result<String, String> {
        let variable =
            |name: &String| std::env::var(name).map_err(|_| format!("the environment has no variable {name}"));
        match (&self.user, &self.password_env, &self.token_env) {
            (Some(user), Some(password), _) => {
                let login = LoginRequest { user: user.clone(), password: variable(password)? };
                Ok(post::<TokenAnswer>(http, below(&self.url, "login"), None, &login).await?.access_token)
            }
            (_, _, Some(name)) => variable(name),
            _ => Err("name a user with --user and --password-env, or a token with --token-env".to_owned()),
        }
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
