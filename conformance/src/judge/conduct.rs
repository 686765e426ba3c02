//! What the requests of one device show together, and no single message can: that a batch goes again as it was, that a
//! batch has each record once, that a patch holds nothing but changes, that a conflict entry has its id, that a login in
//! between changes nothing, that nobody else's telemetry is asked for, that what is told of a sync passed in it, and that a
//! download that broke off is gone on with.

use super::matching::same;
use super::traffic::Traffic;
use crate::tap::{Body, Caller, Delivered, SeenExchange};
use fieldsync_core::conflict::entry_id;
use fieldsync_schemas::conflict::{CONFLICT_TYPE, ConflictEntry};
use fieldsync_schemas::id::{MutationId, ReplicaId};
use fieldsync_schemas::problem::{Problem, Retry};
use fieldsync_schemas::pull::{PullRequest, RecordRef};
use fieldsync_schemas::push::{Mutation, PushAnswer, PushRequest};
use fieldsync_schemas::scenario::CallKind;
use fieldsync_schemas::telemetry::TELEMETRY_FEED;
use http::header::RANGE;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const BYTE_FOR_BYTE: &str = "cycles.freeze.byte-for-byte";
const RECORD_ONCE: &str = "cycles.batch.record-once";
const ENTRY_ID: &str = "conflicts.entry.id";
const ONLY_CHANGES: &str = "cycles.patch.only-changes";
const NO_TELEMETRY: &str = "telemetry.feed.not-pulled";
const SAYS_WHAT_HAPPENED: &str = "telemetry.record.says-what-happened";
const IN_PARTS: &str = "pull.feeds.in-parts";
const LOGIN_GOES_ON: &str = "cycles.login.goes-on";
const DOWNLOAD_RESUMED: &str = "attachments.device.download-resumed";

/// So many bytes may be lost within a device when its connection breaks.
const HELD_BACK: u64 = 64 << 10;

/// Something that must not happen.
#[derive(Debug, Clone, PartialEq)]
pub struct Misconduct {
    /// The rule that it breaks.
    pub rule: &'static str,
    /// The request, as an index into the exchanges.
    pub exchange: u64,
    /// What was looked at.
    pub what: String,
    /// What was expected.
    pub expected: Value,
    /// What was seen.
    pub got: Value,
}

/// The first breach of each rule by each device.
pub fn examine(exchanges: &[SeenExchange]) -> Vec<Misconduct> {
    let mut devices: BTreeMap<&str, Conduct> = BTreeMap::new();
    for (index, seen) in exchanges.iter().enumerate() {
        if seen.caller == Caller::Device && !seen.copy {
            devices.entry(&seen.by).or_default().request(index as u64, &Sent::of(seen));
        }
    }
    devices.into_values().flat_map(|conduct| conduct.found).collect()
}

/// One request and what the device got for it.
pub(super) struct Sent<'a> {
    pub(super) kind: CallKind,
    pub(super) body: &'a [u8],
    /// The status and the body of the answer, where it came whole.
    pub(super) answer: Option<(u16, &'a Body)>,
    /// How long the two bodies are, however much of them was kept.
    pub(super) lengths: (u64, u64),
    /// What is asked for, where it is a file.
    pub(super) download: Option<Download<'a>>,
}

/// A request for a file.
pub(super) struct Download<'a> {
    path: &'a str,
    /// The first byte that is asked for.
    first: u64,
    /// How many bytes came before the connection broke; nothing, where it did not.
    broken_after: Option<u64>,
}

impl<'a> Download<'a> {
    fn of(seen: &'a SeenExchange) -> Option<Self> {
        let range = seen.request_headers.get(RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
        let first = range.and_then(|range| range.split('-').next()?.parse().ok()).unwrap_or_default();
        let broken_after = match &seen.delivered {
            Delivered::Half { status, bytes } if status.is_success() => Some(*bytes as u64),
            _ => None,
        };
        (seen.kind == CallKind::Download).then_some(Self { path: &seen.path, first, broken_after })
    }
}

impl<'a> Sent<'a> {
    fn of(seen: &'a SeenExchange) -> Self {
        let answer = match &seen.delivered {
            Delivered::Whole(answer) => Some((answer.status.as_u16(), &answer.body)),
            _ => None,
        };
        let answered = match &seen.delivered {
            Delivered::Whole(answer) => answer.body.length,
            _ => 0,
        };
        let lengths = (seen.request_body.length, answered);
        Self { kind: seen.kind, body: &seen.request_body.bytes, answer, lengths, download: Download::of(seen) }
    }

