"""Runs every function of a script whose name begins with `check_`, and says which of them failed."""

import os
import sys
import time
import traceback

HOST_AND_PORT = os.environ["FLIGHT_ADDRESS"]
SCHEME = os.environ.get("FLIGHT_SCHEME", "grpc+tcp")
URI = f"{SCHEME}://{HOST_AND_PORT}"
DATA = os.environ.get("FLIGHT_DATA", "")
USER = os.environ.get("FLIGHT_USER", "")
PASSWORD = os.environ.get("FLIGHT_PASSWORD", "")
CERTIFICATE = os.environ.get("FLIGHT_CERTIFICATE", "")


def run(checks):
    failed = 0
    wanted = sys.argv[1:]
    for name, check in list(checks.items()):
        if not name.startswith("check_") or (wanted and name not in wanted):
            continue
        start = time.monotonic()
        try:
            check()
            print(f"ok      {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except (Exception, KeyboardInterrupt):
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failed else 0)


def raises(kind, call, *parts):
    """The error of a call that must fail, which says all of `parts`."""
    try:
        call()
    except kind as error:
        text = str(error)
        for part in parts:
            assert part in text, f"no {part!r} in: {text}"
        return error
    raise AssertionError("no error")
