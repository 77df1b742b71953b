"""Mails in the mailbox are read in a frame that can do nothing."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.mail.mailbox import MailboxTransport
from tests.browser.conftest import Complaints, Site


@pytest.fixture
def mailbox(site: Site) -> Path:
    """The site's mailbox, empty."""
    folder: Path = site.app.extensions["config"].data_dir / "mailbox"
    for path in folder.glob("*/*"):
        path.unlink()
    return folder


def deliver(mailbox: Path, html: str | None = None) -> bytes:
    mail = EmailMessage()
    mail["Subject"], mail["To"], mail["From"] = "Your order", "ada@example.com", "s@example.com"
    mail.set_content("It is on its way.\n")
    if html:
        mail.add_alternative(html, subtype="html")
    content = mail.as_bytes()
    MailboxTransport(mailbox).deliver(content)
    return content


def test_a_mail_is_found_read_and_downloaded(page: Page, site: Site, mailbox: Path) -> None:
    deliver(mailbox)
    [stored] = (mailbox / "new").iterdir()
    page.goto(f"{site.url}/dashboard/mailbox")

    page.get_by_role("link", name="Your order").click()
    expect(page.get_by_role("group", name="Text")).to_contain_text("It is on its way.")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download .eml").click()

    assert started.value.suggested_filename == "mail.eml"
    assert Path(started.value.path()).read_bytes() == stored.read_bytes()


def test_the_html_of_a_mail_runs_no_script_and_loads_nothing(
    page: Page, site: Site, mailbox: Path, complaints: Complaints
) -> None:
    complaints.expected += ["Blocked script execution", "policy", "Content Security Policy"]
    loaded: list[str] = []
    page.on("response", lambda response: loaded.append(response.url))
    deliver(
        mailbox,
        '<h1>Hello</h1><script>top.document.title = "owned"</script>'
        '<img src="/static/icon.svg?pixel"><link rel=stylesheet href="/static/app.css?spy">'
        "<style>h1 { color: rgb(1, 2, 3); background: url(/static/icon.svg?background) }</style>",
    )
    page.goto(f"{site.url}/dashboard/mailbox")

    page.get_by_role("link", name="Your order").click()

    heading = page.frame_locator("iframe.mail-frame").locator("h1")
    expect(heading).to_have_css("color", "rgb(1, 2, 3)")
    expect(page).to_have_title("Mail · Mailroom")
    assert not [url for url in loaded if "?pixel" in url or "?spy" in url or "?background" in url]
