-- Power of lamps over their level, as their own meters or the feeder told it.

create table lighting_curve (
    territory_id int4 not null references territory on delete cascade,
    model        text not null,
    source       text not null check (source in ('lamps', 'feeder')),
    idle_w       float8 not null check (idle_w >= 0),
    full_w       float8 not null check (full_w > idle_w),
    interval_w   float8 not null check (interval_w >= 0),
    readings     int4 not null check (readings > 0),
    learned_at   timestamptz not null,
    primary key (territory_id, model)
);
comment on column lighting_curve.model is 'lamp_model of the segment, else the rated power, as "60 W"';
comment on column lighting_curve.source is 'Own readings of the lamps, or steps of a feeder that serves one group';
comment on column lighting_curve.idle_w is '[W] Of one lamp: the line at level 0';
comment on column lighting_curve.interval_w is '[W] Half width of the 90 % interval of one lamp';
