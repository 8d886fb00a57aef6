"""Keys and tokens: nothing shows itself, nothing is lost in a rotation."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from dlt_pipelines.common import tokens
from dlt_pipelines.common.errors import AuthError
from dlt_pipelines.common.tokens import Keyring, Secret

TEXT = "EAAB-a-token-nobody-may-see"


def key() -> str:
    return Fernet.generate_key().decode()


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(TEXT)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr([secret]), repr({"token": secret})]
    assert not any(TEXT in text for text in shown)
    assert secret.reveal() == TEXT
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(secret)


def test_what_is_encrypted_comes_back_and_is_not_the_text() -> None:
    ring = Keyring([key()])
    stored = ring.encrypt(Secret(TEXT))
    assert TEXT.encode() not in stored
    assert ring.decrypt(stored) == Secret(TEXT)


def test_another_key_says_so_without_showing_anything() -> None:
    stored = Keyring([key()]).encrypt(Secret(TEXT))
    other = key()
    with pytest.raises(AuthError, match="cannot be decrypted") as caught:
        Keyring([other]).decrypt(stored)
    said = "".join(traceback.format_exception(caught.value))
    assert other not in said and stored.decode() not in said


def test_rotation_reads_the_old_and_writes_the_new() -> None:
    old = Keyring([key()])
    stored = old.encrypt(Secret(TEXT))
    both = old.with_new_key()
    fresh = both.rotated(stored)
    assert both.key_id != old.key_id
    assert both.first_only().decrypt(fresh) == Secret(TEXT)
    with pytest.raises(AuthError):
        old.decrypt(fresh)


def test_the_key_file_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "data" / "key"
    first = tokens.load_or_create(path, {})
    assert path.stat().st_mode & 0o777 == 0o600
    assert tokens.load_or_create(path, {}).key_id == first.key_id
    assert [one.name for one in path.parent.iterdir()] == ["key"]


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    tokens.load_or_create(tmp_path / "key", {})
    one, two = key(), key()
    ring = tokens.load(tmp_path / "key", {"AEGIS_KEY": f"{one}, {two}"})
    assert ring.key_id == Keyring([one]).key_id
    assert ring.decrypt(Keyring([two]).encrypt(Secret(TEXT))) == Secret(TEXT)


@pytest.mark.parametrize("content", [None, "", "no key at all"])
def test_no_usable_key_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)
    with pytest.raises(AuthError) as caught:
        tokens.load(path, {})
    assert "no key at all" not in str(caught.value)


def test_a_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    tokens.load_or_create(path, {})
    path.chmod(0o644)
    with pytest.raises(AuthError, match="open to others"):
        tokens.load(path, {})
