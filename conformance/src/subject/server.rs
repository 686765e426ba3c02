//! A server under test, reached over HTTP: embedded, spawned or somewhere else.

use crate::pace::Pace;
use crate::replay::{AccountAccess, Restart, Stage};
use crate::subject::command::line;
use crate::subject::control::Control;
use crate::subject::reach::why;
use crate::tap::{InProcess, StorageTap};
use async_trait::async_trait;
use fieldsync_schemas::control::{Account, Grant, Reach, Verb};
use fieldsync_schemas::discovery::Discovery;
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::event::Blocked;
use fieldsync_schemas::id::Capability;
use fieldsync_schemas::login::{LoginRequest, TokenAnswer};
use fieldsync_schemas::registry::Profile;
use fieldsync_schemas::session::{Role, Session};
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use url::Url;

/// The accounts that scenarios use, each with its role.
pub fn account_roles() -> [(&'static str, Role); 4] {
    [("worker", Role::ReadWrite), ("other", Role::ReadWrite), ("reader", Role::ReadOnly), ("admin", Role::Admin)]
}

/// The account that has no role in any data set.
pub const STRANGER: &str = "stranger";

/// A server under test.
#[async_trait]
pub trait Server: Send + Sync {
    /// Its name for people.
    fn name(&self) -> String;
    /// The profiles that it hosts.
    fn profiles(&self) -> Vec<Profile>;
    /// The capabilities that it claims for its data sets of a profile.
    fn capabilities(&self, profile: &Profile) -> &[Capability];
    /// The control verbs that can be used, each with its reach.
    fn verbs(&self) -> &BTreeMap<Verb, Reach>;
    /// The accounts that scenarios can use.
    fn account_names(&self) -> BTreeSet<String>;
    /// The tap before the object storage into which devices put files, where there is one.
    fn storage(&self) -> Option<StorageTap> {
        None
    }
    /// The server itself, where it is in this process and can be asked without a connection.
    fn in_process(&self) -> Option<Arc<dyn InProcess>> {
        None
    }
    /// What one scenario gets: a data set of its own where one can be made.
    async fn stage(&self, profile: &Profile) -> Result<Stage, String>;
}

/// How an account is to be used, as an accounts file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSource {
    /// The name of the account on the server.
    pub user: Option<String>,
    /// The environment variable that holds its password.
    pub password_env: Option<String>,
    /// The environment variable that holds a bearer token.
    pub token_env: Option<String>,
    /// A command that prints a bearer token.
    pub token_command: Option<String>,
}

/// How to reach a server.
pub struct ServerAddress {
    /// Its name for people.
    pub name: String,
    /// The base URLs of its data sets, one a profile.
    pub bases: Vec<Url>,
    /// The URL of its control verbs.
    pub control: Option<Url>,
    /// Its accounts, where the suite cannot make them.
    pub accounts: BTreeMap<String, AccountSource>,
    /// What it must host, one a profile; not compared where there is none.
    pub domains: Vec<Domain>,
    /// Ends its process and starts it again, where the suite owns it.
    pub restart: Option<Arc<dyn Restart>>,
    /// Headers of every request.
    pub headers: http::HeaderMap,
    /// Certificates to trust, PEM.
    pub ca_cert: Option<Vec<u8>>,
    /// How many requests a second it gets.
    pub pace: Option<Pace>,
    /// The tap before its object storage, for whose address it signs.
    pub storage: Option<StorageTap>,
    /// The server itself, where it is in this process.
    pub in_process: Option<Arc<dyn InProcess>>,
    /// How long an answer to the suite itself may take, as that of a control verb.
    pub patience: Duration,
}

impl ServerAddress {
    /// A server of this name, without an address yet.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            bases: Vec::new(),
            control: None,
            accounts: BTreeMap::new(),
            domains: Vec::new(),
            restart: None,
            headers: http::HeaderMap::new(),
            ca_cert: None,
            pace: None,
            storage: None,
            in_process: None,
            patience: Duration::from_secs(10),
        }
    }
}

/// A server under test, reached over HTTP.
pub struct HttpServer {
    name: String,
    data_sets: BTreeMap<Profile, Hosted>,
    control: Option<Control>,
    verbs: BTreeMap<Verb, Reach>,
    names: BTreeSet<String>,
    accounts: Mutex<LoggedIn>,
    ask: Asker,
    restart: Option<Arc<dyn Restart>>,
    storage: Option<StorageTap>,
    in_process: Option<Arc<dyn InProcess>>,
}

