-- Statements of ingest. Arrays instead of many small statements: one round trip a step.

-- name: gateways
select name, gateway_id from gateway where name = any(%s);

-- name: floors
select kind, greatest(raw_floor, %s) from raw_store;

-- name: known_batches
-- What the ledger has of these batches; the primary key serves it.
select l.gateway_id, l.epoch, l.lane, l.seq, l.sha256
from unnest(%(gateway)s::int4[], %(epoch)s::uuid[], %(lane)s::int2[], %(seq)s::int8[])
     as w(gateway_id, epoch, lane, seq)
join batch_ledger l using (gateway_id, epoch, lane, seq);

-- name: enter_batches
-- In the order of the key, so that two workers with the same batches cannot wait for each other;
-- the second waits here for the first to commit and then gets nothing back.
insert into batch_ledger (gateway_id, epoch, lane, seq, sha256, rows, rows_before, status,
                          stored_rows, created_at, received_at, t_min, t_max)
select * from unnest(%(gateway)s::int4[], %(epoch)s::uuid[], %(lane)s::int2[], %(seq)s::int8[],
                     %(sha256)s::bytea[], %(rows)s::int4[], %(rows_before)s::int8[],
                     %(status)s::text[], %(stored_rows)s::int4[], %(created_at)s::timestamptz[],
                     %(received_at)s::timestamptz[], %(t_min)s::timestamptz[],
                     %(t_max)s::timestamptz[])
order by 1, 2, 3, 4
on conflict do nothing
returning gateway_id, epoch, lane, seq;

-- name: correct_stored_rows
update batch_ledger set stored_rows = %(stored_rows)s
where gateway_id = %(gateway)s and epoch = %(epoch)s and lane = %(lane)s and seq = %(seq)s;

-- name: count_written
-- Rows that no batch brought, for the account of the tables; in the order of the key.
insert into sample_written as w (gateway_id, day, rows)
select %(gateway)s, * from unnest(%(day)s::date[], %(rows)s::int8[]) order by 2
on conflict (gateway_id, day) do update set rows = w.rows + excluded.rows;

-- name: receive
-- The row lock makes workers of one stream take turns, so received only ever grows.
insert into stream as s (gateway_id, epoch, lane, received, updated_at)
select gateway_id, epoch, lane, seqs::int8multirange, %(now)s
from unnest(%(gateway)s::int4[], %(epoch)s::uuid[], %(lane)s::int2[], %(seqs)s::text[])
     as w(gateway_id, epoch, lane, seqs)
order by 1, 2, 3
on conflict (gateway_id, epoch, lane)
do update set received = s.received + excluded.received, updated_at = excluded.updated_at;

-- name: streams
-- The newest streams of each gateway, oldest first, with the last refused batches of each.
select g.name, s.epoch, s.lane, s.received, s.rewind_to,
       array(select l.seq from batch_ledger l
             where l.gateway_id = s.gateway_id and l.epoch = s.epoch and l.lane = s.lane
               and l.status = 'quarantined'
             order by l.seq desc limit %(quarantined)s)
from gateway g
cross join lateral (select * from stream where stream.gateway_id = g.gateway_id
                    order by updated_at desc, epoch, lane limit %(streams)s) s
where g.gateway_id = any(%(gateway)s)
order by g.name, s.updated_at, s.epoch, s.lane;

-- name: rewind
-- From the first number that the database lacks: after the first range if that begins with 1.
update stream s
set rewind_to = case when lower(f.first) = 1 then upper(f.first) else 1 end
from gateway g, stream t
left join lateral (select r as first from unnest(t.received) r order by r limit 1) f on true
where g.gateway_id = s.gateway_id and (%(gateway)s::text is null or g.name = %(gateway)s)
  and (t.gateway_id, t.epoch, t.lane) = (s.gateway_id, s.epoch, s.lane)
returning g.name, s.epoch, s.lane, s.rewind_to;

-- name: devices
select gateway_id, name, device_id from device where gateway_id = any(%s);

-- name: undeclared
select gateway_id, count(*) from device
where gateway_id = any(%s) and not provisioned group by gateway_id;

-- name: register_devices
-- A known gateway sends data of a device that nobody declared: kept, and shown as such.
insert into device (gateway_id, name, kind, provisioned)
select gateway_id, name, kind, false
from unnest(%(gateway)s::int4[], %(name)s::text[], %(kind)s::text[]) as w(gateway_id, name, kind)
order by 1, 2
on conflict do nothing;

-- name: series
select d.gateway_id, d.name, s.point, s.series_id
from series s join device d using (device_id) where d.gateway_id = any(%s);

-- name: register_series
insert into series (device_id, point)
select * from unnest(%(device)s::int4[], %(point)s::text[]) order by 1, 2
on conflict do nothing;

-- name: mark_dirty
insert into rollup_dirty (gateway_id, kind, hour)
select * from unnest(%(gateway)s::int4[], %(kind)s::int2[], %(hour)s::timestamptz[]);

-- name: quarantine
-- The same bytes refused for the same reason are kept once and counted; a full quarantine takes
-- nothing new (no row comes back), which the caller counts.
insert into quarantine as q (gateway_name, topic, payload, sha256, reason, detail, received_at,
                             epoch, lane, seq)
select %(gateway_name)s, %(topic)s, %(payload)s, %(sha256)s, %(reason)s, %(detail)s,
       %(received_at)s, %(epoch)s, %(lane)s, %(seq)s
where exists (select from quarantine where gateway_name = %(gateway_name)s
                and reason = %(reason)s and sha256 = %(sha256)s)
   or (select count(*) from quarantine where gateway_name = %(gateway_name)s) < %(limit)s
on conflict (gateway_name, reason, sha256) do update set repeats = q.repeats + 1
returning quarantine_id;

-- name: refuse
insert into quarantine_refused as r (gateway_name, reason, refused, refused_at)
values (%(gateway_name)s, %(reason)s, 1, %(received_at)s)
on conflict (gateway_name, reason)
do update set refused = r.refused + 1, refused_at = excluded.refused_at;
