"""PostgreSQL in three editions: migrations, partitions, binary COPY, pools."""
