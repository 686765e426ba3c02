//! Clients that implement nothing, or do harm: no scenario may pass them, and the run goes on.
//!
//! Each is a shell script that says hello and then does what it does, so that what is proven is proven of the lines.

use fieldsync_conformance::run::{self, Options};
use fieldsync_conformance::scenario::Case;
use fieldsync_conformance::spec::{CLIENT_CAPABILITIES, Spec};
use fieldsync_conformance::subject::adapter::AdapterClient;
use fieldsync_conformance::subject::reference::EmbeddedServer;
use fieldsync_schemas::event::{Actor, Event, ScenarioEnded};
use fieldsync_schemas::registry::Profile;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// What a client does that implements nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullClient {
    /// Answers every verb with an error.
    Refuses,
    /// Answers every verb with success.
    Succeeds,
    /// Ends at the first verb after hello.
    Dies,
    /// Never answers.
    Hangs,
    /// Prints without end.
    Floods,
    /// Prints what is no answer.
    Babbles,
    /// Answers a line that nobody asked.
    Guesses,
    /// Writes one line without end.
    EndlessLine,
    /// Leaves a process behind, which holds on to its outputs.
    Forks,
}

impl NullClient {
    /// Those that do nothing.
    pub const IDLE: [NullClient; 3] = [NullClient::Refuses, NullClient::Succeeds, NullClient::Dies];
    /// Those that do harm.
    pub const HOSTILE: [NullClient; 6] = [
        NullClient::Hangs,
        NullClient::Floods,
        NullClient::Babbles,
        NullClient::Guesses,
        NullClient::EndlessLine,
        NullClient::Forks,
    ];

    /// What it does, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            NullClient::Refuses => "answers every verb with an error",
            NullClient::Succeeds => "answers every verb with success",
            NullClient::Dies => "dies on every verb",
            NullClient::Hangs => "never answers",
            NullClient::Floods => "floods its standard output",
            NullClient::Babbles => "prints what is no answer",
            NullClient::Guesses => "answers what nobody asked",
            NullClient::EndlessLine => "writes a line without end",
            NullClient::Forks => "forks and dies",
        }
    }

    /// What it does after hello, as a shell script. `$id` and `$verb` are of the line that was read.
    fn body(self) -> &'static str {
        match self {
            NullClient::Refuses => r#"say '"error":{"code":"failed","message":"no"}'"#,
            NullClient::Succeeds => {
                r#"case $verb in
                     sync) say '"ok":{"outcome":"ok"}' ;;
                     read) say '"ok":{"replica":"r","records":[],"conflicts":[],"outbox":[],"quarantine":[]}' ;;
                     *) say '"ok":{}' ;;
                   esac"#
            }
            NullClient::Dies => "exit 3",
            NullClient::Hangs => ":",
            NullClient::Floods => r#"yes '{"id":4000000000,"ok":{}}'"#,
            NullClient::Babbles => "echo 'starting up ...'",
            NullClient::Guesses => r#"id=$((id + 1000)); say '"ok":{}'"#,
            NullClient::EndlessLine => "tr '\\0' x </dev/zero",
            NullClient::Forks => "sleep 1000 & echo $! >>\"$(dirname \"$0\")/left\"; exit 3",
        }
    }
}

const SAYS_HELLO: &str = r#"
say() { printf '{"id":%s,%s}\n' "$id" "$1"; }
while read -r line; do
  id=${line##*'"id":'}; id=${id%%[!0-9]*}
  verb=${line#*'"verb":"'}; verb=${verb%%'"'*}
  if [ "$verb" = hello ]; then
    say "$hello"
    continue
  fi
"#;

/// It claims everything, so that no scenario is left out.
fn hello() -> String {
    let claims =
        json!({"name": "null", "version": "0", "profiles": Profile::KNOWN, "capabilities": CLIENT_CAPABILITIES});
    format!("\"ok\":{claims}")
}

/// How each scenario ends against such a client, when it may take this long; and the processes that the client left
/// behind, which must all be gone.
pub async fn run(
    null: NullClient,
    cases: &[Case],
    spec: &Arc<Spec>,
    timeout: Duration,
) -> std::io::Result<(Vec<ScenarioEnded>, Vec<u32>)> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("client.sh");
    std::fs::write(&script, format!("hello='{}'\n{SAYS_HELLO}\n{}\ndone\n", hello(), null.body()))?;
    let command = format!("sh '{}'", script.display());
    let client = AdapterClient::start(&command, timeout.mul_f64(0.5)).await.map_err(std::io::Error::other)?;
    let embedded = EmbeddedServer::start().await.map_err(std::io::Error::other)?;
    let server = embedded.connect().await.map_err(|blocked| std::io::Error::other(blocked.reason))?;
    let options = Options { judged: vec![Actor::Device], each_role: true, timeout, ..Options::default() };
    let cases: Vec<&Case> = cases.iter().collect();
    let events = run::run(&cases, spec, Arc::new(server), Arc::new(client), &options, &mut |_| {}).await;
    let ended = events.into_iter().filter_map(|event| match event {
        Event::Scenario(ended) => Some(*ended),
        _ => None,
    });
    let left = std::fs::read_to_string(folder.path().join("left")).unwrap_or_default();
    Ok((ended.collect(), left.lines().filter_map(|line| line.parse().ok()).collect()))
}
