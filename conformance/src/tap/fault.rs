//! What a scenario does to the network of one device: which requests are struck, and what happens to them.

use fieldsync_schemas::scenario::{AnswerChange, CallKind, CannedReply, FaultPlace, NetworkStep};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One fault, as a `network` step says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The kind of request that it strikes.
    pub kind: CallKind,
    /// What happens.
    pub action: FaultAction,
    /// Strikes only requests whose body has this text: the id of a record.
    pub about: Option<String>,
    /// Lets this many matching requests through first.
    pub after: u64,
    /// Strikes at most this many; every one where absent.
    pub times: Option<u64>,
}

/// What happens to a request that is struck.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultAction {
    /// The connection is lost before the server sees anything.
    DropBeforeSend,
    /// The connection is lost when the server has a part of the request.
    DropMidRequest(Part),
    /// The connection is lost when the server has answered; the device gets nothing.
    DropAfterAnswer,
    /// The connection is lost when the device has a part of the answer.
    DropMidAnswer(Part),
    /// The device's process ends.
    Kill(KillPlace),
    /// The request waits until it is released.
    HoldRequest,
    /// The answer waits until it is released.
    HoldAnswer,
    /// The server gets the request twice at the same time, and the device the answer that comes first.
    Duplicate,
    /// The device gets the last whole answer of the server to an earlier request of this kind.
    Replay,
    /// The device gets this answer, and the server no request.
    Answer(CannedReply),
    /// The answer is changed on its way.
    Alter(AnswerChange),
}

/// When a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillPlace {
    /// Before the server sees anything.
    BeforeSend,
    /// When the server has a part of the request.
    MidRequest(Part),
    /// When the server has answered, and the device got nothing.
    AfterAnswer,
    /// When the device has a part of the answer.
    MidAnswer(Part),
    /// So long after the device got the whole answer.
    Answer(Duration),
}

/// A part of a body that is never the whole: so many bytes, or all but so many where the number is negative; half where
/// there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part(pub Option<i64>);

impl Part {
    /// How many bytes of a body of this length, which is not empty.
    pub(super) fn of(self, length: usize) -> usize {
        let most = length.saturating_sub(1);
        match self.0 {
            None => length / 2,
            Some(bytes @ 0..) => usize::try_from(bytes).unwrap_or(usize::MAX).min(most),
            Some(bytes) => length.saturating_sub(usize::try_from(bytes.unsigned_abs()).unwrap_or(usize::MAX)),
        }
    }
}

/// A `network` step that says no fault, several, or one at a place where it cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a network step names exactly one fault, at a place that fits it, with what it needs: {0}")]
pub struct InvalidFault(String);

impl Fault {
    /// The fault of a `network` step; `record` is the id of the record that the step is `about`.
    pub fn of(step: &NetworkStep, record: Option<String>) -> Result<Self, InvalidFault> {
        let invalid = || InvalidFault(format!("{step:?}"));
        let mut found = Vec::new();
        if let Some(kind) = step.drop {
            let action = match step.at {
                Some(FaultPlace::BeforeSend) => FaultAction::DropBeforeSend,
                Some(FaultPlace::MidRequest) => FaultAction::DropMidRequest(Part(step.bytes)),
                Some(FaultPlace::AfterAnswer) => FaultAction::DropAfterAnswer,
                Some(FaultPlace::MidAnswer) => FaultAction::DropMidAnswer(Part(step.bytes)),
                _ => return Err(invalid()),
            };
            found.push((kind, action));
        }
        if let Some(kind) = step.kill {
            let place = match step.at {
                Some(FaultPlace::BeforeSend) => KillPlace::BeforeSend,
                Some(FaultPlace::MidRequest) => KillPlace::MidRequest(Part(step.bytes)),
                Some(FaultPlace::AfterAnswer) => KillPlace::AfterAnswer,
                Some(FaultPlace::MidAnswer) => KillPlace::MidAnswer(Part(step.bytes)),
                Some(FaultPlace::Answer) => KillPlace::Answer(Duration::from_millis(step.delay_ms.unwrap_or_default())),
                _ => return Err(invalid()),
            };
            found.push((kind, FaultAction::Kill(place)));
        }
        if let Some(kind) = step.hold {
            let action = match step.at {
                Some(FaultPlace::Request) => FaultAction::HoldRequest,
                Some(FaultPlace::Answer) => FaultAction::HoldAnswer,
                _ => return Err(invalid()),
            };
            found.push((kind, action));
        }
        found.extend(step.duplicate.map(|kind| (kind, FaultAction::Duplicate)));
        found.extend(step.replay.map(|kind| (kind, FaultAction::Replay)));
        if let Some(kind) = step.answer {
            found.push((kind, FaultAction::Answer(step.reply.clone().ok_or_else(invalid)?)));
        }
        if let Some(kind) = step.alter {
            found.push((kind, FaultAction::Alter(step.change.clone().ok_or_else(invalid)?)));
        }
        let (Some((kind, action)), true) = (found.pop(), found.is_empty()) else { return Err(invalid()) };
        if step.about.is_some() != record.is_some() {
            return Err(invalid());
        }
        // What has ended sends nothing more.
        let times = if matches!(action, FaultAction::Kill(_)) { Some(1) } else { step.times };
        Ok(Self { kind, action, about: record, after: step.after, times })
    }

