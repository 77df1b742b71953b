"""Fills in and sends the forms of a page, as a browser without JavaScript does."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse


@dataclass
class Button:
    name: str | None
    value: str
    action: str | None  # an address of its own, instead of the form's


@dataclass
class Form:
    method: str
    action: str
    id: str | None
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: dict[str, Button] = field(default_factory=dict)

    def send(
        self, http: FlaskClient, button: str, *, ticked: tuple[int, ...] = (), **headers: str
    ) -> TestResponse:
        """Presses the button with this text or label. `ticked` are rows."""
        pressed = self.buttons[button]
        data = MultiDict(self.fields + [("ids", str(job_id)) for job_id in ticked])
        if pressed.name:
            data.add(pressed.name, pressed.value)
        assert self.method == "post"
        return http.post(pressed.action or self.action, data=data, headers=headers)


class Page(HTMLParser):
    """All forms of a page, and its text."""

    def __init__(self, response: TestResponse, code: int = 200) -> None:
        super().__init__()
        assert response.status_code == code, response.text
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._button: Button | None = None
        self._form: Form | None = None
        self.feed(response.text)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def form(self, button: str) -> Form:
        """The form with this button."""
        [found] = [form for form in self.forms if button in form.buttons]
        return found

    @property
    def buttons(self) -> set[str]:
        return {name for form in self.forms for name in form.buttons}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        given = dict(attrs)
        if tag == "form":
            assert self._form is None, "a form in a form"
            method = (given.get("method") or "get").lower()
            self._form = Form(method, given.get("action", ""), given.get("id"))
            self.forms.append(self._form)
        elif tag == "input" and self._form and given.get("type") == "hidden":
            self._form.fields.append((given["name"], given["value"]))
        elif tag == "button" and self._form:
            button = Button(given.get("name"), given.get("value", ""), given.get("formaction"))
            if "aria-label" in given:
                self._form.buttons[given["aria-label"]] = button
            else:
                self._button = button

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text:
            return
        self.words.append(text)
        if self._button and self._form:
            self._form.buttons[text] = self._button
            self._button = None


def follow(http: FlaskClient, response: TestResponse) -> TestResponse:
    if response.status_code == 303:
        return http.get(response.location)
    return response
