-- Rows that came without a batch (line protocol): what the daily ledger holds against the tables.

create table sample_written (
    gateway_id int4 not null references gateway,
    day        date not null,
    rows       int8 not null check (rows > 0),
    primary key (gateway_id, day)
);
comment on table sample_written is 'Sample rows added without a batch; no ledger entry tells of them';
comment on column sample_written.day is 'Day of t, in UTC';
comment on column sample_written.rows is '[1] Rows added; rows that were there already are not';
