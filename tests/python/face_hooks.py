"""What schemathesis cannot know of Rollcall: its own check, its NDJSON, and the ids of what is there."""

import itertools
import json
import os
import re
import uuid

import schemathesis

# Ids of what the test has made, by parameter.
THERE = json.loads(os.environ.get("ROLLCALL_IDS", "{}"))
EXAMPLE_KEY = "9d2c4b7e-1"
keys = itertools.count()

# Codes that say of a request that it has not the form that its description asks for.
UNFIT = {
    "malformed-json",
    "unsupported-media-type",
    "idempotency-key-missing",
    "invalid-parameter",
    "rjct.field.invalid",
    "rjct.field.unsupported",
    "G2P-REQ-001",
    "G2P-REQ-002",
    "G2P-REQ-005",
    "G2P-REQ-006",
    "G2P-REQ-007",
    "G2P-REQ-012",
    "ROLLCALL-REQ-001",
}
# What of that no schema says, by place and words: it depends on what is there, or on another field.
BEYOND_SCHEMAS = re.compile(
    r"\bprogram:? no program has this code$"
    r"|^/code "
    # Of a draft for somebody who is not known.
    r"|^/registrant/kind "
    # Which letters are meant, and whether what they say is shown: one field needs or excludes another; a time has two forms.
    r"|^/letter_id nothing, where something else says which$| it needs a (topic|partition)$|a time is written as |said with reveal=true and only with it$|^/yes "
    # schemathesis takes an empty text for a date there.
    r"|^ \S*date\S*: it does not fit the field\.$"
    # A field to clear that there is not, or that is given too; a type or a number twice; a date that the action does not use.
    r"|/clear/\d+ |/ids/\d+/id_type |/phone_numbers/\d+/phone_no |^/(enrollment|exit|effective)_date "
)


def faults(body):
    """Code, place and words of all that an error complains of."""
    if "errorCode" in body:
        return [(body["errorCode"], f" {body['errorDescription']}")]
    if body.get("errors"):
        places = [error.get("pointer", error.get("parameter", "")) for error in body["errors"]]
        return [(error["code"], f"{at} {error['detail']}") for at, error in zip(places, body["errors"])]
    return [(body["type"].rsplit("/", 1)[-1], f" {body['detail']}")]


def has_pointed_integer(value):
    """Whether there is a whole number written with a point: one to a schema, none to Rollcall."""
    if isinstance(value, dict):
        return any(map(has_pointed_integer, value.values()))
    if isinstance(value, list):
        return any(map(has_pointed_integer, value))
    return isinstance(value, float) and value.is_integer()


@schemathesis.check
def what_fits_is_not_called_unfit(ctx, response, case):
    """A request that fits its description may be refused for what it asks, never for its form."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
        return
    if has_pointed_integer(case.body):
        return
    for code, words in faults(response.json()):
        assert code not in UNFIT or BEYOND_SCHEMAS.search(words), f"it fits its schema, and is told {code}: {words}"


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    """Half of the ids that have the form of one are those of what is there."""
    for name, value in (path_parameters or {}).items():
        try:
            drawn = uuid.UUID(value)
        except (ValueError, TypeError, AttributeError):
            continue
        if name in THERE and drawn.int % 2 == 0:
            path_parameters[name] = THERE[name]
    return path_parameters


@schemathesis.hook
def filter_case(ctx, case):
    """A header that nobody knows makes no request wrong."""
    return "x-schemathesis-unknown-property" not in (case.headers or {})


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """The key of the examples would be one request with many contents."""
    if case.headers and case.headers.get("Idempotency-Key") == EXAMPLE_KEY:
        case.headers["Idempotency-Key"] = f"schemathesis-{next(keys)}"


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    """A line, if it is not a text already."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()
