"""What every schema in schemas/ must keep to, and its bytes read and written by fastavro."""

import io
import itertools
import os
import re
import struct
from pathlib import Path

import fastavro
import pytest

import fingerprints
import golden
from contracts import CONTRACTS, NAMESPACE, SCHEMAS, complete, contracts, from_avro, non_null, resolve

ALL = contracts()
PRIMITIVES = {"string", "boolean", "int", "long", "bytes"}
LOGICAL = {("int", "date"), ("long", "timestamp-millis")}
FROM_RUST = os.environ.get("ROLLCALL_GOLDEN_FROM_RUST")


def by_id(items):
    return pytest.mark.parametrize("contract", items, ids=lambda contract: contract.id)


def records(contract):
    return [t for t in contract.types.values() if t["type"] == "record"]


def enums(contract):
    return [t for t in contract.types.values() if t["type"] == "enum"]


def outline(definition, types):
    """A definition with the named types inside it replaced by their names, however the file spells them."""

    def named(type_):
        if isinstance(type_, list):
            return [named(branch) for branch in type_]
        if isinstance(type_, dict):
            if type_["type"] in ("record", "enum"):
                return type_["name"]
            return {key: named(value) if key == "items" else value for key, value in type_.items()}
        return type_

    fields = [field | {"type": named(field["type"])} for field in definition.get("fields", [])]
    same_everywhere = {key: value for key, value in definition.items() if key not in ("fields", "namespace")}
    return same_everywhere | {"fields": fields}


def test_the_files_are_the_contracts():
    assert sorted(path.name for path in SCHEMAS.glob("*.avsc")) == sorted(f"{name}.v1.avsc" for name in CONTRACTS)
    assert sorted(path.name for path in (SCHEMAS / "golden").iterdir()) == sorted(f"{name}.v1.jsonl" for name in CONTRACTS)


@by_id(ALL)
def test_a_file_is_named_after_its_record(contract):
    assert contract.json["type"] == "record"
    assert contract.json["namespace"] == NAMESPACE
    assert f"{contract.json['name']}.v1.avsc" == contract.path.name


@by_id(ALL)
def test_names_stay_in_the_namespace(contract):
    for definition in contract.types.values():
        assert re.fullmatch(r"[A-Z][A-Za-z]*", definition["name"])
        assert definition is contract.json or "namespace" not in definition
        assert "aliases" not in definition


@by_id(ALL)
def test_everything_has_a_doc_string(contract):
    for definition in contract.types.values():
        for documented in [definition, *definition.get("fields", [])]:
            assert documented.get("doc", "").strip(), f"{definition['name']}: {documented['name']} has no doc"


@by_id(ALL)
def test_optional_fields_are_null_by_default_and_arrays_empty(contract):
    for record in records(contract):
        for field in record["fields"]:
            where = f"{record['name']}.{field['name']}"
            assert re.fullmatch(r"[a-z][a-z_]*", field["name"]), where
            type_, optional = non_null(field["type"])
            if optional:
                assert "default" in field and field["default"] is None, where
            elif isinstance(type_, dict) and type_["type"] == "array":
                assert field.get("default") == [], where


@by_id(ALL)
def test_types_are_the_agreed_ones(contract):
    def check(type_, where):
        type_, _ = non_null(type_)
        if isinstance(type_, str):
            assert type_ in PRIMITIVES or type_ in contract.types, where
        elif type_["type"] == "array":
            assert set(type_) == {"type", "items"}, where
            check(type_["items"], where)
        elif type_["type"] not in ("record", "enum"):
            assert set(type_) == {"type", "logicalType"} and tuple(type_.values()) in LOGICAL, where

    for record in records(contract):
        for field in record["fields"]:
            assert set(field) <= {"name", "type", "default", "doc"}
            check(field["type"], f"{record['name']}.{field['name']}")
            if field["name"].endswith("_date") or field["name"] in ("birthdate", "date_collected"):
                assert non_null(field["type"])[0] == {"type": "int", "logicalType": "date"}
            if field["name"].endswith("_at"):
                assert non_null(field["type"])[0] == {"type": "long", "logicalType": "timestamp-millis"}


@by_id(ALL)
def test_enums_begin_with_unknown_and_fall_back_to_it(contract):
    for enum in enums(contract):
        assert enum["symbols"][0] == enum["default"] == "UNKNOWN", enum["name"]
        assert len(set(enum["symbols"])) == len(enum["symbols"]), enum["name"]
        assert all(re.fullmatch(r"[A-Z][A-Z_]*", symbol) for symbol in enum["symbols"]), enum["name"]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(ALL, 2)), ids=lambda contract: contract.id)
def test_shared_types_are_the_same_in_every_file(one, other):
    for name in one.types.keys() & other.types.keys():
        assert outline(one.types[name], one.types) == outline(other.types[name], other.types), name


