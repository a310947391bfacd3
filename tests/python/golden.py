"""Writes schemas/golden/: examples of every contract with their single-object bytes, made by fastavro.

Examples leave out what has a default; the files have every field. Everything in them is made up.
"""

import json
import uuid

from contracts import complete, contracts

SENT = "2026-01-31T09:30:00.123Z"
RECORDED = "2026-01-31T09:30:01.456Z"
REGISTRANT = "019bb1b1-aa7b-8a11-9c3d-6f2f5e0d7c01"
HEAD = "019bb1b1-aa7b-8b22-a0f4-1d2c3b4a5968"
MEMBERSHIP = "019bb1b1-aa7b-8c33-b1a2-c3d4e5f60718"
OTHER_MEMBERSHIP = "019bb1b1-aa7b-8d44-8e9f-0a1b2c3d4e5f"
LETTER = "019bb1b2-0000-8e55-9abc-def012345678"
PROGRAM = {"program_id": "0190a0b0-c0d0-7e00-8f00-000000000001", "code": "CASH-2026", "name": "Cash transfer 2026"}
LONGEST_NAME = "ኣ" * 1000

STATES = ["DRAFT", "ENROLLED", "PAUSED", "EXITED", "NOT_ELIGIBLE", "DUPLICATED"]


def request(message_id, **fields):
    return {"message_id": message_id, "source": "civil-registry", "sent_at": SENT, **fields}


def person(reference, **fields):
    return {"reference": reference, "kind": "INDIVIDUAL", **fields}


FULL_PERSON = person(
    "P-1001",
    source="civil-registry",
    ids=[
        {"id_type": "NATIONAL_ID", "value": "AB 123456 7", "expiry_date": "2031-12-31"},
        {"id_type": "BIRTH_CERTIFICATE", "value": "1984/0229", "expiry_date": None},
    ],
    name="Amina Yusuf Okello",
    given_name="Amina",
    family_name="Okello",
    addl_name="Yusuf",
    gender="Female",
    birthdate="1984-02-29",
    birth_place="Gulu",
    email="amina@example.org",
    address="Plot 7, Market Road\nGulu",
    registration_date="2025-11-03",
    payment_address="token:4471@bank.example",
    disabled=False,
    phone_numbers=[
        {"phone_no": "+256 700 000001", "date_collected": "2025-11-03"},
        {"phone_no": "+256 700 000002"},
    ],
    clear=["ids.PASSPORT", "phone_numbers.+256 700 000003"],
)
FULL_GROUP = {
    "source": "household-survey",
    "reference": "HH-77",
    "kind": "GROUP",
    "ids": [{"id_type": "HOUSEHOLD_NO", "value": "77"}],
    "name": "Household 77",
    "registration_date": "2025-10-01",
    "group_kind": "household",
    "is_partial_group": True,
    "phone_numbers": [{"phone_no": "+256 700 000009"}],
    "clear": ["address", "email"],
}


