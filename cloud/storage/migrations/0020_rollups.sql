-- Rollups by hour and civil day, kept by a job of ours on every edition (docs/data-model.md,
-- docs/adr/0010-rollups-of-our-own.md). Plain tables: a tenth of the readings' rows, and updated in
-- place, hence the fillfactor.

alter table raw_store add column dropped_before timestamptz not null default '-infinity';
alter table raw_store add column raised_at timestamptz;
comment on column raw_store.raw_floor is 'Older data goes to quarantine; raised before anything is dropped';
comment on column raw_store.dropped_before is 'Raw rows before this are gone: rollups before it are never recomputed';
comment on column raw_store.raised_at is 'When raw_floor was raised last; nothing is dropped until batches under way are committed';
alter table raw_store drop column keep; -- settings say how long (cloud.toml, [retention])

comment on table rollup_dirty is 'Append-only: hours whose rollup is out of date. No unique key: a key that an open transaction already holds would swallow a newer mark. The rollup job deletes what it reads';

create table light_hour (
    device_id               int4 not null,
    t                       timestamptz not null,
    rows                    int4 not null,
    covered_s               int4 not null,
    quality                 int2 not null,
    level_pct_mean          float4,
    level_pct_min           float4,
    level_pct_max           float4,
    level_pct_s             int4,
    target_pct_mean         float4,
    target_pct_min          float4,
    target_pct_max          float4,
    target_pct_s            int4,
    power_w_mean            float4,
    power_w_min             float4,
    power_w_max             float4,
    power_w_s               int4,
    energy_wh               int8,
    energy_wh_span_s        int4,
    energy_wh_resets        int4,
    energy_wh_end           int8,
    energy_wh_end_t         timestamptz,
    energy_wh_first         int8,
    energy_wh_first_t       timestamptz,
    energy_wh_inside        int8,
    energy_wh_inside_resets int4,
    voltage_v_mean          float4,
    voltage_v_min           float4,
    voltage_v_max           float4,
    voltage_v_s             int4,
    temperature_c_mean      float4,
    temperature_c_min       float4,
    temperature_c_max       float4,
    temperature_c_s         int4,
    status                  int2,
    primary key (device_id, t)
) with (fillfactor = 80);
create index on light_hour (t);
comment on table light_hour is 'A luminaire, or a segment that is measured as one, by hour; columns: docs/data-model.md';

create table light_day (
    device_id          int4 not null,
    day                date not null,
    t                  timestamptz not null,
    length_s           int4 not null,
    hours              int2 not null,
    rows               int4 not null,
    covered_s          int4 not null,
    quality            int2 not null,
    level_pct_mean     float4,
    level_pct_min      float4,
    level_pct_max      float4,
    level_pct_s        int4,
    target_pct_mean    float4,
    target_pct_min     float4,
    target_pct_max     float4,
    target_pct_s       int4,
    power_w_mean       float4,
    power_w_min        float4,
    power_w_max        float4,
    power_w_s          int4,
    energy_wh          int8,
    energy_wh_span_s   int4,
    energy_wh_resets   int4,
    energy_wh_end      int8,
    voltage_v_mean     float4,
    voltage_v_min      float4,
    voltage_v_max      float4,
    voltage_v_s        int4,
    temperature_c_mean float4,
    temperature_c_min  float4,
    temperature_c_max  float4,
    temperature_c_s    int4,
    status             int2,
    primary key (device_id, day)
) with (fillfactor = 80);
create index on light_day (day);
comment on table light_day is 'A luminaire, or a segment that is measured as one, by civil day; columns: docs/data-model.md';

