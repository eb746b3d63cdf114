-- What retention and compression need from the edition: TimescaleDB.

create function eclor_ends_before(reading_table text, floor timestamptz)
returns setof timestamptz language sql stable as $$
    select range_end from timescaledb_information.chunks
    where hypertable_schema = current_schema() and hypertable_name = reading_table
      and range_end <= floor
$$;

-- Compression is in the community edition only. One segment a device, newest row first: 12 bytes a
-- 5-minute row instead of 144, and the day of one device is one segment.
create function eclor_compress(reading_table text, key text, after interval)
returns text language plpgsql as $$
declare
    running interval;
begin
    if current_setting('timescaledb.license') <> 'timescale' then
        return 'unavailable';
    end if;
    select (config ->> 'compress_after')::interval into running
    from timescaledb_information.jobs
    where hypertable_schema = current_schema() and hypertable_name = reading_table
      and proc_name = 'policy_compression';
    if running = after then
        return 'on';
    end if;
    perform remove_compression_policy(reading_table::regclass, if_exists => true);
    if after <= interval '0' then
        return 'off';
    end if;
    if not (select compression_enabled from timescaledb_information.hypertables
            where hypertable_schema = current_schema() and hypertable_name = reading_table) then
        execute format('alter table %I set (timescaledb.compress, timescaledb.compress_segmentby = %L,'
                       ' timescaledb.compress_orderby = ''t desc'')', reading_table, key);
    end if;
    perform add_compression_policy(reading_table::regclass, compress_after => after);
    return 'on';
end
$$;