def enrollment_requests():
    yield "minimal", request("m-1", registrant={"kind": "INDIVIDUAL"})
    yield "full", request(
        "m-2:full~a.b_c-d",
        attempt=3,
        batch={"batch_id": "b-2026-01", "total_count": 2000},
        actor="clerk-12",
        atomic=True,
        registrant=FULL_PERSON,
        program_memberships=[
            {"program": "CASH-2026", "enrollment_date": "2026-01-15"},
            {"program": "FOOD", "state": "DRAFT"},
            {"program": "SCHOOL", "state": "ENROLLED", "enrollment_date": "2026-02-01"},
        ],
    )
    yield "batch without total_count", request("m-3", batch={"batch_id": "b"}, registrant=person("P-3"))
    yield "empty strings and arrays", request(
        "m-4", actor="", registrant=person("", source="", ids=[], name="", phone_numbers=[], clear=[]), program_memberships=[]
    )
    names = {
        "Amharic": "አበበ ቢቂላ",
        "Arabic": "عبد الرحمن بن عوف",
        "Bengali": "রহিমা বেগম",
        "Burmese": "ဒေါ်ခင်မာ",
        "Chinese": "欧阳娜",
        "Cyrillic": "Жұмабек Өтегенұлы",
        "Devanagari": "सीता देवी श्रेष्ठ",
        "combining marks": "Nguye\u0302\u0303n Thi\u0323 Ha\u0300",
        "beyond the basic plane": "𞤀𞤣𞤢𞤥𞤢 𝒜 👩🏾‍🌾",
        "control characters and quotes": "tab\there \"quoted\" back\\slash\u2028",
    }
    for script, name in names.items():
        yield f"name: {script}", request(
            f"m-name-{script.split()[0]}", registrant=person(f"रेफ-{script}", name=name, family_name=name.split()[-1])
        )
    yield "name of 1000 characters", request("m-5", registrant=person("P-5", name=LONGEST_NAME))
    for label, day in [("first", "0001-01-01"), ("before the epoch", "1969-12-31"), ("epoch", "1970-01-01"), ("last", "9999-12-31")]:
        yield f"date: {label}", request(f"m-date-{day}", registrant=person("P-6", birthdate=day, disabled=True))
    for label, time in [
        ("before the epoch", "1969-12-31T23:59:59.999Z"),
        ("epoch", "1970-01-01T00:00:00.000Z"),
        ("last", "9999-12-31T23:59:59.999Z"),
    ]:
        yield f"time: {label}", request("m-time", registrant=person("P-7")) | {"sent_at": time}
    yield "a group", request("m-11", registrant=FULL_GROUP, program_memberships=[{"program": "CASH-2026"}])
    yield "greatest counts", request(
        "m-8", attempt=2**31 - 1, batch={"batch_id": "b", "total_count": 2**31 - 1}, registrant=person("P-8")
    )
    yield "least counts", request("m-9", attempt=-(2**31), batch={"batch_id": "b", "total_count": -(2**31)}, registrant=person("P-9"))
    yield "unknown kind and state", request(
        "m-10", registrant={"kind": "UNKNOWN"}, program_memberships=[{"program": "CASH-2026", "state": "UNKNOWN"}]
    )


def membership_update_requests():
    yield "minimal", request("u-1", registrant={}, program="CASH-2026", action="PAUSE")
    yield "full", request(
        "u-2",
        attempt=2,
        batch={"batch_id": "b-2026-02", "total_count": 7},
        actor="clerk-12",
        registrant={
            "source": "civil-registry",
            "reference": "P-1001",
            "ids": [{"id_type": "NATIONAL_ID", "value": "AB 123456 7"}, {"id_type": "VOTER", "value": "मतदाता ७"}],
        },
        program="CASH-2026",
        action="CORRECT",
        enrollment_date="2026-01-15",
        exit_date="2026-06-30",
        effective_date="2026-07-01",
        reason={"code": "data-entry", "note": "Sửa ngày theo hồ sơ giấy"},
        expected_version=4,
    )
    yield "expects no membership", request(
        "u-3", registrant={"reference": "P-3"}, program="FOOD", action="ENROLL", expected_version=0
    )
    yield "reason without note, batch without total_count", request(
        "u-4", batch={"batch_id": "b"}, registrant={"ids": [{"id_type": "T", "value": "1"}]}, program="FOOD", action="EXIT", reason={"code": ""}
    )
    for action in [
        "UNKNOWN", "ENROLL", "PAUSE", "RESUME", "EXIT", "MARK_NOT_ELIGIBLE", "MARK_DUPLICATED", "RESET_TO_DRAFT", "REENROLL",
        "CORRECT", "REMOVE",
    ]:  # fmt: skip
        yield f"action: {action}", request(f"u-{action}", registrant={"reference": "P-1001"}, program="CASH-2026", action=action)


def group_membership_requests():
    yield "minimal", request("g-1", group={"kind": "GROUP"}, mode="MERGE")
    yield "full", request(
        "g-2",
        attempt=2,
        batch={"batch_id": "b-2026-03", "total_count": 1},
        actor="surveyor 4",
        atomic=True,
        group=FULL_GROUP,
        mode="REPLACE",
        members=[
            {
                "individual": FULL_PERSON,
                "kinds": ["Head", "Caregiver"],
                "start_date": "2025-10-01",
                "ended_date": "2026-01-30",
                "program_memberships": [{"program": "SCHOOL", "enrollment_date": "2026-02-01"}, {"program": "FOOD", "state": "DRAFT"}],
            },
            {"individual": person("P-1002", name="محمد"), "kinds": []},
            {"individual": person("P-1003", name="ສົມສັກ")},
        ],
        program_memberships=[{"program": "CASH-2026"}],
    )
    yield "empty arrays", request("g-3", group={"reference": "HH-1", "kind": "GROUP"}, mode="REPLACE", members=[], program_memberships=[])
    yield "200 members", request(
        "g-4", group={"reference": "HH-2", "kind": "GROUP"}, mode="MERGE", members=[{"individual": person(f"P-{n}")} for n in range(200)]
    )
    yield "unknown mode, kind and state", request(
        "g-5",
        batch={"batch_id": "b"},
        group={"kind": "UNKNOWN"},
        mode="UNKNOWN",
        program_memberships=[{"program": "CASH-2026", "state": "UNKNOWN"}],
    )