@pytest.mark.parametrize("first", range(len(ALL)), ids=lambda first: f"{ALL[first].id} first")
def test_one_table_of_names_serves_all_files(first):
    """As pairs agree, orders differ only in who defines a name first: each contract does so once, forwards and backwards."""
    order = ALL[first:] + ALL[:first]
    for files in (order, order[::-1]):
        table = {}
        for contract in files:
            fastavro.parse_schema(without_known(contract.json, table), named_schemas=table)
        for contract in ALL:
            # The type from the shared table, not from the contract's own file.
            reader = {"type": "record", "name": "Envelope", "fields": [{"name": "it", "type": f"{NAMESPACE}.{contract.json['name']}"}]}
            reader = fastavro.parse_schema(reader, named_schemas=dict(table))
            for example in contract.golden():
                body = io.BytesIO(bytes.fromhex(example["hex"])[10:])
                datum = fastavro.schemaless_reader(body, reader, None)["it"]
                assert from_avro(contract.json, datum, contract.types) == example["value"]


def without_known(node, table):
    """A schema in which types that the table has stand as names, for parsers that refuse a second definition."""
    if isinstance(node, list):
        return [without_known(branch, table) for branch in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") in ("record", "enum") and f"{NAMESPACE}.{node['name']}" in table:
        return f"{NAMESPACE}.{node['name']}"
    copy = dict(node)
    for key in ("type", "items"):
        if isinstance(copy.get(key), (dict, list)):
            copy[key] = without_known(copy[key], table)
    if "fields" in copy:
        copy["fields"] = [without_known(field, table) for field in copy["fields"]]
    return copy


def test_fingerprints_are_up_to_date_and_distinct():
    assert fingerprints.PATH.read_text(encoding="utf-8") == fingerprints.rendered()
    assert len({contract.fingerprint for contract in ALL}) == len(ALL)


@by_id(ALL)
def test_golden_files_are_up_to_date(contract):
    assert contract.golden_path.read_text(encoding="utf-8") == golden.rendered(contract), "run tests/python/golden.py"


@by_id(ALL)
def test_golden_bytes_both_ways(contract):
    examples = contract.golden()
    assert len({example["name"] for example in examples}) == len(examples)
    for example in examples:
        message = bytes.fromhex(example["hex"])
        assert contract.decode(message) == example["value"], example["name"]
        assert contract.encode(example["value"]) == message, example["name"]
        assert list(example["value"]) == [field["name"] for field in contract.json["fields"]], example["name"]


@by_id(ALL)
def test_golden_examples_use_every_field_symbol_and_absence(contract):
    seen, wanted = set(), set()

    def walk(type_, value, where):
        definition, _ = resolve(type_, contract.types)
        kind = definition["type"]
        if value is None:
            seen.add((where, "absent"))
        elif kind == "record":
            for field in definition["fields"]:
                walk(field["type"], value[field["name"]], f"{definition['name']}.{field['name']}")
        elif kind == "array":
            seen.add((where, "filled" if value else "empty"))
            for item in value:
                walk(definition["items"], item, where)
        else:
            seen.add((definition["name"], value) if kind == "enum" else (where, "given"))

    for example in contract.golden():
        walk(contract.json, example["value"], ())

    for enum in enums(contract):
        wanted.update((enum["name"], symbol) for symbol in enum["symbols"])
    for record in records(contract):
        for field in record["fields"]:
            definition, optional = resolve(field["type"], contract.types)
            ways = {"record": [], "enum": [], "array": ["filled", "empty"]}.get(definition["type"], ["given"])
            wanted.update((f"{record['name']}.{field['name']}", way) for way in ways + ["absent"] * optional)
    assert wanted <= seen, f"no example has {sorted(wanted - seen)}"


@by_id(ALL)
def test_only_what_has_a_default_may_be_left_out(contract):
    for example in contract.golden():
        assert complete(contract.json, example["value"], contract.types) == example["value"]
    required = [field["name"] for field in contract.json["fields"] if "default" not in field]
    assert required
    for name in required:
        value = {key: kept for key, kept in contract.golden()[0]["value"].items() if key != name}
        with pytest.raises(AssertionError, match=name):
            complete(contract.json, value, contract.types)


@pytest.mark.skipif(FROM_RUST is None, reason="ROLLCALL_GOLDEN_FROM_RUST names no directory")
@by_id(ALL)
def test_messages_written_by_rust(contract):
    """<Name>.v1.bin has a message for each line of the golden file: its length as u32 big-endian, then its bytes."""
    data = (Path(FROM_RUST) / f"{contract.id}.bin").read_bytes()
    messages, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        messages.append(data[at + 4 : at + 4 + length])
        assert len(messages[-1]) == length, "cut short"
        at += 4 + length
    examples = contract.golden()
    assert len(messages) == len(examples)
    for example, message in zip(examples, messages):
        assert contract.decode(message) == example["value"], example["name"]
