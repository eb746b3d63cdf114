-- Recycling centres: when they are open other than by the week, and how many bays are in use.

alter table facility add column holidays text;
comment on column facility.holidays is 'Rules of its public holidays (cloud.lighting.holidays); null: those of its time zone';

create table facility_exception (
    exception_id int4 generated always as identity primary key,
    facility_id  int4 not null references facility on delete cascade,
    kind         text not null check (kind in ('closed', 'open')),
    from_at      timestamptz not null,
    until_at     timestamptz not null check (until_at > from_at),
    reason       text not null,
    created_by   text not null,
    changed_at   timestamptz not null,
    ended_by     text
);
comment on table facility_exception is 'Closed or open other than by the week; of two that overlap the later decision holds';
create index on facility_exception (facility_id, until_at);

create table facility_capacity (
    capacity_id int4 generated always as identity primary key,
    facility_id int4 not null references facility on delete cascade,
    bays        int2 not null check (bays > 0),
    from_at     timestamptz not null,
    until_at    timestamptz check (until_at > from_at),
    reason      text not null,
    created_by  text not null,
    changed_at  timestamptz not null,
    ended_by    text
);
comment on table facility_capacity is 'Bays in use other than declared; of two that overlap the later decision holds';
comment on column facility_capacity.until_at is 'Null: until somebody ends it';
create index on facility_capacity (facility_id, until_at);