def result(status, **fields):
    return {
        "message_id": "m-1", "source": "civil-registry", "attempt": 1, "status": status, "final": status != "HELD",
        "duplicate": False, "recorded_at": RECORDED, **fields,
    }  # fmt: skip


def item(outcome, code, **fields):
    return {"pointer": "/program_memberships/0", "program": "CASH-2026", "outcome": outcome, "code": code, **fields}


def request_results():
    yield "minimal", result("SUCCEEDED")
    yield "full", result(
        "PARTIAL",
        attempt=2,
        batch_id="b-2026-01",
        duplicate=True,
        registrant_id=REGISTRANT,
        errors=[
            {"pointer": "/program_memberships/1/program", "code": "rjct.program.not_found", "detail": "There is no program with this code."},
            {"pointer": "/members/0/individual/ids/2~1x", "code": "rjct.field.invalid", "detail": "Ein Wert ist länger als 255 Zeichen."},
        ],
        items=[
            item("APPLIED", "succ.membership.changed", registrant_id=REGISTRANT, membership_id=MEMBERSHIP, state="ENROLLED", version=1),
            item("REJECTED", "rjct.program.not_found", pointer="/program_memberships/1", program="प्रोग्राम", registrant_id=REGISTRANT),
            item("UNCHANGED", "succ.membership.unchanged", registrant_id=REGISTRANT, membership_id=OTHER_MEMBERSHIP, state="DRAFT", version=9),
        ],
    )  # fmt: skip
    yield "rejected", result(
        "REJECTED",
        errors=[{"pointer": "", "code": "rjct.message_id.reused", "detail": "The same message_id was used for other content."}],
    )
    yield "parked", result("HELD", held={"why": "PARKED"})
    yield "dead-lettered", result("HELD", held={"why": "DEAD_LETTERED", "letter_id": LETTER}, batch_id="b-2026-01")
    yield "unknown reason for holding", result("HELD", held={"why": "UNKNOWN"})
    yield "unknown status", result("UNKNOWN", items=[item("UNKNOWN", "succ.membership.changed", state="UNKNOWN")])
    for state in STATES:
        yield f"state: {state}", result(
            "SUCCEEDED", items=[item("APPLIED", "succ.membership.changed", membership_id=MEMBERSHIP, state=state, version=2**31 - 1)]
        )


PUBLISHED_PERSON = {
    "registrant_id": REGISTRANT,
    "kind": "INDIVIDUAL",
    "source": "civil-registry",
    "reference": "P-1001",
    "ids": [{"id_type": "NATIONAL_ID", "value": "AB 123456 7"}, {"id_type": "شناسه", "value": "۱۲۳"}],
}
PUBLISHED_GROUP = {"registrant_id": REGISTRANT, "kind": "GROUP", "source": "household-survey", "reference": "HH-77"}
PAYEE = PUBLISHED_PERSON | {"payment_address": "token:4471@bank.example", "disabled": False}
PAID_HEAD = PAYEE | {"registrant_id": HEAD, "source": None, "reference": None, "ids": [], "payment_address": None, "disabled": True}


def facts(version, **fields):
    return {
        "membership_id": MEMBERSHIP,
        "version": version,
        "event_id": str(uuid.uuid5(uuid.UUID(MEMBERSHIP), str(version))),
        "spell": 1,
        "program": PROGRAM,
        "registrant": {"registrant_id": REGISTRANT, "kind": "INDIVIDUAL"},
        "effective_date": "2026-01-31",
        "source": "civil-registry",
        "message_id": "m-1",
        "occurred_at": SENT,
        "recorded_at": RECORDED,
        **fields,
    }


FULL_FACTS = {
    "spell": 2,
    "program": PROGRAM | {"name": "नगद सहायता २०२६"},
    "registrant": PUBLISHED_PERSON,
    "payee": PAYEE,
    "enrollment_date": "2026-01-15",
    "exit_date": "2026-01-31",
    "reason_code": "moved-away",
    "batch_id": "b-2026-01",
}


