"""API keys in the ledger, on both databases."""

import re

import pytest
import sqlalchemy as sa

from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.ledger.api_keys import USED_S, ApiKey, all_keys, create, matching, revoke, taken_apart, used
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables_jobs import api_keys


def the(ledger: Ledger, text: str) -> ApiKey | None:
    parts = taken_apart(text)
    assert parts
    with ledger.reading() as conn:
        return matching(conn, *parts)


def test_a_key_is_found_by_its_whole_text_alone(ledger: Ledger) -> None:
    id, text = create(ledger, name="phone", scopes=["read", "submit"], owner="ada", tier="gold", expires_s=60)
    _, other = create(ledger, name="watch", scopes=["read"])
    key = the(ledger, text)
    assert key is not None
    assert (key.id, key.name, key.owner, key.tier, key.state) == (id, "phone", "ada", "gold", "good")
    assert key.scopes == {"read", "submit"}
    assert key.expires_at == pytest.approx(key.created_at + 60, abs=0.01)
    assert the(ledger, f"dk_{id}_{other.rpartition('_')[2]}") is None
    assert the(ledger, f"dk_{'0' * 12}_{text.rpartition('_')[2]}") is None


def test_a_key_holds_256_random_bits_and_the_ledger_none_of_them(ledger: Ledger) -> None:
    texts = [create(ledger, name="n", scopes=["read"])[1] for _ in range(3)]
    secrets = {text.rpartition("_")[2] for text in texts}
    assert len(secrets) == 3
    assert all(re.fullmatch(r"dk_[0-9a-f]{12}_[0-9a-f]{64}", text) for text in texts)
    with ledger.reading() as conn:
        kept = repr([tuple(row) for row in conn.execute(sa.select(api_keys))])
        listed = repr(all_keys(conn))
    assert not any(secret in kept or secret in listed for secret in secrets)
    assert not any(row.secret_sha256 in listed for row in all_of(ledger))


@pytest.mark.parametrize(
    "said",
    [
        "",
        "dk_",
        "dk__",
        "sk_000000000000_" + "0" * 64,
        "dk_000000000000_" + "0" * 63,
        "dk_000000000000_" + "0" * 65,
        "dk_00000000000_" + "0" * 64,
        "dk_00000000000é_" + "0" * 64,
        "dk_00000000000'_" + "0" * 64,
        "dk_000000000000_" + "0" * 63 + "_",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.",
    ],
)
def test_what_has_not_the_form_of_a_key_is_none(said: str) -> None:
    assert taken_apart(said) is None


def test_a_key_ends_when_its_time_is_over(ledger: Ledger) -> None:
    _, text = create(ledger, name="short", scopes=["read"], expires_s=-1)
    key = the(ledger, text)
    assert key is not None
    assert key.state == "expired"


def test_a_revoked_key_stays_in_the_list_and_revoking_it_again_changes_nothing(ledger: Ledger) -> None:
    id, text = create(ledger, name="lost", scopes=["read"])
    first = revoke(ledger, id)
    assert first.state == "revoked"
    assert revoke(ledger, id).revoked_at == first.revoked_at
    key = the(ledger, text)
    assert key is not None
    assert key.state == "revoked"
    assert [key.state for key in all_of(ledger)] == ["revoked"]
    with pytest.raises(NotFound, match="diary keys list"):
        revoke(ledger, "nobody")


def test_the_last_use_is_known_to_the_hour_and_written_once_in_it(ledger: Ledger) -> None:
    id, _ = create(ledger, name="n", scopes=["read"])
    assert all_of(ledger)[0].last_used_at is None
    used(ledger, id)
    [key] = all_of(ledger)
    assert key.last_used_at is not None
    assert key.last_used_at % USED_S == 0
    with ledger.reading() as conn:
        assert 0 <= now(conn) - key.last_used_at < USED_S
    with ledger.writing() as tx:
        tx.execute(api_keys.update().values(last_used_at=key.last_used_at - 5 * USED_S))
    used(ledger, id)
    assert all_of(ledger)[0].last_used_at in (key.last_used_at, key.last_used_at + USED_S)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"scopes": ["root"]}, "scope_unknown"),
        ({"scopes": []}, "scope_unknown"),
        ({"owner": "../ada"}, "owner_invalid"),
        ({"name": ""}, "key_name_invalid"),
        ({"name": "n" * 101}, "key_name_invalid"),
    ],
)
def test_a_key_that_cannot_be_is_refused(ledger: Ledger, changed: dict[str, object], code: str) -> None:
    said: dict[str, object] = {"name": "n", "scopes": ["read"], **changed}
    with pytest.raises(UsageError) as refused:
        create(ledger, **said)  # type: ignore[arg-type]
    assert refused.value.code == code
    assert not all_of(ledger)


def all_of(ledger: Ledger) -> list[ApiKey]:
    with ledger.reading() as conn:
        return all_keys(conn)
