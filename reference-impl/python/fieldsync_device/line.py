"""The way to the server: every request goes out here, with a token, and what follows its answer is decided here.

`Line.call` is the one place that knows what to do after an answer that is no success: log in again, wait, send the
same request once more, or give up.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Any, Callable

from . import epoch, messages
from .messages import Check
from .records import PROTOCOL, encode
from .session import PROFILES, Session
from .store import Store
from .transport import Answer, NoAnswer, Sink, Transport


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a device gets in: with a token from elsewhere, with user and password, or with both."""

    user: str | None = None
    password: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device asks for and puts up with; all of it is its own choice."""

    page: int = 500
    batch: int | None = None
    timeout: float = 30.0
    answer_bytes: int = 64 << 20
    attempts: int = 3
    backoff: float = 1.0
    patience: float = 20.0


class SyncFailed(Exception):
    """A sync ends here; `cause` is `network`, `server` or `credentials`."""

    def __init__(self, cause: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        self.retry_after = retry_after


class Refused(Exception):
    """A request was answered with a problem that asks for something else than the same request."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem['detail']} ({problem['code']}, request {problem['request_id']})")
        self.retry: str = problem["retry"]  # a word of the table
        self.code: str = problem["code"]
        self.feeds: list[str] = problem.get("feeds") or []
        self.cause = "credentials" if problem["status"] in (401, 403) else "server"


