-- The outbox, layout 2. Written by edge.outbox only; its specification stands at the head there.

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
    lane        INTEGER PRIMARY KEY,
    last_seq    INTEGER NOT NULL DEFAULT 0,
    rows        INTEGER NOT NULL DEFAULT 0, -- rows of all batches 1..last_seq, as appended
    acked_rows  INTEGER NOT NULL DEFAULT 0, -- of these in the database
    expired_seq INTEGER NOT NULL DEFAULT 0  -- up to here what a rewind missed has been declared
);

-- One small row a number; what it says is in `payload`, so that changing it moves no payload.
-- acked_us NULL: waits for its acknowledgement; else: in the grace ring since then.
-- No payload: nothing is left of it, an empty batch goes in its place.
CREATE TABLE batch (
    lane        INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    rows        INTEGER NOT NULL,           -- in the payload
    rows_before INTEGER NOT NULL,
    created_us  INTEGER NOT NULL,
    first_t_us  INTEGER NOT NULL,
    last_t_us   INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,           -- of the payload
    acked_us    INTEGER,
    rewound     INTEGER NOT NULL DEFAULT 0, -- 1: was acknowledged once and waits again
    thinned     INTEGER NOT NULL DEFAULT 0, -- 1: cannot be made smaller any more
    PRIMARY KEY (lane, seq)
) WITHOUT ROWID;
CREATE INDEX batch_waiting ON batch (lane, seq) WHERE acked_us IS NULL;

-- Encoded messages. payload_id = 2 * seq + lane - 1: the rowid is the key, no index beside it.
CREATE TABLE payload (
    payload_id INTEGER PRIMARY KEY,
    content    BLOB NOT NULL
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
