-- Nothing is compressed here.

create function eclor_uncompressed(reading_table text, patience interval)
returns setof text language sql stable as $$ select null::text where false $$;

create function eclor_compress_partition(partition text)
returns void language sql as $$ select $$;
