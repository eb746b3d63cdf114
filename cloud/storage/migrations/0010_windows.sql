-- What a window holds beside its mean: extremes, last value, and how much of it was measured.
-- Null in rows of gateways that do not send it. The history tables took the comments of
-- latest_<kind> over when they were made; what is added later is added to both.

alter table latest_light
    add column level_min_pct float4,
    add column level_max_pct float4,
    add column power_min_w float4,
    add column power_max_w float4,
    add column coverage_pct float4;
comment on column latest_light.level_min_pct is '[%] Lowest level of the window';
comment on column latest_light.level_max_pct is '[%] Highest level of the window';
comment on column latest_light.power_min_w is '[W] Lowest power of the window';
comment on column latest_light.power_max_w is '[W] Highest power of the window';
comment on column latest_light.coverage_pct is '[%] Share of the window that good samples speak for';

alter table light_reading
    add column level_min_pct float4,
    add column level_max_pct float4,
    add column power_min_w float4,
    add column power_max_w float4,
    add column coverage_pct float4;
comment on column light_reading.level_min_pct is '[%] Lowest level of the window';
comment on column light_reading.level_max_pct is '[%] Highest level of the window';
comment on column light_reading.power_min_w is '[W] Lowest power of the window';
comment on column light_reading.power_max_w is '[W] Highest power of the window';
comment on column light_reading.coverage_pct is '[%] Share of the window that good samples speak for';

alter table latest_feeder
    add column power_min_w float4,
    add column power_max_w float4,
    add column voltage_min_v float4,
    add column voltage_max_v float4,
    add column coverage_pct float4;
comment on column latest_feeder.power_min_w is '[W] Lowest power of the window';
comment on column latest_feeder.power_max_w is '[W] Highest power of the window';
comment on column latest_feeder.voltage_min_v is '[V] Lowest voltage of any phase of the window';
comment on column latest_feeder.voltage_max_v is '[V] Highest voltage of any phase of the window';
comment on column latest_feeder.coverage_pct is '[%] Share of the window that good samples speak for';

alter table feeder_reading
    add column power_min_w float4,
    add column power_max_w float4,
    add column voltage_min_v float4,
    add column voltage_max_v float4,
    add column coverage_pct float4;
comment on column feeder_reading.power_min_w is '[W] Lowest power of the window';
comment on column feeder_reading.power_max_w is '[W] Highest power of the window';
comment on column feeder_reading.voltage_min_v is '[V] Lowest voltage of any phase of the window';
comment on column feeder_reading.voltage_max_v is '[V] Highest voltage of any phase of the window';
comment on column feeder_reading.coverage_pct is '[%] Share of the window that good samples speak for';

alter table latest_passage
    add column coverage_pct float4;
comment on column latest_passage.coverage_pct is '[%] Share of the window that good samples speak for';

alter table passage_reading
    add column coverage_pct float4;
comment on column passage_reading.coverage_pct is '[%] Share of the window that good samples speak for';

alter table latest_ambient
    add column temperature_min_c float4,
    add column temperature_max_c float4,
    add column coverage_pct float4;
comment on column latest_ambient.temperature_min_c is '[degC] Lowest temperature of the window';
comment on column latest_ambient.temperature_max_c is '[degC] Highest temperature of the window';
comment on column latest_ambient.coverage_pct is '[%] Share of the window that good samples speak for';

alter table ambient_reading
    add column temperature_min_c float4,
    add column temperature_max_c float4,
    add column coverage_pct float4;
comment on column ambient_reading.temperature_min_c is '[degC] Lowest temperature of the window';
comment on column ambient_reading.temperature_max_c is '[degC] Highest temperature of the window';
comment on column ambient_reading.coverage_pct is '[%] Share of the window that good samples speak for';

alter table latest_sample
    add column value_min float8,
    add column value_max float8,
    add column value_last float8,
    add column coverage_pct float4;
comment on column latest_sample.value_min is '[] Lowest value of the window';
comment on column latest_sample.value_max is '[] Highest value of the window';
comment on column latest_sample.value_last is '[] Value at the end of the window';
comment on column latest_sample.coverage_pct is '[%] Share of the window that good samples speak for';

alter table sample_reading
    add column value_min float8,
    add column value_max float8,
    add column value_last float8,
    add column coverage_pct float4;
comment on column sample_reading.value_min is '[] Lowest value of the window';
comment on column sample_reading.value_max is '[] Highest value of the window';
comment on column sample_reading.value_last is '[] Value at the end of the window';
comment on column sample_reading.coverage_pct is '[%] Share of the window that good samples speak for';
