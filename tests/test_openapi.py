"""Whatever the schema allows, and much that it does not, is answered as the schema says, and never by a failure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import schemathesis
from daemons import jpeg, served, thing, untaught
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from edgecl.web.access import Access
from edgecl.web.app import application

# A label has to be visible text, a picture a picture, a lesson one that goes on: valid by the schema is not all.
MORE_THAN_A_SCHEMA_SAYS = [positive_data_acceptance]
# A picture after the other, for ever; and what says by a status like a failure's that no page sends pictures any more.
LEFT_OUT = r"stream\.mjpg|/readyz"
UNASKED = SimpleNamespace(listen=lambda heard: None)  # a daemon that only lends its name to the schema
SCHEMA = schemathesis.openapi.from_dict(application(UNASKED, Access("", ())).openapi()).exclude(path_regex=LEFT_OUT)
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a daemon that knows two classes and sees one of them."""
    with served(untaught(tmp_path_factory.mktemp("openapi"))) as there:
        there.teach("cup")
        there.teach("fork")
        there.client.put("/api/v1/cameras/camera1/frame", content=jpeg(thing("cup", 3)))
        yield there.address


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method.upper()} {one.path}")
def test_every_request_is_answered_as_the_schema_says(address, operation):
    @settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def ask(case):
        case.call_and_validate(base_url=address, excluded_checks=MORE_THAN_A_SCHEMA_SAYS)

    ask()