/// The accounts, and when they last logged in.
struct LoggedIn {
    accounts: BTreeMap<String, AccountAccess>,
    since: Instant,
}

/// A run may take longer than a token lives, and a scenario may move the clock by ten minutes: this is less than a
/// quarter of an hour without them.
const TOKENS_LAST: Duration = Duration::from_secs(4 * 60);

struct Hosted {
    base: Url,
    session: Session,
}

impl HttpServer {
    /// Asks a server what it hosts, makes or takes the accounts, and logs in; or says why nothing can be run.
    pub async fn connect(address: ServerAddress) -> Result<Self, Blocked> {
        if address.bases.is_empty() {
            return Err(blocked("ask for the discovery", "there is no base URL of a data set".to_owned(), false));
        }
        let http = client(&address).map_err(|reason| blocked("set up the connection", reason, false))?;
        let ask = Asker { http, pace: address.pace.clone() };
        let control = match &address.control {
            None => None,
            Some(url) => Some(
                Control::discover(url.clone(), ask.http.clone())
                    .await
                    .map_err(|error| blocked("ask for the control verbs", error.to_string(), true))?,
            ),
        };
        let mut profiles = BTreeMap::new();
        for base in &address.bases {
            let discovery: Discovery = ask.get("ask for the discovery", base.clone(), None).await.map_err(|why| {
                // Something answers there: most often another page of the same host.
                let hint = if why.unreachable { "" } else { ". Is this the base URL of a data set?" };
                Blocked { reason: why.reason + hint, ..why }
            })?;
            if !discovery.versions.iter().any(|version| version == PROTOCOL_VERSION) {
                let spoken = discovery.versions.join(", ");
                let reason = format!("{base} speaks {spoken}; this suite judges {PROTOCOL_VERSION}");
                return Err(blocked("agree on a protocol version", reason, false));
            }
            profiles.insert(discovery.profile, Some(base.clone()));
        }
        // What it can make data sets of it hosts, whatever stands under the URLs that were named.
        let makes = control.as_ref().filter(|control| control.offers(&Verb::NewDataSet));
        for profile in makes.map(Control::profiles).unwrap_or_default() {
            profiles.entry(profile.clone()).or_insert(None);
        }
        let accounts = match makes {
            Some(control) if control.offers(&Verb::Accounts) => {
                let profile = profiles.keys().next().expect("a server has at least one base URL");
                made_accounts(control, profile, &ask).await?
            }
            _ => taken_accounts(&address.accounts, &address.bases[0], &ask).await?,
        };
        let worker = accounts.get("worker").ok_or_else(|| {
            let reason = "no account `worker` is known; name one with --accounts, or offer the control verbs accounts and new_data_set";
            blocked("log in", reason.to_owned(), false)
        })?;
        let mut data_sets = BTreeMap::new();
        for (profile, base) in profiles {
            let base = match (makes, base) {
                (Some(control), _) => new_data_set(control, &profile, &accounts).await?.0,
                (None, Some(base)) => base,
                (None, None) => continue,
            };
            let session: Session = ask.get("fetch the session", below(&base, "session"), Some(&worker.token)).await?;
            same_registry(&profile, &session, &address.domains)?;
            data_sets.insert(profile, Hosted { base, session });
        }
        let mut verbs = control.as_ref().map(|control| control.verbs().clone()).unwrap_or_default();
        if address.restart.is_some() {
            verbs.insert(Verb::Kill, Reach::Server);
        } else {
            // A server that was ended and that nobody starts again is of no use to the next scenario.
            verbs.remove(&Verb::Kill);
        }
        let ServerAddress { name, restart, storage, in_process, .. } = address;
        let names = accounts.keys().cloned().collect();
        let accounts = Mutex::new(LoggedIn { accounts, since: Instant::now() });
        Ok(Self { name, data_sets, control, verbs, names, accounts, ask, restart, storage, in_process })
    }

