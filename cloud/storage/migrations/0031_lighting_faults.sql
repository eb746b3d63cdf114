-- Faults of lamps and cabinets as telemetry tells them.

create table lighting_fault (
    fault_id   int8 generated always as identity primary key,
    group_id   int4 not null references lighting_group on delete cascade,
    device_id  int4 references device,
    kind       text not null,
    noticed_at timestamptz not null,
    cleared_at timestamptz check (cleared_at >= noticed_at)
);
comment on column lighting_fault.device_id is 'The luminaire; null: the cabinet';
comment on column lighting_fault.cleared_at is 'A day without a sign of it had passed; null: it lasts';
create unique index on lighting_fault (group_id, kind, coalesce(device_id, 0))
    where cleared_at is null;
create index on lighting_fault (group_id, noticed_at desc);
