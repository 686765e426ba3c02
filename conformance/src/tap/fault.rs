//! What a scenario does to the network of one device: which requests are struck, and what happens to them.

use fieldsync_schemas::scenario::{AnswerChange, CallKind, CannedReply, FaultPlace, NetworkStep};
use std::fmt;
use std::sync::Arc;

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
    /// The connection is lost when the server has half of the request.
    DropMidRequest,
    /// The connection is lost when the server has answered; the device gets nothing.
    DropAfterAnswer,
    /// The connection is lost when the device has half of the answer.
    DropMidAnswer,
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
                Some(FaultPlace::MidRequest) => FaultAction::DropMidRequest,
                Some(FaultPlace::AfterAnswer) => FaultAction::DropAfterAnswer,
                Some(FaultPlace::MidAnswer) => FaultAction::DropMidAnswer,
                _ => return Err(invalid()),
            };
            found.push((kind, action));
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
        Ok(Self { kind, action, about: record, after: step.after, times: step.times })
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
            FaultAction::DropMidRequest => write!(f, "drop {kind} at mid_request"),
            FaultAction::DropAfterAnswer => write!(f, "drop {kind} at after_answer"),
            FaultAction::DropMidAnswer => write!(f, "drop {kind} at mid_answer"),
            FaultAction::HoldRequest => write!(f, "hold {kind} at request"),
            FaultAction::HoldAnswer => write!(f, "hold {kind} at answer"),
            FaultAction::Duplicate => write!(f, "duplicate {kind}"),
            FaultAction::Replay => write!(f, "replay {kind}"),
            FaultAction::Answer(reply) => write!(f, "answer {kind} with {}", reply.status.unwrap_or(200)),
            FaultAction::Alter(_) => write!(f, "alter {kind}"),
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
        assert!(Fault::of(&NetworkStep { about: Some("fever".to_owned()), ..step }, None).is_err());
        assert!(Fault::of(&NetworkStep::default(), None).is_err());
    }
}