    /// The accounts, with tokens that were issued lately where there is a password to get them with.
    async fn accounts(&self) -> BTreeMap<String, AccountAccess> {
        let mut known = self.accounts.lock().await;
        if known.since.elapsed() > TOKENS_LAST
            && let Some(hosted) = self.data_sets.values().next()
        {
            for one in known.accounts.values_mut() {
                // A login that fails is for the scenarios to tell; until then the token may be good.
                if let Some(password) = &one.password
                    && let Ok(token) = self.ask.login(&hosted.base, &one.user, password).await
                {
                    one.token = token;
                }
            }
            known.since = Instant::now();
        }
        known.accounts.clone()
    }
}

#[async_trait]
impl Server for HttpServer {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn profiles(&self) -> Vec<Profile> {
        self.data_sets.keys().cloned().collect()
    }

    fn capabilities(&self, profile: &Profile) -> &[Capability] {
        self.data_sets.get(profile).map(|hosted| &*hosted.session.capabilities).unwrap_or_default()
    }

    fn verbs(&self) -> &BTreeMap<Verb, Reach> {
        &self.verbs
    }

    fn account_names(&self) -> BTreeSet<String> {
        self.names.clone()
    }

    fn storage(&self) -> Option<StorageTap> {
        self.storage.clone()
    }

    fn in_process(&self) -> Option<Arc<dyn InProcess>> {
        self.in_process.clone()
    }

    async fn stage(&self, profile: &Profile) -> Result<Stage, String> {
        let hosted = self.data_sets.get(profile).ok_or_else(|| format!("the profile {profile} is not hosted"))?;
        let accounts = self.accounts().await;
        let (base, data_set) = match &self.control {
            Some(control) if control.offers(&Verb::NewDataSet) => {
                let (base, name) = new_data_set(control, profile, &accounts).await.map_err(|error| error.reason)?;
                (base, Some(name))
            }
            _ => (hosted.base.clone(), None),
        };
        Ok(Stage {
            base,
            data_set,
            accounts,
            session: hosted.session.clone(),
            control: self.control.clone(),
            restart: self.restart.clone(),
        })
    }
}

fn blocked(doing: &str, reason: String, unreachable: bool) -> Blocked {
    Blocked { doing: doing.to_owned(), reason, unreachable }
}

