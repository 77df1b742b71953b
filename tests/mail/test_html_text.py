"""The text made from HTML, for readers without it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.mail.html_text import text_from_html
from tests.mail.sink import SmtpSink
from tests.mail.support import EXAMPLE, MakeMailer, make_job


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Hello", "Hello"),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<div>One</div><div>Two</div>", "One\nTwo"),
        ("One<br>Two<br/><br>Three<br><br><br>Four", "One\nTwo\n\nThree\n\nFour"),
        ("<p>  much \n\t white&nbsp;space </p>", "much white space"),
        ("<b>a</b><i>b</i> <u> c </u>d", "ab c d"),
        ("<h1>Title</h1>Text", "Title\n\nText"),
        ("<ul><li>a<li>b<ol><li>x</li><li>y</li></ol></ul>end", "- a\n- b\n  1. x\n  2. y\nend"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><th>3</th></tr></table>", "1 2\n3"),
        ("<p>a</p><hr><p>b</p>", f"a\n\n{'-' * 20}\n\nb"),
        ("x<pre>a\n  b\n\nc</pre>y", "x\na\n  b\n\nc\ny"),
        ("&lt;b&gt; &amp; &eacute; &#8364; 5 < 6 a<b", "<b> & é € 5 < 6 a"),
        ('<a href="https://e.com/x?a=1&amp;b=2">here</a>.', "here (https://e.com/x?a=1&b=2)."),
        ("<a href='https://e.com/'>e.com</a>", "e.com"),
        ("<a href=https://e.com>https://e.com</a>", "https://e.com"),
        ('<a href="mailto:a@b.test">a@b.test</a>', "a@b.test"),
        ('<a href="#top">up</a> <a href="javascript:x()">y</a>', "up y"),
        ('<a href="https://e.com/x"><img src="p.png" alt="Shop"></a>', "Shop (https://e.com/x)"),
        ('<a href="https://e.com/x"><img src="p.png"></a>', "https://e.com/x"),
        ("<title>no</title><style>p{}</style><script>if (a<b) '</p>'</script>yes", "yes"),
        ("a<!-- <p>no</p> -->b<!doctype html>c<?php no ?>d", "abcd"),
        ('<div style="display: none">no<div>no</div>no</div>yes', "yes"),
        ("<p hidden>no</p><p>yes</p>", "yes"),
        ('<img src="pixel.gif">', ""),
        ("", ""),
        ('<p title="a > b">yes</p>', "yes"),
        ("yes<p title='never closed", "yes"),
        ("yes<!-- never closed", "yes"),
    ],
)
def test_html_reads_as_text(html: str, text: str) -> None:
    assert text_from_html(html) == text


@pytest.mark.parametrize(
    "pattern",
    [
        *("<", "<!", "<!--", "<a ", '<a b="', "<a '", "</", "</a", "&", "&#", "<![CDATA[", "<a/"),
        *("<script>", "<a href=http://x>x", "<ul><li>x", "<div hidden>", "<td>", "<pre>\n", "<br>"),
        *("<div hidden></p>", "  ", "a<b ", "<a a=", "<a a = b ", "<p style='display", "9"),
    ],
)
def test_no_html_takes_long(pattern: str) -> None:
    began = time.thread_time()
    for html in (pattern * (200_000 // len(pattern)), f"&#{pattern * 6_000}"):
        text_from_html(html)
    # Twenty times what it takes; where it grows with the square it would be minutes.
    assert time.thread_time() - began < 10


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*"<>/!-='\" &;#", "a", "p", "li", "ul", "td", "pre", "x y"])))
def test_any_markup_gives_clean_text(parts: list[str]) -> None:
    text = text_from_html("".join(parts))
    assert text == text.strip("\n")
    assert not any(line != line.rstrip() for line in text.split("\n"))


def test_html_alone_gets_a_text_beside_it(make_mailer: MakeMailer) -> None:
    payload = {"to": EXAMPLE["to"], "html": "<p>Grüße, <b>Ann</b></p>"}
    with SmtpSink() as sink:
        job = make_job(payload)
        make_mailer(sink).send(job, job.data)
        message = sink.wait_for(1)[0].message
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert text.get_content().strip() == "Grüße, Ann"
    assert html.get_content().strip() == payload["html"]


def test_html_without_a_word_goes_alone(make_mailer: MakeMailer) -> None:
    with SmtpSink() as sink:
        job = make_job({"to": EXAMPLE["to"], "html": '<img src="https://example.com/x.png">'})
        make_mailer(sink).send(job, job.data)
        message = sink.wait_for(1)[0].message
    assert message.get_content_type() == "text/html"


def test_a_text_that_was_given_stays(make_mailer: MakeMailer) -> None:
    with SmtpSink() as sink:
        job = make_job(EXAMPLE | {"html": "<p>Other words</p>"})
        make_mailer(sink).send(job, job.data)
        body = sink.wait_for(1)[0].message.get_body(("plain",))
    assert body is not None and body.get_content().strip() == EXAMPLE["message"]
