"""The text that stands beside HTML, made from it where none was given.

Not `html.parser`: before 3.11.14 it takes hours for a mebibyte of `<a ` (CVE-2025-6069 and its
kin). Here each character is looked at a fixed number of times, whatever stands there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLOCKS = _words(
    "address article aside blockquote body center dd div dl dt fieldset figcaption figure footer "
    "form header hr html legend li main nav ol option pre section table tbody tfoot thead tr ul"
)
_PARAGRAPHS = _words("p h1 h2 h3 h4 h5 h6")
_UNSEEN = _words("script style head title template noscript select object iframe")
_RAW = _words("script style title textarea iframe noscript")
_VOID = _words("area base br col embed hr img input link meta source track wbr")
_CELLS = _words("td th")
_INDENT_MAX = 8

_NAME = re.compile(r"/?([a-zA-Z][^\s/>]*)")
# Possessive: what an attribute's quotes hold is not tried in other ways when no ">" follows.
_TAG_END = re.compile(r"""[^"'>]*+(?:"[^"]*+"[^"'>]*+|'[^']*+'[^"'>]*+)*+>""")
_ATTRIBUTE = re.compile(r"""([^\s=>"'/]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++)))?""")
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_HIDING_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all", re.I)
_LINK = re.compile(r"(?:https?://|mailto:|tel:)", re.I)


def text_from_html(source: str) -> str:
    """Paragraphs, lists, links with their addresses, the words of pictures; "" when none is left.

    >>> text_from_html('<p>Hi <a href="https://example.com/x">there</a></p>')
    'Hi there (https://example.com/x)'
    """
    writer = _Writer()
    for text, name, attributes in _tokens(source):
        if text:
            writer.text(text)
        elif name.startswith("/"):
            writer.end(name[1:])
        elif name:
            writer.start(name, attributes)
    return writer.finished()


_Token = tuple[str, str, dict[str, str]]


def _tokens(source: str) -> Iterator[_Token]:
    """Text, or the name of a tag ("p", "/p") with its attributes. What has no end is left out."""
    at = 0
    while at < len(source):
        less = source.find("<", at)
        if less != at:
            yield _unescaped(source[at : less if less >= 0 else None]), "", {}
            if less < 0:
                return
        name = _NAME.match(source, less + 1)
        if name is None and not source.startswith(("<!", "<?", "</"), less):
            yield "<", "", {}
            at = less + 1
            continue
        at = _end_of_markup(source, less, name)
        if at <= 0:
            return
        if name:
            yield from _tag(source[less:at], name)
            if (tag := name[0].lower()) in _RAW:
                at = _end_of_raw(source, at, tag)


def _end_of_markup(source: str, start: int, name: re.Match[str] | None) -> int:
    if name:
        end = _TAG_END.match(source, name.end())
        return end.end() if end else 0
    closing = "-->" if source.startswith("<!--", start) else ">"
    found = source.find(closing, start + 2)
    return found + len(closing) if found >= 0 else 0


def _tag(markup: str, name: re.Match[str]) -> Iterator[_Token]:
    tag = name[0].lower()
    body = markup[len(name[0]) + 1 : -1]
    attributes: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(body):
        value = found[2] or found[3] or found[4] or ""
        attributes.setdefault(found[1].lower(), _unescaped(value))
    yield "", tag, attributes


def _end_of_raw(source: str, start: int, tag: str) -> int:
    """Where the end tag of a script and the like begins: until there, nothing is markup."""
    end = re.compile(f"</{tag}", re.I).search(source, start)
    return end.start() if end else len(source)


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a number of thousands of digits is no character
        return text


@dataclass(eq=False)
class _Writer:
    """The text so far. Spaces and line ends wait until something follows them."""

    _pieces: list[str] = field(default_factory=list)
    _lines: int = 0  # line ends that are due
    _space: bool = False
    _unseen: list[str] = field(default_factory=list)  # open elements within one not shown
    _lists: list[int] = field(default_factory=list)  # the last number of each; -1: bullets
    _link: tuple[str, int] | None = None  # the open one: its address, the piece it begins with
    _pre: int = 0

    def text(self, text: str) -> None:
        if self._unseen:
            return
        if self._pre:
            for number, line in enumerate(text.split("\n")):
                self._lines += min(number, 1)
                self._put(line)
            return
        words = _SPACE.sub(" ", text)
        self._space = self._space or words.startswith(" ")
        if words.strip(" "):
            self._put(words.strip(" "))
            self._space = words.endswith(" ")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._unseen or name in _UNSEEN or _is_hidden(attributes):
            if name not in _VOID:
                self._unseen.append(name)
            return
        if name == "br":
            self._lines += 1
        elif name in _CELLS:
            self._space = True
        elif name == "a":
            self._end_link()
            self._link = attributes.get("href", ""), len(self._pieces)
        elif name == "img" and attributes.get("alt"):
            self.text(f" {attributes['alt']} ")
        elif name in _BLOCKS or name in _PARAGRAPHS:
            self._start_block(name)

    def end(self, name: str) -> None:
        if self._unseen:
            if name in self._unseen[-_INDENT_MAX:]:
                while self._unseen.pop() != name:
                    pass
            return
        if name == "a":
            self._end_link()
        elif name in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif name == "pre":
            self._pre = max(0, self._pre - 1)
        if name in _BLOCKS or name in _PARAGRAPHS:
            self._break(name)

    def finished(self) -> str:
        lines = "".join(self._pieces).split("\n")
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def _start_block(self, name: str) -> None:
        self._break(name)
        if name in ("ul", "ol"):
            self._lists.append(0 if name == "ol" else -1)
        elif name == "pre":
            self._pre += 1
        elif name == "hr":
            self._put("-" * 20)
            self._break(name)
        elif name == "li":
            self._put(self._bullet())
            self._space = True

    def _bullet(self) -> str:
        indent = "  " * min(len(self._lists) - 1, _INDENT_MAX)
        if not self._lists or self._lists[-1] < 0:
            return f"{indent}-"
        self._lists[-1] += 1
        return f"{indent}{self._lists[-1]}."

    def _end_link(self) -> None:
        if self._link is None:
            return
        (address, first_piece), self._link = self._link, None
        shown = "".join(self._pieces[first_piece:]).strip()
        bare = re.sub(r"(?i)^(https?://|mailto:|tel:)", "", address).rstrip("/")
        if _LINK.match(address) and shown not in (address, bare):
            address = _SPACE.sub("", address)
            self._space = self._space or bool(shown)
            self._put(f"({address})" if shown else address)

    def _break(self, name: str) -> None:
        self._lines = max(self._lines, 2 if name in _PARAGRAPHS else 1)
        self._space = False

    def _put(self, text: str) -> None:
        if self._pieces and self._lines:
            self._pieces.append("\n" * min(self._lines, 2))
        elif self._pieces and self._space:
            self._pieces.append(" ")
        self._lines, self._space = 0, False
        if text:
            self._pieces.append(text)


def _is_hidden(attributes: dict[str, str]) -> bool:
    return "hidden" in attributes or bool(_HIDING_STYLE.search(attributes.get("style", "")))