    /// Whether this batch needs not go again as it was: it has a whole answer, or a problem that says so.
    fn is_answered(&self, ids: &BTreeSet<MutationId>) -> bool {
        let Some((status, body)) = self.answer else { return false };
        if (200..300).contains(&status) {
            return serde_json::from_slice::<PushAnswer>(&body.bytes)
                .is_ok_and(|answer| answer.outcomes.iter().any(|outcome| ids.contains(&outcome.mutation_id)));
        }
        serde_json::from_slice::<Problem>(&body.bytes)
            .is_ok_and(|problem| !matches!(problem.retry, Retry::Same | Retry::After | Retry::Login))
    }
}

/// What is known of one device so far.
#[derive(Default)]
struct Conduct {
    /// The batch without an answer: its replica and its body.
    unanswered: Option<(ReplicaId, Value)>,
    /// The request whose token was refused.
    refused: Option<(CallKind, Value)>,
    /// What the device has seen of states, by rev: the data, and the ids of the files.
    states: HashMap<String, (Value, Vec<Value>)>,
    /// The feeds that a pull may name, where a session has said so.
    pull_feeds: Option<u64>,
    /// The downloads that broke off and were not gone on with yet: up to which byte they came.
    broken_off: HashMap<String, u64>,
    /// The traffic, to hold what the device tells of it against.
    traffic: Traffic,
    found: Vec<Misconduct>,
}

impl Conduct {
    fn request(&mut self, index: u64, sent: &Sent<'_>) {
        if let Some((expected, got)) = self.traffic.pass(sent) {
            let what = "the requests of a sync, and the bytes of their bodies, as it was told".to_owned();
            self.add(SAYS_WHAT_HAPPENED, index, what, expected, got);
        }
        if matches!(sent.kind, CallKind::Login | CallKind::Refresh | CallKind::Discovery) {
            return;
        }
        let body = json!(String::from_utf8_lossy(sent.body));
        if let Some((kind, before)) = self.refused.take()
            && kind == sent.kind
            && before != body
        {
            self.add(LOGIN_GOES_ON, index, "the request after the login".to_owned(), before, body.clone());
        }
        if sent.answer.is_some_and(|(status, _)| status == 401) {
            self.refused = Some((sent.kind, body.clone()));
        }
        match sent.kind {
            CallKind::Push => self.push(index, sent, body),
            CallKind::Pull => self.pull(index, sent),
            CallKind::Session => {
                let session = sent.answer.and_then(|(_, body)| body.json().ok());
                self.pull_feeds = session.and_then(|session| session["limits"]["pull_feeds"].as_u64());
            }
            _ => {}
        }
        if let Some(download) = &sent.download {
            self.download(index, download);
        }
    }

    fn download(&mut self, index: u64, download: &Download<'_>) {
        if let Some(came) = self.broken_off.remove(download.path)
            && download.first + HELD_BACK < came
        {
            let what = "the first byte that is asked for of a file, after its download broke off".to_owned();
            let expected = json!(format!("{came}, or at most {HELD_BACK} less"));
            self.add(DOWNLOAD_RESUMED, index, what, expected, json!(download.first));
        }
        if let Some(bytes) = download.broken_after {
            self.broken_off.insert(download.path.to_owned(), download.first + bytes);
        }
    }

    fn pull(&mut self, index: u64, sent: &Sent<'_>) {
        let Ok(request) = serde_json::from_slice::<PullRequest>(sent.body) else { return };
        if request.feeds.keys().any(|feed| feed.as_str() == TELEMETRY_FEED) {
            let what = "the pulls of the feed telemetry".to_owned();
            self.add(NO_TELEMETRY, index, what, json!(0), json!(1));
        }
        if let Some(most) = self.pull_feeds.filter(|most| request.feeds.len() as u64 > *most) {
            let what = "how many feeds a pull names".to_owned();
            self.add(IN_PARTS, index, what, json!(format!("at most {most}")), json!(request.feeds.len()));
        }
        if let Some((200, body)) = sent.answer {
            self.saw(body.json().unwrap_or(&Value::Null));
        }
    }

    /// Takes in the records of an answer.
    fn saw(&mut self, answer: &Value) {
        fn items(list: &Value) -> &[Value] {
            list.as_array().map(Vec::as_slice).unwrap_or_default()
        }
        let changes = items(&answer["feeds"]).iter().flat_map(|page| items(&page["changes"]));
        for told in changes.chain(items(&answer["outcomes"])) {
            let record = &told["record"];
            if let (Some(rev), true) = (record["rev"].as_str(), record["data"].is_object()) {
                let files = items(&record["attachments"]).iter().map(|file| file["id"].clone()).collect();
                self.states.insert(rev.to_owned(), (record["data"].clone(), files));
            }
        }
    }

