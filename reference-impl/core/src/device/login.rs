//! Who the device is: tokens, and the session that says what may be done.
//!
//! Chapter: session.

use super::call::Answer;
use super::cycle::{ATTEMPTS, Failure};
use super::{Credentials, DeviceError, Next, Step, Write};
use fieldsync_schemas::id::SessionTag;
use fieldsync_schemas::login::{LoginRequest, RefreshRequest, TokenAnswer};
use fieldsync_schemas::problem::Problem;
use fieldsync_schemas::scenario::{CallKind, FailureCause};
use fieldsync_schemas::session::Session;

impl Step<'_> {
    /// Whose credentials these are is only known from their session.
    pub(super) fn take_credentials(&mut self, credentials: Credentials) {
        self.machine.login = credentials.print();
        self.machine.credentials = credentials;
        self.machine.refresh_token = None;
        if self.machine.is_syncing() {
            self.run().session_is_old = true;
        }
    }

    /// Whether the stored session was got with other credentials than those that the device has now.
    pub(super) fn is_another_login(&self) -> bool {
        self.machine.state.marks.login.as_ref() != Some(&self.machine.login)
    }

    pub(super) fn log_in(&mut self) -> Next {
        if let Some(refresh_token) = self.machine.refresh_token.clone() {
            let body = serde_json::to_string(&RefreshRequest { refresh_token }).expect("a refresh is plain JSON");
            return self.send(CallKind::Refresh, "/refresh", Some(body));
        }
        let Some(password) = self.machine.credentials.password.clone() else {
            return self.fail(Failure::new(FailureCause::Credentials, "there is neither a token nor a password"));
        };
        let request = LoginRequest { user: password.user, password: password.password };
        let body = serde_json::to_string(&request).expect("a login is plain JSON");
        self.send(CallKind::Login, "/login", Some(body))
    }

    /// The server does not take the token: get a new one, once.
    pub(super) fn token_refused(&mut self, problem: &Problem) -> Next {
        let can_log_in = self.machine.refresh_token.is_some() || self.machine.credentials.password.is_some();
        if !can_log_in || self.run().logged_in_again {
            return self.fail(Failure { cause: FailureCause::Credentials, ..Failure::of(problem) });
        }
        self.run().logged_in_again = true;
        self.machine.credentials.token = None;
        self.log_in()
    }

    pub(super) fn on_tokens(&mut self, kind: CallKind, answer: &Answer) -> Result<Next, DeviceError> {
        match self.understood::<TokenAnswer>(kind, answer) {
            Ok(Ok(tokens)) => {
                self.machine.credentials.token = Some(tokens.access_token);
                self.machine.refresh_token = tokens.refresh_token;
                self.go_on()
            }
            Ok(Err(_)) if kind == CallKind::Refresh && self.machine.credentials.password.is_some() => {
                self.machine.refresh_token = None;
                Ok(self.log_in())
            }
            Ok(Err(problem)) => {
                self.machine.refresh_token = None;
                let refused = matches!(answer.status, 401 | 403) || kind == CallKind::Refresh;
                let cause = if refused { FailureCause::Credentials } else { FailureCause::Server };
                Ok(self.fail(Failure { cause, ..Failure::of(&problem) }))
            }
            Err(next) => Ok(next),
        }
    }

    pub(super) fn on_session(&mut self, answer: &Answer) -> Result<Next, DeviceError> {
        let session = match self.understood::<Session>(CallKind::Session, answer) {
            Ok(Ok(session)) => session,
            Ok(Err(problem)) => return Ok(self.fail(Failure::of(&problem))),
            Err(next) => return Ok(next),
        };
        let before = self.machine.state.session.as_ref();
        let has_nothing = before.is_none();
        if before.is_some_and(|before| before.principal != session.principal) {
            let detail = format!("this store belongs to another principal than {}", session.principal);
            return Ok(self.fail(Failure::new(FailureCause::Credentials, detail)));
        }
        self.run().session_is_old = false;
        self.run().session_tags.insert(session.tag.clone());
        self.heard_epoch(&session);
        self.write(Write::Session(Box::new(session)));
        let login = self.machine.login.clone();
        self.mark(|marks| marks.login = Some(login));
        self.forget_feeds_without_a_type();
        let feeds = self.feeds();
        if feeds.iter().any(|feed| !self.machine.state.cursors.contains_key(feed)) {
            self.run().pulled_all = false;
        }
        if let Err(next) = self.take_orders(has_nothing) {
            return Ok(next);
        }
        self.go_on()
    }

    /// The server names the session by this tag: where it is another, the session is fetched before the next phase.
    pub(super) fn heard_session_tag(&mut self, tag: &SessionTag) {
        let is_known = self.session().tag == *tag;
        let run = self.run();
        if !is_known && run.session_tags.len() < ATTEMPTS as usize && run.session_tags.insert(tag.clone()) {
            run.session_is_old = true;
        }
    }
}
