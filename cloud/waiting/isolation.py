"""One facility whose arithmetic fails must not silence all others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolTimeout

from cloud.waiting.store import Facility

log = logging.getLogger("eclor.waiting")


class Isolation:
    """Counts the facilities that were left out of a run; each is logged with its traceback."""

    def __init__(self, doing: str) -> None:
        self.failed = 0
        self._doing = doing

    @contextmanager
    def alone(self, facility: Facility) -> Iterator[None]:
        """What fails inside concerns this facility alone, unless it is the database."""
        try:
            yield
        except (psycopg.Error, PoolTimeout, OSError):
            raise
        except Exception:
            self.failed += 1
            log.exception(
                "facility_failed doing=%s facility=%s.%s.%s",
                self._doing,
                facility.territory,
                facility.site_slug,
                facility.slug,
            )

    def told(self, done: object) -> str:
        """What a run did, for the log of the job, and how many facilities it left out."""
        return f"{done} failed:{self.failed}" if self.failed else str(done)
