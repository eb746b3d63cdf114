-- Hours that the database could not sum up: kept, counted, tried again ever later.

create table rollup_fault (
    gateway_id int4 not null references gateway,
    kind       int2 not null,
    hour       timestamptz not null,
    attempts   int4 not null check (attempts >= 1),
    detail     text not null,
    failed_at  timestamptz not null default now(),
    retry_at   timestamptz,
    primary key (gateway_id, kind, hour)
);
comment on table rollup_fault is 'Hours that the database refused to sum up; gone once they are, or their readings are';
comment on column rollup_fault.attempts is '[1] Times that it failed by itself, not counting new readings of the hour in between';
comment on column rollup_fault.retry_at is 'When its mark goes into rollup_dirty again; null: it is there now, or was given up';
