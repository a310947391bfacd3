#!/usr/bin/env python3
"""A payment system's first program: the table of members, from nothing and kept up to date.

    python3 -m pip install fastavro confluent-kafka
    python3 examples/payments.py --bootstrap-servers localhost:9092 --until-end

It reads `membership-state` from the beginning, then `membership-events`, and prints one JSON line a membership and one
a partition. Without --until-end it goes on: a line for each change. docs/PAYMENTS.md says why each rule is as it is;
payments.rs is the same program in Rust.

Here the table is in memory. A real one belongs into your database: write the rows, the number seen and the offset of the
next event of a partition in *one* transaction, and begin from that offset next time.
"""

import argparse
import io
import json
import pathlib
import sys
from dataclasses import dataclass, field

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

SCHEMAS = pathlib.Path(__file__).resolve().parent.parent / "schemas"
# What Rollcall may have written with, and what we read it as. When Rollcall begins to write a newer version, add it
# here beside the old one, and nothing else changes.
READ_AS = {
    "MembershipState.v1": "MembershipState.v1",
    "MembershipChanged.v1": "MembershipChanged.v1",
}
ASK_SECONDS = 30


@dataclass
class Record:
    """A record of either topic: what it says, and under which number."""

    partition: int
    generation: int
    sequence: int
    membership_id: str
    membership: dict | None  # None: the membership was removed


@dataclass
class Progress:
    """How far a partition has come."""

    generation: int
    seen: int = 0  # everything up to this number is in the table
    met: int = 0  # the greatest number met; greater than seen: something between is still to come


@dataclass
class Table:
    # By membership_id: the number and the membership. A removed one keeps its row, so that a repeat of something older
    # does not bring it back.
    rows: dict[str, tuple[int, dict | None]] = field(default_factory=dict)
    progress: dict[int, Progress] = field(default_factory=dict)

    def fold(self, record: Record) -> None:
        """First phase: a record of `membership-state`."""
        # The last record in log order says from where the events have to be counted, also if it is a repeat and its
        # number is smaller than those before it.
        self.progress[record.partition] = Progress(record.generation, record.sequence, record.sequence)
        self.put(record)

    def take(self, record: Record) -> bool:
        """Second phase: a record of `membership-events`. Gives whether the table has changed."""
        progress = self.progress.setdefault(record.partition, Progress(record.generation))
        if record.generation > progress.generation:
            sys.exit(f"partition {record.partition}: Rollcall has lost data and was recovered; begin anew")
        progress.met = max(progress.met, record.sequence)
        if record.sequence > progress.seen + 1:
            return False  # something before it is still to come; then this one comes again
        # Exactly the next one counts. A smaller number was counted before, or is in the state.
        progress.seen = max(progress.seen, record.sequence)
        return self.put(record)

    def put(self, record: Record) -> bool:
        """Keeps what has the greater number: all records of a membership are in one partition."""
        known, _ = self.rows.get(record.membership_id, (0, None))
        if known >= record.sequence:
            return False  # a repeat, or what the state had already
        self.rows[record.membership_id] = (record.sequence, record.membership)
        return True

    def print(self) -> None:
        for _, membership in self.rows.values():
            if membership is not None:
                print(json.dumps(membership))
        for partition, progress in sorted(self.progress.items()):
            print(json.dumps({"partition": partition, "seen_up_to": progress.seen}))
        sys.stdout.flush()

    def print_one(self, membership_id: str) -> None:
        _, membership = self.rows[membership_id]
        print(json.dumps(membership or {"membership_id": membership_id, "state": None}), flush=True)


