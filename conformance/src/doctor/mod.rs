//! What is in the way between here and a data set, in plain words: one look after the other, from the name of the host to
//! the types of the records. The first thing that bars the way ends the walk; what lies behind it is not looked at.

mod answer;
mod network;
mod protocol;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use url::Url;

/// Where to look, and with what.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The base URL of the data set.
    pub url: Url,
    /// Who logs in.
    pub credentials: Option<Credentials>,
    /// The URL of the control verbs, where the server is to offer them.
    pub control: Option<Url>,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// Certificates to trust, PEM.
    pub ca_cert: Option<Vec<u8>>,
}

/// How to log in.
#[derive(Clone)]
pub enum Credentials {
    /// With an account of the server.
    Password {
        /// The account's name.
        user: String,
        /// Its password.
        password: String,
    },
    /// With an access token that is there already.
    Token(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "the password of {user}"),
            Self::Token(_) => f.write_str("a token"),
        }
    }
}

/// What is looked at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The name of the host.
    Name,
    /// The connection to it.
    Network,
    /// Its certificate.
    Tls,
    /// Whether a Fieldsync server answers.
    Server,
    /// Whether both speak one version of the protocol.
    Version,
    /// Whether the clocks agree.
    Clock,
    /// Whether the login is taken.
    Credentials,
    /// What the account may do.
    Role,
    /// Whether the suite can judge what is hosted.
    Types,
    /// Whether the control verbs are offered.
    Control,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Name,
        Self::Network,
        Self::Tls,
        Self::Server,
        Self::Version,
        Self::Clock,
        Self::Credentials,
        Self::Role,
        Self::Types,
        Self::Control,
    ];

    /// Its word in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Network => "network",
            Self::Tls => "TLS",
            Self::Server => "server",
            Self::Version => "version",
            Self::Clock => "clock",
            Self::Credentials => "credentials",
            Self::Role => "role",
            Self::Types => "types",
            Self::Control => "control",
        }
    }
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// It works, and is worth a thought.
    Careful,
    /// It does not work.
    Problem,
    /// Something before it is in the way, or it was not asked for.
    NotLooked,
}

/// What was found out of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub part: Part,
    /// How it is.
    pub state: State,
    /// What was seen.
    pub words: String,
    /// What to do.
    pub advice: Option<String>,
}

/// What one look ends with: the way goes on, or it is barred and this has been said.
type Step<T> = Result<T, Barred>;

/// The way is barred.
struct Barred;

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, part: Part, words: impl Into<String>) {
        self.0.push(Finding { part, state: State::Good, words: words.into(), advice: None });
    }

    fn careful(&mut self, part: Part, words: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Finding { part, state: State::Careful, words: words.into(), advice: Some(advice.into()) });
    }

    fn problem(&mut self, part: Part, words: impl Into<String>, advice: impl Into<String>) -> Barred {
        self.0.push(Finding { part, state: State::Problem, words: words.into(), advice: Some(advice.into()) });
        Barred
    }

    fn not_looked(&mut self, part: Part, words: impl Into<String>) {
        self.0.push(Finding { part, state: State::NotLooked, words: words.into(), advice: None });
    }
}

/// Looks at everything that a device needs of a server.
pub async fn examine(visit: &Visit) -> Vec<Finding> {
    let mut found = Findings::default();
    // Where the way is barred, the reason is among the findings.
    _ = walk(visit, &mut found).await;
    for part in Part::ALL {
        if !found.0.iter().any(|one| one.part == part) {
            found.not_looked(part, "not looked at: something before it is in the way");
        }
    }
    found.0.sort_by_key(|one| one.part);
    found.0
}

async fn walk(visit: &Visit, found: &mut Findings) -> Step<()> {
    network::reach(visit, found).await?;
    let asker = answer::Asker::new(visit, found)?;
    let discovery = protocol::discover(&asker, visit, found).await?;
    if let Some(control) = &visit.control {
        protocol::control(&asker, control, found).await;
    } else {
        found.not_looked(Part::Control, "not asked for; name its URL with --control");
    }
    let Some(credentials) = &visit.credentials else {
        let words = "none were given; name an account with --user and --password-env, or a token with --token-env";
        for part in [Part::Credentials, Part::Role, Part::Types] {
            found.not_looked(part, words);
        }
        return Ok(());
    };
    let session = protocol::log_in(&asker, visit, &discovery, credentials, found).await?;
    protocol::look_at_session(&session, &discovery, found);
    Ok(())
}