create table feeder_hour (
    device_id                      int4 not null,
    t                              timestamptz not null,
    rows                           int4 not null,
    covered_s                      int4 not null,
    quality                        int2 not null,
    voltage_l1_v_mean              float4,
    voltage_l1_v_min               float4,
    voltage_l1_v_max               float4,
    voltage_l1_v_s                 int4,
    voltage_l2_v_mean              float4,
    voltage_l2_v_min               float4,
    voltage_l2_v_max               float4,
    voltage_l2_v_s                 int4,
    voltage_l3_v_mean              float4,
    voltage_l3_v_min               float4,
    voltage_l3_v_max               float4,
    voltage_l3_v_s                 int4,
    current_l1_a_mean              float4,
    current_l1_a_min               float4,
    current_l1_a_max               float4,
    current_l1_a_s                 int4,
    current_l2_a_mean              float4,
    current_l2_a_min               float4,
    current_l2_a_max               float4,
    current_l2_a_s                 int4,
    current_l3_a_mean              float4,
    current_l3_a_min               float4,
    current_l3_a_max               float4,
    current_l3_a_s                 int4,
    power_w_mean                   float4,
    power_w_min                    float4,
    power_w_max                    float4,
    power_w_s                      int4,
    energy_import_wh               int8,
    energy_import_wh_span_s        int4,
    energy_import_wh_resets        int4,
    energy_import_wh_end           int8,
    energy_import_wh_end_t         timestamptz,
    energy_import_wh_first         int8,
    energy_import_wh_first_t       timestamptz,
    energy_import_wh_inside        int8,
    energy_import_wh_inside_resets int4,
    power_factor_mean              float4,
    power_factor_min               float4,
    power_factor_max               float4,
    power_factor_s                 int4,
    frequency_hz_mean              float4,
    frequency_hz_min               float4,
    frequency_hz_max               float4,
    frequency_hz_s                 int4,
    primary key (device_id, t)
) with (fillfactor = 80);
create index on feeder_hour (t);
comment on table feeder_hour is 'An energy meter on a feeder, by hour; columns: docs/data-model.md';

create table feeder_day (
    device_id               int4 not null,
    day                     date not null,
    t                       timestamptz not null,
    length_s                int4 not null,
    hours                   int2 not null,
    rows                    int4 not null,
    covered_s               int4 not null,
    quality                 int2 not null,
    voltage_l1_v_mean       float4,
    voltage_l1_v_min        float4,
    voltage_l1_v_max        float4,
    voltage_l1_v_s          int4,
    voltage_l2_v_mean       float4,
    voltage_l2_v_min        float4,
    voltage_l2_v_max        float4,
    voltage_l2_v_s          int4,
    voltage_l3_v_mean       float4,
    voltage_l3_v_min        float4,
    voltage_l3_v_max        float4,
    voltage_l3_v_s          int4,
    current_l1_a_mean       float4,
    current_l1_a_min        float4,
    current_l1_a_max        float4,
    current_l1_a_s          int4,
    current_l2_a_mean       float4,
    current_l2_a_min        float4,
    current_l2_a_max        float4,
    current_l2_a_s          int4,
    current_l3_a_mean       float4,
    current_l3_a_min        float4,
    current_l3_a_max        float4,
    current_l3_a_s          int4,
    power_w_mean            float4,
    power_w_min             float4,
    power_w_max             float4,
    power_w_s               int4,
    energy_import_wh        int8,
    energy_import_wh_span_s int4,
    energy_import_wh_resets int4,
    energy_import_wh_end    int8,
    power_factor_mean       float4,
    power_factor_min        float4,
    power_factor_max        float4,
    power_factor_s          int4,
    frequency_hz_mean       float4,
    frequency_hz_min        float4,
    frequency_hz_max        float4,
    frequency_hz_s          int4,
    primary key (device_id, day)
) with (fillfactor = 80);
create index on feeder_day (day);
comment on table feeder_day is 'An energy meter on a feeder, by civil day; columns: docs/data-model.md';

