-- What retention and compression need from the edition: plain PostgreSQL.

create function eclor_ends_before(reading_table text, floor timestamptz)
returns setof timestamptz language sql stable as $$
    select lower + step
    from (select to_timestamp(right(c.relname, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' as lower,
                 (select chunk from raw_store where table_name = reading_table) as step
          from pg_inherits i join pg_class c on c.oid = i.inhrelid
          where i.inhparent = reading_table::regclass) p
    where lower + step <= floor
$$;

create function eclor_compress(reading_table text, key text, after interval)
returns text language sql as $$ select 'unavailable' $$;
