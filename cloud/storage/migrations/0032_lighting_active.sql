-- What each gateway says of its plan on its retained state topic.

create table lighting_active (
    gateway_id int4 primary key references gateway on delete cascade,
    said_at    timestamptz not null,
    sha256     text,
    next_sha256 text,
    refused_sha256 text,
    refused_error text
);
comment on column lighting_active.sha256 is 'The plan document that holds there; null: none';
comment on column lighting_active.refused_error is 'Why the last document that was refused was refused';
