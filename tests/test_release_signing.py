"""Keys: made once, kept by their owner alone, never printed; and whom a device trusts."""

from __future__ import annotations

import base64
import json
import stat

import pytest
import tiny
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from edgecl.errors import InputRefused, ReleaseError, ReleaseRefused
from edgecl.releases.signing import (
    PublicKey,
    check_signature,
    generate,
    public_key,
    sign,
    trust,
    trusted_keys,
)


@pytest.fixture
def key(tmp_path):
    return generate(tmp_path / "keys" / "release.pem", "the owner, at home")


def test_what_was_signed_is_known_by_the_public_line(tmp_path, key):
    signature = sign(b"a document", tmp_path / "keys" / "release.pem")
    assert check_signature(b"a document", signature, [PublicKey.from_line(key.line)]) == key


def test_a_private_key_is_its_owners_alone(tmp_path, key):
    path = tmp_path / "keys" / "release.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text("ascii").startswith("-----BEGIN PRIVATE KEY-----")


def test_a_key_is_never_overwritten(tmp_path, key):
    before = (tmp_path / "keys" / "release.pem").read_bytes()
    with pytest.raises(InputRefused, match="never overwritten"):
        generate(tmp_path / "keys" / "release.pem", "")
    assert (tmp_path / "keys" / "release.pem").read_bytes() == before


def test_a_key_that_others_may_read_is_not_used(tmp_path, key):
    (tmp_path / "keys" / "release.pem").chmod(0o640)
    with pytest.raises(ReleaseError, match="open to others"):
        sign(b"x", tmp_path / "keys" / "release.pem")


def test_a_key_behind_a_link_is_not_used(tmp_path, key):
    (tmp_path / "link.pem").symlink_to(tmp_path / "keys" / "release.pem")
    with pytest.raises(ReleaseError, match="could not read"):
        sign(b"x", tmp_path / "link.pem")


def other_keys():
    curve = ec.generate_private_key(ec.SECP256R1())
    yield "another curve", curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    whole = rsa.generate_private_key(65537, 2048)
    yield "rsa", whole.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    yield "encrypted", curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    yield "no key", b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIsecretsecret\n-----END PRIVATE KEY-----\n"
    yield "empty", b""


@pytest.mark.parametrize("data", [pytest.param(data, id=what) for what, data in other_keys()])
def test_what_is_no_such_key_is_refused_and_not_quoted(tmp_path, data):
    path = tmp_path / "other.pem"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(ReleaseError, match="no ed25519 key") as refused:
        sign(b"x", path)
    assert "secret" not in str(refused.value)


def test_a_public_key_names_itself_by_its_digest_and_not_by_its_comment(key):
    assert len(key.id) == 16
    assert key.id == PublicKey(key.raw, "another comment").id
    assert "private" not in key.line


def test_the_public_half_of_a_private_key(tmp_path, key):
    assert public_key(tmp_path / "keys" / "release.pem", "the owner, at home") == key


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ed25519",
        "ed25519 AAAA owner",
        "rsa " + base64.b64encode(bytes(32)).decode(),
        "ed25519 " + base64.b64encode(bytes(31)).decode(),
        "ed25519 " + base64.b64encode(bytes(33)).decode(),
        "ed25519 " + base64.b64encode(bytes(32)).decode() + " two\nlines",
        "ed25519 " + base64.b64encode(bytes(32)).decode() + " \x1b[31mred",
        "ed25519 " + base64.b64encode(bytes(32)).decode() + " " + "x" * 300,
    ],
)
def test_a_line_that_is_no_public_key_is_refused(line):
    with pytest.raises(InputRefused):
        PublicKey.from_line(line)


def test_a_home_trusts_nobody_until_it_is_told_to(tmp_path):
    assert trusted_keys(tmp_path / "home") == []


def test_two_keys_can_be_trusted_while_one_takes_the_place_of_the_other(tmp_path, key):
    second = generate(tmp_path / "second.pem", "the next owner")
    trust(tmp_path / "home", key)
    trust(tmp_path / "home", second)
    trust(tmp_path / "home", key)
    assert trusted_keys(tmp_path / "home") == [key, second]
    for name in ("keys/release.pem", "second.pem"):
        check_signature(b"x", sign(b"x", tmp_path / name), trusted_keys(tmp_path / "home"))


def test_the_list_may_have_remarks_and_empty_lines(tmp_path, key):
    (tmp_path / "trusted_keys").write_text(f"# who may sign\n\n{key.line}\n")
    assert trusted_keys(tmp_path) == [key]


@pytest.mark.parametrize("data", [b"ed25519 AAAA\n", b"\xff\xfe", b"x" * 100_000])
def test_a_damaged_list_is_refused_and_trusts_nobody(tmp_path, data):
    (tmp_path / "trusted_keys").write_bytes(data)
    with pytest.raises(ReleaseError, match="trusted_keys cannot be used"):
        trusted_keys(tmp_path)


def test_what_its_owner_noted_in_the_list_stays_when_a_key_is_added(tmp_path, key):
    second = generate(tmp_path / "second.pem", "the next owner")
    (tmp_path / "trusted_keys").write_text(f"# since May\n{key.line}")
    trust(tmp_path, second)
    assert (tmp_path / "trusted_keys").read_text() == f"# since May\n{key.line}\n{second.line}\n"


@pytest.mark.parametrize("end", ["\x0c", "\x0b", "\x1c", "\u2028", "\r"])
def test_a_remark_ends_with_its_line_and_nothing_else(tmp_path, key, end):
    (tmp_path / "trusted_keys").write_text(f"#{end}{key.line}\n", newline="")
    assert trusted_keys(tmp_path) == []


@pytest.mark.parametrize("place", range(0, 64, 9))
def test_a_signature_with_one_bit_changed_is_wrong(tmp_path, key, place):
    record = json.loads(sign(b"x", tmp_path / "keys" / "release.pem"))
    raw = bytearray(base64.b64decode(record["signature"]))
    raw[place] ^= 1
    record["signature"] = base64.b64encode(raw).decode()
    with pytest.raises(ReleaseRefused, match="wrong signature"):
        check_signature(b"x", json.dumps(record).encode(), [key])


def test_the_same_document_has_one_signature(tmp_path, key):
    assert sign(b"x", tmp_path / "keys" / "release.pem") == sign(b"x", tmp_path / "keys" / "release.pem")


def test_a_candidate_made_without_a_key_bears_no_signature(tmp_path):
    home = tiny.home_of(tmp_path / "home", tiny.backbone_folder(tmp_path / "backbone"))
    tiny.candidate(home)
    assert not (home / "releases" / "0002" / "release.sig").exists()
