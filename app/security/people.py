"""Who may use the dashboard, and who is logged in."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from flask import session
from werkzeug.security import check_password_hash, generate_password_hash

from app.config import Config

OPERATOR, VIEWER = "operator", "viewer"
PASSWORD_MAX_CHARS = 1_000
_IN_SESSION = "login"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the dashboard. Without a name nobody was asked for one, or is logged in."""

    name: str = ""
    may_look: bool = False
    may_act: bool = False


STRANGER = Person()
# Where nothing is asked of anybody.
ANYBODY = Person(may_look=True, may_act=True)


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: str
    password_hash: str

    @property
    def person(self) -> Person:
        return Person(self.name, may_look=True, may_act=self.role == OPERATOR)

    @property
    def stamp(self) -> str:
        """Changes with the password and the role, and tells neither."""
        return hashlib.sha256(f"{self.role} {self.password_hash}".encode()).hexdigest()[:16]


class Users:
    """The users that the settings name."""

    def __init__(self, config: Config) -> None:
        found = [User(*fields) for fields in config.dashboard_users]
        if config.dashboard_password_hash:
            found.append(User(OPERATOR, OPERATOR, config.dashboard_password_hash))
        if config.dashboard_viewer_password_hash:
            found.append(User(VIEWER, VIEWER, config.dashboard_viewer_password_hash))
        self._users = {user.name: user for user in found}
        self._session_seconds = config.session_hours * 3600
        # An unknown name takes as long as a wrong password, so that names can't be guessed.
        method = found[0].password_hash.partition("$")[0] if found else ""
        self._nobodys_hash = generate_password_hash("", method) if found else ""

    def __bool__(self) -> bool:
        return bool(self._users)

    @property
    def usual_name(self) -> str:
        """The only operator there is, or nothing."""
        names = [user.name for user in self._users.values() if user.role == OPERATOR]
        return names[0] if len(names) == 1 else ""

    def check(self, name: str, password: str) -> User | None:
        """The user with this name and password."""
        user = self._users.get(name)
        known = user.password_hash if user else self._nobodys_hash
        is_right = len(password) <= PASSWORD_MAX_CHARS and check_password_hash(known, password)
        return user if user and is_right else None

    def log_in(self, user: User) -> None:
        # Nothing of what a stranger may have planted in the session stays.
        session.clear()
        session[_IN_SESSION] = {"name": user.name, "stamp": user.stamp, "at": int(time.time())}

    def log_out(self) -> None:
        session.clear()

    def logged_in(self) -> Person:
        """Whom the session names, as long as it lasts; else STRANGER."""
        said: Any = session.get(_IN_SESSION)
        if not isinstance(said, dict):
            return STRANGER
        user = self._users.get(said.get("name", ""))
        lasts = 0 <= time.time() - said.get("at", 0) + 60 <= self._session_seconds + 60
        if user is None or said.get("stamp") != user.stamp or not lasts:
            return STRANGER
        return user.person
