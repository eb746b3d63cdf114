-- name: territories
select slug, name, time_zone from territory order by slug;

-- name: ledger
-- The last hour by the index on received_at. Lag: from the sealing of a live batch at the gateway
-- to its arrival, over the last five minutes.
select coalesce(sum(stored_rows), 0)::int8 as rows_stored,
       count(*) filter (where status = 'quarantined')::int8 as quarantined,
       max(received_at) as last_received_at,
       (percentile_cont(0.5) within group (order by extract(epoch from received_at - created_at))
           filter (where lane = 1 and received_at >= %(lag_since)s))::float8 as lag_p50_s,
       (percentile_cont(0.99) within group (order by extract(epoch from received_at - created_at))
           filter (where lane = 1 and received_at >= %(lag_since)s))::float8 as lag_p99_s
from batch_ledger where received_at >= %(since)s;
