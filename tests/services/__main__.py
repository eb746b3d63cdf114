"""The test services in the foreground, for a developer: `make services` (Ctrl-C ends them).

With --prepare only what they need is fetched: the tools and the Debian 13 tree.
"""

import argparse
import os
import signal
import sys

from tests.services import mosquitto, postgres, tools
from tests.services.process import ServiceError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.services", description=__doc__)
    parser.add_argument("--prepare", action="store_true", help="fetch what the services need")
    parser.add_argument(
        "--edition",
        choices=postgres.EDITIONS,
        default=os.environ.get("ECLOR_TEST_EDITION", "timescale"),
        help="edition of PostgreSQL (default: ECLOR_TEST_EDITION, else timescale)",
    )
    arguments = parser.parse_args()
    try:
        if arguments.prepare:
            postgres.programs_for(arguments.edition)
            mosquitto.find_programs()
            tools.require({**tools.FOREIGN_CLIENTS, **tools.FOREIGN_HEADERS})
            return 0
        return _run(arguments.edition)
    except (tools.UnavailableError, ServiceError) as error:
        print(f"eclor: {error}", file=sys.stderr)
        return 1


def _run(edition: str) -> int:
    programs = mosquitto.find_programs()
    with postgres.running(edition) as cluster, mosquitto.running(programs) as broker:
        url = cluster.create("eclor")
        print(f"PostgreSQL ({cluster.edition}, {cluster.origin}) and Mosquitto ({broker.origin}):")
        print(f"export ECLOR_DATABASE_URL='{url}'")
        print(f"export ECLOR_BROKER_URL='{broker.url}'")
        print("Tests on them: set ECLOR_TEST_DATABASE_URL and ECLOR_TEST_BROKER_URL to the same.")
        print("Ctrl-C stops both; nothing that they stored is kept.", flush=True)
        _wait_for_the_developer()
    return 0


def _wait_for_the_developer() -> None:
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    signal.sigwait(numbers)


if __name__ == "__main__":
    sys.exit(main())