    /// How long it waits before it ends the device's process; none where it does not end it.
    pub(super) fn kills_after(&self) -> Option<Duration> {
        match self.action {
            FaultAction::Kill(KillPlace::Answer(delay)) => Some(delay),
            FaultAction::Kill(_) => Some(Duration::ZERO),
            _ => None,
        }
    }

    fn holds(&self) -> bool {
        matches!(self.action, FaultAction::HoldRequest | FaultAction::HoldAnswer)
    }
}

/// As in a report: `drop push at after_answer`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = word(self.kind);
        match &self.action {
            FaultAction::DropBeforeSend => write!(f, "drop {kind} at before_send"),
            FaultAction::DropMidRequest(part) => write!(f, "drop {kind} at mid_request{part}"),
            FaultAction::DropAfterAnswer => write!(f, "drop {kind} at after_answer"),
            FaultAction::DropMidAnswer(part) => write!(f, "drop {kind} at mid_answer{part}"),
            FaultAction::Kill(KillPlace::BeforeSend) => write!(f, "kill {kind} at before_send"),
            FaultAction::Kill(KillPlace::MidRequest(part)) => write!(f, "kill {kind} at mid_request{part}"),
            FaultAction::Kill(KillPlace::AfterAnswer) => write!(f, "kill {kind} at after_answer"),
            FaultAction::Kill(KillPlace::MidAnswer(part)) => write!(f, "kill {kind} at mid_answer{part}"),
            FaultAction::Kill(KillPlace::Answer(delay)) if delay.is_zero() => write!(f, "kill {kind} at answer"),
            FaultAction::Kill(KillPlace::Answer(delay)) => write!(f, "kill {kind} {delay:?} after the answer"),
            FaultAction::HoldRequest => write!(f, "hold {kind} at request"),
            FaultAction::HoldAnswer => write!(f, "hold {kind} at answer"),
            FaultAction::Duplicate => write!(f, "duplicate {kind}"),
            FaultAction::Replay => write!(f, "replay {kind}"),
            FaultAction::Answer(reply) => write!(f, "answer {kind} with {}", reply.status.unwrap_or(200)),
            FaultAction::Alter(_) => write!(f, "alter {kind}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(bytes @ 0..) => write!(f, ", after {bytes} bytes"),
            Some(bytes) => write!(f, ", {} bytes before its end", bytes.unsigned_abs()),
        }
    }
}

fn word(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Discovery => "discovery",
        CallKind::Login => "login",
        CallKind::Refresh => "refresh",
        CallKind::Session => "session",
        CallKind::Push => "push",
        CallKind::Pull => "pull",
        CallKind::Slot => "slot",
        CallKind::Offset => "offset",
        CallKind::Upload => "upload",
        CallKind::Store => "store",
        CallKind::Complete => "complete",
        CallKind::Download => "download",
        CallKind::Digest => "digest",
        CallKind::Bucket => "bucket",
        CallKind::Any => "any",
    }
}

/// The faults of one device.
#[derive(Default)]
pub(super) struct Faults(Vec<Armed>);

struct Armed {
    fault: Arc<Fault>,
    passed: u64,
    struck: u64,
}

/// What strikes one request: at most one hold, and at most one other fault.
#[derive(Default)]
pub(super) struct Struck {
    pub(super) hold: Option<Arc<Fault>>,
    pub(super) other: Option<Arc<Fault>>,
}

impl Struck {
    /// In words; nothing where nothing strikes.
    pub(super) fn label(&self) -> Option<String> {
        match (&self.hold, &self.other) {
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => Some(one.to_string()),
            (Some(hold), Some(other)) => Some(format!("{hold}, {other}")),
        }
    }
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(Armed { fault: Arc::new(fault), passed: 0, struck: 0 });
    }

    /// What strikes a request of this kind with this body. The first fault that matches strikes, in the order in which
    /// they were put in.
    pub(super) fn strike(&mut self, kind: CallKind, body: &[u8]) -> Struck {
        let mut struck = Struck::default();
        for armed in &mut self.0 {
            let place = if armed.fault.holds() { &mut struck.hold } else { &mut struck.other };
            if place.is_none() && armed.strikes(kind, body) {
                *place = Some(armed.fault.clone());
            }
        }
        struck
    }

    /// Takes out those that have struck.
    pub(super) fn end(&mut self) {
        self.0.retain(|armed| armed.struck == 0);
    }

    /// Takes out the holds.
    pub(super) fn end_holds(&mut self) {
        self.0.retain(|armed| !armed.fault.holds());
    }

    /// Those that have not struck yet, in words.
    pub(super) fn unstruck(&self) -> Vec<String> {
        self.0.iter().filter(|armed| armed.struck == 0).map(|armed| armed.fault.to_string()).collect()
    }
}