/// Scenarios speak of the domain's types: a server that hosts others cannot be judged by them. Whether the built-in type
/// is there, and in which order they stand, is for the scenarios.
pub(crate) fn same_registry(profile: &Profile, session: &Session, domains: &[Domain]) -> Result<(), Blocked> {
    let differs = |reason: String| Err(blocked("compare the registry with the domain", reason, false));
    if domains.is_empty() {
        return Ok(());
    }
    let Some(domain) = domains.iter().find(|domain| domain.profile == *profile) else {
        return differs(format!("there is no domain for the profile {profile}; name one with --domain"));
    };
    // A type with a partition is for devices and servers that know such types.
    let parts = session.capabilities.iter().any(|claimed| claimed.as_str() == "partitions");
    for entry in domain.types.iter().filter(|entry| entry.partition.is_none() || parts) {
        match session.registry.entry(&entry.name) {
            None => {
                return differs(format!(
                    "the session's registry has no type {}; host the types of the domain that is judged, the suite's own or the one of --domain",
                    entry.name
                ));
            }
            Some(hosted) if hosted != entry => {
                let (wanted, got) = (json!(entry), json!(hosted));
                return differs(format!(
                    "type {} is {got} in the session's registry and {wanted} in the domain",
                    entry.name
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn client(address: &ServerAddress) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .default_headers(address.headers.clone())
        .timeout(address.patience)
        .tcp_nodelay(true)
        .no_proxy();
    if let Some(pem) = &address.ca_cert {
        let certificate = reqwest::Certificate::from_pem(pem).map_err(|error| error.to_string())?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| error.to_string())
}

/// A path below a base URL.
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Makes a data set in which every account has its role.
pub(crate) async fn new_data_set(
    control: &Control,
    profile: &Profile,
    accounts: &BTreeMap<String, AccountAccess>,
) -> Result<(Url, String), Blocked> {
    let grants = account_roles()
        .into_iter()
        .filter_map(|(name, role)| Some(Grant { user: accounts.get(name)?.user.clone(), role }))
        .collect();
    control.new_data_set(profile, grants).await.map_err(|error| blocked("make a data set", error.to_string(), false))
}

/// Makes the accounts through the control verbs and logs each of them in.
async fn made_accounts(
    control: &Control,
    profile: &Profile,
    ask: &Asker,
) -> Result<BTreeMap<String, AccountAccess>, Blocked> {
    let mut accounts = BTreeMap::new();
    for name in account_roles().map(|(name, _)| name).into_iter().chain([STRANGER]) {
        let password = format!("{:032x}", rand::random::<u128>());
        let user = format!("{name}-{:08x}", rand::random::<u32>());
        accounts.insert(name.to_owned(), AccountAccess { user, password: Some(password), token: String::new() });
    }
    let wanted = accounts
        .values()
        .map(|one| Account { user: one.user.clone(), password: one.password.clone().unwrap_or_default() })
        .collect();
    control.accounts(wanted).await.map_err(|error| blocked("make accounts", error.to_string(), false))?;
    let (base, _) = new_data_set(control, profile, &accounts).await?;
    for one in accounts.values_mut() {
        one.token = ask.login(&base, &one.user, one.password.as_deref().unwrap_or_default()).await?;
    }
    Ok(accounts)
}

/// Takes the accounts that somebody else made.
async fn taken_accounts(
    sources: &BTreeMap<String, AccountSource>,
    base: &Url,
    ask: &Asker,
) -> Result<BTreeMap<String, AccountAccess>, Blocked> {
    let mut accounts = BTreeMap::new();
    for (name, source) in sources {
        let wrong = |reason: String| blocked("log in", format!("account {name}: {reason}"), false);
        let variable =
            |name: &String| std::env::var(name).map_err(|_| wrong(format!("the environment has no variable {name}")));
        let user = source.user.clone().unwrap_or_else(|| name.clone());
        let password = source.password_env.as_ref().map(variable).transpose()?;
        let token = match (&source.token_env, &source.token_command, &password) {
            (Some(name), _, _) => variable(name)?,
            (None, Some(command), _) => printed(command).await.map_err(wrong)?,
            (None, None, Some(password)) => ask.login(base, &user, password).await?,
            (None, None, None) => {
                return Err(wrong("it has neither password_env nor token_env nor token_command".to_owned()));
            }
        };
        accounts.insert(name.clone(), AccountAccess { user, password, token });
    }
    Ok(accounts)
}

async fn printed(command: &str) -> Result<String, String> {
    let output = line(command)
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .map_err(|error| format!("`{command}` did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{command}` ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

struct Asker {
    http: reqwest::Client,
    pace: Option<Pace>,
}

impl Asker {
    async fn get<T: DeserializeOwned>(&self, doing: &str, url: Url, token: Option<&str>) -> Result<T, Blocked> {
        let mut request = self.http.get(url.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.read(doing, &url, request).await
    }

    async fn login(&self, base: &Url, user: &str, password: &str) -> Result<String, Blocked> {
        let body = LoginRequest { user: user.to_owned(), password: password.to_owned() };
        let url = below(base, "login");
        let body = serde_json::to_vec(&body).expect("a login is plain JSON");
        let request = self.http.post(url.clone()).header("content-type", "application/json").body(body);
        let answer: TokenAnswer = self.read("log in", &url, request).await?;
        Ok(answer.access_token)
    }

    async fn read<T: DeserializeOwned>(
        &self,
        doing: &str,
        url: &Url,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Blocked> {
        let failed = |error: reqwest::Error| {
            let unreachable = error.is_connect() || error.is_timeout();
            blocked(doing, format!("{url} cannot be reached: {}", why(&error)), unreachable)
        };
        if let Some(pace) = &self.pace {
            pace.turn().await;
        }
        let answer = request.header(VERSION_HEADER, PROTOCOL_VERSION).send().await.map_err(failed)?;
        let status = answer.status();
        let body = bounded(answer).await.map_err(failed)?;
        let shown: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        if !status.is_success() {
            return Err(blocked(doing, format!("{url} answered {status}: {}", shown.escape_debug()), false));
        }
        serde_json::from_slice(&body).map_err(|error| {
            blocked(doing, format!("{url} answered {:?}, which cannot be read: {error}", shown), false)
        })
    }
}

/// The most of an answer that is read before a run begins, in bytes.
const LONGEST_ANSWER: usize = 8 << 20;

/// The body of an answer; one that is longer than any message is cut, and then cannot be read as one.
pub(crate) async fn bounded(mut answer: reqwest::Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            body.truncate(LONGEST_ANSWER);
            break;
        }
    }
    Ok(body)
}
