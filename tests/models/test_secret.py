"""Secrets at rest."""

import base64
import secrets
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import ConfigurationError, SealError
from models.secret import KEY_BYTES, Keyring, generate_key, key_id, sealing_key_id

ROW = "integrations/int_1/webhook_secret_sealed"
KEYS = [base64.b64encode(bytes([number]) * KEY_BYTES).decode() for number in (1, 2, 3)]


@given(st.text())
def test_what_is_sealed_opens_again(plaintext: str) -> None:
    keyring = Keyring.parse(KEYS[:1])

    sealed = keyring.seal(plaintext, ROW)

    assert keyring.open(sealed, ROW) == plaintext


def test_sealing_twice_never_looks_the_same() -> None:
    keyring = Keyring.parse(KEYS[:1])

    sealed = {keyring.seal("whsec_4242", ROW) for _ in range(100)}

    assert len(sealed) == 100
    assert not any("whsec" in text for text in sealed)


@pytest.mark.parametrize(
    "elsewhere",
    ["integrations/int_2/webhook_secret_sealed", "integrations/int_1/secret_key_sealed", "", f"{ROW} "],
)
def test_a_secret_opens_in_its_own_row_and_column_only(elsewhere: str) -> None:
    keyring = Keyring.parse(KEYS[:1])
    sealed = keyring.seal("whsec_4242", ROW)

    with pytest.raises(SealError, match="can't be decrypted"):
        keyring.open(sealed, elsewhere)


def test_a_secret_with_any_bit_turned_does_not_open() -> None:
    keyring = Keyring.parse(KEYS[:1])
    key, _, encoded = keyring.seal("whsec_4242", ROW).partition(":")
    raw = base64.b64decode(encoded)

    for bit in range(len(raw) * 8):
        turned = bytearray(raw)
        turned[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealError):
            keyring.open(f"{key}:{base64.b64encode(turned).decode()}", ROW)


@pytest.mark.parametrize("rest", ["", "A", "AAAA", "not base64!", "é", "====", "A" * 16, "A" * 40])
def test_a_secret_that_was_cut_or_overwritten_is_told_apart_from_a_missing_key(rest: str) -> None:
    keyring = Keyring.parse(KEYS[:1])

    with pytest.raises(SealError, match="Restore it from a backup") as error:
        keyring.open(f"{keyring.primary_id}:{rest}", ROW)

    assert ROW in error.value.message


def test_all_keys_open_and_the_first_seals() -> None:
    old, both = Keyring.parse([KEYS[1]]), Keyring.parse([KEYS[0], KEYS[1]])

    sealed_before, sealed_now = old.seal("whsec_4242", ROW), both.seal("whsec_4343", ROW)

    assert both.open(sealed_before, ROW) == "whsec_4242"
    assert both.open(sealed_now, ROW) == "whsec_4343"
    assert sealing_key_id(sealed_before) == old.primary_id
    assert sealing_key_id(sealed_now) == both.primary_id == Keyring.parse([KEYS[0]]).primary_id


def test_a_key_that_was_removed_is_named_with_what_to_do() -> None:
    removed, left = Keyring.parse([KEYS[1]]), Keyring.parse([KEYS[0]])
    sealed = removed.seal("whsec_4242", ROW)

    with pytest.raises(SealError, match="add it back") as error:
        left.open(sealed, ROW)

    assert removed.primary_id in error.value.message
    assert "rotate-encryption-key" in error.value.message


def test_a_key_put_behind_anothers_name_opens_nothing() -> None:
    keyring = Keyring.parse(KEYS[:2])
    sealed = keyring.seal("whsec_4242", ROW)
    other = next(known for known in keyring.keys if known != keyring.primary_id)

    with pytest.raises(SealError):
        keyring.open(sealed.replace(keyring.primary_id, other), ROW)


def test_neither_a_keyring_nor_an_error_shows_a_key_or_a_secret() -> None:
    keyring = Keyring.parse(KEYS)
    sealed = keyring.seal("whsec_4242", ROW)
    with pytest.raises(SealError) as error:
        keyring.open(sealed, "elsewhere")

    shown = " ".join([repr(keyring), str(keyring), f"{replace(keyring)}", str(error.value), repr(error.value)])
    assert error.value.__cause__ is None
    for encoded in KEYS:
        raw = base64.b64decode(encoded)
        assert not any(form in shown for form in (encoded, raw.hex(), repr(raw), raw.decode("latin1")))
    assert "whsec" not in shown


def test_an_id_of_a_key_gives_nothing_of_it_away() -> None:
    key = secrets.token_bytes(KEY_BYTES)

    assert key_id(key) == key_id(key)
    assert len(key_id(key)) == 12
    assert key_id(key) not in key.hex()


def test_a_generated_key_is_taken_and_never_comes_again() -> None:
    generated = [generate_key() for _ in range(100)]

    assert len(Keyring.parse(generated).keys) == 100


def test_spaces_around_a_key_do_not_matter() -> None:
    assert Keyring.parse([f" {KEYS[0]}\n"]) == Keyring.parse([KEYS[0]])


@pytest.mark.parametrize("key", ["", "secret", KEYS[0][:-4], KEYS[0] + "AAAA", "é" * 44, "!" * 44])
def test_a_key_that_is_not_base64_of_32_bytes_is_told_by_its_place_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match="Key 2 of FLUXRATE_ENCRYPTION_KEYS") as error:
        Keyring.parse([KEYS[0], key])

    assert "generate-key" in error.value.message
    assert not key or key not in error.value.message


def test_without_a_key_there_is_no_keyring() -> None:
    with pytest.raises(ConfigurationError, match="FLUXRATE_ENCRYPTION_KEYS is missing"):
        Keyring.parse([])


def test_what_is_derived_is_one_text_per_key_the_primarys_first() -> None:
    keyring = Keyring.parse(KEYS[:2])

    derived = keyring.derive("webhook token")

    assert derived == keyring.derive("webhook token")
    assert derived == [Keyring.parse([key]).derive("webhook token")[0] for key in KEYS[:2]]
    assert Keyring.parse(KEYS[1::-1]).derive("webhook token") == derived[::-1]


def test_what_is_derived_differs_by_purpose_and_by_key() -> None:
    purposes = ["webhook token", "webhook tokens", ""]

    derived = [text for purpose in purposes for text in Keyring.parse(KEYS).derive(purpose)]

    assert len(set(derived)) == len(purposes) * len(KEYS)
