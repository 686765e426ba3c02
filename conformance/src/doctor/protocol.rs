//! What the server says: its versions, its clock, the login, the session.

use super::answer::{Answer, Asker};
use super::{Credentials, Findings, Part, Step, Visit};
use crate::subject::control::Control;
use crate::subject::reference;
use crate::subject::server::{below, same_registry};
use fieldsync_schemas::PROTOCOL_VERSION;
use fieldsync_schemas::discovery::{Discovery, WellKnown};
use fieldsync_schemas::login::{LoginRequest, TokenAnswer};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::session::{Role, Session};
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use url::Url;

/// How far the clocks may lie apart: the server moves a later time of a record back to this.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// Asks what the data set is, and looks at version and clock.
pub(super) async fn discover(asker: &Asker, visit: &Visit, found: &mut Findings) -> Step<Discovery> {
    let url = &visit.url;
    let answer = match asker.get(url, None).await {
        Ok(answer) => answer,
        Err(reason) => {
            let advice = "the server took the connection and gave no whole answer: read its logs";
            return Err(found.problem(Part::Server, format!("GET {} failed: {reason}", url.path()), advice));
        }
    };
    if let Some((words, advice)) = answer.is_foreign() {
        return Err(found.problem(Part::Server, words, advice));
    }
    if let Some(problem) = answer.problem()
        && problem.code == ProblemCode::UnsupportedVersion
    {
        found.good(Part::Server, "a Fieldsync server answers");
        return Err(other_versions(&problem.supported, found));
    }
    if answer.status == StatusCode::NOT_FOUND {
        let advice = match default_base(asker, url).await {
            Some(base) => format!("the host names {base} as its default data set"),
            None => "correct the path of the URL: it is that of a data set, such as https://host/visits".to_owned(),
        };
        return Err(found.problem(Part::Server, format!("there is no data set at {}", url.path()), advice));
    }
    if answer.status == StatusCode::UNAUTHORIZED || answer.status == StatusCode::FORBIDDEN {
        let words = format!("it answers {} before anybody logged in", answer.status);
        let advice = "GET of a base URL needs no login (discovery.answer.without-login); a proxy may ask for one";
        return Err(found.problem(Part::Server, words, advice));
    }
    let discovery: Discovery = match serde_json::from_slice(&answer.body) {
        Ok(discovery) if answer.status.is_success() => discovery,
        Ok(_) => {
            let words = format!("it answers {}", answer.status);
            return Err(found.problem(Part::Server, words, "read the logs of the server"));
        }
        Err(error) => {
            let words = format!("it answers {} with {}, which is no discovery: {error}", answer.status, answer.shown());
            return Err(found.problem(Part::Server, words, "this URL is not the base URL of a Fieldsync data set"));
        }
    };
    let software = discovery.software.as_deref().unwrap_or("a server without a name");
    found.good(Part::Server, format!("{software}, profile {}", discovery.profile));
    if !discovery.versions.iter().any(|version| version == PROTOCOL_VERSION) {
        return Err(other_versions(&discovery.versions, found));
    }
    found.good(Part::Version, format!("both speak {PROTOCOL_VERSION}"));
    look_at_clock(&answer, found);
    Ok(discovery)
}

fn other_versions(theirs: &[String], found: &mut Findings) -> super::Barred {
    let words = format!("the server speaks {}, and this program {PROTOCOL_VERSION}", theirs.join(", "));
    found.problem(Part::Version, words, "renew whichever is older")
}

async fn default_base(asker: &Asker, url: &Url) -> Option<Url> {
    let answer = asker.get(&url.join("/.well-known/fieldsync").ok()?, None).await.ok()?;
    let known: WellKnown = serde_json::from_slice(&answer.body).ok()?;
    url.join(&known.base).ok()
}

fn look_at_clock(answer: &Answer, found: &mut Findings) {
    let date = answer.headers.get(header::DATE).and_then(|value| value.to_str().ok());
    let Some(theirs) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) else {
        return found.not_looked(Part::Clock, "the answer has no Date that can be read");
    };
    let apart = theirs.timestamp().duration_since(Timestamp::now());
    // The header counts whole seconds.
    if apart.abs() <= SignedDuration::from_secs(2) {
        return found.good(Part::Clock, "the clocks agree");
    }
    let way = if apart.is_negative() { "behind" } else { "ahead of" };
    let words = format!("the server's clock is {:#} {way} this machine's", apart.abs());
    if apart.abs() <= CLOCKS {
        found.good(Part::Clock, words);
    } else {
        found.careful(
            Part::Clock,
            words,
            "set the wrong one right: times of records that lie more than 5 minutes ahead are moved back, and tokens \
             end at the wrong moment",
        );
    }
}

