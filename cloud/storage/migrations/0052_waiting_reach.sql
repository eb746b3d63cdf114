-- A queue that reaches beyond the counter at its tail.

alter table facility
    add column tail_reach int2 check (tail_reach > 0),
    add check (tail_reach is null or tail_device_id is not null);
comment on column facility.tail_reach is '[1] Cars between gate and tail counter when the queue reaches it; null: it never does';

alter table wait_estimate add column at_least_s float8;
comment on column wait_estimate.at_least_s is '[s] Four of five wait longer than this; given instead of quantiles where the queue reaches beyond the tail counter';

-- What is to be scored is looked for facility by facility.
drop index wait_estimate_t_idx;
create index on wait_estimate (facility_id, t) where scored_at is null and p50_s is not null;
