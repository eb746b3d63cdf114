-- name: gateway
select g.gateway_id, t.time_zone
from gateway g join site s using (site_id) join territory t using (territory_id)
where g.name = %(gateway)s;

-- name: days
select day, batches, seen, stored, repeated, quarantined, pending, emptied, refused, contradicted
from ledger_days(%(gateway_id)s, coalesce(%(since)s::timestamptz, '-infinity'));

-- name: declared
-- Rows of numbered batches that the gateway says it dropped or thinned, and losses whose size it
-- does not know. A declaration is never older than the batch it speaks of.
select coalesce(sum(r.rows) filter (where r.reason in ('store_full', 'thinned')), 0)::int8,
       count(*) filter (where r.reason = 'store_corrupt')
from gap_record r join device d using (device_id)
where d.gateway_id = %(gateway_id)s
  and r.t >= coalesce(%(since)s::timestamptz, '-infinity');

-- name: conflicts
-- Each different content once, however often it came.
select count(*) from quarantine
where gateway_name = %(gateway)s and reason = 'hash_conflict'
  and received_at >= coalesce(%(since)s::timestamptz, '-infinity');

-- name: entered
-- Rows that were added: by batches, and on days (UTC) without a batch, that lie wholly after the
-- floor, and by those that reach beyond it. Before the highest raw floor the tables are no witness.
with bound as (
    select greatest(coalesce(%(since)s::timestamptz, '-infinity'), max(raw_floor)) as floor
    from raw_store
),
added as (
    select t_min, t_max >= floor as reaches, stored_rows as rows
    from bound join batch_ledger on gateway_id = %(gateway_id)s
    union all
    select day::timestamp at time zone 'UTC',
           (day + 1)::timestamp at time zone 'UTC' > floor, rows
    from bound join sample_written on gateway_id = %(gateway_id)s
)
select bound.floor::text, -- may be -infinity
       coalesce(sum(a.rows) filter (where a.t_min >= bound.floor), 0)::int8,
       coalesce(sum(a.rows) filter (where a.reaches), 0)::int8
from bound left join added a on true
group by bound.floor;

-- name: found
-- {table} and {owner} from the tables that the program knows; the unique index serves each device.
select count(*) from {table} r {series}
where {owner}.device_id in (select device_id from device where gateway_id = %(gateway_id)s)
  and r.t >= %(floor)s::timestamptz;
