-- Recycling centres: where the filter can be taken up again, and what was learned of a site.

create table wait_checkpoint (
    facility_id int4 not null references facility on delete cascade,
    opening_at  timestamptz not null,
    step        int4 not null check (step >= 0),
    digest      bytea not null,
    state       bytea not null,
    primary key (facility_id, opening_at, step)
);
comment on table wait_checkpoint is 'State of the filter some steps after an opening; two hours of them are kept';
comment on column wait_checkpoint.digest is 'Of the counts up to there: other counts since make it void';

create table wait_model (
    facility_id int4 not null references facility on delete cascade,
    learned_at  timestamptz not null,
    openings    int4 not null,
    document    jsonb not null,
    primary key (facility_id, learned_at)
);
comment on table wait_model is 'What was learned of a site; the newest holds, a year of them is kept';
comment on column wait_model.openings is 'Past openings it was learned from';

create table wait_forecast (
    facility_id int4 not null references facility on delete cascade,
    opening_at  timestamptz not null,
    closes_at   timestamptz not null,
    computed_at timestamptz not null,
    live        bool not null,
    slots       jsonb not null,
    primary key (facility_id, opening_at)
);
comment on table wait_forecast is 'Waits expected in each quarter of an hour of an opening';
comment on column wait_forecast.live is 'From the state of the present opening; false: from the profile alone';
