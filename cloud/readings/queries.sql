-- name: latest_channels
-- One row a gateway, names by byte order, as the cursor compares them and as the indexes have
-- them. Whether a channel has a row of the kind is left to the next statement: looking each up
-- here costs as much as reading them there.
select g.name, c.ids, c.devices, c.points
from (select g.gateway_id, g.name
      from gateway g join site s using (site_id) join territory t using (territory_id)
      where (%(territory)s::text is null or t.slug = %(territory)s)
        and (%(gateway)s::text is null or g.name = %(gateway)s)
        and (%(after_gateway)s::text is null or g.name collate "C" > %(after_gateway)s
             or (g.name = %(after_gateway)s and %(after_device)s::text is not null))
      order by g.name collate "C" limit %(gateways)s) g
cross join lateral (
      select array_agg({id} order by {order}) as ids, array_agg(d.name order by {order}) as devices,
             {points} as points
      from {channels}
      where d.gateway_id = g.gateway_id
        and (%(after_device)s::text is null or g.name <> %(after_gateway)s
             or (d.name collate "C", {point} collate "C") > (%(after_device)s, %(after_point)s))) c
order by g.name collate "C";

-- name: latest_values
-- From the small latest table; the history is not touched. The inner select keeps the planner from
-- weighing each of ten thousand ids (5 ms).
select {key}, t, {columns} from {table} where {key} = any((select %(ids)s::int4[])::int4[]);

-- name: device_channels
-- Whose rows a listing of one kind holds: a channel is a device, or a series of samples.
select d.device_id, d.name, ''
from device d join gateway g using (gateway_id)
where g.name = %(gateway)s and (%(devices)s::text[] is null or d.name = any(%(devices)s))
order by d.device_id;

-- name: series_channels
select s.series_id, d.name, s.point
from series s join device d using (device_id) join gateway g using (gateway_id)
where g.name = %(gateway)s and (%(devices)s::text[] is null or d.name = any(%(devices)s))
order by s.series_id;

-- name: readings
-- One channel, so that the unique index (channel, t) yields the rows in order and stops at the
-- limit; literal-like bounds on t let the planner leave out partitions. Rows of the same instant
-- (records of commands) are told apart by the offset.
select t, {columns} from {table}
where {key} = %(channel)s and t >= %(start)s and t < %(until)s
order by {order}
limit %(limit)s offset %(skip)s;

-- name: days
-- The same from a day table, whose key is the civil date: a day's start lies within a day of it.
select t, {columns} from {table}
where {key} = %(channel)s
  and day between (%(start)s::timestamptz at time zone 'UTC')::date - 1
              and (%(until)s::timestamptz at time zone 'UTC')::date + 1
  and t >= %(start)s and t < %(until)s
order by {order}
limit %(limit)s offset %(skip)s;

-- name: raw_from
-- Where the readings of a kind begin: before this they were dropped, only rollups are left.
select case when isfinite(dropped_before) then dropped_before end from raw_store
where kind = %(kind)s;

-- name: streams
-- The ledger of a gateway, summed by stream. rows_before of the newest batch tells how much the
-- gateway produced, also where earlier batches are not here. Between two batches that follow each
-- other nothing is missing: rows counted between them were given up (docs/reference/ledger.md).
select s.epoch, s.lane, s.received, l.batches, l.produced, l.seen, l.stored, l.repeated,
       l.quarantined, l.emptied, l.first_at, l.last_at
from stream s
join gateway g using (gateway_id)
cross join lateral (
    select count(*) as batches,
           coalesce(max(b.rows_before + b.rows), 0)::int8 as produced,
           coalesce(sum(b.rows), 0)::int8 as seen,
           coalesce(sum(b.stored_rows), 0)::int8 as stored,
           coalesce(sum(b.rows - b.stored_rows) filter (where b.status = 'stored'), 0)::int8
               as repeated,
           coalesce(sum(b.rows) filter (where b.status = 'quarantined'), 0)::int8 as quarantined,
           coalesce(sum(b.gap) filter (where b.followed and b.gap > 0), 0)::int8 as emptied,
           min(b.received_at) as first_at,
           max(b.received_at) as last_at
    from (select *, lead(seq) over w = seq + 1 as followed,
                 lead(rows_before) over w - rows_before - rows as gap
          from batch_ledger
          where gateway_id = s.gateway_id and epoch = s.epoch and lane = s.lane
          window w as (order by seq)) b
) l
where g.name = %(gateway)s
order by l.first_at, s.epoch, s.lane;

-- name: declared_losses
-- Rows that the gateway says it dropped, of any time.
select coalesce(sum(r.rows), 0)::int8
from gap_record r join device d using (device_id) join gateway g using (gateway_id)
where g.name = %(gateway)s;

-- name: set_aside
-- Deliveries in quarantine: all of them, also those whose head could not be read.
select count(*) from quarantine where gateway_name = %(gateway)s;
