"""Real processes, killed and cut at random, and a count of every row afterwards.

    schedule   what is done to whom and when: pure, from a seed
    load       what the gateways measure
    stage      the processes: simulator, agents, broker, ingest workers, database, fault proxies
    chaos      carries the schedule out
    timing     takeover of a killed worker, restart of a killed agent
    witness    every row that an outbox made durable, against every row of the database
    run        all of it in order

The servers and the fault proxy are those of the tests (`tests.services`): a measurement runs from
a checkout only, which has them, and a second way to start PostgreSQL would be one to keep.
"""