create table passage_hour (
    device_id                    int4 not null,
    t                            timestamptz not null,
    rows                         int4 not null,
    covered_s                    int4 not null,
    quality                      int2 not null,
    forward_count                int8,
    backward_count               int8,
    forward_total                int8,
    forward_total_span_s         int4,
    forward_total_resets         int4,
    forward_total_end            int8,
    forward_total_end_t          timestamptz,
    forward_total_first          int8,
    forward_total_first_t        timestamptz,
    forward_total_inside         int8,
    forward_total_inside_resets  int4,
    backward_total               int8,
    backward_total_span_s        int4,
    backward_total_resets        int4,
    backward_total_end           int8,
    backward_total_end_t         timestamptz,
    backward_total_first         int8,
    backward_total_first_t       timestamptz,
    backward_total_inside        int8,
    backward_total_inside_resets int4,
    status                       int2,
    primary key (device_id, t)
) with (fillfactor = 80);
create index on passage_hour (t);
comment on table passage_hour is 'A counter at a gate or along a road, by hour; columns: docs/data-model.md';

create table passage_day (
    device_id             int4 not null,
    day                   date not null,
    t                     timestamptz not null,
    length_s              int4 not null,
    hours                 int2 not null,
    rows                  int4 not null,
    covered_s             int4 not null,
    quality               int2 not null,
    forward_count         int8,
    backward_count        int8,
    forward_total         int8,
    forward_total_span_s  int4,
    forward_total_resets  int4,
    forward_total_end     int8,
    backward_total        int8,
    backward_total_span_s int4,
    backward_total_resets int4,
    backward_total_end    int8,
    status                int2,
    primary key (device_id, day)
) with (fillfactor = 80);
create index on passage_day (day);
comment on table passage_day is 'A counter at a gate or along a road, by civil day; columns: docs/data-model.md';

create table ambient_hour (
    device_id           int4 not null,
    t                   timestamptz not null,
    rows                int4 not null,
    covered_s           int4 not null,
    quality             int2 not null,
    illuminance_lx_mean float4,
    illuminance_lx_min  float4,
    illuminance_lx_max  float4,
    illuminance_lx_s    int4,
    temperature_c_mean  float4,
    temperature_c_min   float4,
    temperature_c_max   float4,
    temperature_c_s     int4,
    status              int2,
    primary key (device_id, t)
) with (fillfactor = 80);
create index on ambient_hour (t);
comment on table ambient_hour is 'Surroundings and switchgear of a cabinet, by hour; columns: docs/data-model.md';

create table ambient_day (
    device_id           int4 not null,
    day                 date not null,
    t                   timestamptz not null,
    length_s            int4 not null,
    hours               int2 not null,
    rows                int4 not null,
    covered_s           int4 not null,
    quality             int2 not null,
    illuminance_lx_mean float4,
    illuminance_lx_min  float4,
    illuminance_lx_max  float4,
    illuminance_lx_s    int4,
    temperature_c_mean  float4,
    temperature_c_min   float4,
    temperature_c_max   float4,
    temperature_c_s     int4,
    status              int2,
    primary key (device_id, day)
) with (fillfactor = 80);
create index on ambient_day (day);
comment on table ambient_day is 'Surroundings and switchgear of a cabinet, by civil day; columns: docs/data-model.md';

create table sample_hour (
    series_id  int4 not null,
    t          timestamptz not null,
    rows       int4 not null,
    covered_s  int4 not null,
    quality    int2 not null,
    value_mean float8,
    value_min  float8,
    value_max  float8,
    value_s    int4,
    primary key (series_id, t)
) with (fillfactor = 80);
create index on sample_hour (t);
comment on table sample_hour is 'A single quantity of a device that has no kind of its own, by hour; columns: docs/data-model.md';

create table sample_day (
    series_id  int4 not null,
    day        date not null,
    t          timestamptz not null,
    length_s   int4 not null,
    hours      int2 not null,
    rows       int4 not null,
    covered_s  int4 not null,
    quality    int2 not null,
    value_mean float8,
    value_min  float8,
    value_max  float8,
    value_s    int4,
    primary key (series_id, day)
) with (fillfactor = 80);
create index on sample_day (day);
comment on table sample_day is 'A single quantity of a device that has no kind of its own, by civil day; columns: docs/data-model.md';
