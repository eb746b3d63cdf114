-- TimescaleDB: hypertables. Chunks are made by the extension.
-- create_default_indexes is off: the unique index (device, t) serves every query of ours.

create table light_reading (like latest_light including comments);
select create_hypertable('light_reading', by_range('t', interval '1 day'),
    create_default_indexes => false);
create unique index on light_reading (device_id, t);

create table feeder_reading (like latest_feeder including comments);
select create_hypertable('feeder_reading', by_range('t', interval '1 day'),
    create_default_indexes => false);
create unique index on feeder_reading (device_id, t);

create table passage_reading (like latest_passage including comments);
select create_hypertable('passage_reading', by_range('t', interval '7 days'),
    create_default_indexes => false);
create unique index on passage_reading (device_id, t);

create table ambient_reading (like latest_ambient including comments);
select create_hypertable('ambient_reading', by_range('t', interval '7 days'),
    create_default_indexes => false);
create unique index on ambient_reading (device_id, t);

create table sample_reading (like latest_sample including comments);
select create_hypertable('sample_reading', by_range('t', interval '7 days'),
    create_default_indexes => false);
create unique index on sample_reading (series_id, t);

create table outcome_record (like latest_outcome including comments);
select create_hypertable('outcome_record', by_range('t', interval '7 days'),
    create_default_indexes => false);
create unique index on outcome_record (device_id, t, command_id);

create table gap_record (like latest_gap including comments);
select create_hypertable('gap_record', by_range('t', interval '7 days'),
    create_default_indexes => false);
create unique index on gap_record (device_id, t, lane, first_t_us);

create table health_record (like latest_health including comments);
select create_hypertable('health_record', by_range('t', interval '7 days'),
    create_default_indexes => false);
create unique index on health_record (device_id, t);
