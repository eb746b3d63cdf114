-- The two calls in which the editions differ: TimescaleDB makes its chunks by itself.

create function eclor_ensure_partitions(reading_table text, instants timestamptz[])
returns int language sql as $$ select 0 $$;

-- Drop the chunks that lie wholly before the given instant; returns how many.
create function eclor_drop_before(reading_table text, floor timestamptz)
returns int language sql as $$
    select count(*)::int from drop_chunks(reading_table::regclass, older_than => floor)
$$;
