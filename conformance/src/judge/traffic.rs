//! What passed between a device and the server, against what the device tells of it.
//!
//! Where a sync begins is not to be seen from outside. But one that ended well is told by the very next request, and says
//! of how many requests it was: so these are the last ones before it. Once telling has failed, syncs are told later, and
//! nothing is held against anything any more.

use super::conduct::Sent;
use fieldsync_schemas::id::MutationId;
use fieldsync_schemas::push::PushRequest;
use fieldsync_schemas::scenario::CallKind;
use fieldsync_schemas::telemetry::{SyncEndWord, SyncTelemetry, TELEMETRY_TYPE};
use serde_json::{Value, json};
use std::collections::HashSet;

/// One request that passed.
struct Passed {
    sent: u64,
    received: u64,
    /// Whether both lengths are what the device counts: an answer that came whole, and no file.
    is_clear: bool,
    tells: bool,
}

/// The requests of one device so far.
#[derive(Default)]
pub(super) struct Traffic {
    passed: Vec<Passed>,
    told: HashSet<MutationId>,
    /// Telling has failed.
    is_late: bool,
}

impl Traffic {
    /// Takes a request in; what passed in the sync that it tells of and what it says, where these differ.
    pub(super) fn pass(&mut self, sent: &Sent<'_>) -> Option<(Value, Value)> {
        let telling = (sent.kind == CallKind::Push).then(|| telling(sent.body)).flatten();
        let differs = telling.as_ref().and_then(|request| self.compare(request));
        self.is_late |= telling.is_some() && sent.answer.is_none_or(|(status, _)| status != 200);
        let is_file = matches!(
            sent.kind,
            CallKind::Slot | CallKind::Offset | CallKind::Upload | CallKind::Complete | CallKind::Download
        );
        let (bytes_sent, received) = sent.lengths;
        let is_clear = sent.answer.is_some() && !is_file;
        self.passed.push(Passed { sent: bytes_sent, received, is_clear, tells: telling.is_some() });
        differs
    }

    fn compare(&mut self, request: &PushRequest) -> Option<(Value, Value)> {
        let known = request.mutations.iter().filter(|one| !self.told.insert(one.mutation_id.clone())).count();
        let [one] = &request.mutations[..] else { return None };
        let told: SyncTelemetry = serde_json::from_str(one.data.as_ref()?.get()).ok()?;
        if known > 0 || self.is_late || told.outcome != SyncEndWord::Ok {
            return None;
        }
        // What was told between the end of the sync and now is no part of it.
        let end = self.passed.iter().rposition(|passed| !passed.tells).map_or(0, |last| last + 1);
        let begin = end.saturating_sub(usize::try_from(told.requests).ok()?.max(1));
        let of_sync = &self.passed[begin..end];
        if !of_sync.iter().all(|passed| passed.is_clear) {
            return None;
        }
        let sums = of_sync.iter().fold((0, 0), |sums, one| (sums.0 + one.sent, sums.1 + one.received));
        let tell = |(requests, sent, received): (u64, u64, u64)| json!({"requests": requests, "bytes_sent": sent, "bytes_received": received});
        let expected = (of_sync.len() as u64, sums.0, sums.1);
        let got = (told.requests, told.bytes_sent, told.bytes_received);
        (expected != got).then(|| (tell(expected), tell(got)))
    }
}

/// A batch of telemetry.
fn telling(body: &[u8]) -> Option<PushRequest> {
    let request: PushRequest = serde_json::from_slice(body).ok()?;
    request.mutations.iter().any(|one| one.type_name.as_str() == TELEMETRY_TYPE).then_some(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::Body;

    fn tells(id: &str, requests: u64, sent: u64, received: u64) -> String {
        json!({"replica": "t", "seq": 1, "previous": null, "mutations": [{"mutation_id": id, "op": "create",
            "type": "telemetry", "id": id, "base": null, "version": 1, "modified_at": "2026-11-20T08:00:00Z",
            "data": {"user": "amina", "started_at": "2026-11-20T08:00:00Z", "outcome": "ok", "requests": requests,
                "bytes_sent": sent, "bytes_received": received}}]})
        .to_string()
    }

    fn pass(traffic: &mut Traffic, kind: CallKind, body: &str, status: u16, received: u64) -> bool {
        let lengths = (body.len() as u64, received);
        let (body, answer) = (body.as_bytes(), Some((status, &Body::plain(b"{}"[..].into()))));
        traffic.pass(&Sent { kind, body, answer, lengths, download: None }).is_some()
    }

    #[test]
    fn the_last_requests_are_those_that_are_told() {
        let mut traffic = Traffic::default();
        assert!(!pass(&mut traffic, CallKind::Pull, "1234567", 200, 70));
        assert!(!pass(&mut traffic, CallKind::Push, "12345", 200, 50));
        assert!(!pass(&mut traffic, CallKind::Pull, "123", 200, 30));
        assert!(!pass(&mut traffic, CallKind::Push, &tells("a", 2, 8, 80), 200, 9), "two of the three");
        assert!(
            !pass(&mut traffic, CallKind::Push, &tells("b", 3, 15, 150), 200, 9),
            "what was told in between is none"
        );
        assert!(pass(&mut traffic, CallKind::Push, &tells("c", 2, 8, 81), 200, 9));
        assert!(pass(&mut traffic, CallKind::Push, &tells("d", 0, 0, 0), 200, 9));
        assert!(!pass(&mut traffic, CallKind::Push, &tells("d", 0, 0, 0), 503, 9), "it goes again");
        assert!(!pass(&mut traffic, CallKind::Push, &tells("e", 0, 0, 0), 200, 9), "nothing is sure any more");
    }
}