class Line:
    """The way to the server, with a token and a session."""

    def __init__(self, transport: Transport, store: Store, credentials: Credentials, limits: Limits,
                 wait: Callable[[float], object], heard: Callable[[dict[str, Any]], None]) -> None:
        self._transport = transport
        self._store = store
        self._limits = limits
        self._wait = wait
        self._heard = heard
        self._session: Session | None = None
        self.set_credentials(credentials)

    def set_credentials(self, credentials: Credentials) -> None:
        """Somebody logs in. What is known of a session counts only for the credentials with which it was fetched."""
        kept = self._store.meta("tokens") or {}
        mine = kept.get("user") == credentials.user
        self._credentials = credentials
        self._refresh_token: str | None = kept.get("refresh") if mine else None
        self._token = credentials.token or (kept.get("access") if mine else None)
        known = self._store.meta("session") if self._store.meta("credentials") == self._fingerprint() else None
        self._session = Session(known) if known else None

    def _fingerprint(self) -> list[str | None]:
        token = self._credentials.token
        return [self._credentials.user, token and hashlib.sha256(token.encode()).hexdigest()]

    # The session.

    def session(self) -> Session:
        """The session as last seen; fetched where there is none."""
        return self._session or self.fetch_session()

    def fetch_session(self) -> Session:
        """Asks for the session, and keeps it. A store stays its first principal's (`session.principal.store-bound`)."""
        message = self.call("GET", "/session", None, messages.is_session)
        owner = (self._store.meta("session") or message)["principal"]
        if message["principal"] != owner:
            raise SyncFailed("credentials", f"this store is {owner}'s, and {message['principal']} is logged in")
        if message["profile"] not in PROFILES:
            raise SyncFailed("server", f"this device cannot sync the profile {message['profile']}")
        session = Session(message)
        with self._store.transaction():
            self._heed_orders(session, message.get("refetch") or [])
            self._store.set_meta(session=message, credentials=self._fingerprint())
        self._heard(message)
        self._session = session
        epoch.heed(self._store, message)
        return session

    def _heed_orders(self, session: Session, orders: list[dict[str, Any]]) -> None:
        """Begins each order to pull once more, the one time that it is new (`refetch.order.once`)."""
        begun: list[str] | None = self._store.meta("orders")
        for order in orders:
            if begun is not None and order["id"] not in begun:
                types = order.get("types")
                feeds = [session.feed_of(kind) for kind in types or ()]
                feeds += [name for feed in feeds for name in self._store.partitions(feed)]
                self._store.walk_again(feeds if types else None)
        # Those of the first session are older than anything that this device holds.
        self._store.set_meta(orders=sorted({*(begun or ()), *(order["id"] for order in orders)}))

    @property
    def epoch(self) -> str:
        """The epoch that this device knows; another one in the session does not say why it began."""
        return str(self._store.meta("epoch") or self.session().epoch)

    def heed(self, tag: str) -> None:
        """Fetches the session again where an answer carries another tag (`session.tag.refetched`)."""
        if tag != self.session().tag:
            self.fetch_session()

    # Requests.

    def traffic(self) -> tuple[int, int, int]:
        """The requests so far, and the bytes of the bodies that went and that came."""
        return self._transport.requests, self._transport.sent, self._transport.received

    def call(self, method: str, path: str, body: bytes | None, check: Check,
             watch: Callable[[Answer], None] | None = None) -> Any:
        """Sends a request until there is an answer that says something else than "again".

        `watch` sees every answer that is no success before anything is done about it, and may take over by raising.
        """
        attempt, logins = 1, 0
        while True:
            answer = self._exchange(method, path, body)
            if answer.good and check(answer.message):
                return answer.message
            if answer.good:
                raise SyncFailed("network", f"the answer to {method} {path} is no message by its schema")
            if watch:
                watch(answer)
            problem = answer.problem
            cause = "server" if problem or answer.status >= 500 else "network"
            detail = str(Refused(problem)) if problem else answer.fault
            retry = problem["retry"] if problem else "same" if answer.status >= 500 else "none"
            if retry == "login":
                logins += 1
                if logins > 1:
                    raise SyncFailed("credentials", detail)
                self._renew_token(detail)
                continue
            busy = answer.status in (429, 503) and retry in ("never", "none")
            if retry not in ("after", "same") and not busy:
                if problem and problem["code"] == "epoch-mismatch" and problem.get("epoch") not in (None, self.epoch):
                    raise epoch.EpochChanged(problem["epoch"], problem.get("cause"))
                if problem:
                    raise Refused(problem)
                raise SyncFailed(cause, detail)
            pause = self._pause(answer)
            if pause is None and (retry == "after" or answer.status in (429, 503)):
                raise SyncFailed(cause, detail)
            if attempt >= self._limits.attempts or (pause or 0) > self._limits.patience:
                raise SyncFailed(cause, detail, pause)
            self._wait(self._backoff(attempt) if pause is None else pause)
            attempt += 1

    def path_of(self, asked: str, url: str) -> str | None:
        """The path of a URL in an answer; none where it leads to another server, which gets no token."""
        return self._transport.path_of(asked, url)

    def exchange(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None,
                 whole_path: bool = False, sink: Sink | None = None) -> Answer:
        """Sends a request about a file, once more where the token has ended, and leaves the rest to who asks."""
        answer = self._exchange(method, path, body, headers, whole_path, sink)
        if answer.problem and answer.problem["retry"] == "login":
            self._renew_token(str(Refused(answer.problem)))
            answer = self._exchange(method, path, body, headers, whole_path, sink)
            if answer.problem and answer.problem["retry"] == "login":
                raise SyncFailed("credentials", str(Refused(answer.problem)))
        return answer

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None = None,
                  whole_path: bool = False, sink: Sink | None = None) -> Answer:
        headers = dict(headers or {})
        if path not in ("", "/login", "/refresh"):
            if self._token is None:
                self._renew_token("there is no token")
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            return self._transport.exchange(method, path, body, headers, whole_path, sink)
        except NoAnswer as error:
            raise SyncFailed("network", str(error)) from error

    @staticmethod
    def _pause(answer: Answer) -> float | None:
        """For how long the server wants to be left alone; a date counts as too long to wait for."""
        if answer.problem and answer.problem.get("retry_after") is not None:
            return float(answer.problem["retry_after"])
        if answer.retry_after is None:
            return None
        return float(answer.retry_after) if answer.retry_after.strip().isdigit() else float("inf")

    def _backoff(self, attempt: int) -> float:
        """Longer each time, and never in step with a thousand others."""
        return self._limits.backoff * float(2 ** (attempt - 1)) * random.uniform(0.5, 1.5)

    # Tokens.

    def _renew_token(self, why: str) -> None:
        """Gets a new access token: with the refresh token, or else with the password."""
        if self._refresh_token and self._ask_for_token("/refresh", {"refresh_token": self._refresh_token}):
            return
        user, password = self._credentials.user, self._credentials.password
        if user is None or password is None:
            raise SyncFailed("credentials", why)
        self._look_before_login()
        if not self._ask_for_token("/login", {"user": user, "password": password}):
            raise SyncFailed("credentials", f"the server refused the login of {user}")

    def _ask_for_token(self, path: str, request: dict[str, str]) -> bool:
        def watch(answer: Answer) -> None:
            if answer.problem and answer.problem["retry"] == "login":
                raise Refused(answer.problem)

        try:
            tokens = self.call("POST", path, encode(request).encode(), messages.is_tokens, watch)
        except Refused as refused:
            if refused.retry != "login" and path == "/login":
                raise
            self._refresh_token = None
            return False
        self._token = tokens["access_token"]
        self._refresh_token = tokens.get("refresh_token") or self._refresh_token
        self._store.set_meta(tokens={"user": self._credentials.user, "access": self._token,
                                     "refresh": self._refresh_token})
        return True

    def _look_before_login(self) -> None:
        """Asks, once, whether this is a server of ours at all, before it is given a password."""
        if self._store.meta("discovered"):
            return
        found = self.call("GET", "", None, messages.is_discovery)
        if PROTOCOL not in found["versions"] or "password" not in found["auth"]:
            raise SyncFailed("server", f"the server has no login by password in version {PROTOCOL}: "
                                       f"{json.dumps(found)[:200]}")
        self._store.set_meta(discovered=True)
