-- Readings: one wide table a kind of protocols.quantities, and beside it the newest row of each
-- device. A test compares names, types and units with the declaration. Columns are written once,
-- in latest_<kind>; the history table takes them over (LIKE) in the edition's own file.
-- t is the start of the row's window, window_s its length ([s], 0 = an instant), quality a bit mask
-- of protocols.quantities.Quality. Null = not measured or outside the physical range.

create table latest_light (
    t             timestamptz not null,
    device_id     int4 primary key,
    window_s      int4 not null,
    quality       int2 not null,
    level_pct     float4,
    target_pct    float4,
    power_w       float4,
    energy_wh     int8,
    voltage_v     float4,
    temperature_c float4,
    status        int2
) with (fillfactor = 50);
comment on table latest_light is 'A luminaire, or a segment that is measured as one';
comment on column latest_light.level_pct is '[%] Light output as read back, share of full output';
comment on column latest_light.target_pct is '[%] Level last commanded';
comment on column latest_light.power_w is '[W] Active power, standby included';
comment on column latest_light.energy_wh is '[Wh] Energy counter at the end of the window';
comment on column latest_light.voltage_v is '[V] Supply voltage';
comment on column latest_light.temperature_c is '[degC] Temperature of the control gear';
comment on column latest_light.status is '[bits] 1 lamp failure, 2 gear failure, 4 no communication';

create table latest_feeder (
    t                timestamptz not null,
    device_id        int4 primary key,
    window_s         int4 not null,
    quality          int2 not null,
    voltage_l1_v     float4,
    voltage_l2_v     float4,
    voltage_l3_v     float4,
    current_l1_a     float4,
    current_l2_a     float4,
    current_l3_a     float4,
    power_w          float4,
    energy_import_wh int8,
    power_factor     float4,
    frequency_hz     float4
) with (fillfactor = 50);
comment on table latest_feeder is 'An energy meter on a feeder';
comment on column latest_feeder.voltage_l1_v is '[V] Phase 1 to neutral';
comment on column latest_feeder.voltage_l2_v is '[V] Phase 2 to neutral';
comment on column latest_feeder.voltage_l3_v is '[V] Phase 3 to neutral';
comment on column latest_feeder.current_l1_a is '[A] Current of phase 1';
comment on column latest_feeder.current_l2_a is '[A] Current of phase 2';
comment on column latest_feeder.current_l3_a is '[A] Current of phase 3';
comment on column latest_feeder.power_w is '[W] Active power, all phases, import > 0';
comment on column latest_feeder.energy_import_wh is '[Wh] Imported active energy at the end of the window';
comment on column latest_feeder.power_factor is '[1] Total power factor';
comment on column latest_feeder.frequency_hz is '[Hz] Mains frequency';

create table latest_passage (
    t              timestamptz not null,
    device_id      int4 primary key,
    window_s       int4 not null,
    quality        int2 not null,
    forward_count  int4,
    backward_count int4,
    forward_total  int8,
    backward_total int8,
    status         int2
) with (fillfactor = 50);
comment on table latest_passage is 'A counter at a gate or along a road';
comment on column latest_passage.forward_count is '[1] Passages in the counted direction during the window';
comment on column latest_passage.backward_count is '[1] Passages in the other direction during the window';
comment on column latest_passage.forward_total is '[1] Passages since commissioning, wrap and reset removed';
comment on column latest_passage.backward_total is '[1] The same, other direction';
comment on column latest_passage.status is '[bits] 1 detector fault';

create table latest_ambient (
    t              timestamptz not null,
    device_id      int4 primary key,
    window_s       int4 not null,
    quality        int2 not null,
    illuminance_lx float4,
    temperature_c  float4,
    status         int2
) with (fillfactor = 50);
comment on table latest_ambient is 'Surroundings and switchgear of a cabinet';
comment on column latest_ambient.illuminance_lx is '[lx] Photocell';
comment on column latest_ambient.temperature_c is '[degC] Inside the cabinet or outdoors';
comment on column latest_ambient.status is '[bits] 1 door open, 2 contactor closed, 4 photocell dark, 8 breaker tripped, 16 manual override';

create table latest_sample (
    t         timestamptz not null,
    series_id int4 primary key,
    window_s  int4 not null,
    quality   int2 not null,
    value     float8
) with (fillfactor = 50);
comment on table latest_sample is 'A single quantity of a device that has no kind of its own';
comment on column latest_sample.value is '[] Any other quantity';

create table latest_outcome (
    t             timestamptz not null,
    device_id     int4 primary key,
    quality       int2 not null,
    command_id    text not null,
    outcome       text,
    requested_pct float4,
    readback_pct  float4,
    reason        text
) with (fillfactor = 50);
comment on table latest_outcome is 'What became of a command';
comment on column latest_outcome.command_id is '[] The command or the plan slot that was carried out';
comment on column latest_outcome.outcome is '[] applied, verified, rejected, expired or unknown';
comment on column latest_outcome.requested_pct is '[%] Level asked for';
comment on column latest_outcome.readback_pct is '[%] Level read back';
comment on column latest_outcome.reason is '[] Why, where the outcome is not verified';

create table latest_gap (
    t          timestamptz not null,
    device_id  int4 primary key,
    quality    int2 not null,
    lane       text not null,
    first_t_us int8 not null,
    last_t_us  int8,
    rows       int8,
    reason     text
) with (fillfactor = 50);
comment on table latest_gap is 'A declared loss';
comment on column latest_gap.lane is '[] live or history';
comment on column latest_gap.first_t_us is '[us] Start of the first row lost';
comment on column latest_gap.last_t_us is '[us] Start of the last row lost';
comment on column latest_gap.rows is '[1] Rows lost';
comment on column latest_gap.reason is '[] store_full, store_corrupt or another word of the agent''s catalogue';

create table latest_health (
    t               timestamptz not null,
    device_id       int4 primary key,
    quality         int2 not null,
    uptime_s        int8,
    rss_bytes       int8,
    outbox_batches  int8,
    outbox_bytes    int8,
    disk_free_bytes int8,
    polls_ok        int8,
    polls_failed    int8,
    produced_rows   int8,
    dropped_rows    int8
) with (fillfactor = 50);
comment on table latest_health is 'The agent''s own record, once a minute';
comment on column latest_health.uptime_s is '[s] Since the agent started';
comment on column latest_health.rss_bytes is '[B] Resident memory of the agent';
comment on column latest_health.outbox_batches is '[1] Batches not yet acknowledged';
comment on column latest_health.outbox_bytes is '[B] Size of the outbox file';
comment on column latest_health.disk_free_bytes is '[B] Free space beside the outbox';
comment on column latest_health.polls_ok is '[1] Polls answered since the start';
comment on column latest_health.polls_failed is '[1] Polls that failed since the start';
comment on column latest_health.produced_rows is '[1] Rows made durable in this epoch';
comment on column latest_health.dropped_rows is '[1] Rows dropped and declared in this epoch';
