-- Plain PostgreSQL: declarative partitions, made ahead and on demand by
-- eclor_ensure_partitions. There is no DEFAULT partition: once it holds a row, it forbids the
-- partition that the row belongs to.

create table light_reading (like latest_light including comments) partition by range (t);
create unique index on light_reading (device_id, t);

create table feeder_reading (like latest_feeder including comments) partition by range (t);
create unique index on feeder_reading (device_id, t);

create table passage_reading (like latest_passage including comments) partition by range (t);
create unique index on passage_reading (device_id, t);

create table ambient_reading (like latest_ambient including comments) partition by range (t);
create unique index on ambient_reading (device_id, t);

create table sample_reading (like latest_sample including comments) partition by range (t);
create unique index on sample_reading (series_id, t);

create table outcome_record (like latest_outcome including comments) partition by range (t);
create unique index on outcome_record (device_id, t, command_id);

create table gap_record (like latest_gap including comments) partition by range (t);
create unique index on gap_record (device_id, t, lane, first_t_us);

create table health_record (like latest_health including comments) partition by range (t);
create unique index on health_record (device_id, t);