    /// The first member of a patch that changes nothing of the state that it names, if the device has seen that.
    fn patch(&mut self, index: u64, mutation: &Mutation) {
        let (Some(patch), Some(base)) = (&mutation.patch, &mutation.base) else { return };
        let Some((base, files)) = self.states.get(base.as_str()) else { return };
        let Ok(patch) = serde_json::from_str::<Value>(patch.get()) else { return };
        let changes_files = !mutation.attachments.iter().map(|file| json!(file.id)).eq(files.iter().cloned());
        let is_of_files_alone = changes_files && patch.as_object().is_some_and(Map::is_empty);
        if let Some(path) = idle(&patch, Some(base), "").filter(|_| !is_of_files_alone) {
            let what = format!("what the patch of {} names beside changes", mutation.id);
            self.add(ONLY_CHANGES, index, what, json!("nothing"), json!(path));
        }
    }

    /// Whether a conflict entry has the id that every writer gives it.
    fn entry(&mut self, index: u64, mutation: &Mutation) {
        let Some(data) = mutation.data.as_deref().filter(|_| mutation.type_name.as_str() == CONFLICT_TYPE) else {
            return;
        };
        let Ok(entry) = serde_json::from_str::<ConflictEntry>(data.get()) else { return };
        let id = entry_id(&entry.record, &entry.path, &entry.lost_by);
        if id != mutation.id {
            let what = format!("the id of the entry for {:?} of {}", entry.path, entry.record.id);
            self.add(ENTRY_ID, index, what, json!(id), json!(mutation.id));
        }
    }

    fn push(&mut self, index: u64, sent: &Sent<'_>, body: Value) {
        let Ok(request) = serde_json::from_slice::<PushRequest>(sent.body) else { return };
        let mut records = BTreeSet::new();
        for mutation in &request.mutations {
            self.patch(index, mutation);
            self.entry(index, mutation);
            let Mutation { type_name, id, .. } = mutation;
            let record = RecordRef { type_name: type_name.clone(), id: id.clone() };
            if !records.insert(record) {
                self.add(RECORD_ONCE, index, format!("the mutations of {id} in one batch"), json!(1), json!(2));
            }
        }
        if let Some((replica, before)) = self.unanswered.take()
            && replica == request.replica
            && before != body
        {
            let what = "the body of a batch that is sent again".to_owned();
            self.add(BYTE_FOR_BYTE, index, what, before, body.clone());
        }
        let ids: BTreeSet<MutationId> = request.mutations.into_iter().map(|one| one.mutation_id).collect();
        if !sent.is_answered(&ids) {
            self.unanswered = Some((request.replica, body));
        }
    }

