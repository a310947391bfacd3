"""The schemas as they stand in schemas/, and the plain JSON form of their values.

Plain JSON has the field names of the schema and no union tags; dates are 2026-01-31, times RFC 3339 in UTC with
milliseconds, bytes hexadecimal.
"""

import io
import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
NAMESPACE = "rollcall.v1"
CONTRACTS = [
    "EnrollmentRequest",
    "MembershipUpdateRequest",
    "GroupMembershipRequest",
    "RequestResult",
    "MembershipChanged",
    "MembershipState",
    "BatchReceipt",
]
SINGLE_OBJECT_MAGIC = b"\xc3\x01"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
REQUIRED = object()


class Contract:
    """One schema file: its JSON, its named types and its single-object encoding."""

    def __init__(self, name):
        self.id = f"{name}.v1"
        self.path = SCHEMAS / f"{self.id}.avsc"
        self.json = json.loads(self.path.read_text(encoding="utf-8"))
        self.types = named_types(self.json)
        self.parsed = fastavro.parse_schema(self.json, named_schemas={})
        # Bytes in the order of the header, which is little-endian.
        self.fingerprint = fingerprint(to_parsing_canonical_form(self.json), "CRC-64-AVRO")
        self.golden_path = SCHEMAS / "golden" / f"{self.id}.jsonl"

    def golden(self):
        """The committed examples: dictionaries with name, value and hex."""
        return [json.loads(line) for line in self.golden_path.read_text(encoding="utf-8").split("\n") if line]

    def header(self):
        return SINGLE_OBJECT_MAGIC + bytes.fromhex(self.fingerprint)

    def encode(self, value):
        """Plain JSON to a single-object message. Every field must be present."""
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self.parsed, to_avro(self.json, value, self.types), strict=True)
        return self.header() + body.getvalue()

    def decode(self, message):
        """A single-object message to plain JSON; nothing may follow it."""
        header, body = message[:10], io.BytesIO(message[10:])
        assert header == self.header(), f"{self.id}: header {header.hex()}, not {self.header().hex()}"
        datum = fastavro.schemaless_reader(body, self.parsed, None)
        assert body.read() == b"", f"{self.id}: bytes after the value"
        return from_avro(self.json, datum, self.types)


def contracts():
    return [Contract(name) for name in CONTRACTS]


def named_types(schema):
    """Short name -> definition, of every record and enum in a file."""
    found = {}

    def walk(node):
        if isinstance(node, list):
            for branch in node:
                walk(branch)
        elif isinstance(node, dict):
            if node["type"] in ("record", "enum"):
                assert node["name"] not in found, f"{node['name']} is defined twice in one file"
                found[node["name"]] = node
            for field in node.get("fields", []):
                walk(field["type"])
            walk(node.get("items"))

    walk(schema)
    return found


def non_null(type_):
    """(T, True) of ["null", T], else (T, False)."""
    if isinstance(type_, list):
        assert len(type_) == 2 and type_[0] == "null", f"not an optional type: {type_}"
        return type_[1], True
    return type_, False


def resolve(type_, types):
    """A field's type as a dictionary with names looked up, and whether null is allowed."""
    type_, optional = non_null(type_)
    if isinstance(type_, str) and type_ in types:
        type_ = types[type_]
    if isinstance(type_, str):
        type_ = {"type": type_}
    return type_, optional


def complete(schema, value, types):
    """Plain JSON with defaults written out, in the order of the schema. Refuses unknown and missing fields."""
    schema, _ = resolve(schema, types)
    if value is None:
        return None
    if schema["type"] == "array":
        return [complete(schema["items"], item, types) for item in value]
    if schema["type"] != "record":
        return value
    unknown = set(value) - {field["name"] for field in schema["fields"]}
    assert not unknown, f"{schema['name']} has no {sorted(unknown)}"
    whole = {}
    for field in schema["fields"]:
        given = value.get(field["name"], field.get("default", REQUIRED))
        assert given is not REQUIRED, f"{schema['name']} needs {field['name']}"
        whole[field["name"]] = complete(field["type"], given, types)
    return whole


def to_avro(schema, value, types):
    schema, optional = resolve(schema, types)
    if value is None:
        assert optional or schema["type"] == "null", f"{schema} may not be null"
        return None
    match schema["type"], schema.get("logicalType"):
        case "record", _:
            return {f["name"]: to_avro(f["type"], value[f["name"]], types) for f in schema["fields"]}
        case "array", _:
            return [to_avro(schema["items"], item, types) for item in value]
        case "int", "date":
            return date.fromisoformat(value)
        case "long", "timestamp-millis":
            return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        case "bytes", _:
            return bytes.fromhex(value)
        case _:
            return value


def from_avro(schema, datum, types):
    schema, _ = resolve(schema, types)
    if datum is None:
        return None
    match schema["type"], schema.get("logicalType"):
        case "record", _:
            assert set(datum) == {f["name"] for f in schema["fields"]}
            return {f["name"]: from_avro(f["type"], datum[f["name"]], types) for f in schema["fields"]}
        case "array", _:
            return [from_avro(schema["items"], item, types) for item in datum]
        case "int", "date":
            return datum.isoformat()
        case "long", "timestamp-millis":
            assert (datum - EPOCH) % timedelta(milliseconds=1) == timedelta(0)
            return datum.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
        case "bytes", _:
            return datum.hex()
        case _:
            return datum
