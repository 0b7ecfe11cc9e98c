"""The PyPI package `eql` over decoded events: run by `bench.rules` in a virtual environment of its own.

`python eql_peer.py EVENTS.ndjson QUERIES_JSON` prints one JSON object: seconds of CPU, and matches.
"""

import json
import sys
import time


def main() -> None:
    """Read the events, then time the queries over them."""
    import eql

    with open(sys.argv[1], encoding="utf-8") as lines:
        data = [json.loads(line) for line in lines]
    events = [eql.Event(event["event_type"], number, event) for number, event in enumerate(data)]
    engine = eql.PythonEngine()
    found = []
    for query in json.loads(sys.argv[2]):
        engine.add_query(eql.parse_query(query))
    engine.add_output_hook(found.append)
    begin = time.process_time()
    engine.stream_events(events, finalize=False)
    engine.finalize()
    print(json.dumps({"seconds": time.process_time() - begin, "matches": len(found)}))


main()
