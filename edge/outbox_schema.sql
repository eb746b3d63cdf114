-- The outbox, version 1. Written by edge.outbox only; its specification stands at the head there.

-- One row: who this store belongs to, and the totals of rows that no lane counts.
CREATE TABLE store (
    only_row     INTEGER PRIMARY KEY CHECK (only_row = 1),
    version      INTEGER NOT NULL,
    gateway      TEXT NOT NULL,
    epoch        TEXT NOT NULL,             -- UUID, made with the file
    created_us   INTEGER NOT NULL,
    refused_rows INTEGER NOT NULL DEFAULT 0, -- declared lost without ever having had a seq
    dropped_rows INTEGER NOT NULL DEFAULT 0  -- all declared losses, refused rows included
);

-- Heads of the streams; never goes back, also when every batch is gone.
CREATE TABLE lane (
    lane     INTEGER PRIMARY KEY,
    last_seq INTEGER NOT NULL DEFAULT 0,
    rows     INTEGER NOT NULL DEFAULT 0     -- rows of all batches 1..last_seq
);

-- What waits for its acknowledgement. payload NULL: dropped, an empty batch goes in its place.
CREATE TABLE batch (
    lane        INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    rows        INTEGER NOT NULL,
    rows_before INTEGER NOT NULL,
    created_us  INTEGER NOT NULL,
    first_t_us  INTEGER NOT NULL,
    last_t_us   INTEGER NOT NULL,
    payload     BLOB,
    PRIMARY KEY (lane, seq)
);

-- Losses to declare; carrier: the batch that declares it, until that batch is acknowledged.
CREATE TABLE gap (
    gap_id       INTEGER PRIMARY KEY,
    lane         INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    rows         INTEGER NOT NULL,
    first_t_us   INTEGER NOT NULL,
    last_t_us    INTEGER NOT NULL,
    carrier_lane INTEGER,
    carrier_seq  INTEGER
);

-- State that must agree with the batches: counters, meta data of the active plan.
CREATE TABLE document (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
