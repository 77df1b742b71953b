"""Templates are indented for who reads them; pages are sent without."""

from __future__ import annotations

import re

from flask.templating import Environment

_INDENTATION = re.compile(r"(<pre.*?</pre>)|^ +", re.DOTALL | re.MULTILINE)


class Unindented(Environment):
    """Takes the blanks at the beginning of lines out of templates, but for those in `<pre>`.

    They would be a tenth of the page of jobs, and its first load must stay small.
    """

    def preprocess(self, source: str, name: str | None = None, filename: str | None = None) -> str:
        source = super().preprocess(source, name, filename)
        return _INDENTATION.sub(lambda found: found[1] or "", source)
