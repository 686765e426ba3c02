//! The other side: an adapter for anything that makes devices.
//!
//! A client in Rust implements [`Devices`] and is judged in the same process; [`serve`] turns it into a command, too.

use super::line;
use crate::subject::device::{Credentials, Device, DeviceError, DeviceSetup, Devices, Keeping, SyncEnd};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fieldsync_schemas::adapter::{
    AdapterAnswer, AdapterCredentials, AdapterDescription, AdapterError, AdapterErrorCode, AdapterReading,
    AdapterRequest, AdapterSyncEnd, Attach, LINE_BYTES, Open, QuarantinedRecord, Read, Set, ShownConflict, ShownFile,
    ShownRecord, SyncOutcomeWord,
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::codec::{FramedRead, LinesCodec};
use url::Url;

/// Answers lines until there are no more.
pub async fn serve(
    description: AdapterDescription,
    devices: Arc<dyn Devices>,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> std::io::Result<()> {
    let (answers, to_write) = mpsc::unbounded_channel();
    let writer = tokio::spawn(write_answers(output, to_write));
    let adapter = Arc::new(Adapter { description, devices, open: Mutex::default() });
    let mut lines = FramedRead::new(input, LinesCodec::new_with_max_length(LINE_BYTES));
    while let Some(line) = lines.next().await {
        let line = line.map_err(std::io::Error::other)?;
        match serde_json::from_str::<AdapterRequest>(&line) {
            // A sync takes its time, and others go on meanwhile.
            Ok(AdapterRequest::Sync(of)) => {
                let (adapter, answers) = (adapter.clone(), answers.clone());
                tokio::spawn(async move { _ = answers.send(Some(answer(of.id, adapter.sync(&of.device).await))) });
            }
            Ok(request) => _ = answers.send(Some(adapter.handle(request).await)),
            Err(error) => _ = answers.send(Some(refusal(&line, &error))),
        }
    }
    // What was answered is written, and a sync that is still under way is broken off.
    _ = answers.send(None);
    _ = writer.await;
    Ok(())
}

/// Writes until there is none.
async fn write_answers(mut output: impl AsyncWrite + Unpin, mut answers: mpsc::UnboundedReceiver<Option<Vec<u8>>>) {
    while let Some(Some(answer)) = answers.recv().await {
        if output.write_all(&answer).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

struct Adapter {
    description: AdapterDescription,
    devices: Arc<dyn Devices>,
    open: Mutex<BTreeMap<String, Arc<dyn Device>>>,
}

/// What a verb may say besides what it was asked for.
enum Refused {
    UnknownDevice(String),
    BadRequest(String),
    Failed(DeviceError),
}

impl From<DeviceError> for Refused {
    fn from(error: DeviceError) -> Self {
        Refused::Failed(error)
    }
}

/// Nothing to tell.
#[derive(Serialize)]
struct Done {}

/// One answer line; `ok` is written as it is, without a tree in between.
fn answer<T: Serialize>(id: u64, result: Result<T, Refused>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Ok_<T> {
        id: u64,
        ok: T,
    }
    let (code, message) = match result {
        Ok(ok) => return line::write(&Ok_ { id, ok }),
        Err(Refused::UnknownDevice(name)) => {
            (AdapterErrorCode::UnknownDevice, format!("there is no open device {name:?}"))
        }
        Err(Refused::BadRequest(message)) => (AdapterErrorCode::BadRequest, message),
        Err(Refused::Failed(DeviceError(message))) => (AdapterErrorCode::Failed, message),
    };
    line::write(&AdapterAnswer { id, ok: None, error: Some(AdapterError { code, message }) })
}

/// The answer to a line that is no request.
fn refusal(line: &str, error: &serde_json::Error) -> Vec<u8> {
    #[derive(Deserialize, Default)]
    struct Head {
        #[serde(default)]
        id: u64,
        #[serde(default)]
        verb: Option<String>,
    }
    const VERBS: [&str; 10] = ["hello", "open", "create", "edit", "attach", "delete", "sync", "read", "set", "close"];
    let head: Head = serde_json::from_str(line).unwrap_or_default();
    let (code, message) = match head.verb {
        Some(verb) if !VERBS.contains(&verb.as_str()) => {
            (AdapterErrorCode::UnknownVerb, format!("there is no verb {verb:?}; there are {}", VERBS.join(", ")))
        }
        _ => (AdapterErrorCode::BadRequest, error.to_string()),
    };
    line::write(&AdapterAnswer { id: head.id, ok: None, error: Some(AdapterError { code, message }) })
}

impl Adapter {
    fn open_devices(&self) -> MutexGuard<'_, BTreeMap<String, Arc<dyn Device>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn device(&self, name: &str) -> Result<Arc<dyn Device>, Refused> {
        self.open_devices().get(name).cloned().ok_or_else(|| Refused::UnknownDevice(name.to_owned()))
    }

    async fn handle(&self, request: AdapterRequest) -> Vec<u8> {
        let done = |result: Result<(), Refused>| result.map(|()| Done {});
        match request {
            AdapterRequest::Hello(hello) => answer(hello.id, Ok(&self.description)),
            AdapterRequest::Open(open) => answer(open.id, done(self.open(*open).await)),
            AdapterRequest::Create(it) => answer(
                it.id,
                done(async { Ok(self.device(&it.device)?.create(&it.record, it.data, it.group).await?) }.await),
            ),
            AdapterRequest::Edit(it) => {
                let result = async {
                    let device = self.device(&it.device)?;
                    match (it.changes, it.discard) {
                        (Some(changes), false) => Ok(device.edit(&it.record, changes).await?),
                        (None, true) => Ok(device.discard(&it.record).await?),
                        _ => Err(Refused::BadRequest("an edit has either `changes` or `discard`".to_owned())),
                    }
                };
                answer(it.id, done(result.await))
            }
            AdapterRequest::Attach(it) => answer(it.id, done(self.attach(it).await)),
            AdapterRequest::Delete(it) => {
                answer(it.id, done(async { Ok(self.device(&it.device)?.delete(&it.record).await?) }.await))
            }
            AdapterRequest::Sync(of) => answer(of.id, self.sync(&of.device).await),
            AdapterRequest::Read(read) => answer(read.id, self.read(&read).await),
            AdapterRequest::Set(set) => answer(set.id, done(self.set(set).await)),
            AdapterRequest::Close(of) => {
                let closed = self.open_devices().remove(&of.device);
                if let Some(device) = &closed {
                    device.kill().await;
                }
                answer(of.id, closed.map(|_| Done {}).ok_or(Refused::UnknownDevice(of.device)))
            }
        }
    }

    async fn attach(&self, it: Attach) -> Result<(), Refused> {
        let bytes = STANDARD.decode(&it.content);
        let bytes = bytes.map_err(|error| Refused::BadRequest(format!("`content` is no base64: {error}")))?;
        Ok(self.device(&it.device)?.attach(&it.record, &it.media_type, &bytes, it.lost).await?)
    }

    async fn open(&self, open: Open) -> Result<(), Refused> {
        if self.open_devices().contains_key(&open.device) {
            return Err(Refused::BadRequest(format!("the device {:?} is open already", open.device)));
        }
        let base_url = Url::parse(&open.base_url)
            .map_err(|error| Refused::BadRequest(format!("base_url {:?} is no URL: {error}", open.base_url)))?;
        let setup = DeviceSetup {
            name: open.device.clone(),
            base_url,
            credentials: credentials(open.credentials)?,
            clock_offset_ms: open.offset_ms,
            page: open.page,
            batch: open.batch,
            replica: open.replica,
            // A process that goes on with a store must not make up the ids of the one before it.
            seed: rand::random(),
            keeping: open.store.map_or(Keeping::Memory, |path| Keeping::Folder(path.into())),
            triggers: open.triggers,
            telemetry: open.telemetry,
        };
        let device = self.devices.open(setup).await?;
        self.open_devices().insert(open.device, device);
        Ok(())
    }

    async fn sync(&self, device: &str) -> Result<AdapterSyncEnd, Refused> {
        Ok(match self.device(device)?.sync().await? {
            SyncEnd::Ok => AdapterSyncEnd { outcome: SyncOutcomeWord::Ok, cause: None, detail: None },
            SyncEnd::Failed { cause, detail } => {
                AdapterSyncEnd { outcome: SyncOutcomeWord::Failed, cause: Some(cause), detail: Some(detail) }
            }
        })
    }

    async fn read(&self, read: &Read) -> Result<AdapterReading, Refused> {
        let device = self.device(&read.device)?;
        let mut records = Vec::with_capacity(read.records.len());
        for record in &read.records {
            let shown = device.read(record).await?;
            let known = shown.data.is_some() || shown.deleted || shown.server.is_some();
            let status = if known { device.status(record).await? } else { None };
            let (data, deleted, server) = (shown.data, shown.deleted, shown.server);
            let files = device.files(record).await?.into_iter();
            let files = files
                .map(|file| ShownFile {
                    status: file.status,
                    content: file.content.map(|bytes| STANDARD.encode(bytes)),
                })
                .collect();
            records.push(ShownRecord { record: record.clone(), data, deleted, status, server, files });
        }
        let conflicts = device.conflicts().await?;
        let quarantine = device.quarantine().await?;
        Ok(AdapterReading {
            replica: device.replica().await?,
            records,
            conflicts: conflicts.into_iter().map(|(id, entry)| ShownConflict { id, entry }).collect(),
            outbox: device.outbox().await?,
            quarantine: quarantine
                .into_iter()
                .map(|one| QuarantinedRecord { record: one.record, code: one.code })
                .collect(),
        })
    }

    async fn set(&self, set: Set) -> Result<(), Refused> {
        let device = self.device(&set.device)?;
        if let Some(offset_ms) = set.offset_ms {
            device.set_clock(offset_ms).await?;
        }
        if let Some(changed) = set.credentials {
            device.log_in(credentials(changed)?).await?;
        }
        if let Some(online) = set.online {
            device.set_online(online).await?;
        }
        if let Some(metered) = set.metered {
            device.set_metered(metered).await?;
        }
        if let Some(damage) = set.damage {
            device.damage(damage).await?;
        }
        Ok(())
    }
}

fn credentials(given: AdapterCredentials) -> Result<Credentials, Refused> {
    match given {
        AdapterCredentials { token: Some(token), user: None, .. } => Ok(Credentials::Token(token)),
        AdapterCredentials { token: None, user: Some(user), password: Some(password) } => {
            Ok(Credentials::Password { user, password })
        }
        AdapterCredentials { token: Some(token), user: Some(user), password: Some(password) } => {
            Ok(Credentials::PasswordAndToken { user, password, token })
        }
        _ => Err(Refused::BadRequest("credentials are a token, or a user and a password".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::reference::{ReferenceDevices, description};
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_was_asked_before_the_input_ended_is_answered() {
        let asked = b"{\"verb\":\"juggle\",\"id\":1}\n".repeat(100);
        let (output, mut answers) = tokio::io::duplex(64);
        let devices = Arc::new(ReferenceDevices::with(Arc::new(|parts| parts)));
        let served = tokio::spawn(async move { serve(description(), devices, &asked[..], output).await });
        let mut told = String::new();
        answers.read_to_string(&mut told).await.unwrap();
        served.await.unwrap().unwrap();
        assert_eq!(told.matches("there is no verb").count(), 100, "{told}");
    }
}