def membership_changes():
    yield "minimal", facts(1, change="ENROLLED")
    yield "full", facts(5, change="EXITED", previous_state="PAUSED", state="EXITED", **FULL_FACTS)
    yield "unknown", facts(
        1, change="UNKNOWN", previous_state="UNKNOWN", state="UNKNOWN", registrant=PUBLISHED_GROUP | {"kind": "UNKNOWN"}
    )
    moves = [
        ("DRAFTED", None, "DRAFT"),
        ("ENROLLED", "DRAFT", "ENROLLED"),
        ("PAUSED", "ENROLLED", "PAUSED"),
        ("RESUMED", "PAUSED", "ENROLLED"),
        ("NOT_ELIGIBLE", "ENROLLED", "NOT_ELIGIBLE"),
        ("RESET", "NOT_ELIGIBLE", "DRAFT"),
        ("DUPLICATED", "DRAFT", "DUPLICATED"),
        ("REENROLLED", "EXITED", "ENROLLED"),
        ("CORRECTED", "EXITED", "EXITED"),
        ("REMOVED", "DUPLICATED", None),
    ]
    for version, (change, before, after) in enumerate(moves, start=2):
        yield f"change: {change}", facts(
            version, change=change, previous_state=before, state=after, registrant=PUBLISHED_PERSON, payee=PAYEE
        )
    yield "change: PAYEE_CHANGED, a group's Head", facts(
        20, change="PAYEE_CHANGED", previous_state="PAUSED", state="PAUSED", registrant=PUBLISHED_GROUP, payee=PAID_HEAD
    )
    yield "change: PAYEE_CHANGED, no Head", facts(
        2**31 - 1, change="PAYEE_CHANGED", previous_state="ENROLLED", state="ENROLLED", registrant=PUBLISHED_GROUP
    )


def membership_states():
    yield "minimal", facts(1, state="ENROLLED")
    yield "full", facts(5, state="EXITED", **FULL_FACTS)
    yield "a group and its Head", facts(20, state="PAUSED", registrant=PUBLISHED_GROUP, payee=PAID_HEAD)
    for version, state in enumerate(["UNKNOWN", *STATES], start=1):
        yield f"state: {state}", facts(version, state=state, payee=PAYEE)
    yield "unknown kind", facts(8, state="DRAFT", registrant=PUBLISHED_GROUP | {"kind": "UNKNOWN"}, payee=PAYEE | {"kind": "GROUP"})


def receipt(status, **fields):
    counts = {f"{word}_count": 0 for word in ["applied", "unchanged", "partial", "rejected", "held"]}
    return {
        "source": "civil-registry", "batch_id": "b-2026-01", "status": status, "revision": 1, **counts, "first_at": RECORDED,
        "digest": "00" * 32, **fields,
    }  # fmt: skip


def batch_receipts():
    yield "minimal", receipt("INCOMPLETE")
    yield "full", receipt(
        "COMPLETE_WITH_HELD",
        revision=3,
        total_count=2000,
        applied_count=1900,
        unchanged_count=50,
        partial_count=30,
        rejected_count=18,
        held_count=2,
        completed_at="2026-01-31T09:31:07.009Z",
        digest="ff" * 31 + "00",
        positions=[{"partition": 0, "sequence": 1}, {"partition": 11, "sequence": 2**63 - 1}],
    )
    yield "complete, without events", receipt("COMPLETE", total_count=1, rejected_count=1, completed_at=RECORDED)
    yield "unknown status", receipt("UNKNOWN", total_count=0)


EXAMPLES = {
    "EnrollmentRequest.v1": enrollment_requests,
    "MembershipUpdateRequest.v1": membership_update_requests,
    "GroupMembershipRequest.v1": group_membership_requests,
    "RequestResult.v1": request_results,
    "MembershipChanged.v1": membership_changes,
    "MembershipState.v1": membership_states,
    "BatchReceipt.v1": batch_receipts,
}


def rendered(contract):
    """The content of a contract's golden file."""
    lines = []
    for name, example in EXAMPLES[contract.id]():
        value = complete(contract.json, example, contract.types)
        line = {"name": name, "value": value, "hex": contract.encode(value).hex()}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines)


if __name__ == "__main__":
    for written in contracts():
        written.golden_path.write_text(rendered(written), encoding="utf-8")
