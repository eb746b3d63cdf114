-- The registry: who measures what, where, and what is decided about it.
-- Names (slug, name) are what people and gateways use; the int4 keys stay inside the database.

create table territory (
    territory_id int4 generated always as identity primary key,
    slug         text not null unique check (slug ~ '^[a-z0-9-]{3,40}$'),
    name         text not null,
    time_zone    text not null default 'Europe/Paris'
);

create table site (
    site_id      int4 generated always as identity primary key,
    territory_id int4 not null references territory,
    slug         text not null check (slug ~ '^[a-z0-9-]{3,40}$'),
    name         text not null,
    kind         text not null check (kind in ('cabinet', 'recycling_centre', 'road')),
    latitude     float8 not null check (latitude between -90 and 90),
    longitude    float8 not null check (longitude between -180 and 180),
    unique (territory_id, slug)
);

create table gateway (
    gateway_id int4 generated always as identity primary key,
    site_id    int4 not null references site,
    name       text not null unique check (name ~ '^[a-z0-9-]{3,40}$'),
    settings   jsonb not null default '{}',
    created_at timestamptz not null default now()
);
comment on column gateway.name is 'Name in topics, batches and certificates; unique in the whole system';
comment on column gateway.settings is 'Uplink and buses, as needed to render the configuration file of the gateway';
create index on gateway (site_id);

create table device (
    device_id   int4 generated always as identity primary key,
    gateway_id  int4 not null references gateway,
    name        text not null,
    kind        text not null,
    profile     text,
    settings    jsonb not null default '{}',
    title       text,
    provisioned bool not null default true,
    created_at  timestamptz not null default now(),
    unique (gateway_id, name)
);
comment on column device.settings is 'Bus, unit, index, interval_s and window_s';
comment on column device.provisioned is 'False: a known gateway sent data of this device before anybody declared it';

create table series (
    series_id int4 generated always as identity primary key,
    device_id int4 not null references device,
    point     text not null,
    unique (device_id, point)
);
comment on table series is 'One quantity of a device among its samples; the unit is part of the point''s name';

create table lighting_group (
    group_id             int4 generated always as identity primary key,
    territory_id         int4 not null references territory,
    gateway_id           int4 not null references gateway,
    slug                 text not null check (slug ~ '^[a-z0-9-]{3,40}$'),
    name                 text not null,
    rated_power_w        float8 not null check (rated_power_w > 0),
    baseline_power_w     float8 not null check (baseline_power_w > 0),
    baseline_name        text not null,
    normal_level_pct     float8 not null default 100 check (normal_level_pct between 0 and 100),
    reduced_levels       jsonb not null default '[]',
    counter_device_id    int4 references device,
    capacity_per_h       float8 check (capacity_per_h > 0),
    switch_elevation_deg float8 not null default -0.833
        check (switch_elevation_deg between -18 and 18),
    unique (territory_id, slug)
);
comment on column lighting_group.rated_power_w is '[W] of one lamp at full output';
comment on column lighting_group.baseline_power_w is '[W] of one lamp of the declared park that savings are measured against';
comment on column lighting_group.capacity_per_h is '[1/h] Road capacity, vehicles in both directions';
comment on column lighting_group.switch_elevation_deg is '[deg] Lamps are on while the sun is below this';
create index on lighting_group (gateway_id);

create table lighting_group_member (
    group_id  int4 not null references lighting_group on delete cascade,
    device_id int4 not null references device,
    primary key (group_id, device_id)
);
create index on lighting_group_member (device_id);

create table facility (
    facility_id     int4 generated always as identity primary key,
    site_id         int4 not null references site,
    slug            text not null check (slug ~ '^[a-z0-9-]{3,40}$'),
    name            text not null,
    bays            int2 not null check (bays > 0),
    mean_service_s  float8 not null check (mean_service_s > 0),
    opening         jsonb not null default '{}',
    tail_device_id  int4 references device,
    entry_device_id int4 references device,
    exit_device_id  int4 references device,
    unique (site_id, slug)
);
comment on column facility.mean_service_s is '[s] Time one visitor occupies a bay';
comment on column facility.opening is 'Local time: {"mon": [["09:00", "12:00"], ["14:00", "18:00"]], ...}';

create table lighting_plan (
    plan_id     text primary key,
    gateway_id  int4 not null references gateway,
    issued_at   timestamptz not null,
    valid_from  timestamptz not null,
    valid_until timestamptz not null check (valid_until > valid_from),
    document    bytea not null,
    sha256      text not null
);
create index on lighting_plan (gateway_id, issued_at desc);

create table wait_estimate (
    facility_id      int4 not null references facility,
    t                timestamptz not null,
    p50_s            float8,
    p80_s            float8,
    p95_s            float8,
    status           text not null,
    basis            text not null,
    situation        text not null,
    people_ahead_p50 float8,
    primary key (facility_id, t)
);
comment on column wait_estimate.p50_s is '[s] Half of the visitors wait no longer';
comment on column wait_estimate.p80_s is '[s] Four of five wait no longer';
comment on column wait_estimate.p95_s is '[s] Nineteen of twenty wait no longer';

create table api_key (
    key_id        text primary key,
    secret_sha256 bytea not null,
    name          text not null,
    scopes        text[] not null,
    territory_id  int4 references territory,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz,
    revoked_at    timestamptz
);
comment on column api_key.territory_id is 'Null: every territory';

create table audit_event (
    audit_id int8 generated always as identity primary key,
    at       timestamptz not null default now(),
    actor    text not null,
    action   text not null,
    object   text not null,
    before   jsonb,
    after    jsonb
);
create index on audit_event (at);
