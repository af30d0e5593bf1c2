"""Clients that begin to read from executors and stop. The server runs two queries at a time and waits twelve
seconds for a client that reads nothing."""

import time

from direct import describe, executor_of, session, start, wait_for
from flight import connect, query

from checks import raises, run

RUNNING_MAX = 2
CLIENT_WAIT_SECONDS = 12


def check_clients_that_stand_still_keep_nobody_from_running():
    with connect() as client:
        options = session(client)
        texts = [f"SELECT a.id, repeat('s', {n}) AS t FROM rows a, rows b" for n in range(500, 500 + RUNNING_MAX)]
        readers, executors = [], []
        for text in texts:
            for endpoint in start(client, options, text).endpoints:
                executors.append(executor_of(endpoint))
                readers.append(executors[-1].do_get(endpoint.ticket, options))
                readers[-1].read_chunk()
        begun = time.monotonic()
        _, table = query(client, options, "SELECT count(*) AS n FROM rows")
        waited = time.monotonic() - begun
        assert table["n"].to_pylist() == [200_000]
        assert 5 < waited < 30, f"a place was free after {waited} s"

        # One of them reads on, and is not cut off although it rests between.
        slow, still = readers[:2], readers[2:]
        end = time.monotonic() + 1.5 * CLIENT_WAIT_SECONDS
        while time.monotonic() < end:
            for reader in slow:
                for _ in range(20):
                    reader.read_chunk()
            time.sleep(2)
        ended = wait_for(client, options, texts[1], "CANCELED", 30)
        reason = str(describe(client, options, ended["query_id"]))
        assert "read nothing for 12 s" in reason, reason
        for reader in still:
            # What is on its way already comes first.
            raises(Exception, lambda: read_to_the_end(reader), "cancelled")
        wait_for(client, options, texts[0], "RUNNING", 1)
        for reader in slow:
            reader.cancel()
        wait_for(client, options, texts[0], "CANCELED", 5)
        for executor in executors:
            executor.close()


def read_to_the_end(reader):
    while True:
        reader.read_chunk()


if __name__ == "__main__":
    run(dict(globals()))