/// Logs in and fetches the session.
pub(super) async fn log_in(
    asker: &Asker,
    visit: &Visit,
    discovery: &Discovery,
    credentials: &Credentials,
    found: &mut Findings,
) -> Step<Session> {
    let token = match credentials {
        Credentials::Token(token) => token.clone(),
        Credentials::Password { user, password } => {
            let body = LoginRequest { user: user.clone(), password: password.clone() };
            let answer = asker.post(&below(&visit.url, "login"), &body).await;
            let answer = whole(answer, "POST login", found)?;
            match serde_json::from_slice::<TokenAnswer>(&answer.body) {
                Ok(token) if answer.status.is_success() => token.access_token,
                _ => return Err(refused_login(&answer, user, discovery, found)),
            }
        }
    };
    let answer = asker.get(&below(&visit.url, "session"), Some(&token)).await;
    let answer = whole(answer, "GET session", found)?;
    if answer.status.is_success() {
        return match serde_json::from_slice::<Session>(&answer.body) {
            Ok(session) => {
                found.good(Part::Credentials, format!("logged in as {}", session.principal));
                Ok(session)
            }
            Err(error) => {
                let words = format!("the session cannot be read: {error}");
                let advice = "judge the server: fieldsync check server --chapter session";
                Err(found.problem(Part::Role, words, advice))
            }
        };
    }
    Err(match answer.status {
        StatusCode::UNAUTHORIZED => found.problem(
            Part::Credentials,
            "the token is refused",
            "it has ended, or another server issued it: get a new one; where the clocks differ it ends too early",
        ),
        StatusCode::FORBIDDEN => {
            found.good(Part::Credentials, "the login is taken");
            found.problem(Part::Role, "the account has no role in this data set", "give it one, on the server")
        }
        _ => found.problem(Part::Credentials, format!("GET session: {}", said(&answer)), "read the server's logs"),
    })
}

fn refused_login(answer: &Answer, user: &str, discovery: &Discovery, found: &mut Findings) -> super::Barred {
    let by_password = discovery.auth.iter().any(|method| method.as_str() == "password");
    let (words, advice) = match answer.status {
        StatusCode::UNAUTHORIZED => (
            format!("the server refuses the password of {user}"),
            "check both; the environment variable may hold a line break".to_owned(),
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if !by_password => (
            "the server has no login by password".to_owned(),
            "get a token where it gets them from, and name it with --token-env".to_owned(),
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            "the server takes no login for a while".to_owned(),
            match answer.problem().and_then(|problem| problem.retry_after) {
                Some(seconds) => format!("try again in {seconds} s"),
                None => "try again later".to_owned(),
            },
        ),
        _ => (format!("POST login: {}", said(answer)), "read the server's logs".to_owned()),
    };
    found.problem(Part::Credentials, words, advice)
}

/// An answer that came whole, and is no page of somebody else.
fn whole(answer: Result<Answer, String>, doing: &str, found: &mut Findings) -> Step<Answer> {
    let answer = answer.map_err(|reason| {
        found.problem(Part::Credentials, format!("{doing} failed: {reason}"), "read the logs of the server")
    })?;
    match answer.is_foreign() {
        Some((words, advice)) => Err(found.problem(Part::Credentials, format!("{doing}: {words}"), advice)),
        None => Ok(answer),
    }
}

/// What an answer says of its failure.
fn said(answer: &Answer) -> String {
    match answer.problem() {
        Some(problem) => {
            format!("{} {}: {} (request {})", answer.status, problem.code, problem.detail, problem.request_id)
        }
        None => format!("{} {}", answer.status, answer.shown()),
    }
}

/// What the account may do, and whether the suite can judge what is hosted.
pub(super) fn look_at_session(session: &Session, discovery: &Discovery, found: &mut Findings) {
    let scope = match session.scope.as_str() {
        fieldsync_schemas::session::SCOPE_OF_ALL => "of all records".to_owned(),
        scope => format!("of the scope {scope}"),
    };
    let words = format!("{} {scope}, epoch {}", session.role, session.epoch);
    match session.role {
        Role::ReadOnly => found.careful(Part::Role, words, "this account pulls; whatever it pushes is refused"),
        _ => found.good(Part::Role, words),
    }
    if session.profile != discovery.profile {
        let words = format!("the session says {}, and the discovery {}", session.profile, discovery.profile);
        _ = found.problem(Part::Types, words, "a data set has one profile");
        return;
    }
    match same_registry(&session.profile, session, &reference::domains()) {
        Ok(()) => found.good(Part::Types, "the types that the suite judges are hosted"),
        Err(blocked) => found.careful(
            Part::Types,
            format!("{} types of its own: {}", session.registry.types.len(), blocked.reason),
            "devices do not mind; to be judged, host the suite's domain in a data set beside it",
        ),
    }
}

/// Whether the control verbs are offered.
pub(super) async fn control(asker: &Asker, url: &Url, found: &mut Findings) {
    match Control::discover(url.clone(), asker.http().clone()).await {
        Ok(control) => {
            let verbs: Vec<String> = control.verbs().keys().map(ToString::to_string).collect();
            found.good(Part::Control, format!("offers {}", verbs.join(", ")));
        }
        Err(error) => {
            let advice = "start the server with its control verbs, on the loopback interface";
            _ = found.problem(Part::Control, error.to_string(), advice);
        }
    }
}