class Reader:
    """Reads topics of Rollcall's whole, partition by partition."""

    def __init__(self, brokers: str):
        self.consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                # Partitions are assigned by hand and no offset is committed: the group is a name that has to be there.
                "group.id": "payments-example",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        fingerprints = json.loads((SCHEMAS / "fingerprints.json").read_text())
        schemas = {
            version: fastavro.parse_schema(json.loads((SCHEMAS / f"{version}.avsc").read_text()), named_schemas={})
            for version in READ_AS
        }
        self.schemas = {
            bytes.fromhex(fingerprints[version]): (schemas[version], schemas[ours])
            for version, ours in READ_AS.items()
        }

    def begin(self, topic: str) -> dict[int, int]:
        """Begins all partitions of a topic from the start; gives the offsets where they end now."""
        partitions = sorted(self.consumer.list_topics(topic, timeout=ASK_SECONDS).topics[topic].partitions)
        if not partitions:
            sys.exit(f"the topic {topic} does not exist")
        ends = {}
        for partition in partitions:
            _, ends[partition] = self.consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=ASK_SECONDS
            )
        self.consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        return ends

    def read(self, ends: dict[int, int]):
        """What comes next, until every partition has come to the end noted in `ends`. Partitions that have, go on
        meanwhile: to have read further is as good as to have noted a later end."""
        ends = dict(ends)
        while ends:
            message = self.poll()
            if message is None:
                continue
            if message.error():  # the end, as it is now
                ends.pop(message.partition(), None)
                continue
            yield self.record(message)
            if message.offset() + 1 >= ends.get(message.partition(), sys.maxsize):
                del ends[message.partition()]

    def follow(self):
        """Whatever comes, for ever."""
        while True:
            message = self.poll()
            if message is not None and not message.error():
                yield self.record(message)

    def poll(self):
        """A message, the end of a partition, or None."""
        message = self.consumer.poll(0.2)
        if message is None or message.error() is None:
            return message
        error = message.error()
        if error.code() == KafkaError._PARTITION_EOF:
            return message
        if error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT):
            return None  # an outage: the library goes on by itself as soon as it can
        raise KafkaException(error)

    def record(self, message) -> Record:
        headers = dict(message.headers() or [])
        membership = None
        if message.value() is not None:  # else removed, on the state topic
            membership = self.membership(message.value())
            if membership["state"] is None:  # removed, on the events topic
                membership = None
        return Record(
            message.partition(),
            int(headers["ce_generation"]),
            int(headers["ce_sequence"]),
            message.key().decode(),
            membership,
        )

    def membership(self, value: bytes) -> dict:
        """What this program needs of a MembershipState or a MembershipChanged; both have many more fields. The writer's
        schema is found by the fingerprint in the message, and resolved into ours."""
        if value[:2] != b"\xc3\x01":
            sys.exit("no Avro single-object encoding")
        if value[2:10] not in self.schemas:
            sys.exit(f"schema {value[2:10].hex()} is not known here: add it from schemas/")
        writer, ours = self.schemas[value[2:10]]
        said = fastavro.schemaless_reader(io.BytesIO(value[10:]), writer, ours)
        # Whom to pay: the member, or the Head of a household. None: hold the payment, there is nobody to pay.
        payee = said["payee"]
        return {
            "membership_id": said["membership_id"],
            "version": said["version"],
            "state": said["state"],
            "payee": payee and {name: payee[name] for name in ("registrant_id", "payment_address", "disabled")},
        }


def main() -> int:
    parser = argparse.ArgumentParser(description="Prints the table of members that Rollcall's topics make up")
    parser.add_argument("--bootstrap-servers", default="localhost:9092", help="Kafka's brokers")
    parser.add_argument("--prefix", default="rollcall.", help="what the names of Rollcall's topics begin with")
    parser.add_argument(
        "--until-end",
        action="store_true",
        help="end as soon as everything has been read that was there when the events were begun",
    )
    options = parser.parse_args()
    table = Table()
    reader = Reader(options.bootstrap_servers)

    # First phase: what is. A state for each membership, often the last one only.
    for record in reader.read(reader.begin(f"{options.prefix}membership-state")):
        table.fold(record)

    # Second phase: what came since, counted. All events that are still kept are read: those before the count begins
    # mend what a repeat in the state topic may have covered.
    for record in reader.read(reader.begin(f"{options.prefix}membership-events")):
        table.take(record)
    table.print()
    if not options.until_end:
        for record in reader.follow():
            if table.take(record):
                table.print_one(record.membership_id)
    complete = True
    for partition, progress in sorted(table.progress.items()):
        if progress.met > progress.seen:
            print(f"partition {partition}: the number after {progress.seen} is not there yet", file=sys.stderr)
            complete = False
    return 0 if complete else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