    fn add(&mut self, rule: &'static str, exchange: u64, what: String, expected: Value, got: Value) {
        if self.found.iter().all(|other| other.rule != rule) {
            self.found.push(Misconduct { rule, exchange, what, expected, got });
        }
    }
}

/// Where a patch says what is there already.
fn idle(patch: &Value, base: Option<&Value>, at: &str) -> Option<String> {
    match (patch, base) {
        (Value::Object(members), Some(Value::Object(before))) if !members.is_empty() => {
            members.iter().find_map(|(name, value)| {
                idle(value, before.get(name).filter(|one| !one.is_null()), &format!("{at}/{name}"))
            })
        }
        (Value::Object(members), Some(Value::Object(_))) if members.is_empty() => Some(at.to_owned()),
        (Value::Null, None) => Some(at.to_owned()),
        (value, Some(before)) if same(value, before) => Some(at.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEM: &str =
        r#"{"title": "t", "status": 409, "detail": "d", "code": "c", "retry": "RETRY", "request_id": "r"}"#;

    fn push(seq: u64, mutations: &[(&str, &str)]) -> String {
        let mutations: Vec<Value> = mutations
            .iter()
            .map(|(id, record)| {
                json!({"mutation_id": id, "op": "create", "type": "observation", "id": record, "base": null,
                    "version": 1, "modified_at": "2026-11-20T08:00:00Z", "data": {}})
            })
            .collect();
        json!({"replica": "tablet", "seq": seq, "previous": null, "mutations": mutations}).to_string()
    }

    /// A kind, a body, and what was answered.
    type Request<'a> = (CallKind, &'a str, Option<(u16, &'a str)>);

    fn breaches(requests: &[Request<'_>]) -> Vec<&'static str> {
        let mut conduct = Conduct::default();
        for (index, (kind, body, answer)) in requests.iter().enumerate() {
            let answer = answer.map(|(status, body)| (status, Body::plain(body.to_owned().into())));
            let (body, lengths) = (body.as_bytes(), (0, 0));
            let answer = answer.as_ref().map(|(status, body)| (*status, body));
            conduct.request(index as u64, &Sent { kind: *kind, body, answer, lengths, download: None });
        }
        conduct.found.into_iter().map(|found| found.rule).collect()
    }

    #[test]
    fn a_batch_without_an_answer_goes_again_as_it_was() {
        let (first, next) = (push(1, &[("m-1", "a")]), push(2, &[("m-2", "b")]));
        let html = Some((200, "<html>"));
        let same = PROBLEM.replace("RETRY", "same");
        let split = PROBLEM.replace("RETRY", "split");
        for (answer, rules) in [
            (None, vec![BYTE_FOR_BYTE]),
            (html, vec![BYTE_FOR_BYTE]),
            (Some((500, same.as_str())), vec![BYTE_FOR_BYTE]),
            (Some((413, split.as_str())), vec![]),
        ] {
            assert_eq!(breaches(&[(CallKind::Push, &first, answer), (CallKind::Push, &next, None)]), rules);
            assert!(breaches(&[(CallKind::Push, &first, answer), (CallKind::Push, &first, None)]).is_empty());
        }
    }

    #[test]
    fn a_record_is_once_in_a_batch() {
        let twice = push(1, &[("m-1", "a"), ("m-2", "a")]);
        assert_eq!(breaches(&[(CallKind::Push, &twice, None)]), [RECORD_ONCE]);
        assert!(breaches(&[(CallKind::Push, &push(1, &[("m-1", "a"), ("m-2", "b")]), None)]).is_empty());
    }

    #[test]
    fn a_patch_holds_nothing_but_changes() {
        let base = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": []});
        for (patch, idle_at) in [
            (json!({"a": 2, "b": {"c": null}, "e": [1], "f": {"g": 1}}), None),
            (json!({}), Some("")),
            (json!({"a": 1.0}), Some("/a")),
            (json!({"a": 2, "b": {"c": 3, "d": 2}}), Some("/b/d")),
            (json!({"a": 2, "b": {}}), Some("/b")),
            (json!({"f": null}), Some("/f")),
        ] {
            assert_eq!(idle(&patch, Some(&base), "").as_deref(), idle_at, "{patch}");
        }
    }

    #[test]
    fn an_entry_has_its_id() {
        let entry = |id: &str| {
            json!({"replica": "tablet", "seq": 1, "previous": null, "mutations": [{"mutation_id": "m-9", "op": "create",
                "type": "conflict", "id": id, "base": null, "version": 1, "modified_at": "2026-11-20T08:00:00Z",
                "data": {"record": {"type": "observation", "id": "fever"}, "path": "/temp", "lost": 39, "kept": 40,
                    "lost_by": {"mutation_id": "m-7"}, "kept_by": {"rev": "r-2"}, "time": "2026-11-20T08:00:00Z"}}]})
            .to_string()
        };
        assert_eq!(breaches(&[(CallKind::Push, &entry("c-f42fdb0d4473b7ec62624d50175e219f"), None)]), [""; 0]);
        assert_eq!(breaches(&[(CallKind::Push, &entry("c-1"), None)]), [ENTRY_ID]);
    }

    #[test]
    fn nobody_asks_for_telemetry() {
        let pull = |feed: &str| json!({"replica": "tablet", "feeds": {feed: null}}).to_string();
        assert_eq!(breaches(&[(CallKind::Pull, &pull("telemetry"), None)]), [NO_TELEMETRY]);
        assert!(breaches(&[(CallKind::Pull, &pull("observation"), None)]).is_empty());
    }

    #[test]
    fn a_download_that_broke_off_is_gone_on_with() {
        for (downloads, is_well) in [
            ([(0, Some(80_000)), (80_000, None)], true),
            ([(0, Some(80_000)), (20_000, None)], true),
            ([(0, Some(80_000)), (0, None)], false),
            ([(0, Some(60_000)), (0, None)], true),
            ([(40_000, Some(60_000)), (10_000, None)], false),
            ([(0, None), (0, None)], true),
        ] {
            let mut conduct = Conduct::default();
            for (first, broken_after) in downloads {
                conduct.download(0, &Download { path: "/attachments/a", first, broken_after });
                conduct.download(0, &Download { path: "/attachments/b", first: 0, broken_after: None });
            }
            assert_eq!(conduct.found.is_empty(), is_well, "{downloads:?}");
        }
    }

    #[test]
    fn a_login_in_between_changes_nothing() {
        let refused = Some((401, ""));
        let login = (CallKind::Login, "{}", None);
        for (after, rules) in [("{\"a\": 1}", vec![]), ("{\"a\": 2}", vec![LOGIN_GOES_ON])] {
            let requests = [(CallKind::Pull, "{\"a\": 1}", refused), login, (CallKind::Pull, after, None)];
            assert_eq!(breaches(&requests), rules);
        }
    }
}
