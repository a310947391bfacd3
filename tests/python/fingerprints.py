"""Writes schemas/fingerprints.json, or checks it with --check."""

import json
import sys

from contracts import SCHEMAS, contracts

PATH = SCHEMAS / "fingerprints.json"


def rendered():
    table = {contract.id: contract.fingerprint for contract in contracts()}
    return json.dumps(table, indent=2) + "\n"


def main(arguments):
    if arguments not in ([], ["--check"]):
        print("usage: scripts/fingerprints [--check]", file=sys.stderr)
        return 2
    if not arguments:
        PATH.write_text(rendered(), encoding="utf-8")
    elif not PATH.exists() or PATH.read_text(encoding="utf-8") != rendered():
        print(f"{PATH} is not up to date: run scripts/fingerprints", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
