-- The two calls in which the editions differ: plain PostgreSQL makes and drops partitions itself.

-- Make the partitions that hold the given instants. CREATE TABLE + ATTACH takes only SHARE UPDATE
-- EXCLUSIVE on the parent, so that running COPYs go on; PARTITION OF would lock them out.
create function eclor_ensure_partitions(reading_table text, instants timestamptz[])
returns int language plpgsql as $$
declare
    step  interval;
    lower timestamptz;
    part  text;
    made  int := 0;
begin
    select chunk into strict step from raw_store where table_name = reading_table;
    for lower in
        select distinct date_bin(step, i, 'epoch') from unnest(instants) i order by 1
    loop
        part := format('%s_p%s', reading_table, to_char(lower at time zone 'UTC', 'YYYYMMDD'));
        continue when to_regclass(quote_ident(part)) is not null;
        perform pg_advisory_xact_lock(hashtext('eclor partitions'));
        -- Look into the table itself: to_regclass may answer from a cache that is older than the lock.
        continue when exists (select from pg_class
                              where relname = part
                                and relnamespace = current_schema()::regnamespace);
        execute format('create table %I (like %I including all)', part, reading_table);
        execute format('alter table %I attach partition %I for values from (%L) to (%L)',
                       reading_table, part, lower, lower + step);
        made := made + 1;
    end loop;
    return made;
end
$$;

-- Drop the partitions that lie wholly before the given instant; returns how many.
create function eclor_drop_before(reading_table text, floor timestamptz)
returns int language plpgsql as $$
declare
    step    interval;
    part    text;
    dropped int := 0;
begin
    select chunk into strict step from raw_store where table_name = reading_table;
    for part in
        select c.relname
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = reading_table::regclass
          and to_timestamp(right(c.relname, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' + step
              <= floor
        order by 1
    loop
        execute format('drop table %I', part);
        dropped := dropped + 1;
    end loop;
    return dropped;
end
$$;
