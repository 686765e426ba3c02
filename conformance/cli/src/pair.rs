//! A foreign client and a foreign server, judged together: for `check pair`, and for each cell of `matrix`.

use crate::command_error::CommandError;
use crate::server_args::{ServerArgs, address, subject_name};
use fieldsync_conformance::pace::Pace;
use fieldsync_conformance::run::{self, Options, Pair};
use fieldsync_conformance::scenario::Case;
use fieldsync_conformance::spec::Spec;
use fieldsync_conformance::subject::adapter::{AdapterClient, AdapterStartError};
use fieldsync_conformance::subject::reference::EmbeddedServer;
use fieldsync_conformance::subject::server::HttpServer;
use fieldsync_schemas::event::{Actor, Blocked, Event};
use fieldsync_server::Bucket;
use std::sync::Arc;

/// Judges the two together. Where there is a bucket, the files of the server are in it, and those of the reference.
pub async fn judge_pair(
    cases: &[&Case],
    spec: &Arc<Spec>,
    server: &ServerArgs,
    command: &str,
    bucket: Option<&Bucket>,
    options: &Options,
    watch: &mut (dyn FnMut(&Event) + Send),
) -> Result<Vec<Event>, CommandError> {
    let options = Options {
        judged: vec![Actor::Server, Actor::Device],
        headers: server.header.clone(),
        ca_cert: server.ca_cert.clone(),
        pace: server.rate.map(Pace::new),
        cleanup: server.cleanup,
        ..options.clone()
    };
    let blocked = |blocked| Ok(run::blocked(blocked, format!("{command} with {}", subject_name(server)), &options));
    let (mut address, _process) = match address(server, bucket).await? {
        Ok(found) => found,
        Err(why) => return blocked(why),
    };
    address.pace.clone_from(&options.pace);
    address.patience = options.timeout;
    let connected = match HttpServer::connect(address).await {
        Ok(connected) => connected,
        Err(why) => return blocked(why),
    };
    let client = match AdapterClient::start(command, options.timeout.mul_f64(0.8)).await {
        Ok(client) => client,
        Err(error) => {
            let unreachable = matches!(error, AdapterStartError::Start { .. });
            let doing = "start the adapter and say hello".to_owned();
            return blocked(Blocked { doing, reason: error.to_string(), unreachable });
        }
    };
    let embedded =
        EmbeddedServer::start_on(bucket.cloned(), Arc::new(|parts| parts)).await.map_err(CommandError::suite)?;
    let reference = embedded.connect().await.map_err(|blocked| CommandError::suite(blocked.reason))?;
    let pair = Pair { server: Arc::new(connected), client: Arc::new(client) };
    Ok(run::run_pair(cases, spec, &pair, Arc::new(reference), &options, watch).await)
}
