//! Servers with one trouble each, and what is said of them.

use super::{Credentials, Finding, Part, State, Visit, examine};
use crate::subject::reference::EmbeddedServer;
use crate::subject::server::Server;
use crate::tls_server;
use fieldsync_schemas::registry::Profile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

fn visit(url: &str) -> Visit {
    Visit {
        url: Url::parse(url).unwrap(),
        credentials: None,
        control: None,
        headers: http::HeaderMap::new(),
        ca_cert: None,
    }
}

/// A server on loopback that gives every request the same bytes.
async fn says(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/visits", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                    _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    base
}

fn message(status: &str, head: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn part(found: &[Finding], part: Part) -> &Finding {
    found.iter().find(|one| one.part == part).unwrap()
}

/// The one problem that there is.
fn problem(found: &[Finding]) -> &Finding {
    let mut problems = found.iter().filter(|one| one.state == State::Problem);
    let problem = problems.next().unwrap_or_else(|| panic!("no problem in {found:#?}"));
    assert!(problems.next().is_none(), "{found:#?}");
    problem
}

async fn problem_of(visit: &Visit) -> (Part, String) {
    let found = examine(visit).await;
    assert_eq!(found.len(), Part::ALL.len(), "each part has its line");
    let problem = problem(&found);
    assert!(problem.advice.is_some());
    (problem.part, problem.words.clone())
}

#[tokio::test]
async fn a_server_in_order_has_no_problem() {
    let embedded = EmbeddedServer::start().await.unwrap();
    let server = embedded.connect().await.unwrap();
    let stage = server.stage(&Profile::VersionWins).await.unwrap();
    let worker = &stage.accounts["worker"];
    let password = worker.password.clone().unwrap();
    let as_worker = Credentials::Password { user: worker.user.clone(), password };
    let mut visit = Visit { credentials: Some(as_worker), ..visit(stage.base.as_str()) };
    let found = examine(&visit).await;
    let good = found.iter().filter(|one| one.state == State::Good).count();
    assert_eq!((good, part(&found, Part::Control).state), (Part::ALL.len() - 1, State::NotLooked), "{found:#?}");

    visit.credentials = Some(Credentials::Token("no token of this server".to_owned()));
    assert_eq!(problem_of(&visit).await, (Part::Credentials, "the token is refused".to_owned()));
    visit.credentials = Some(Credentials::Password { user: worker.user.clone(), password: "wrong".to_owned() });
    let refused = format!("the server refuses the password of {}", worker.user);
    assert_eq!(problem_of(&visit).await, (Part::Credentials, refused));
    visit.credentials = Some(Credentials::Token(stage.accounts["stranger"].token.clone()));
    assert_eq!(problem_of(&visit).await.0, Part::Role);
    visit.credentials = Some(Credentials::Token(stage.accounts["reader"].token.clone()));
    assert_eq!(part(&examine(&visit).await, Part::Role).state, State::Careful);
    visit.credentials = None;
    visit.control = Some(visit.url.join("/no-control").unwrap());
    assert_eq!(problem_of(&visit).await.0, Part::Control);
    visit.control = None;
    visit.url.set_path("/nothing-here");
    assert_eq!(problem_of(&visit).await.0, Part::Server);
}

#[tokio::test]
async fn a_network_in_the_way_is_no_fault_of_the_server() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (part, words) = problem_of(&visit(&format!("http://{closed}/visits"))).await;
    assert!(part == Part::Network && words.contains("nothing listens"), "{words}");
    assert_eq!(problem_of(&visit("http://no-such-host.invalid/visits")).await.0, Part::Name);
}

#[tokio::test]
async fn what_stands_before_a_server_is_told_from_it() {
    for (answer, wanted) in [
        (message("302 Found", "location: http://login.example/\r\n", ""), "sends elsewhere, to http://login.example/"),
        (message("200 OK", "content-type: text/html\r\n", "<html>Welcome</html>"), "a page for a browser"),
        (message("200 OK", "", "<!doctype html>"), "a page for a browser"),
        (message("502 Bad Gateway", "", "upstream"), "without a problem that can be read"),
        (message("401 Unauthorized", "", ""), "before anybody logged in"),
        (message("200 OK", "content-type: application/json\r\n", "{\"ok\":true}"), "which is no discovery"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{".to_owned(), "failed: "),
        ("nothing that HTTP knows\r\n\r\n".to_owned(), "failed: "),
    ] {
        let (part, words) = problem_of(&visit(&says(answer).await)).await;
        assert!(part == Part::Server && words.contains(wanted), "{wanted}: {words}");
    }
}

#[tokio::test]
async fn versions_and_clocks_that_differ_are_named() {
    let discovery = |versions: &str| {
        let body = format!(r#"{{"versions":["{versions}"],"profile":"version-wins","auth":["bearer"]}}"#);
        message("200 OK", "content-type: application/json\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n", &body)
    };
    let (part_of, words) = problem_of(&visit(&says(discovery("2031-01-01")).await)).await;
    assert!(part_of == Part::Version && words.contains("2031-01-01"), "{words}");
    let found = examine(&visit(&says(discovery(fieldsync_schemas::PROTOCOL_VERSION)).await)).await;
    let clock = part(&found, Part::Clock);
    assert!(clock.state == State::Careful && clock.words.contains("behind"), "{clock:?}");
}

#[tokio::test]
async fn a_certificate_is_told_from_a_server() {
    let other = |_: &str| message("404 Not Found", "content-type: application/problem+json\r\n", "{}");
    let port = tls_server::start("127.0.0.1:0", other).await;
    let untrusted = visit(&format!("https://localhost:{port}/visits"));
    let (part_of, words) = problem_of(&untrusted).await;
    assert!(part_of == Part::Tls && words.contains("nobody whom this machine trusts"), "{words}");
    let trusting = Visit { ca_cert: Some(tls_server::CA.to_vec()), ..untrusted };
    let found = examine(&trusting).await;
    assert_eq!((part(&found, Part::Tls).state, problem(&found).part), (State::Good, Part::Server), "{found:#?}");
    // All of 127.0.0.0/8 is this machine, and the certificate names the first alone.
    let port = tls_server::start("127.0.0.2:0", other).await;
    let other_name = Visit { url: Url::parse(&format!("https://127.0.0.2:{port}/visits")).unwrap(), ..trusting };
    let (part_of, words) = problem_of(&other_name).await;
    assert!(part_of == Part::Tls && words.contains("is not for 127.0.0.2"), "{words}");
    let plain = says(message("200 OK", "", "")).await.replace("http://", "https://");
    let (part_of, words) = problem_of(&visit(&plain)).await;
    assert!(part_of == Part::Tls && words.contains("does not speak TLS"), "{words}");
}
