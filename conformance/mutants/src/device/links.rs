//! Faults against the chapter `links`.

use crate::Mutant;
use crate::seam::{device_wire, effects};
use async_trait::async_trait;
use fieldsync_client::transport::{NetworkFailure, Transport};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::store::{Quarantined, Reason};
use fieldsync_core::device::{Answer, Call, Event, Write};
use fieldsync_schemas::push::{PushAnswer, PushRequest};
use fieldsync_schemas::scenario::{CallKind, Status};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "files-are-never-linked",
        "links.device.follows-the-file",
        "A device does not look at where the files are that it uploaded.",
        |parts| {
            device_wire::every_body(parts, |kind, body| {
                if matches!(kind, CallKind::Slot | CallKind::Complete) {
                    body.as_object_mut().map(|members| members.remove("url"));
                }
            })
        },
    ),
    Mutant::device(
        "a-link-waits-for-no-record",
        "links.device.after-the-record",
        "A device pushes the link of a file before the record that names it.",
        |parts| linking(parts, Habit::Early),
    ),
    Mutant::device(
        "a-link-is-the-end-of-a-sync",
        "links.device.pulled-after",
        "A device that pushed a link takes everything for pulled.",
        |parts| linking(parts, Habit::NoPullAfter),
    ),
    Mutant::device(
        "a-link-ends-with-the-process",
        "links.device.goes-on",
        "A device links the files that it uploaded since its process began, and no others.",
        |parts| linking(parts, Habit::OfOneLife),
    ),
    Mutant::device(
        "a-link-that-waits-is-pending",
        "links.device.no-work-of-a-user",
        "A device shows a record as pending as long as a link of it waits.",
        |parts| {
            effects::statuses(parts, |machine, record, status| {
                let waits = machine.state().links.keys().any(|(linked, _)| linked == record);
                if waits && status == Status::Synced { Status::Pending } else { status }
            })
        },
    ),
    Mutant::device(
        "a-refused-link-is-set-aside",
        "links.device.never-set-aside",
        "A device puts a link that was rejected into its quarantine.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| {
                let body = machine.state().batch.as_ref().map(|batch| batch.body.clone()).unwrap_or_default();
                let refusal = match &event {
                    Event::Answered(answer) => refusal_of_a_link(&body, answer),
                    _ => None,
                };
                let mut reaction = rules.handle(machine, event, context)?;
                reaction.writes.extend(refusal.map(|refused| Write::Quarantine(Box::new(refused))));
                Ok(reaction)
            })
        },
    ),
    Mutant::device(
        "a-server-that-fails-over-a-link-ends-the-sync",
        "links.device.failing-holds-nothing",
        "A device takes a failure of the server over a link for one of the network.",
        |parts| linking(parts, Habit::EndsOverFailure),
    ),
    Mutant::device(
        "what-was-linked-once-is-never-linked-again",
        "links.device.linked-anew",
        "A device links each file once, whatever the server has lost since.",
        |parts| linking(parts, Habit::Once),
    ),
];

/// The first link of a batch that was refused.
fn refusal_of_a_link(pushed: &str, answer: &Answer) -> Option<Quarantined> {
    let request: PushRequest = serde_json::from_str(pushed).ok()?;
    let answer: PushAnswer = serde_json::from_slice(&answer.body).ok()?;
    let links = request.mutations.into_iter().filter(|mutation| mutation.attachment.is_some());
    links.into_iter().find_map(|mutation| {
        let outcome = answer.outcomes.iter().find(|outcome| outcome.mutation_id == mutation.mutation_id)?;
        Some(Quarantined { reason: Reason::Refused(outcome.problem.clone()?), mutation: mutation.into() })
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Early,
    NoPullAfter,
    OfOneLife,
    EndsOverFailure,
    Once,
}

fn linking(mut parts: DeviceParts, habit: Habit) -> DeviceParts {
    parts.transport = Arc::new(Linking { inner: parts.transport.clone(), habit, seen: Mutex::default() });
    parts
}

/// What a device with a habit has seen since its process began.
#[derive(Default)]
struct Seen {
    /// A file went up.
    uploaded: bool,
    /// A link went out, and nothing was pulled since.
    linked: bool,
    /// The files that were linked.
    files: BTreeSet<String>,
    /// The last page.
    page: Value,
}

struct Linking {
    inner: Arc<dyn Transport>,
    habit: Habit,
    seen: Mutex<Seen>,
}

impl Linking {
    /// Spoils the links of a push that the device should have sent and would not. Whether there is a link in it.
    fn push(&self, seen: &mut Seen, call: &mut Call) -> bool {
        let mut body: Value = call.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        let mut has_link = false;
        for link in body["mutations"].as_array_mut().into_iter().flatten().filter(|one| one["op"] == "link") {
            has_link = true;
            let is_new = seen.files.insert(link["attachment"].to_string());
            if self.habit == Habit::Once && !is_new || self.habit == Habit::OfOneLife && !seen.uploaded {
                link["url"] = json!("nowhere");
            }
        }
        if has_link && matches!(self.habit, Habit::Once | Habit::OfOneLife) {
            call.body = Some(body.to_string());
        }
        has_link
    }
}

#[async_trait]
impl Transport for Linking {
    async fn send(&self, mut call: Call) -> Result<Answer, NetworkFailure> {
        let mut has_link = false;
        let mut early = None;
        {
            let mut seen = self.seen.lock().expect("nothing panics while it holds this");
            match call.kind {
                CallKind::Push => {
                    has_link = self.push(&mut seen, &mut call);
                    seen.linked |= has_link;
                    early = early_link(&call).filter(|_| self.habit == Habit::Early);
                }
                CallKind::Pull if std::mem::take(&mut seen.linked) && self.habit == Habit::NoPullAfter => {
                    let nothing = seen.page.to_string().into_bytes();
                    return Ok(Answer::new(200, Some("application/json".to_owned()), nothing));
                }
                CallKind::Complete => seen.uploaded = true,
                _ => {}
            }
        }
        if let Some(early) = early {
            self.inner.send(early).await?;
        }
        let kind = call.kind;
        let answer = self.inner.send(call).await?;
        if has_link && answer.status >= 500 && self.habit == Habit::EndsOverFailure {
            return Err(NetworkFailure { doing: "POST /push".to_owned(), reason: "no answer".to_owned() });
        }
        if let (CallKind::Pull, Ok(mut page)) = (kind, serde_json::from_slice::<Value>(&answer.body)) {
            page["feeds"] = json!([]);
            page["new_feeds"] = json!([]);
            self.seen.lock().expect("nothing panics while it holds this").page = page;
        }
        Ok(answer)
    }
}

/// A push of the link of the first file of a push, as a replica of its own.
fn early_link(push: &Call) -> Option<Call> {
    let body: Value = serde_json::from_str(push.body.as_deref()?).ok()?;
    let record = body["mutations"].as_array()?.iter().find(|mutation| mutation["attachments"].is_array())?;
    let id = format!("early-{}", record["mutation_id"].as_str()?);
    let link = json!({"mutation_id": id, "op": "link", "type": record["type"], "id": record["id"], "base": null,
        "attachment": record["attachments"][0]["id"], "url": "nowhere"});
    let early = json!({"replica": id, "seq": 1, "previous": null, "epoch": body["epoch"], "mutations": [link]});
    Some(Call { body: Some(early.to_string()), ..push.clone() })
}
