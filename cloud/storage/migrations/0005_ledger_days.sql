-- The daily ledger: what each gateway made durable on each of its civil days, and what became of it.

create index on batch_ledger (gateway_id, created_at);

create function ledger_days(gateway int4, since timestamptz default '-infinity')
returns table (day date, batches int8, seen int8, stored int8, repeated int8, quarantined int8,
               pending int8, emptied int8, refused int8, contradicted int8)
language sql stable as $$
with zone as (
    select t.time_zone as name
    from gateway g join site s using (site_id) join territory t using (territory_id)
    where g.gateway_id = gateway
),
-- From the first number that is recent, and the one before it, so that a hole has both its ends.
firsts as (
    select b.epoch, b.lane, min(b.seq) as seq
    from batch_ledger b
    where b.gateway_id = gateway and b.created_at >= since
    group by b.epoch, b.lane
),
known as (
    select b.*
    from firsts f
    join batch_ledger b on b.gateway_id = gateway and b.epoch = f.epoch and b.lane = f.lane
                        and b.seq >= f.seq
    union all
    select p.*
    from firsts f
    cross join lateral (
        select b.* from batch_ledger b
        where b.gateway_id = gateway and b.epoch = f.epoch and b.lane = f.lane and b.seq < f.seq
        order by b.seq desc limit 1
    ) p
),
placed as (
    select k.*,
           k.seq - coalesce(lag(k.seq) over stream, 0) - 1 as unseen_before,
           k.rows_before - coalesce(lag(k.rows_before + k.rows) over stream, 0) as rows_unseen,
           lead(k.seq) over stream = k.seq + 1 as followed,
           lead(k.rows_before) over stream - k.rows_before - k.rows as rows_missing
    from known k
    window stream as (partition by k.epoch, k.lane order by k.seq)
),
counted as (
    select (p.created_at at time zone zone.name)::date as day,
           1::int8 as batches,
           p.rows::int8 as seen,
           p.stored_rows::int8 as stored,
           case when p.status = 'stored' then p.rows - p.stored_rows else 0 end::int8 as repeated,
           case when p.status = 'quarantined' then p.rows else 0 end::int8 as quarantined,
           case when p.unseen_before > 0 then greatest(p.rows_unseen, 0) else 0 end as pending,
           case when p.followed then greatest(p.rows_missing, 0) else 0 end as emptied,
           0::int8 as refused,
           case when p.unseen_before > 0 then greatest(-p.rows_unseen, 0) else 0 end
           + case when p.followed then greatest(-p.rows_missing, 0) else 0 end as contradicted
    from placed p cross join zone
    where p.created_at >= since
    union all
    select (r.t at time zone zone.name)::date, 0, 0, 0, 0, 0, 0, 0, coalesce(r.rows, 0), 0
    from gap_record r join device d using (device_id) cross join zone
    where d.gateway_id = gateway and r.t >= since
      and r.reason is distinct from 'store_full' and r.reason is distinct from 'thinned'
)
select c.day, sum(c.batches)::int8, sum(c.seen)::int8, sum(c.stored)::int8, sum(c.repeated)::int8,
       sum(c.quarantined)::int8, sum(c.pending)::int8, sum(c.emptied)::int8, sum(c.refused)::int8,
       sum(c.contradicted)::int8
from counted c
group by c.day
order by c.day
$$;
comment on function ledger_days is 'Rows by civil day of the gateway''s territory on which it made them durable; docs/reference/ledger.md has the formula';
