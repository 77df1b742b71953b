"""What people see of a job, and search it by: its title and its people.

An entry of `Job_summary` has lines: the title; the title as it is searched, where Lua can't make
that out of it (it folds ASCII only); then each of the people. The entries of `Find` are made of
it, in `lua/_places.lua`.
"""

from __future__ import annotations

from collections.abc import Collection

from app.queue.text import clean_text

TITLE_MAX_CHARS = 200
TITLE_SEARCHED_CHARS = 64
PERSON_MAX_CHARS = 320
PEOPLE_MAX = 50
# No entry of `Find` begins so: there is none for an empty title.
FINDS_NOTHING = "t:\0"


def pack_summary(title: str | None, people: Collection[str]) -> str:
    """The entry, or "" for nothing. What is too long is cut; one line each."""
    if not title and not people:  # nearly every job that is no mail
        return ""
    title = clean_text(title or "")[:TITLE_MAX_CHARS]
    names = [clean_text(person)[:PERSON_MAX_CHARS] for person in people]
    names = list(dict.fromkeys(filter(None, names)))[:PEOPLE_MAX]
    if not title and not names:
        return ""
    searched = "" if title.isascii() else fold_title(title)
    return "\n".join([title, searched, *names])


def unpack_summary(entry: str) -> tuple[str | None, tuple[str, ...]]:
    """Title and people."""
    title, _, *people = entry.split("\n")
    return title or None, tuple(people)


def fold_title(title: str) -> str:
    """The beginning of a title, without the difference of upper and lower case."""
    return title[:TITLE_SEARCHED_CHARS].casefold()


def find_prefix(q: str) -> str | None:
    """How the entries of `Find` begin that a search asks for; None when it asks for nothing.

    `user@example.com` asks for that address, `@example.com` for a domain, any other text for the
    beginning of a title.
    """
    text = clean_text(q)
    name, at, domain = text.rpartition("@")
    if at and domain and " " not in text:
        # Only ASCII: so does Lua.
        name, domain = _lower_ascii(name), _lower_ascii(domain)
        return f"r:{domain}@{name}\0" if name else f"r:{domain}@"
    return f"t:{fold_title(text)}" if text else None


def _lower_ascii(text: str) -> str:
    return text.encode().lower().decode()


def is_found_by(entry: str, prefix: str) -> bool:
    """Whether an entry of `Job_summary` has an entry in `Find` that begins so."""
    title, searched, *people = entry.split("\n")
    if prefix.startswith("t:"):
        return bool(title) and f"t:{searched or fold_title(title)}\0".startswith(prefix)
    return any(_person_entry(person).startswith(prefix) for person in people if "@" in person)


def _person_entry(person: str) -> str:
    name, _, domain = _lower_ascii(person).rpartition("@")
    return f"r:{domain}@{name}\0"
