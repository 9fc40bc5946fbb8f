"""Whatever the schema allows, and much that it does not, is answered as the schema says, and never by a failure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import schemathesis
from daemons import jpeg, served, thing, untaught
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from edgecl.web import bodies, guard
from edgecl.web.access import OPEN_PATHS, Access, Rates
from edgecl.web.app import application

TOKEN = "0123456789abcdef0123456789abcdef"
# A label has to be visible text, a picture a picture, a lesson one that goes on: valid by the schema is not all.
MORE_THAN_A_SCHEMA_SAYS = [positive_data_acceptance]
# A picture after the other, for ever; and what says by a status like a failure's that no page sends pictures any more.
LEFT_OUT = r"stream\.mjpg|/readyz"
THERE = {"name": "camera1", "camera": "camera1", "label": "cup", "number": 1}  # what a path may name
UNASKED = SimpleNamespace(listen=lambda heard: None)  # a daemon that only lends its name to the schema
WHOLE = application(UNASKED, Access(TOKEN)).openapi()
SCHEMA = schemathesis.openapi.from_dict(WHOLE).exclude(path_regex=LEFT_OUT)
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
DESCRIBED = {(method, path): told for path, each in WHOLE["paths"].items() for method, told in each.items()}

schemathesis.openapi.media_type("image/jpeg", st.sampled_from([jpeg(thing("cup", view)) for view in range(9)]))


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A daemon with one camera, to which the tests send pictures."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Rates, "take", lambda rates, client: True)  # it is asked faster than anybody may ask
        with served(untaught(tmp_path_factory.mktemp("openapi")), token=TOKEN) as found:
            yield found


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method.upper()} {one.path}")
def test_every_request_is_answered_as_the_schema_says(there, operation):
    for label in ("cup", "fork"):  # unless they are known still, after all that was asked before
        pictures = b"".join(jpeg(thing(label, view)) for view in range(8))
        there.client.post("/api/v1/lessons", params={"label": label}, content=pictures)
    there.show("cup")

    @settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), is_there=st.booleans())
    def ask(case, is_there):
        if is_there:
            case.path_parameters |= {name: THERE[name] for name in case.path_parameters}
        case.call_and_validate(
            base_url=there.address,
            headers={"Authorization": f"Bearer {TOKEN}"},
            excluded_checks=MORE_THAN_A_SCHEMA_SAYS,
        )

    ask()


def test_what_is_answered_is_typed():
    untyped = {
        path
        for (_, path), told in DESCRIBED.items()
        for answer in told["responses"].values()
        for kind, one in answer.get("content", {}).items()
        if kind == "application/json" and "$ref" not in one["schema"].get("items", one["schema"])
    }
    assert untyped == {"/api/v1/config"}  # the settings, which another page describes


def test_how_large_a_body_may_be_is_told_of_all_that_are_no_json():
    taken = {path: told["requestBody"] for (_, path), told in DESCRIBED.items() if "requestBody" in told}
    raw = {path: body for path, body in taken.items() if "application/json" not in body["content"]}
    assert {path for path in taken if guard._limit(path) != bodies.JSON_MAX} == set(raw)
    for path, body in raw.items():
        assert f"at most {guard._limit(path) / 2**20:,.0f} MiB" in body["description"]
        assert all(told["schema"]["format"] == "binary" for told in body["content"].values())


def test_what_has_to_be_shown_is_told():
    schemes = WHOLE["components"]["securitySchemes"]
    assert {(one["type"], one.get("scheme"), one.get("name")) for one in schemes.values()} == {
        ("http", "bearer", None),
        ("apiKey", None, "edgecl_session"),
    }
    assert WHOLE["security"] == [{name: []} for name in schemes]
    need_not = {path for (_, path), told in DESCRIBED.items() if {} in told.get("security", [])}
    assert need_not == {"/healthz", "/readyz"} <= set(OPEN_PATHS)


def test_without_a_token_nothing_has_to_be_shown():
    assert {} in application(UNASKED, Access()).openapi()["security"]
