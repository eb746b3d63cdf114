-- Nights as they were verified: they outlive the readings, so that a year can be reported.

create table lighting_night (
    group_id    int4 not null references lighting_group on delete cascade,
    evening     date not null,
    verified_at timestamptz not null,
    night       jsonb not null,
    primary key (group_id, evening)
);
comment on table lighting_night is 'Measured energy of a night against every baseline, and the light it had';
comment on column lighting_night.evening is 'Civil date of its evening; the night runs from noon to noon';
comment on column lighting_night.night is 'cloud.lighting.verification.VerifiedNight';
