"""The OpenAPI document, as its own validator and the repository see it."""

import json

from openapi_spec_validator import OpenAPIV31SpecValidator
from servers import ROOT, Server


def test_the_document_is_valid_and_the_committed_one(stories: Server) -> None:
    document = stories.get("/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    assert document == json.loads((ROOT / "docs/openapi.json").read_text())
