-- A class is raised by the weather as well as by a live count.

alter table lighting_raise
    add column source text not null default 'live_count'
        check (source in ('live_count', 'weather', 'weather_missing')),
    alter column bound_per_h drop not null,
    drop constraint lighting_raise_pkey,
    add primary key (group_id, from_at, source);
comment on table lighting_raise is 'A class raised at once: more was counted than expected, or the weather asks for it';
comment on column lighting_raise.bound_per_h is '[1/h] Upper bound of the traffic from the live count; null where weather raised';
