-- What the windows tell of themselves (0010) and no other column of the sums holds.
alter table feeder_hour add column voltage_min_v float4, add column voltage_max_v float4;
alter table feeder_day add column voltage_min_v float4, add column voltage_max_v float4;
alter table sample_hour add column value_last float8;
alter table sample_day add column value_last float8;
