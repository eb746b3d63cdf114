-- Lighting: what is known of a road, what was decided for it, and why a level is ordered.

create table lighting_segment (
    group_id   int4 primary key references lighting_group on delete cascade,
    settings   jsonb not null,
    changed_at timestamptz not null,
    changed_by text not null
);
comment on column lighting_segment.settings is 'cloud.lighting.segment.Segment: class parameters, designed class, ageing, over-lighting with its record';

create table lighting_rule (
    rule_id    int4 generated always as identity primary key,
    group_id   int4 not null references lighting_group on delete cascade,
    kind       text not null check (kind in ('extinction', 'exception', 'event')),
    start_time time not null,
    end_time   time not null,
    weekdays   int2[] not null,
    first_day  date not null,
    last_day   date check (last_day >= first_day),
    decided_by text not null,
    decided_on date not null,
    reference  text not null,
    changed_at timestamptz not null,
    ended_at   timestamptz
);
comment on column lighting_rule.weekdays is 'Evenings it holds on, Monday 0';
comment on column lighting_rule.reference is 'The decision, as the number of a municipal order';
create index on lighting_rule (group_id);

create table lighting_override (
    override_id int4 generated always as identity primary key,
    group_id    int4 not null references lighting_group on delete cascade,
    from_at     timestamptz not null,
    until_at    timestamptz not null,
    level_pct   float8 not null check (level_pct between 0 and 100),
    priority    int2 not null check (priority between 0 and 9),
    reason      text not null,
    created_by  text not null,
    changed_at  timestamptz not null,
    ended_by    text,
    check (until_at > from_at and until_at <= from_at + interval '7 days')
);
comment on table lighting_override is 'An order of a person for a time; it always ends';
create index on lighting_override (group_id, until_at);

create table lighting_decision (
    group_id   int4 not null references lighting_group on delete cascade,
    hour       timestamptz not null,
    ahead      text not null check (ahead in ('model_night_ahead', 'model_hour_ahead')),
    lower      int2 not null check (lower between 0 and 2),
    decided_at timestamptz not null,
    primary key (group_id, hour, ahead)
);
comment on table lighting_decision is 'The learned model: how many classes below the normal one an hour may be';

create table lighting_raise (
    group_id    int4 not null references lighting_group on delete cascade,
    from_at     timestamptz not null,
    until_at    timestamptz not null check (until_at > from_at),
    lower       int2 not null check (lower between 0 and 2),
    bound_per_h float8 not null,
    changed_at  timestamptz not null,
    primary key (group_id, from_at)
);
comment on table lighting_raise is 'More was counted than expected: a class raised at once';
comment on column lighting_raise.bound_per_h is '[1/h] Upper bound of the traffic from the live count';

create table lighting_explanation (
    plan_id  text not null references lighting_plan on delete cascade,
    group_id int4 not null references lighting_group on delete cascade,
    why      jsonb not null,
    primary key (plan_id, group_id)
);
comment on table lighting_explanation is 'Why each slot of a plan has its level (cloud.lighting.planner.Explained)';
