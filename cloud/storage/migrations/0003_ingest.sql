-- What ingest keeps about deliveries, and what retention keeps about the raw tables.

create table batch_ledger (
    gateway_id  int4 not null references gateway,
    epoch       uuid not null,
    lane        int2 not null check (lane in (1, 2)),
    seq         int8 not null check (seq >= 1),
    sha256      bytea not null,
    rows        int4 not null check (rows >= 0),
    rows_before int8 not null check (rows_before >= 0),
    status      text not null check (status in ('stored', 'quarantined')),
    stored_rows int4 not null check (stored_rows between 0 and rows),
    created_at  timestamptz not null,
    received_at timestamptz not null,
    t_min       timestamptz,
    t_max       timestamptz,
    primary key (gateway_id, epoch, lane, seq)
);
comment on table batch_ledger is 'One row a batch that was taken over: the only memory that makes a repeat harmless';
comment on column batch_ledger.rows is '[1] Rows the gateway says the batch holds';
comment on column batch_ledger.rows_before is '[1] Rows of the stream in all earlier batches';
comment on column batch_ledger.stored_rows is '[1] Rows added; below rows where the unique index already had the rest';
create index on batch_ledger (received_at);
create index on batch_ledger (gateway_id, epoch, lane, seq) where status = 'quarantined';

create table stream (
    gateway_id int4 not null references gateway,
    epoch      uuid not null,
    lane       int2 not null check (lane in (1, 2)),
    received   int8multirange not null default '{}',
    rewind_to  int8 check (rewind_to >= 1),
    updated_at timestamptz not null default now(),
    primary key (gateway_id, epoch, lane)
);
comment on column stream.received is 'Sequence numbers stored or quarantined; watermark and ranges of the ack come from it';
comment on column stream.rewind_to is 'Set after a restore: the gateway is asked to resend from here';

create table quarantine (
    quarantine_id int8 generated always as identity primary key,
    gateway_name  text not null,
    topic         text not null,
    payload       bytea not null,
    sha256        bytea not null,
    reason        text not null,
    detail        text not null,
    received_at   timestamptz not null,
    repeats       int4 not null default 0,
    epoch         uuid,
    lane          int2,
    seq           int8,
    unique (gateway_name, reason, sha256)
);
comment on table quarantine is 'Deliveries that could not be stored, kept whole for a person to look at';
comment on column quarantine.repeats is '[1] Deliveries of the same bytes after the first';

create table quarantine_refused (
    gateway_name text not null,
    reason       text not null,
    refused      int8 not null,
    refused_at   timestamptz not null,
    primary key (gateway_name, reason)
);
comment on table quarantine_refused is 'Deliveries not kept because the quarantine of the gateway was full; counted, so that none vanishes';

create table rollup_dirty (
    gateway_id int4 not null,
    kind       int2 not null,
    hour       timestamptz not null
);
comment on table rollup_dirty is 'Append-only: hours whose rollup is out of date. No unique key: a key that an open transaction already holds would swallow a newer mark';

create table raw_store (
    kind       int2 primary key,
    table_name text not null unique,
    chunk      interval not null,
    keep       interval,
    raw_floor  timestamptz not null default '-infinity'
);
comment on table raw_store is 'Partition width and retention of each reading kind';
comment on column raw_store.keep is 'Null: kept for ever';
comment on column raw_store.raw_floor is 'Raw rows before this are gone: older data is quarantined, older rollups are never recomputed';

insert into raw_store (kind, table_name, chunk) values
    (1, 'light_reading', '1 day'),
    (2, 'feeder_reading', '1 day'),
    (3, 'passage_reading', '7 days'),
    (4, 'ambient_reading', '7 days'),
    (5, 'sample_reading', '7 days'),
    (6, 'outcome_record', '7 days'),
    (7, 'gap_record', '7 days'),
    (8, 'health_record', '7 days');
