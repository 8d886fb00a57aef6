"""The consent dialog: a page on which a person chooses who they are, and the redirect that follows.

What a script needs it can say in the address: `answer=allow` or `deny`, `user=<key>`, `granted=<scopes>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from emulator.meta.tokens import APP_ID, Tokens
from emulator.server import Reply

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def dialog(parameters: Mapping[str, str], tokens: Tokens) -> Reply:
    """The page, or once an answer is given the redirect with `code` or `error` and `state`."""
    redirect = parameters.get("redirect_uri", "")
    if parameters.get("client_id") != APP_ID:
        return _page(400, "<p>There is no app with this client_id.</p>")
    if urlsplit(redirect).scheme not in ("http", "https") or urlsplit(redirect).hostname not in _LOOPBACK:
        return _page(400, "<p>The emulator redirects to loopback addresses only.</p>")
    answer = parameters.get("answer")
    if answer == "allow":
        asked = [scope for scope in parameters.get("scope", "").split(",") if scope]
        granted = parameters.get("granted")
        scopes = asked if granted is None else [scope for scope in asked if scope in granted.split(",")]
        try:
            code = tokens.code(parameters.get("user", "agency"), scopes, redirect)
        except KeyError as problem:
            return _page(400, f"<p>{escape(str(problem.args[0]))}</p>")
        return _redirect(redirect, {"code": code}, parameters)
    if answer == "deny":
        denied = {
            "error": "access_denied",
            "error_reason": "user_denied",
            "error_description": "Permissions error",
        }
        return _redirect(redirect, denied, parameters)
    return _page(200, _form(parameters, tokens))


def _redirect(address: str, result: dict[str, str], parameters: Mapping[str, str]) -> Reply:
    parts = urlsplit(address)
    state = {"state": parameters["state"]} if "state" in parameters else {}
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *result.items(), *state.items()])
    return Reply(
        status=302, body=b"", headers={"location": urlunsplit(parts._replace(query=query, fragment=""))}
    )


def _form(parameters: Mapping[str, str], tokens: Tokens) -> str:
    kept = "".join(
        f'<input type="hidden" name="{escape(name, quote=True)}" value="{escape(value, quote=True)}">'
        for name, value in parameters.items()
        if name not in ("answer", "user")
    )
    people = "".join(
        f'<label><input type="radio" name="user" value="{escape(user.key)}"'
        f"{' checked' if user.key == 'agency' else ''}> {escape(user.name)} "
        f"({len(user.account_ids)} ad accounts)</label><br>"
        for user in tokens.users.values()
    )
    scopes = "".join(f"<li>{escape(scope)}</li>" for scope in parameters.get("scope", "").split(",") if scope)
    return (
        f"<p>An application asks for:</p><ul>{scopes or '<li>nothing</li>'}</ul>"
        f'<form method="get">{kept}<p>You are:</p>{people}'
        '<p><button name="answer" value="allow">Allow</button> <button name="answer" value="deny">Deny</button></p>'
        "</form>"
    )


def _page(status: int, content: str) -> Reply:
    body = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Emulator: consent</title></head>'
        f"<body><h1>Emulated consent</h1>{content}</body></html>"
    )
    return Reply(status=status, body=body.encode(), media_type="text/html; charset=utf-8")
