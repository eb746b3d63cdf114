"""The edge agent's memory budget: importing all of `edge` stays small and pulls in nothing big.

Runs in a fresh interpreter (`make check`). A cabinet's gateway has 256 MiB or less for everything;
DESIGN gives the imports 50 MiB of resident memory.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

BUDGET_MIB = 50.0
FORBIDDEN = (
    "apscheduler",
    "cloud",
    "fastapi",
    "firmware_sim",
    "httpx",
    "jinja2",
    "numpy",
    "psycopg",
    "psycopg_pool",
    "pydantic",
    "starlette",
    "uvicorn",
)


def main() -> int:
    modules = _import_everything("edge")
    resident_mib = _resident_mib()
    intruders = [name for name in FORBIDDEN if name in sys.modules]
    print(f"edge: {modules} modules imported, {resident_mib:.1f} MiB of {BUDGET_MIB:.0f} MiB")
    if intruders:
        print(f"edge: imports what a gateway must not carry: {', '.join(intruders)}")
    if resident_mib > BUDGET_MIB:
        print("edge: over its memory budget; `python -X importtime -c 'import edge'` shows by whom")
    return 1 if intruders or resident_mib > BUDGET_MIB else 0


def _import_everything(package: str) -> int:
    """Import PACKAGE and all its modules but the entry scripts; return how many."""
    paths = importlib.import_module(package).__path__
    names = [
        module.name
        for module in pkgutil.walk_packages(paths, prefix=f"{package}.")
        if not module.name.endswith("__main__")
    ]
    for name in names:
        importlib.import_module(name)
    return len(names) + 1


def _resident_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("/proc/self/status has no VmRSS")


if __name__ == "__main__":
    sys.exit(main())
