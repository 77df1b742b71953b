"""Texts that strangers may put into any field, and that must show as text."""

from __future__ import annotations

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "{{ 1111 * 1111 }}{% raw %}${1111*1111}#{1111*1111}",
    "javascript:alert(1)",
    "</pre></title><!--",
    "invoice\u202egpj.exe",
    "zero\u200bwidth\ufeff",
    "bell\x07 escape\x1b[31m",
    "&lt;b&gt; &amp;amp;",
)
