-- What TimescaleDB's own scheduler should have compressed and has not, for the jobs role to do.

-- Partitions of a table that its compression policy has passed over for `patience` or longer, oldest
-- first; none where there is no policy.
create function eclor_uncompressed(reading_table text, patience interval)
returns setof text language sql stable as $$
    select format('%I.%I', c.chunk_schema, c.chunk_name)
    from timescaledb_information.jobs j
    join timescaledb_information.chunks c using (hypertable_schema, hypertable_name)
    where j.proc_name = 'policy_compression'
      and j.hypertable_schema = current_schema() and j.hypertable_name = reading_table
      and not c.is_compressed
      and c.range_end <= now() - (j.config ->> 'compress_after')::interval - patience
    order by c.range_end
$$;

-- True to the second argument: somebody else may have been faster.
create function eclor_compress_partition(partition text)
returns void language plpgsql as $$
begin
    perform compress_chunk(partition::regclass, true);
end
$$;