impl Armed {
    fn strikes(&mut self, kind: CallKind, body: &[u8]) -> bool {
        let fits = self.fault.kind == CallKind::Any || self.fault.kind == kind;
        if !fits || !self.fault.about.as_deref().is_none_or(|text| String::from_utf8_lossy(body).contains(text)) {
            return false;
        }
        if self.passed < self.fault.after {
            self.passed += 1;
            return false;
        }
        if self.fault.times.is_some_and(|times| self.struck >= times) {
            return false;
        }
        self.struck += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drop_push() -> Fault {
        Fault { kind: CallKind::Push, action: FaultAction::DropBeforeSend, about: None, after: 0, times: None }
    }

    fn strikes(faults: &mut Faults, kind: CallKind, body: &str) -> bool {
        faults.strike(kind, body.as_bytes()).other.is_some()
    }

    #[test]
    fn kind_content_after_and_times_decide_what_is_struck() {
        let mut faults = Faults::default();
        faults.add(Fault { about: Some("r-1".to_owned()), after: 1, times: Some(2), ..drop_push() });
        let hits: Vec<bool> = [
            (CallKind::Pull, "r-1"),
            (CallKind::Push, "r-2"),
            (CallKind::Push, "r-1"),
            (CallKind::Push, "r-1"),
            (CallKind::Push, "r-2"),
            (CallKind::Push, "r-1"),
            (CallKind::Push, "r-1"),
        ]
        .map(|(kind, body)| strikes(&mut faults, kind, body))
        .to_vec();
        assert_eq!(hits, [false, false, false, true, false, true, false]);
    }

    #[test]
    fn a_fault_that_has_not_struck_outlives_the_end_of_a_sync() {
        let mut faults = Faults::default();
        faults.add(drop_push());
        faults.end();
        assert_eq!(faults.unstruck(), ["drop push at before_send"]);
        assert!(strikes(&mut faults, CallKind::Push, ""));
        faults.end();
        assert!(!strikes(&mut faults, CallKind::Push, ""));
    }

    #[test]
    fn a_hold_and_another_fault_strike_together() {
        let mut faults = Faults::default();
        faults.add(drop_push());
        faults.add(Fault { kind: CallKind::Any, action: FaultAction::HoldRequest, ..drop_push() });
        assert_eq!(
            faults.strike(CallKind::Push, b"").label().as_deref(),
            Some("hold any at request, drop push at before_send")
        );
        faults.end_holds();
        assert_eq!(faults.strike(CallKind::Push, b"").label().as_deref(), Some("drop push at before_send"));
    }

    #[test]
    fn a_step_becomes_the_fault_it_says_or_an_error() {
        let step = NetworkStep {
            of: "tablet".to_owned(),
            hold: Some(CallKind::Pull),
            at: Some(FaultPlace::Answer),
            ..Default::default()
        };
        assert_eq!(Fault::of(&step, None).unwrap().to_string(), "hold pull at answer");
        assert!(Fault::of(&NetworkStep { at: Some(FaultPlace::MidAnswer), ..step.clone() }, None).is_err());
        assert!(Fault::of(&NetworkStep { replay: Some(CallKind::Pull), ..step.clone() }, None).is_err());
        assert!(Fault::of(&NetworkStep { about: Some("fever".to_owned()), ..step.clone() }, None).is_err());
        assert!(Fault::of(&NetworkStep::default(), None).is_err());
        let kill = NetworkStep { hold: None, kill: Some(CallKind::Push), ..step.clone() };
        assert_eq!(Fault::of(&kill, None).unwrap().to_string(), "kill push at answer");
        assert_eq!(Fault::of(&kill, None).unwrap().times, Some(1));
        assert!(Fault::of(&NetworkStep { at: Some(FaultPlace::Request), ..kill }, None).is_err());
    }

    #[test]
    fn a_part_is_never_the_whole() {
        for (bytes, of_ten) in
            [(None, 5), (Some(0), 0), (Some(3), 3), (Some(10), 9), (Some(-1), 9), (Some(-10), 0), (Some(-99), 0)]
        {
            assert_eq!(Part(bytes).of(10), of_ten, "{bytes:?}");
        }
        assert_eq!(Part(Some(0)).of(1), 0);
    }
}
