"""A message of a later version is read by this one: proof that the house rules are enough for that."""

import copy
import io

import fastavro
import pytest

from contracts import contracts, from_avro, resolve, to_avro

ADDED_FIELD = {"name": "added_later", "type": ["null", "string"], "default": None, "doc": "New."}


def later_version(contract):
    """The schema with a field more in every record, a symbol more in every enum, and one optional field fewer.

    Also gives the name of the field that is gone.
    """
    later = copy.deepcopy(contract.json)

    def extend(node):
        if isinstance(node, list):
            for branch in node:
                extend(branch)
        elif isinstance(node, dict):
            if node["type"] == "enum":
                node["symbols"].append("ADDED_LATER")
            for field in node.get("fields", []):
                extend(field["type"])
            if node["type"] == "record":
                node["fields"].append(dict(ADDED_FIELD))
            extend(node.get("items"))

    extend(later)
    # Not one that defines a type which others use.
    definition = lambda field: resolve(field["type"], contract.types)[0]["type"]
    gone = next(f for f in later["fields"] if isinstance(f["type"], list) and definition(f) not in ("record", "enum"))
    later["fields"].remove(gone)
    return later, gone["name"]


def with_symbol(type_, value, symbol, types):
    """Plain JSON with every enum set to one symbol."""
    definition, _ = resolve(type_, types)
    if value is None:
        return None
    match definition["type"]:
        case "array":
            return [with_symbol(definition["items"], item, symbol, types) for item in value]
        case "record":
            return {f["name"]: with_symbol(f["type"], value[f["name"]], symbol, types) for f in definition["fields"]}
        case "enum":
            return symbol
        case _:
            return value


@pytest.mark.parametrize("contract", contracts(), ids=lambda contract: contract.id)
def test_a_later_version_is_read(contract):
    later, gone = later_version(contract)
    writer = fastavro.parse_schema(later, named_schemas={})
    for example in contract.golden():
        sent = to_avro(contract.json, with_symbol(contract.json, example["value"], "ADDED_LATER", contract.types), contract.types)
        del sent[gone]
        body = io.BytesIO()
        fastavro.schemaless_writer(body, writer, sent)
        body.seek(0)
        read = from_avro(contract.json, fastavro.schemaless_reader(body, writer, contract.parsed), contract.types)
        expected = with_symbol(contract.json, example["value"], "UNKNOWN", contract.types) | {gone: None}
        assert read == expected, example["name"]
